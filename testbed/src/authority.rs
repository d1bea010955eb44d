//! An authority of its own, and the certificates that it signs for TLS on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::home::Home;
use crate::place::Place;
use crate::tools;

/// Elliptic curves: keys that take no time to make.
const KEY: [&str; 5] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
];

/// Longer than any test.
const DAYS: &str = "2";

/// Signs certificates.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
}

/// A certificate and its private key, as files of PEM text.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes one.
    ///
    /// # Errors
    /// If `openssl` is not installed or fails.
    pub fn new(place: &Place) -> Result<Self> {
        let Home { folder, .. } = place.home("authority")?;
        let authority = Self { folder };
        let mut request = authority.openssl(&["req", "-x509", "-subj", "/CN=seckill test"])?;
        request.args(KEY).args(["-days", DAYS]);
        request.args(["-keyout", "ca.key", "-out", "ca.pem"]);
        tools::run(&mut request)?;
        Ok(authority)
    }

    /// Its own certificate, by which the others are believed.
    pub fn cert(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// A certificate for a server at 127.0.0.1, or for a client.
    ///
    /// # Errors
    /// If `openssl` fails.
    pub fn certify(&self, name: &str) -> Result<Certificate> {
        let [key, request, extensions, cert] =
            ["key", "csr", "ext", "pem"].map(|ending| format!("{name}.{ending}"));
        let subject = format!("/CN={name}");
        let mut make = self.openssl(&["req", "-new", "-subj", &subject])?;
        make.args(KEY).args(["-keyout", &key, "-out", &request]);
        tools::run(&mut make)?;
        fs::write(self.path(&extensions), "subjectAltName=IP:127.0.0.1\n")?;
        let mut sign = self.openssl(&["x509", "-req", "-in", &request, "-days", DAYS])?;
        sign.args(["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]);
        sign.args(["-extfile", &extensions, "-out", &cert]);
        tools::run(&mut sign)?;
        Ok(Certificate {
            cert: self.path(&cert),
            key: self.path(&key),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.folder).join(name)
    }

    fn openssl(&self, words: &[&str]) -> Result<Command> {
        let mut command = Command::new(tools::installed("openssl")?);
        command.current_dir(&self.folder).args(words);
        Ok(command)
    }
}

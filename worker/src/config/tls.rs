//! The certificates of a connection: whom to believe, and how the worker proves who it is.

use super::Mistakes;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use seckill_daemon::secret::Source;
use serde::Deserialize;
use std::fmt;

/// `[redis.tls]`, `[mysql.tls]`, `[kafka.tls]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsTable {
    ca: Option<Source>,
    cert: Option<Source>,
    key: Option<Source>,
}

/// The certificates, as PEM text that was tried.
#[derive(Clone)]
pub(crate) struct Tls {
    /// Who signs the servers' certificates; without it, who is known everywhere.
    pub(crate) ca: Option<Vec<u8>>,
    /// Our own.
    pub(crate) identity: Option<Identity>,
}

/// A certificate and its private key.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) cert: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

// === impl Tls ===

impl Tls {
    /// Reads and tries what the table `name` says.
    pub(super) fn new(name: &str, table: &TlsTable, mistakes: &mut Mistakes) -> Option<Self> {
        let tls = Self::read(table).map_err(|mistake| format!("{name}.{mistake}"));
        mistakes.note(tls)
    }

    fn read(table: &TlsTable) -> Result<Self, String> {
        let ca = read("ca", table.ca.as_ref())?;
        let mut roots = RootCertStore::empty();
        if let Some(pem) = &ca {
            for certificate in chain("ca", pem)? {
                let added = roots.add(certificate);
                added.map_err(|error| format!("ca: not that of an authority: {error}"))?;
            }
        }
        let cert = read("cert", table.cert.as_ref())?;
        let key = read("key", table.key.as_ref())?;
        let identity = match (cert, key) {
            (None, None) => None,
            (Some(_), None) => return Err("key: missing; cert needs it".to_owned()),
            (None, Some(_)) => return Err("cert: missing; key needs it".to_owned()),
            (Some(cert), Some(key)) => {
                let certificates = chain("cert", &cert)?;
                let private = PrivateKeyDer::from_pem_slice(&key);
                let expected = "key: expected a private key as PEM text, without a password";
                let private = private.map_err(|_| expected.to_owned())?;
                // Nobody would tell before the first connection that they do not belong together.
                ClientConfig::builder()
                    .with_root_certificates(roots)
                    .with_client_auth_cert(certificates, private)
                    .map_err(|error| format!("key: not the key of cert: {error}"))?;
                Some(Identity { cert, key })
            }
        };
        Ok(Self { ca, identity })
    }
}

impl fmt::Debug for Tls {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn read(key: &str, source: Option<&Source>) -> Result<Option<Vec<u8>>, String> {
    let read = source.map(Source::read).transpose();
    read.map_err(|error| format!("{key}: {error}"))
}

fn chain(key: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(format!("{key}: expected a certificate as PEM text")),
    }
}

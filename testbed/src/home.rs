//! The folder of one part, and what it remembers there from one program to the next.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::identity::Identity;
use crate::port::Port;
use crate::tools;

const PID_FILE: &str = "pid";
const PASSWORD_FILE: &str = "password";

const LAST_THREADS_PATIENCE: Duration = Duration::from_secs(1);

/// Where a part lives.
pub(crate) struct Home {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
}

impl Home {
    /// The process that lives here now, whoever started it.
    pub(crate) fn occupant(&self) -> Option<Identity> {
        let text = fs::read_to_string(self.folder.join(PID_FILE)).ok()?;
        text.parse()
            .ok()
            .filter(|identity: &Identity| identity.is_running())
    }

    pub(crate) fn remember_occupant(&self, identity: Identity) -> Result<()> {
        Ok(fs::write(self.folder.join(PID_FILE), identity.to_string())?)
    }

    /// The port that was given this name here before; another one if there was none, or if a
    /// stranger has it by now.
    pub(crate) fn port(&self, name: &str) -> Result<Port> {
        let file = self.folder.join(name);
        let before = fs::read_to_string(&file)
            .ok()
            .and_then(|text| text.parse().ok());
        let mine = |port: &Port| self.occupant().is_some() || becomes_free(port);
        if let Some(port) = before.and_then(Port::claim).filter(mine) {
            return Ok(port);
        }
        let port = Port::free()?;
        fs::write(file, port.number().to_string())?;
        Ok(port)
    }

    /// The password that was made here before, or a new one.
    pub(crate) fn password(&self) -> Result<String> {
        let file = self.folder.join(PASSWORD_FILE);
        if file.exists() {
            return fs::read_to_string(&file).with_context(|| file.display().to_string());
        }
        let password = tools::random_password()?;
        fs::write(file, &password)?;
        Ok(password)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}

/// Whether nobody listens at a port, or soon nobody does: a killed process counts as gone when its
/// first thread is, and the others may hold its sockets a moment longer.
fn becomes_free(port: &Port) -> bool {
    let began = Instant::now();
    while TcpListener::bind(port.address()).is_err() {
        if began.elapsed() > LAST_THREADS_PATIENCE {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}

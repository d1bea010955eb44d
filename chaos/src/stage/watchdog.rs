//! What systemd does for a worker: it listens for signs of life, and ends who gives none.

use anyhow::{Context, Result};
use std::ffi::OsString;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a worker may be silent. In `conf/systemd/seckill-worker.service` it is two minutes; nobody who
/// watches rounds wants to wait for that. A frozen worker is silent for less.
const SILENT_MAX: Duration = Duration::from_secs(20);

const SIGN_OF_LIFE: &[u8] = b"WATCHDOG=1";

/// Longer than anything that a worker says.
const MESSAGE_BYTES: usize = 4096;

/// Listens to one worker, over restarts too.
pub(super) struct Watchdog {
    path: PathBuf,
    socket: UnixDatagram,
    last: Mutex<Instant>,
}

// === impl Watchdog ===

impl Watchdog {
    pub(super) fn new(path: &Path) -> Result<Self> {
        let socket = UnixDatagram::bind(path).with_context(|| path.display().to_string())?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            path: path.to_owned(),
            socket,
            last: Mutex::new(Instant::now()),
        })
    }

    /// What the worker has to have in its environment.
    pub(super) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let micros = SILENT_MAX.as_micros().to_string();
        vec![
            ("NOTIFY_SOCKET", self.path.clone().into()),
            ("WATCHDOG_USEC", micros.into()),
        ]
    }

    /// A new process begins now.
    pub(super) fn begin(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether the last sign of life is too long ago.
    pub(super) fn is_silent(&self) -> bool {
        let mut message = [0; MESSAGE_BYTES];
        while let Ok(length) = self.socket.recv(&mut message) {
            let said = message.get(..length).unwrap_or_default();
            if said
                .split(|byte| *byte == b'\n')
                .any(|line| line == SIGN_OF_LIFE)
            {
                self.begin();
            }
        }
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.elapsed() > SILENT_MAX
    }
}

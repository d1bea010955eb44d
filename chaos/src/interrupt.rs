//! Ctrl-C in the middle of a round.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for somebody who asks to stop, from the beginning: one who asks while the servers start is
/// heard as soon as they can be ended.
pub(crate) struct Interrupt {
    ctrl_c: Signal,
    terminate: Signal,
}

// === impl Interrupt ===

impl Interrupt {
    /// Begins to listen.
    ///
    /// # Errors
    /// If the operating system does not let us.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            ctrl_c: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Comes when somebody asks to stop.
    pub(crate) async fn came(&mut self) {
        tokio::select! {
            _ = self.ctrl_c.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

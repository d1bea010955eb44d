//! When to stop: SIGTERM and SIGQUIT let requests under way finish, SIGINT does not. A process that
//! another one has replaced stops by itself.
//!
//! SIGHUP has the configuration read again, and SIGUSR2 starts the process that replaces this one. Both
//! would kill a process that does not listen to them.

use crate::closing::Closing;
use crate::{successor, systemd};
use async_trait::async_trait;
use pingora_core::server::{ShutdownSignal, ShutdownSignalWatch};
use std::io;
use std::sync::Arc;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Mutex, Notify};
use tracing::{error, info};

/// The signals that this process listens to.
pub(crate) struct Signals {
    /// Where those arrive that would kill it.
    pub(crate) deadly: Mutex<Deadly>,
    /// Told of each SIGHUP.
    pub(crate) hangup: Arc<Notify>,
    /// Whether the configuration has a socket for whoever replaces this process.
    pub(crate) is_replaceable: bool,
    /// Tells that another process serves.
    pub(crate) replaced: Arc<Notify>,
    /// What there is to do at the end.
    pub(crate) closing: Arc<Closing>,
}

/// Signals that kill who does not listen to them.
pub(crate) struct Deadly {
    hangup: Signal,
    user2: Signal,
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let mut interrupt = listen(SignalKind::interrupt());
        tokio::select! {
            () = self.last_request() => ShutdownSignal::GracefulTerminate,
            () = caught(&mut interrupt) => {
                info!("SIGINT: stopping at once");
                ShutdownSignal::FastShutdown
            }
        }
    }
}

// === impl Deadly ===

impl Deadly {
    /// From here on they do not kill the process. One that comes before [`Signals`] listens waits for
    /// it.
    ///
    /// # Errors
    /// The system lets nobody listen to them.
    pub(crate) fn listen() -> io::Result<Self> {
        // Once there, a handler stays, whatever becomes of the runtime that it was made in.
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let _inside = runtime.enter();
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }
}

// === impl Signals ===

impl Signals {
    /// Until it is time to go, and everybody has gone.
    async fn last_request(&self) {
        let mut terminate = listen(SignalKind::terminate());
        let mut quit = listen(SignalKind::quit());
        let mut deadly = self.deadly.lock().await;
        let Deadly { hangup, user2 } = &mut *deadly;
        loop {
            tokio::select! {
                Some(()) = hangup.recv() => {
                    self.hangup.notify_one();
                    continue;
                }
                Some(()) = user2.recv() => {
                    self.start_successor();
                    continue;
                }
                () = caught(&mut terminate) => {
                    info!("SIGTERM: no new requests; those under way may finish");
                }
                () = caught(&mut quit) => {
                    info!("SIGQUIT: no new requests; those under way may finish");
                }
                () = self.replaced.notified() => return self.closing.leave().await,
            }
            systemd::stops();
            return self.closing.close().await;
        }
    }

    fn start_successor(&self) {
        if !self.is_replaceable {
            error!(
                "SIGUSR2: the configuration has no upgrade.socket, so nothing can replace this process"
            );
        } else if let Err(error) = successor::start() {
            error!(
                "SIGUSR2: no process to replace this one could be started, and it stays: {error}"
            );
        }
    }
}

fn listen(kind: SignalKind) -> Option<Signal> {
    signal(kind)
        .map_err(|error| error!("cannot listen to signal {}: {error}", kind.as_raw_value()))
        .ok()
}

async fn caught(signals: &mut Option<Signal>) {
    match signals {
        Some(signals) => {
            signals.recv().await;
        }
        None => std::future::pending().await,
    }
}

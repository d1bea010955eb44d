//! When to stop: SIGTERM and SIGQUIT let requests under way finish, SIGINT does not. A process that
//! another one has replaced stops by itself.
//!
//! SIGHUP, which would kill a process that does not listen to it, has the configuration read again.

use crate::closing::Closing;
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
    /// Where SIGHUP arrives, as [`hangups`] made it.
    pub(crate) hangups: Mutex<Signal>,
    /// Told of each of them.
    pub(crate) hangup: Arc<Notify>,
    /// Tells that another process serves.
    pub(crate) replaced: Arc<Notify>,
    /// What there is to do at the end.
    pub(crate) closing: Arc<Closing>,
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

/// From here on SIGHUP does not kill the process. One that comes before [`Signals`] listens waits
/// for it.
///
/// # Errors
/// The system lets nobody listen to it.
pub(crate) fn hangups() -> io::Result<Mutex<Signal>> {
    // Once there, a handler stays, whatever becomes of the runtime that it was made in.
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    signal(SignalKind::hangup()).map(Mutex::new)
}

// === impl Signals ===

impl Signals {
    /// Until it is time to go, and everybody has gone.
    async fn last_request(&self) {
        let mut terminate = listen(SignalKind::terminate());
        let mut quit = listen(SignalKind::quit());
        let mut hangups = self.hangups.lock().await;
        loop {
            tokio::select! {
                Some(()) = hangups.recv() => {
                    self.hangup.notify_one();
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
            return self.closing.close().await;
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

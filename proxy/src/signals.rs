//! When to stop: SIGTERM lets requests under way finish, SIGINT does not.
//!
//! SIGHUP, which would kill a process that does not listen to it, has the configuration read again.

use async_trait::async_trait;
use pingora_core::server::{ShutdownSignal, ShutdownSignalWatch};
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tracing::{error, info};

/// The signals that this process listens to.
pub(crate) struct Signals {
    /// Told of each SIGHUP.
    pub(crate) hangup: Arc<Notify>,
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let mut terminate = listen(SignalKind::terminate());
        let mut interrupt = listen(SignalKind::interrupt());
        let mut hangup = listen(SignalKind::hangup());
        loop {
            tokio::select! {
                () = caught(&mut terminate) => {
                    info!("SIGTERM: no new requests; those under way may finish");
                    return ShutdownSignal::GracefulTerminate;
                }
                () = caught(&mut interrupt) => {
                    info!("SIGINT: stopping at once");
                    return ShutdownSignal::FastShutdown;
                }
                () = caught(&mut hangup) => {
                    self.hangup.notify_one();
                }
            }
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

//! When to stop: SIGTERM lets requests under way finish, SIGINT does not.
//!
//! SIGHUP would kill the process if nobody listened to it. It changes nothing: the configuration is
//! read at the start only.

use async_trait::async_trait;
use pingora_core::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

/// The signals that this process listens to.
pub(crate) struct Signals;

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        loop {
            tokio::select! {
                () = caught(SignalKind::terminate()) => {
                    info!("SIGTERM: no new requests; those under way may finish");
                    return ShutdownSignal::GracefulTerminate;
                }
                () = caught(SignalKind::interrupt()) => {
                    info!("SIGINT: stopping at once");
                    return ShutdownSignal::FastShutdown;
                }
                () = caught(SignalKind::hangup()) => {
                    info!("SIGHUP: nothing to do; restart to read the configuration again");
                }
            }
        }
    }
}

async fn caught(kind: SignalKind) {
    match signal(kind) {
        Ok(mut signals) => {
            signals.recv().await;
        }
        Err(error) => {
            error!("cannot listen to signal {}: {error}", kind.as_raw_value());
            std::future::pending::<()>().await;
        }
    }
}

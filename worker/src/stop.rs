//! The end: SIGTERM or SIGINT is seen by every part, and a watchdog ends what does not end itself.

use anyhow::Context;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info};

/// How long a stop may take before the watchdog ends the process.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether the program was asked to stop. Clones see the same.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

/// The side that asks.
#[derive(Debug)]
pub(crate) struct Stopper(watch::Sender<bool>);

/// A pair of both sides.
pub(crate) fn pair() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

// === impl Stop ===

impl Stop {
    /// Whether it was asked.
    pub(crate) fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when it is asked.
    pub(crate) async fn asked(&self) {
        // An error says that the asking side is gone, which is an end too.
        let _ = self.0.clone().wait_for(|asked| *asked).await;
    }

    /// Waits, but not beyond a stop. Returns whether to go on.
    pub(crate) async fn pause(&self, pause: Duration) -> bool {
        tokio::time::timeout(pause, self.asked()).await.is_err()
    }
}

// === impl Stopper ===

impl Stopper {
    /// Returns when the operating system asks the program to stop.
    pub(crate) async fn signalled() -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM: stopping"),
            _ = interrupt.recv() => info!("SIGINT: stopping"),
        }
        Ok(())
    }

    /// Asks every part to stop, and starts the watchdog.
    pub(crate) fn ask(&self) {
        self.0.send_replace(true);
        // A thread and not a task: whatever blocks the runtime must not block this.
        std::thread::spawn(|| {
            std::thread::sleep(PATIENCE);
            error!("still not stopped after {PATIENCE:?}: leaving anyway, nothing is lost by it");
            std::process::exit(1);
        });
    }
}

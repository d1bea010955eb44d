//! The end: SIGTERM or SIGINT is seen by every part, and a watchdog ends what does not end itself.

use anyhow::Context;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info, warn};

/// How long a stop may take before the watchdog ends the process.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long what is under way at a stop may take: a server that is frozen would take longer than
/// anybody waits.
const LAST_WORK_PATIENCE: Duration = Duration::from_secs(3);

/// Whether the program was asked to stop. Clones see the same.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

/// The side that asks.
#[derive(Debug)]
pub(crate) struct Stopper(watch::Sender<bool>);

/// What the operating system says.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

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

    /// Returns when what was under way at the stop has had its time.
    pub(crate) async fn is_over(&self) {
        self.asked().await;
        tokio::time::sleep(LAST_WORK_PATIENCE).await;
    }

    /// Waits, but not beyond a stop. Returns whether to go on.
    pub(crate) async fn pause(&self, pause: Duration) -> bool {
        tokio::time::timeout(pause, self.asked()).await.is_err()
    }
}

// === impl Signals ===

impl Signals {
    /// Listens, from now on.
    ///
    /// # Errors
    /// If the operating system does not let us.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?,
        })
    }

    /// Asks every part to stop at the first signal, and ends the process at the second.
    pub(crate) async fn obey(mut self, stopper: Stopper) {
        let name = self.next().await;
        info!("{name}: stopping");
        stopper.ask();
        let name = self.next().await;
        warn!("{name} once more: leaving at once, nothing is lost by it");
        std::process::exit(1);
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

// === impl Stopper ===

impl Stopper {
    /// Asks every part to stop, and starts the watchdog.
    fn ask(&self) {
        self.0.send_replace(true);
        // A thread and not a task: whatever blocks the runtime must not block this.
        std::thread::spawn(|| {
            std::thread::sleep(PATIENCE);
            error!("still not stopped after {PATIENCE:?}: leaving anyway, nothing is lost by it");
            std::process::exit(1);
        });
    }
}

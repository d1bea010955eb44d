//! Says so when the order writer does not get on, whatever the reason.
//!
//! The writer cannot say it itself: it is the one that hangs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tracing::{error, info};

/// So long one batch may take before somebody has to know.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often it is said again.
const REPEAT: Duration = Duration::from_secs(60);

/// Since when the writer has been at its batch. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pulse(Arc<Mutex<Option<Instant>>>);

// === impl Pulse ===

impl Pulse {
    /// The writer begins a batch.
    pub(crate) fn begins(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// It has ended it.
    pub(crate) fn ends(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn busy_for(&self) -> Duration {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Watches, for ever.
    pub(crate) async fn watch(&self) {
        let mut said: Option<Instant> = None;
        loop {
            sleep(LOOK_EVERY).await;
            let busy = self.busy_for();
            if busy < PATIENCE {
                if said.take().is_some() {
                    info!("orders are written again");
                }
            } else if said.is_none_or(|said| said.elapsed() >= REPEAT) {
                let s = busy.as_secs();
                error!(
                    kind = "unwritten",
                    "ALARM: no order was written for {s} s although events wait"
                );
                said = Some(Instant::now());
            }
        }
    }
}

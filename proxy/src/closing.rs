//! How the process comes to its end: it sends those away who are between two requests, lets the
//! others finish, and closes the door at the right moment.

use crate::guests::Guests;
use crate::sockets::Sockets;
use pingora_core::server::ShutdownWatch;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::warn;

/// While another process listens already: how long a client who keeps his connection has to be told,
/// with an answer, that it closes.
const LEAVE: Duration = Duration::from_secs(2);

/// Somebody who was let in a moment ago is not counted yet.
const SETTLE: Duration = Duration::from_millis(100);

/// Between two looks whether everybody is gone.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The end, when it comes.
pub(crate) struct Closing {
    /// Every answer is the last on its connection. Looked at with each request, and by nobody who
    /// waits for it.
    leaving: AtomicBool,
    /// Another process serves.
    replaced: watch::Sender<bool>,
    /// Nobody new comes in, and who asks for nothing is sent away. After that of leaving.
    closed: watch::Sender<bool>,
    guests: Arc<Guests>,
    sockets: Arc<Sockets>,
    patience: Duration,
}

// === impl Closing ===

impl Closing {
    /// Gives requests under way so much time when the end comes.
    pub(crate) fn new(guests: Arc<Guests>, sockets: Arc<Sockets>, patience: Duration) -> Self {
        Self {
            leaving: AtomicBool::new(false),
            replaced: watch::Sender::new(false),
            closed: watch::Sender::new(false),
            guests,
            sockets,
            patience,
        }
    }

    /// Whether an answer is to be the last on its connection.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// Becomes true when the door closes.
    pub(crate) fn watch(&self) -> ShutdownWatch {
        self.closed.subscribe()
    }

    /// Until another process serves.
    pub(crate) async fn replaced(&self) {
        // The sender lives as long as this.
        let _ = self
            .replaced
            .subscribe()
            .wait_for(|replaced| *replaced)
            .await;
    }

    /// Another process serves now: sends clients over to it, and then closes.
    pub(crate) async fn leave(&self) {
        self.replaced.send_replace(true);
        self.leaving.store(true, Ordering::Release);
        sleep(LEAVE).await;
        self.close().await;
    }

    /// Closes the door, and waits until everybody has what he asked for, or the time is over.
    pub(crate) async fn close(&self) {
        self.leaving.store(true, Ordering::Release);
        self.closed.send_replace(true);
        self.sockets.close();
        let gone = async {
            sleep(SETTLE).await;
            while self.guests.present() > 0 {
                sleep(LOOK_EVERY).await;
            }
        };
        if timeout(self.patience, gone).await.is_err() {
            warn!(
                connections = self.guests.present(),
                "the time to finish is over; what is still under way is cut off"
            );
        }
    }
}

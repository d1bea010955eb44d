//! A clock for all that one connection waits for.
//!
//! To set a clock and to take it back is a good part of what a short wait costs. So there is one for
//! a connection, which is only put on, and only if there is anything to wait for.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// A clock that is put on for one wait after the other.
#[derive(Debug, Default)]
pub(crate) struct Timer(Option<Pin<Box<Sleep>>>);

// === impl Timer ===

impl Timer {
    /// Waits for what `poll` finds ready, at most so long; `None` if it was not ready by then.
    pub(crate) async fn wait<T>(
        &mut self,
        limit: Duration,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Option<T> {
        let mut until = None;
        poll_fn(|context| {
            if let Poll::Ready(ready) = poll(context) {
                return Poll::Ready(Some(ready));
            }
            let until = *until.get_or_insert_with(|| Instant::now() + limit);
            self.poll(until, context).map(|()| None)
        })
        .await
    }

    /// Whether this instant has come; if not, the task is woken then.
    fn poll(&mut self, until: Instant, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.0.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if clock.deadline() != until {
            clock.as_mut().reset(until);
        }
        clock.as_mut().poll(context)
    }
}

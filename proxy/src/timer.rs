//! A clock for what one connection waits for again and again.
//!
//! To set a clock and to take it back is a good part of what a short wait costs. So a clock that is on
//! is left on, and put on for the rest if it goes off too early.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// A clock that is put on for one wait after the other.
#[derive(Debug)]
pub(crate) struct Timer(Option<Pin<Box<Sleep>>>);

// === impl Timer ===

impl Timer {
    /// One that is not put on.
    pub(crate) const fn new() -> Self {
        Self(None)
    }

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

    /// Whether this instant has come; if not, the task is woken then. It has to be the same task
    /// each time.
    fn poll(&mut self, until: Instant, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            // It goes off earlier than it need, and is put on for the rest then: nearly always, nobody
            // waits any more.
            Some(clock) if !clock.is_elapsed() && clock.deadline() <= until => Poll::Pending,
            Some(clock) => {
                clock.as_mut().reset(until);
                clock.as_mut().poll(context)
            }
            none => {
                let clock = none.insert(Box::pin(sleep_until(until)));
                clock.as_mut().poll(context)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_wait_has_its_own_end() {
        let mut timer = Timer::new();
        // The fourth is put on for less than what it is on for.
        for (limit_s, ready_s) in [
            (10, 3),
            (10, 3),
            (20, 1),
            (2, 60),
            (10, 60),
            (20, 19),
            (5, 60),
        ] {
            let since = Instant::now();
            let mut ready = Box::pin(tokio::time::sleep(Duration::from_secs(ready_s)));
            let waited = timer.wait(Duration::from_secs(limit_s), |context| {
                ready.as_mut().poll(context)
            });
            assert_eq!(waited.await.is_some(), ready_s < limit_s);
            assert_eq!(since.elapsed().as_secs(), limit_s.min(ready_s));
        }
    }
}

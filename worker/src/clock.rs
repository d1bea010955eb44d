//! Ends the process when the clock is set back.
//!
//! Kafka's client library waits by the wall clock. Set back by an hour, it would stand still for one,
//! while the leases of this worker are renewed. Whoever starts it again has a library that waits by
//! the clock as it is now.

use std::thread;
use std::time::{Duration, Instant, SystemTime};
use tracing::error;

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// So far it may be set back. A clock that is slewed, as it should be, never gets there.
const BACK_MAX: Duration = Duration::from_secs(5);

/// Watches, from now on.
pub(crate) fn watch() {
    // A thread and not a task: whatever blocks the runtime must not block this.
    thread::spawn(|| {
        let mut before = (SystemTime::now(), Instant::now());
        loop {
            thread::sleep(LOOK_EVERY);
            let now = (SystemTime::now(), Instant::now());
            let back = set_back(before, now);
            if back > BACK_MAX {
                let s = back.as_secs();
                error!(
                    kind = "clock",
                    "ALARM: the clock was set back by {s} s, and Kafka's client library waits by it: \
                     leaving, to be started again; nothing is lost by it"
                );
                std::process::exit(1);
            }
            before = now;
        }
    });
}

/// By how much the clock went back between two looks at it and at a stopwatch.
fn set_back(before: (SystemTime, Instant), now: (SystemTime, Instant)) -> Duration {
    let expected = before.0 + now.1.duration_since(before.1);
    expected.duration_since(now.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_set_back_if_it_shows_less_than_has_passed() {
        let (wall, watch) = (SystemTime::now(), Instant::now());
        let s = Duration::from_secs;
        for (shown, passed, back) in [(1, 1, 0), (9, 1, 0), (1, 9, 8), (0, 3600, 3600)] {
            let now = (wall + s(shown), watch + s(passed));
            assert_eq!(set_back((wall, watch), now), s(back));
        }
        assert_eq!(set_back((wall, watch), (wall - s(60), watch + s(1))), s(61));
    }
}

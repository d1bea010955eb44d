//! Keeps one kind of log line from drowning the log when every request would write it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Between two lines of one kind.
const QUIET_MS: u64 = 10_000;

/// Lets one line of its kind pass every ten seconds.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    next_ms: AtomicU64,
    skipped: AtomicU64,
}

/// Milliseconds since the process asked first; never 0.
pub(crate) fn now_ms() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed = START.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_millis()).map_or(u64::MAX, |ms| ms.saturating_add(1))
}

// === impl Throttle ===

impl Throttle {
    /// Whether a line may be written now, and then how many were left out since the last.
    pub(crate) fn pass(&self) -> Option<u64> {
        self.pass_at(now_ms())
    }

    fn pass_at(&self, now_ms: u64) -> Option<u64> {
        let next = self.next_ms.load(Ordering::Relaxed);
        let mine = now_ms >= next
            && self
                .next_ms
                .compare_exchange(
                    next,
                    now_ms.saturating_add(QUIET_MS),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok();
        if mine {
            Some(self.skipped.swap(0, Ordering::Relaxed))
        } else {
            self.skipped.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_becomes_a_line_and_a_count() {
        let throttle = Throttle::default();
        assert_eq!(throttle.pass_at(1), Some(0));
        assert_eq!(throttle.pass_at(2), None);
        assert_eq!(throttle.pass_at(3), None);
        assert_eq!(throttle.pass_at(QUIET_MS + 1), Some(2));
    }
}

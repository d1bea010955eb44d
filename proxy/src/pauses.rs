//! The pauses between attempts: each twice the last, up to a bound.

use std::time::Duration;

/// Pauses that grow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    next: Duration,
    most: Duration,
}

// === impl Pauses ===

impl Pauses {
    /// From `first` on, and `most` at most.
    pub(crate) const fn new(first: Duration, most: Duration) -> Self {
        Self { next: first, most }
    }

    /// How long to wait now.
    pub(crate) fn take(&mut self) -> Duration {
        let now = self.next;
        self.next = now.saturating_mul(2).min(self.most);
        now
    }
}

/// A pause, give or take a half, so that many proxies do not come in step.
pub(crate) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_their_bound() {
        let mut pauses = Pauses::new(Duration::from_millis(100), Duration::from_millis(500));
        let taken = [(); 5].map(|()| pauses.take().as_millis());
        assert_eq!(taken, [100, 200, 400, 500, 500]);
    }
}

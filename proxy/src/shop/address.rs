//! One address of the shop: whether it is up, and how much it has to do.
//!
//! Two judges, of which each can take it down. Its checks, if any are configured; and the requests
//! that it has failed: after a few in a row it is left out for a time, which grows as long as it
//! stays so. It comes back after a trial in the background, so that no buyer pays for finding out.

use crate::pauses::Pauses;
use crate::shop::AddressState;
use crate::shop::health::Health;
use crate::shop::kept::Kept;
use crate::shop::upstream::Upstream;
use crate::throttle::now_ms;
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing::{info, warn};

/// How many requests in a row an address may fail.
const FAILURES_MAX: u32 = 3;

/// How long it is left out then: at first, and at most.
const LEFT_OUT: Pauses = Pauses::new(Duration::from_secs(1), Duration::from_secs(30));

/// One address.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) address: SocketAddr,
    /// What stands for it.
    pub(super) upstream: Upstream,
    /// Connections for pages.
    pub(super) kept: Kept,
    in_flight: AtomicUsize,
    /// Requests failed since the last that was answered.
    failures: AtomicU32,
    ejected: AtomicBool,
    /// When it is tried again, if ejected.
    trial_at_ms: AtomicU64,
    left_out: Mutex<Pauses>,
    check_failed: AtomicBool,
    check_at_ms: AtomicU64,
    checks: Mutex<Checks>,
}

/// Checks in a row with the same result.
#[derive(Debug, Default)]
struct Checks {
    passed: u32,
    failed: u32,
}

// === impl Address ===

impl Address {
    /// An address of which nothing is known; it is up.
    pub(super) fn new(address: SocketAddr, upstream: &Upstream) -> Self {
        Self {
            address,
            upstream: upstream.clone(),
            kept: Kept::default(),
            in_flight: AtomicUsize::new(0),
            failures: AtomicU32::new(0),
            ejected: AtomicBool::new(false),
            trial_at_ms: AtomicU64::new(0),
            left_out: Mutex::new(LEFT_OUT),
            check_failed: AtomicBool::new(false),
            check_at_ms: AtomicU64::new(0),
            checks: Mutex::default(),
        }
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.address == other.address && self.upstream == other.upstream
    }

    pub(super) fn is_up(&self) -> bool {
        !self.ejected.load(Ordering::Relaxed) && !self.check_failed.load(Ordering::Relaxed)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn state(&self) -> AddressState {
        AddressState {
            name: self.address,
            up: self.is_up(),
            in_flight: self.in_flight(),
        }
    }

    /// It has one request more to do.
    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// It has one request less to do.
    pub(super) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// It answered a request, whatever it said.
    pub(super) fn answered(&self) {
        // Nearly always it is all right, and then nothing is written that other threads read.
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.failures.store(0, Ordering::Relaxed);
            *lock(&self.left_out) = LEFT_OUT;
            self.readmit();
        }
    }

    /// It did not answer a request.
    pub(super) fn failed(&self, reason: &dyn Display) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed);
        if failures.saturating_add(1) < FAILURES_MAX || self.ejected.load(Ordering::Relaxed) {
            return;
        }
        self.leave_out();
        if !self.ejected.swap(true, Ordering::Relaxed) {
            warn!(address = %self.address, "the shop does not answer there, and is asked elsewhere: {reason}");
        }
    }

    /// Whether it is time to try an address that is left out; then it is time for nobody else.
    pub(super) fn is_trial_due(&self) -> bool {
        self.ejected.load(Ordering::Relaxed)
            && now_ms() >= self.trial_at_ms.load(Ordering::Relaxed)
            && {
                self.leave_out();
                true
            }
    }

    /// A trial went well. The next failure is one too many again.
    pub(super) fn trial_passed(&self) {
        self.failures.store(FAILURES_MAX - 1, Ordering::Relaxed);
        self.readmit();
    }

    fn leave_out(&self) {
        let pause = lock(&self.left_out).take();
        self.trial_at_ms.store(after(pause), Ordering::Relaxed);
    }

    fn readmit(&self) {
        if self.ejected.swap(false, Ordering::Relaxed) {
            info!(address = %self.address, "the shop can be reached there again");
        }
    }

    /// Whether it is time for its next check; then it is time for nobody else.
    pub(super) fn is_check_due(&self, every: Duration) -> bool {
        now_ms() >= self.check_at_ms.load(Ordering::Relaxed) && {
            self.check_at_ms.store(after(every), Ordering::Relaxed);
            true
        }
    }

    /// A check has had this result.
    pub(super) fn checked(&self, result: Result<(), String>, health: &Health) {
        let mut checks = lock(&self.checks);
        match result {
            Ok(()) => {
                checks.failed = 0;
                checks.passed = checks.passed.saturating_add(1);
                if checks.passed >= health.rise && self.check_failed.swap(false, Ordering::Relaxed)
                {
                    info!(address = %self.address, "the shop passes its checks there again");
                }
            }
            Err(reason) => {
                checks.passed = 0;
                checks.failed = checks.failed.saturating_add(1);
                if checks.failed >= health.fall && !self.check_failed.swap(true, Ordering::Relaxed)
                {
                    warn!(address = %self.address, "the shop fails its checks there, and is asked elsewhere: {reason}");
                }
            }
        }
    }

    /// It is not checked any more.
    pub(super) fn unchecked(&self) {
        *lock(&self.checks) = Checks::default();
        self.check_failed.store(false, Ordering::Relaxed);
    }
}

fn after(pause: Duration) -> u64 {
    now_ms().saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> Address {
        let (upstream, found) = Upstream::new("", "127.0.0.1:1").unwrap();
        Address::new(found[0], &upstream)
    }

    #[test]
    fn only_failures_in_a_row_take_an_address_down() {
        let address = address();
        for _ in 0..5 {
            address.failed(&"refused");
            address.failed(&"refused");
            assert!(address.is_up());
            address.answered();
        }
        for _ in 0..3 {
            address.failed(&"refused");
        }
        assert!(!address.is_up());
        address.answered();
        assert!(address.is_up(), "it was asked because all looked down");
    }

    #[test]
    fn what_came_back_after_a_trial_is_on_probation() {
        let address = address();
        for _ in 0..3 {
            address.failed(&"refused");
        }
        assert!(!address.is_trial_due(), "not at once");
        address.trial_passed();
        assert!(address.is_up());
        address.failed(&"refused");
        assert!(!address.is_up());
        address.trial_passed();
        address.answered();
        address.failed(&"refused");
        assert!(address.is_up());
    }

    #[test]
    fn checks_count_in_a_row() {
        let health = Health {
            path: "/health".to_owned(),
            host: None,
            every: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            fall: 3,
            rise: 2,
        };
        let address = address();
        let check = |passes: bool| {
            let result = if passes {
                Ok(())
            } else {
                Err("503".to_owned())
            };
            address.checked(result, &health);
            address.is_up()
        };
        let states = [
            false, false, true, false, false, false, true, false, true, true,
        ]
        .map(check);
        assert_eq!(
            states,
            [
                true, true, true, true, true, false, false, false, false, true
            ]
        );
        for _ in 0..3 {
            check(false);
        }
        address.unchecked();
        assert!(address.is_up());
    }
}

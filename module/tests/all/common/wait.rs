//! Waiting for what comes about by itself.

use std::thread;
use std::time::{Duration, Instant};

/// A busy machine has to be waited for.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(1);

pub(crate) fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not after {PATIENCE:?}: {what}");
        thread::sleep(LOOK_EVERY);
    }
}

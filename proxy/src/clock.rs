//! The time that signatures are about.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix seconds. By a clock from before 1970 everything has expired.
pub(crate) fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(u64::MAX, |since| since.as_secs())
}

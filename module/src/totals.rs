//! This node's totals over all its sales, for `INFO seckill`.
//!
//! Sales are freed on another thread at times, so these are atomics; nothing is decided by them.

use seckill_protocol::Verdict;
use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static SALES: AtomicU64 = AtomicU64::new(0);
static EVENTS_PENDING: AtomicU64 = AtomicU64::new(0);
static MEMORY_BYTES: AtomicU64 = AtomicU64::new(0);

/// How often each verdict was given, in the order of [`place`].
static VERDICTS: [AtomicU64; 7] = [const { AtomicU64::new(0) }; 7];

const VERDICT_NAMES: [&CStr; 7] = [
    c"accepted",
    c"duplicate",
    c"soldout",
    c"limited",
    c"notstarted",
    c"ended",
    c"paused",
];

/// One sale's part in the totals; taken out of them when it goes.
pub(crate) struct Share {
    events: u64,
    bytes: u64,
}

// === impl Share ===

impl Share {
    /// The part of a sale that has just come.
    pub(crate) fn new() -> Self {
        SALES.fetch_add(1, Relaxed);
        Self {
            events: 0,
            bytes: 0,
        }
    }

    /// What the sale takes now.
    pub(crate) fn set(&mut self, events: u64, bytes: u64) {
        // What is less than before wraps around, and so does the sum.
        EVENTS_PENDING.fetch_add(events.wrapping_sub(self.events), Relaxed);
        MEMORY_BYTES.fetch_add(bytes.wrapping_sub(self.bytes), Relaxed);
        self.events = events;
        self.bytes = bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0, 0);
        SALES.fetch_sub(1, Relaxed);
    }
}

/// Counts a verdict.
pub(crate) fn decided(verdict: &Verdict) {
    if let Some(total) = VERDICTS.get(place(verdict)) {
        total.fetch_add(1, Relaxed);
    }
}

const fn place(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Accepted(_) => 0,
        Verdict::Duplicate(_) => 1,
        Verdict::SoldOut { .. } => 2,
        Verdict::Limited { .. } => 3,
        Verdict::NotStarted { .. } => 4,
        Verdict::Ended => 5,
        Verdict::Paused => 6,
    }
}

/// Every field of the section.
pub(crate) fn fields() -> impl Iterator<Item = (&'static CStr, u64)> {
    let gauges = [
        (c"sales", &SALES),
        (c"events_pending", &EVENTS_PENDING),
        (c"memory_bytes", &MEMORY_BYTES),
    ];
    let verdicts = VERDICT_NAMES.into_iter().zip(&VERDICTS);
    gauges
        .into_iter()
        .chain(verdicts)
        .map(|(name, total)| (name, total.load(Relaxed)))
}

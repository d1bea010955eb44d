//! How far a crowd is, for somebody who watches.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters that a running crowd moves and anybody may read.
#[derive(Debug, Default)]
pub struct Progress {
    connected: AtomicU64,
    tries: AtomicU64,
    reserved: AtomicU64,
    unanswered: AtomicU64,
}

/// A reading of [`Progress`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Connections that were opened before the start; of buyers who come by arrivals, how many have come.
    pub connected: u64,
    /// Tries that are over: answered, or given up.
    pub tries: u64,
    /// Reservations that buyers were told, each counted once.
    pub reserved: u64,
    /// Questions without an answer, each of them asked again or given up.
    pub unanswered: u64,
}

// === impl Progress ===

impl Progress {
    /// Where the crowd is now.
    #[must_use]
    pub fn read(&self) -> Snapshot {
        Snapshot {
            connected: self.connected.load(Relaxed),
            tries: self.tries.load(Relaxed),
            reserved: self.reserved.load(Relaxed),
            unanswered: self.unanswered.load(Relaxed),
        }
    }

    pub(crate) fn connected(&self) {
        self.connected.fetch_add(1, Relaxed);
    }

    pub(crate) fn unanswered(&self) {
        self.unanswered.fetch_add(1, Relaxed);
    }

    pub(crate) fn answered(&self) {
        self.tries.fetch_add(1, Relaxed);
    }

    pub(crate) fn reserved(&self) {
        self.reserved.fetch_add(1, Relaxed);
    }

    pub(crate) fn given_up(&self) {
        self.tries.fetch_add(1, Relaxed);
    }
}

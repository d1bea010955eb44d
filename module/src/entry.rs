//! What is kept under a key: the sale, and this node's counters and rates.

use crate::totals::Share;
use seckill_protocol::EventId;
use seckill_sale::{ApplyError, Change, Part, Sale, Soft};
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) struct Entry {
    pub(crate) sale: Sale,
    pub(crate) soft: Soft,
    /// Which time of being a primary this value belongs to.
    reign: u64,
    share: Share,
}

/// How often this node has become primary in place of another. A sale that came to it before the
/// last time may lack facts.
static REIGN: AtomicU64 = AtomicU64::new(0);

/// This node has become primary.
pub(crate) fn promoted() {
    REIGN.fetch_add(1, Ordering::Relaxed);
}

/// The latest epoch that this process has seen. A sale that is deleted and created again within
/// one millisecond, or after the clock went back, still gets an epoch of its own.
static LATEST_EPOCH: AtomicU64 = AtomicU64::new(0);

/// An epoch for a new sale.
pub(crate) fn next_epoch(now_ms: u64) -> u64 {
    let latest = LATEST_EPOCH.load(Ordering::Relaxed);
    let epoch = now_ms.max(latest.saturating_add(1));
    LATEST_EPOCH.store(epoch, Ordering::Relaxed);
    epoch
}

// === impl Entry ===

impl Entry {
    /// The sale that a change creates.
    pub(crate) fn from_change(change: &Change, seed: u64) -> Result<Self, ApplyError> {
        Sale::from_change(change, seed).map(|sale| Self::new(sale, seed))
    }

    /// The sale that begins with this block of a snapshot.
    pub(crate) fn from_snapshot(part: Part<'_>, seed: u64) -> Result<Self, ApplyError> {
        Sale::from_snapshot(part, seed).map(|sale| Self::new(sale, seed))
    }

    fn new(sale: Sale, seed: u64) -> Self {
        let EventId { epoch, .. } = sale.head();
        LATEST_EPOCH.fetch_max(epoch, Ordering::Relaxed);
        let mut entry = Self {
            sale,
            soft: Soft::new(seed),
            reign: REIGN.load(Ordering::Relaxed),
            share: Share::new(),
        };
        entry.changed();
        entry
    }

    /// Whether this node has become primary since the value came to it. Asked once: from then on
    /// the value is this reign's.
    pub(crate) fn is_inherited(&mut self) -> bool {
        let reign = REIGN.load(Ordering::Relaxed);
        std::mem::replace(&mut self.reign, reign) != reign
    }

    /// The sale has changed: this node's totals follow.
    pub(crate) fn changed(&mut self) {
        let bytes = self.memory_bytes();
        self.share.set(self.sale.log().len() as u64, bytes as u64);
    }

    /// Bytes that it takes, about. O(1).
    pub(crate) fn memory_bytes(&self) -> usize {
        self.sale.memory_bytes() + size_of::<Soft>() + self.soft.heap_bytes()
    }
}

//! What is kept under a key: the sale, and this node's counters, rates and lease.

use crate::fence::{self, Fence};
use crate::totals::Share;
use seckill_protocol::EventId;
use seckill_sale::{ApplyError, Block, Change, Effect, Effects, Lease, Sale, Soft};
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) struct Entry {
    pub(crate) sale: Sale,
    pub(crate) soft: Soft,
    pub(crate) lease: Lease,
    /// What the command that is running changes. Kept, so that its room is.
    pub(crate) change: Change,
    /// Which time of being a primary this value belongs to.
    reign: u64,
    share: Share,
}

/// How often this node has begun to rule over copies that may lack facts: as a primary in place of
/// another, or after it has loaded its data. A sale that came to it before the last time is inherited.
static REIGN: AtomicU64 = AtomicU64::new(0);

/// This node has become primary.
pub(crate) fn promoted() {
    REIGN.fetch_add(1, Ordering::Relaxed);
}

/// This node has loaded its data.
pub(crate) fn loaded() {
    if fence::setting() == Fence::Always {
        REIGN.fetch_add(1, Ordering::Relaxed);
    }
}

/// The latest epoch that this process has seen. A sale that is deleted and created again within
/// one millisecond, or after the clock went back, still gets an epoch of its own.
static LATEST_EPOCH: AtomicU64 = AtomicU64::new(0);

/// The latest epoch of a loaded sale that new ones follow. No clock gets there: it came from a damaged
/// or a forged file, which must not use up the numbers that are left.
const FOLLOWED_EPOCH_MAX: u64 = 1 << 62;

/// An epoch for a new sale.
pub(crate) fn next_epoch(now_ms: u64) -> u64 {
    let latest = LATEST_EPOCH.load(Ordering::Relaxed);
    let epoch = now_ms.max(latest.saturating_add(1));
    LATEST_EPOCH.store(epoch, Ordering::Relaxed);
    epoch
}

/// Room for a change that a sale keeps for the next one.
const CHANGE_ROOM_BYTES: usize = 4096;

// === impl Entry ===

impl Entry {
    /// The sale that an `Opened` effect creates.
    pub(crate) fn open(opened: &Effect<'_>, seed: u64) -> Result<Self, ApplyError> {
        Sale::open(opened, seed).map(Self::new)
    }

    /// The sale that a change creates.
    pub(crate) fn from_effects(effects: Effects<'_>, seed: u64) -> Result<Self, ApplyError> {
        Sale::from_effects(effects, seed).map(Self::new)
    }

    /// The sale that begins with this block of a snapshot.
    pub(crate) fn from_block(block: Block<'_>, seed: u64) -> Result<Self, ApplyError> {
        Ok(Self::new(Sale::from_block(block, seed)?))
    }

    fn new(sale: Sale) -> Self {
        let EventId { epoch, .. } = sale.head();
        if epoch <= FOLLOWED_EPOCH_MAX {
            LATEST_EPOCH.fetch_max(epoch, Ordering::Relaxed);
        }
        let mut entry = Self {
            sale,
            soft: Soft::new(),
            lease: Lease::new(),
            change: Change::default(),
            reign: REIGN.load(Ordering::Relaxed),
            share: Share::new(),
        };
        entry.changed();
        entry
    }

    /// Whether this node has begun to rule since the value came to it. Asked once: from then on
    /// the value is this reign's.
    pub(crate) fn is_inherited(&mut self) -> bool {
        let reign = REIGN.load(Ordering::Relaxed);
        std::mem::replace(&mut self.reign, reign) != reign
    }

    /// The sale has changed: this node's totals follow.
    pub(crate) fn changed(&mut self) {
        let bytes = self.memory_bytes();
        self.share.set(self.sale.events_pending(), bytes as u64);
    }

    /// Gives back what no longer matters, and lets this node's totals follow.
    pub(crate) fn tidy(&mut self, now_ms: u64) {
        self.soft.forget(now_ms);
        self.changed();
    }

    /// The change was propagated: a large one's room is given back.
    pub(crate) fn end_change(&mut self) {
        self.change.shrink_to(CHANGE_ROOM_BYTES);
    }

    /// Bytes that it takes, about. O(1).
    pub(crate) fn memory_bytes(&self) -> usize {
        let kept = self.soft.heap_bytes() + self.lease.heap_bytes();
        let node = size_of::<Self>() - size_of::<Sale>() + kept;
        self.sale.memory_bytes() + node + self.change.heap_bytes()
    }

    /// Pieces of memory that it is made of, about. O(1).
    pub(crate) fn allocation_count(&self) -> usize {
        let node = self.soft.allocation_count() + self.lease.allocation_count();
        self.sale.allocation_count() + node
    }
}

//! Up to where each partition of the topic is dealt with.
//!
//! What belongs to a sale that stands still is not dealt with: the partition's offset stays before
//! it, so that a restart reads it again, while the other sales of the partition go on.

use super::StockId;
use seckill_protocol::EventId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// For each partition, the offset from which a restart has to read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offsets(Arc<Mutex<BTreeMap<i32, i64>>>);

/// What is dealt with, and what is not.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    partitions: BTreeMap<i32, Partition>,
}

#[derive(Debug, Default)]
struct Partition {
    /// One after the last message seen.
    next: i64,
    /// The first message left aside of each sale, and the last event left aside.
    aside: BTreeMap<StockId, (i64, EventId)>,
}

// === impl Offsets ===

impl Offsets {
    /// Sets the offsets of some partitions.
    pub(crate) fn set(&self, offsets: impl IntoIterator<Item = (i32, i64)>) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.extend(offsets);
    }

    /// What was set since the last call.
    pub(crate) fn take(&self) -> BTreeMap<i32, i64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl Progress ===

impl Progress {
    /// A message is dealt with.
    pub(crate) fn done(&mut self, partition: i32, offset: i64) {
        self.partitions.entry(partition).or_default().next = offset.saturating_add(1);
    }

    /// A message is left aside because its sale stands still; its last event is `last`.
    pub(crate) fn aside(&mut self, partition: i32, offset: i64, sid: StockId, last: EventId) {
        self.done(partition, offset);
        let partition = self.partitions.entry(partition).or_default();
        let (first, furthest) = partition.aside.entry(sid).or_insert((offset, last));
        *first = offset.min(*first);
        *furthest = last.max(*furthest);
    }

    /// A sale's events are applied up to `cursor`: what was left aside may have come again.
    pub(crate) fn applied(&mut self, sid: StockId, cursor: EventId) {
        for partition in self.partitions.values_mut() {
            partition
                .aside
                .retain(|id, (_, furthest)| *id != sid || *furthest > cursor);
        }
    }

    /// For each partition, the offset from which a restart has to read.
    pub(crate) fn offsets(&self) -> impl Iterator<Item = (i32, i64)> {
        self.partitions.iter().map(|(number, partition)| {
            let first_aside = partition.aside.values().map(|(first, _)| *first).min();
            (*number, first_aside.unwrap_or(partition.next))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAMP: StockId = StockId(1);
    const SOFA: StockId = StockId(2);

    fn at(seq: u64) -> EventId {
        EventId::new(7, seq)
    }

    fn offsets(progress: &Progress) -> Vec<(i32, i64)> {
        progress.offsets().collect()
    }

    #[test]
    fn a_restart_reads_again_what_was_left_aside() {
        let mut progress = Progress::default();
        progress.done(0, 10);
        progress.aside(0, 11, LAMP, at(5));
        progress.aside(0, 12, LAMP, at(6));
        progress.done(0, 13);
        progress.done(1, 4);
        assert_eq!(offsets(&progress), [(0, 11), (1, 5)]);
    }

    #[test]
    fn a_sale_that_catches_up_lets_its_partition_go_on() {
        let mut progress = Progress::default();
        progress.aside(0, 11, LAMP, at(6));
        progress.aside(0, 12, SOFA, at(3));
        progress.applied(LAMP, at(5));
        assert_eq!(offsets(&progress), [(0, 11)], "event 6 is still missing");
        progress.applied(LAMP, at(6));
        assert_eq!(offsets(&progress), [(0, 12)]);
        progress.applied(SOFA, at(9));
        assert_eq!(offsets(&progress), [(0, 13)]);
    }
}

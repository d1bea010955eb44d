//! Up to where each partition of the topic is dealt with.
//!
//! What belongs to a sale that stands still is not dealt with: the partition's offset stays before
//! it, so that a restart reads it again, while the other sales of the partition go on.

use crate::StockId;
use seckill_protocol::EventId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the reader of the topic and the order writer tell each other. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Offsets(Arc<Mutex<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    /// For each partition, the offset from which a restart has to read: what is new since it was
    /// taken.
    restart: BTreeMap<i32, i64>,
    /// One after the last message that the writer was given.
    given: BTreeMap<i32, i64>,
    /// One after the last message that it has looked at.
    seen: BTreeMap<i32, i64>,
    /// Partitions that are no longer ours, which the writer has not heard of yet.
    left: BTreeSet<i32>,
    /// How often each partition has gone.
    assignments: BTreeMap<i32, u64>,
    /// The first message left aside of each sale.
    aside: BTreeMap<StockId, (i32, i64)>,
    /// The offset from which a partition is to be read once more.
    again: BTreeMap<i32, i64>,
}

/// What is dealt with, and what is not.
#[derive(Debug, Default)]
pub struct Progress {
    partitions: BTreeMap<i32, Partition>,
}

#[derive(Debug, Default)]
struct Partition {
    /// One after the last message seen.
    next: i64,
    /// The largest `next` that there was: a partition that is read once more begins further back.
    furthest: i64,
    /// What is left aside of each sale.
    aside: BTreeMap<StockId, Aside>,
}

/// What is left aside of a sale.
#[derive(Debug)]
struct Aside {
    /// The first message.
    first: i64,
    /// The last event of each epoch.
    last: BTreeMap<u64, u64>,
}

// === impl Offsets ===

impl Offsets {
    /// How far the writer is.
    pub fn set(&self, progress: &Progress) {
        let mut shared = self.lock();
        shared.restart.extend(progress.offsets());
        let seen = progress.partitions.iter();
        shared
            .seen
            .extend(seen.map(|(number, partition)| (*number, partition.next)));
        shared.aside = progress.first_aside().collect();
    }

    /// What is left aside of a sale is to be read once more: what was missing before it has come, and
    /// it may be nowhere else any more.
    pub fn read_again(&self, sid: StockId) {
        let mut shared = self.lock();
        if let Some((partition, first)) = shared.aside.get(&sid).copied() {
            let from = shared.again.entry(partition).or_insert(first);
            *from = first.min(*from);
        }
    }

    /// The partitions that are to be read once more, and from where, since the last call.
    pub fn take_again(&self) -> BTreeMap<i32, i64> {
        std::mem::take(&mut self.lock().again)
    }

    /// The offsets from which a restart has to read, where they are new since the last call.
    pub fn take(&self) -> BTreeMap<i32, i64> {
        std::mem::take(&mut self.lock().restart)
    }

    /// Which assignment of a partition this is. A partition that went and came back is read from its
    /// stored offset: what was read before says nothing of what is dealt with.
    pub fn assignment(&self, partition: i32) -> u64 {
        let shared = self.lock();
        shared.assignments.get(&partition).copied().unwrap_or(0)
    }

    /// The writer was given a message.
    pub fn given(&self, partition: i32, offset: i64) {
        self.lock()
            .given
            .insert(partition, offset.saturating_add(1));
    }

    /// Whether the writer has looked at all that it was given of a partition.
    pub fn is_drained(&self, partition: i32) -> bool {
        let shared = self.lock();
        shared.given.get(&partition) <= shared.seen.get(&partition)
    }

    /// A partition is no longer ours.
    pub fn leave(&self, partition: i32) {
        let mut shared = self.lock();
        shared.given.remove(&partition);
        shared.seen.remove(&partition);
        shared.restart.remove(&partition);
        shared.aside.retain(|_, (number, _)| *number != partition);
        shared.again.remove(&partition);
        *shared.assignments.entry(partition).or_default() += 1;
        shared.left.insert(partition);
    }

    /// Partitions that are no longer ours since the last call.
    pub fn take_left(&self) -> BTreeSet<i32> {
        std::mem::take(&mut self.lock().left)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Progress ===

impl Progress {
    /// A message is dealt with.
    pub fn done(&mut self, partition: i32, offset: i64) {
        let partition = self.partitions.entry(partition).or_default();
        partition.next = offset.saturating_add(1);
        partition.furthest = partition.next.max(partition.furthest);
    }

    /// Whether a message has been dealt with before, and comes because its partition is read once more:
    /// of all that was seen, only what is left aside of a sale has still to be done. `sid` is its sale,
    /// if it has one.
    pub fn is_known(&self, partition: i32, offset: i64, sid: Option<StockId>) -> bool {
        self.partitions.get(&partition).is_some_and(|partition| {
            let is_aside = sid.is_some_and(|sid| partition.aside.contains_key(&sid));
            offset < partition.furthest && !is_aside
        })
    }

    /// A message is left aside because its sale stands still; its last event is `last`.
    pub fn aside(&mut self, partition: i32, offset: i64, sid: StockId, last: EventId) {
        self.done(partition, offset);
        let partition = self.partitions.entry(partition).or_default();
        let aside = partition.aside.entry(sid).or_insert_with(|| Aside {
            first: offset,
            last: BTreeMap::new(),
        });
        aside.first = offset.min(aside.first);
        let seq = aside.last.entry(last.epoch).or_default();
        *seq = last.seq.max(*seq);
    }

    /// A sale's events are applied up to `cursor`: what was left aside may have come again.
    pub fn applied(&mut self, sid: StockId, cursor: EventId) {
        for partition in self.partitions.values_mut() {
            partition
                .aside
                .retain(|id, aside| *id != sid || aside.furthest() > Some(cursor));
        }
    }

    /// Whether something of a sale is left aside that goes on where MySQL is, at `cursor`: of another
    /// epoch it may be what nobody can ever take.
    pub fn has_aside(&self, sid: StockId, cursor: EventId) -> bool {
        let aside = self.partitions.values();
        let mut aside = aside.filter_map(|partition| partition.aside.get(&sid));
        aside.any(|aside| aside.last.get(&cursor.epoch) > Some(&cursor.seq))
    }

    fn first_aside(&self) -> impl Iterator<Item = (StockId, (i32, i64))> {
        self.partitions.iter().flat_map(|(number, partition)| {
            let aside = partition.aside.iter();
            aside.map(|(sid, aside)| (*sid, (*number, aside.first)))
        })
    }

    /// A partition is no longer ours: what was left aside is its new owner's.
    pub fn forget(&mut self, partition: i32) {
        self.partitions.remove(&partition);
    }

    /// For each partition, the offset from which a restart has to read.
    pub fn offsets(&self) -> impl Iterator<Item = (i32, i64)> {
        self.partitions.iter().map(|(number, partition)| {
            let first_aside = partition.aside.values().map(|aside| aside.first).min();
            (*number, first_aside.unwrap_or(partition.furthest))
        })
    }
}

// === impl Aside ===

impl Aside {
    fn furthest(&self) -> Option<EventId> {
        let (epoch, seq) = self.last.last_key_value()?;
        Some(EventId::new(*epoch, *seq))
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
    fn of_what_is_read_once_more_only_what_was_left_aside_is_new() {
        let mut progress = Progress::default();
        assert!(!progress.is_known(0, 10, Some(LAMP)), "nothing was seen");
        progress.done(0, 10);
        progress.aside(0, 11, LAMP, at(5));
        progress.done(0, 12);
        progress.done(0, 13);
        let known = |progress: &Progress| -> Vec<i64> {
            (10..15)
                .filter(|offset| progress.is_known(0, *offset, Some(SOFA)))
                .collect()
        };
        assert_eq!(known(&progress), [10, 11, 12, 13]);
        assert!(!progress.is_known(0, 11, Some(LAMP)));
        assert!(progress.is_known(0, 12, None), "a message of no sale");
        assert!(!progress.is_known(1, 12, None));
        // Read again from there.
        progress.applied(LAMP, at(5));
        progress.done(0, 11);
        assert_eq!(known(&progress), [10, 11, 12, 13]);
        assert!(progress.is_known(0, 11, Some(LAMP)), "it is applied");
        assert_eq!(
            offsets(&progress),
            [(0, 14)],
            "a restart need not go back as far"
        );
        progress.forget(0);
        assert!(
            known(&progress).is_empty(),
            "another worker may have had it"
        );
    }

    #[test]
    fn a_partition_is_drained_when_all_that_was_given_is_looked_at() {
        let shared = Offsets::default();
        assert!(shared.is_drained(0), "nothing was given");
        shared.given(0, 10);
        shared.given(1, 3);
        assert!(!shared.is_drained(0));
        let mut progress = Progress::default();
        progress.aside(0, 10, LAMP, at(5));
        shared.set(&progress);
        assert!(shared.is_drained(0) && !shared.is_drained(1));
        assert_eq!(shared.take(), BTreeMap::from([(0, 10)]));
    }

    #[test]
    fn what_is_left_aside_can_be_read_once_more() {
        let shared = Offsets::default();
        let mut progress = Progress::default();
        progress.aside(0, 10, LAMP, at(5));
        progress.aside(0, 8, SOFA, at(5));
        progress.aside(1, 3, StockId(3), at(5));
        shared.set(&progress);
        shared.read_again(StockId(4));
        assert_eq!(shared.take_again(), BTreeMap::new());
        for sid in [LAMP, SOFA, StockId(3)] {
            shared.read_again(sid);
        }
        shared.leave(1);
        shared.read_again(StockId(3));
        assert_eq!(shared.take_again(), BTreeMap::from([(0, 8)]));
        assert_eq!(shared.take_again(), BTreeMap::new());
        progress.applied(LAMP, at(5));
        shared.set(&progress);
        shared.read_again(LAMP);
        assert_eq!(shared.take_again(), BTreeMap::new(), "it is applied");
    }

    #[test]
    fn what_was_left_aside_of_a_partition_is_its_new_owners() {
        let shared = Offsets::default();
        let mut progress = Progress::default();
        progress.aside(0, 10, LAMP, at(5));
        shared.set(&progress);
        shared.leave(0);
        assert_eq!(shared.take(), BTreeMap::new());
        assert_eq!((shared.assignment(0), shared.assignment(1)), (1, 0));
        for partition in shared.take_left() {
            progress.forget(partition);
        }
        progress.done(0, 40);
        assert_eq!(offsets(&progress), [(0, 41)], "it came back, read up to 40");
    }

    #[test]
    fn a_sale_that_catches_up_lets_its_partition_go_on() {
        let mut progress = Progress::default();
        progress.aside(0, 11, LAMP, at(6));
        progress.aside(0, 12, SOFA, at(3));
        progress.applied(LAMP, at(5));
        assert_eq!(offsets(&progress), [(0, 11)], "event 6 is still missing");
        assert!(progress.has_aside(LAMP, at(5)) && progress.has_aside(SOFA, at(1)));
        let replaced = EventId::new(6, 9);
        progress.aside(0, 13, LAMP, EventId::new(9, 1));
        assert!(progress.has_aside(LAMP, at(5)), "behind it lies an epoch");
        assert!(
            !progress.has_aside(LAMP, replaced),
            "nobody may ever take it"
        );
        progress.applied(LAMP, EventId::new(9, 1));
        assert!(!progress.has_aside(LAMP, at(5)) && progress.has_aside(SOFA, at(1)));
        assert_eq!(offsets(&progress), [(0, 12)]);
        progress.applied(SOFA, at(9));
        assert_eq!(offsets(&progress), [(0, 14)]);
    }
}

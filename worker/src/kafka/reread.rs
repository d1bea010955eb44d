//! When a partition is read once more, so that it never costs more than a small part of the time.
//!
//! Each sale that stands still asks for it, and all that lies behind the first of them comes again:
//! hours of a topic, perhaps, while the orders of other sales wait behind them.

use crate::orders::Offsets;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The shortest pause from one time to the next.
const PAUSE_MIN: Duration = Duration::from_secs(5);

/// A pause is so many times as long as what was before it.
const PAUSES: u32 = 20;

/// What was read, and when it may be read once more.
#[derive(Debug, Default)]
pub(super) struct Rereads {
    /// The offset of the last message of each partition.
    last: BTreeMap<i32, i64>,
    /// Since when, and up to where partitions are read that were read before.
    under_way: Option<(Instant, BTreeMap<i32, i64>)>,
    not_before: Option<Instant>,
}

// === impl Rereads ===

impl Rereads {
    /// The partitions that are to be read once more now, and from where.
    pub(super) fn begin(&mut self, offsets: &Offsets, now: Instant) -> BTreeMap<i32, i64> {
        if self.under_way.is_some() || self.not_before.is_some_and(|then| now < then) {
            return BTreeMap::new();
        }
        let due = offsets.take_again();
        let mut until = BTreeMap::new();
        for (partition, from) in &due {
            if let Some(last) = self.last.get(partition).filter(|last| from <= last) {
                until.insert(*partition, *last);
            }
        }
        if !until.is_empty() {
            self.under_way = Some((now, until));
        }
        due
    }

    /// A message was read.
    pub(super) fn read(&mut self, partition: i32, offset: i64, now: Instant) {
        self.last.insert(partition, offset);
        if let Some((_, until)) = &mut self.under_way
            && until.get(&partition).is_some_and(|last| offset >= *last)
        {
            until.remove(&partition);
            self.look_whether_it_is_over(now);
        }
    }

    /// A partition is no longer ours.
    pub(super) fn leave(&mut self, partition: i32, now: Instant) {
        self.last.remove(&partition);
        if let Some((_, until)) = &mut self.under_way {
            until.remove(&partition);
            self.look_whether_it_is_over(now);
        }
    }

    fn look_whether_it_is_over(&mut self, now: Instant) {
        if let Some((since, until)) = &self.under_way
            && until.is_empty()
        {
            let took = now.saturating_duration_since(*since);
            self.not_before = Some(now + took.saturating_mul(PAUSES).max(PAUSE_MIN));
            self.under_way = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::StockId;
    use seckill_orders::progress::Progress;
    use seckill_protocol::EventId;

    const SECOND: Duration = Duration::from_secs(1);

    /// Sales that stand still since offset 8 of partition 0 and offset 3 of partition 1.
    fn stuck() -> Offsets {
        let offsets = Offsets::default();
        let mut progress = Progress::default();
        progress.aside(0, 8, StockId(1), EventId::new(7, 5));
        progress.aside(1, 3, StockId(2), EventId::new(7, 5));
        offsets.set(&progress);
        offsets
    }

    #[test]
    fn what_took_long_is_not_read_again_soon() {
        let offsets = stuck();
        let ask = || {
            offsets.read_again(StockId(1));
            offsets.read_again(StockId(2));
        };
        let mut rereads = Rereads::default();
        let mut now = Instant::now();
        rereads.read(0, 20, now);
        rereads.read(1, 9, now);
        assert!(rereads.begin(&offsets, now).is_empty(), "nobody asks");
        ask();
        let both = BTreeMap::from([(0, 8), (1, 3)]);
        assert_eq!(rereads.begin(&offsets, now), both);
        ask();
        rereads.read(0, 20, now);
        assert!(
            rereads.begin(&offsets, now).is_empty(),
            "partition 1 is under way"
        );
        now += SECOND;
        rereads.read(1, 8, now);
        rereads.read(1, 9, now);
        assert!(rereads.begin(&offsets, now + 19 * SECOND).is_empty());
        assert_eq!(rereads.begin(&offsets, now + 20 * SECOND), both);
    }

    #[test]
    fn what_took_no_time_has_its_shortest_pause() {
        let offsets = stuck();
        let mut rereads = Rereads::default();
        let now = Instant::now();
        rereads.read(0, 20, now);
        offsets.read_again(StockId(1));
        assert_eq!(rereads.begin(&offsets, now), BTreeMap::from([(0, 8)]));
        rereads.leave(0, now);
        offsets.read_again(StockId(2));
        assert!(rereads.begin(&offsets, now).is_empty());
        let due = rereads.begin(&offsets, now + PAUSE_MIN);
        assert_eq!(due, BTreeMap::from([(1, 3)]));
        let again = rereads.begin(&offsets, now + PAUSE_MIN);
        assert!(again.is_empty(), "and nobody asks again");
    }
}

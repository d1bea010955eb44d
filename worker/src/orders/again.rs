//! When a sale that stands still is tried again.
//!
//! Its messages on the topic are read only once, so what it stands still for does not end by
//! itself: neither a hole, nor what a person mends in MySQL. `RELAYED` is set back to MySQL's
//! cursor, and the relay sends the log again from there. If that does not help, the messages that were
//! left aside are read once more: the copy in Redis may have lost what they say.

use super::StockId;
use crate::backoff::Backoff;
use seckill_protocol::EventId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The pauses between the attempts: sending a long log again is not for free.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(120));

/// The sales that stand still, and when each is tried next.
#[derive(Debug, Default)]
pub(crate) struct Again(BTreeMap<StockId, Waiting>);

#[derive(Debug)]
struct Waiting {
    /// MySQL's cursor, where it is known.
    cursor: Option<EventId>,
    next: Instant,
    was_tried: bool,
    backoff: Backoff,
}

// === impl Again ===

impl Again {
    /// A sale stands still at MySQL's `cursor`. A `hole` needs nobody to mend it, so it is tried at
    /// once.
    pub(crate) fn stands_still(
        &mut self,
        sid: StockId,
        cursor: Option<EventId>,
        hole: bool,
        now: Instant,
    ) {
        let same = |old: &Waiting| cursor.is_none() || old.cursor == cursor;
        if self.0.get(&sid).is_some_and(same) {
            return;
        }
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        let next = if hole { now } else { now + backoff.pause() };
        let waiting = Waiting {
            cursor,
            next,
            was_tried: false,
            backoff,
        };
        self.0.insert(sid, waiting);
    }

    /// A sale goes on.
    pub(crate) fn goes_on(&mut self, sid: StockId) {
        self.0.remove(&sid);
    }

    /// The sales whose time has come, and whether it has come before; each has a next one.
    pub(crate) fn due(&mut self, now: Instant) -> BTreeMap<StockId, bool> {
        let mut due = BTreeMap::new();
        for (sid, waiting) in &mut self.0 {
            if waiting.next <= now {
                waiting.next = now + waiting.backoff.pause();
                due.insert(*sid, waiting.was_tried);
                waiting.was_tried = true;
            }
        }
        due
    }

    /// MySQL's cursor is `read`. Returns whether the sale still stands where it stood: another
    /// worker may have its partition now, and have gone on.
    pub(crate) fn still_there(&mut self, sid: StockId, read: EventId) -> bool {
        let Some(waiting) = self.0.get_mut(&sid) else {
            return false;
        };
        let there = *waiting.cursor.get_or_insert(read) == read;
        if !there {
            self.0.remove(&sid);
        }
        there
    }

    /// How long until the next sale's time comes, if any stands still.
    pub(crate) fn pause(&self, now: Instant) -> Option<Duration> {
        let next = self.0.values().map(|waiting| waiting.next).min()?;
        Some(next.saturating_duration_since(now))
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

    #[test]
    fn a_hole_is_tried_at_once_and_then_less_and_less_often() {
        let mut again = Again::default();
        let mut now = Instant::now();
        assert_eq!(again.pause(now), None);
        again.stands_still(LAMP, Some(at(3)), true, now);
        let mut pauses = Vec::new();
        for n in 0..8 {
            let pause = again.pause(now).unwrap();
            pauses.push(pause);
            now += pause;
            assert_eq!(again.due(now), BTreeMap::from([(LAMP, n > 0)]));
            assert_eq!(again.due(now), BTreeMap::new());
            // Each message behind the hole says it once more.
            again.stands_still(LAMP, Some(at(3)), true, now);
        }
        assert_eq!(pauses[0], Duration::ZERO);
        assert!(pauses[1] >= PAUSES.0 / 2 && pauses[1] <= PAUSES.0);
        assert!(pauses[7] >= PAUSES.1 / 2 && pauses[7] <= PAUSES.1);
        again.goes_on(LAMP);
        assert_eq!(again.pause(now), None);
    }

    #[test]
    fn what_somebody_has_to_mend_is_not_tried_at_once() {
        let mut again = Again::default();
        let now = Instant::now();
        again.stands_still(LAMP, None, false, now);
        again.stands_still(SOFA, Some(at(3)), true, now);
        assert_eq!(again.due(now), BTreeMap::from([(SOFA, false)]));
        assert_eq!(again.due(now + PAUSES.0).len(), 2);
    }

    #[test]
    fn a_sale_that_moved_on_is_left_alone() {
        let mut again = Again::default();
        let now = Instant::now();
        again.stands_still(LAMP, None, false, now);
        assert!(again.still_there(LAMP, at(3)), "now its cursor is known");
        assert!(again.still_there(LAMP, at(3)));
        assert!(!again.still_there(LAMP, at(4)), "another worker went on");
        assert!(!again.still_there(LAMP, at(4)), "and it is forgotten");
    }

    #[test]
    fn another_hole_is_tried_at_once() {
        let mut again = Again::default();
        let now = Instant::now();
        again.stands_still(LAMP, Some(at(3)), true, now);
        assert_eq!(again.due(now), BTreeMap::from([(LAMP, false)]));
        again.stands_still(LAMP, Some(at(9)), true, now);
        assert_eq!(again.due(now), BTreeMap::from([(LAMP, false)]));
    }
}

//! A run of the relay over a sale's log: what is read, under way, arrived, acknowledged.
//!
//! Several batches may be on their way to the sink. `RELAYED` follows the unbroken row of those that
//! arrived; after a failure the run is over, and the next one reads from `RELAYED` what is behind
//! it, and sends it again, in order.

use seckill_protocol::EventId;
use std::collections::VecDeque;

/// Events of one batch: at most about 250 KiB as a message, a quarter of what brokers take.
pub const EVENTS_MAX: usize = 500;

/// Batches on their way at once.
pub const UNDER_WAY_MAX: usize = 5;

/// Places in a sale's log, as the module says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// The last event.
    pub head: EventId,
    /// What the broker has.
    pub relayed: EventId,
    /// What MySQL has.
    pub stored: EventId,
}

/// The module's places are others than ours: begin again from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the module's places are behind what it was told")]
pub struct Moved;

/// A run from a place. `R` is what says whether a batch arrived.
#[derive(Debug)]
pub struct Run<R> {
    /// The last event that was read.
    read: EventId,
    /// The end of the unbroken row of batches that arrived.
    arrived: EventId,
    /// What the module has been told of it.
    told: EventId,
    under_way: VecDeque<Batch<R>>,
}

/// A batch on its way.
#[derive(Debug)]
struct Batch<R> {
    last: EventId,
    events: u64,
    receipt: R,
}

// === impl Places ===

impl Places {
    /// Whether MySQL may have more than the module was told: the worker that stored it may have died
    /// before it could say so.
    #[must_use]
    pub fn is_storing(&self) -> bool {
        self.stored < self.relayed
    }
}

// === impl Run ===

impl<R> Run<R> {
    /// Begins where the module says that the broker has the log.
    #[must_use]
    pub const fn from(relayed: EventId) -> Self {
        Self {
            read: relayed,
            arrived: relayed,
            told: relayed,
            under_way: VecDeque::new(),
        }
    }

    /// Behind which event to read on; `None` while enough is under way.
    #[must_use]
    pub fn wants(&self) -> Option<EventId> {
        (self.under_way.len() < UNDER_WAY_MAX).then_some(self.read)
    }

    /// What was read where [`wants`](Self::wants) said is on its way: so many events up to `last`.
    pub fn sent(&mut self, last: EventId, events: u64, receipt: R) {
        self.read = last;
        self.under_way.push_back(Batch {
            last,
            events,
            receipt,
        });
    }

    /// The receipt to wait for: of the batch that was sent first.
    pub fn first(&mut self) -> Option<&mut R> {
        self.under_way.front_mut().map(|batch| &mut batch.receipt)
    }

    /// The first batch arrived; how many events it has.
    pub fn first_arrived(&mut self) -> u64 {
        self.under_way.pop_front().map_or(0, |batch| {
            self.arrived = batch.last;
            batch.events
        })
    }

    /// The first batch did not arrive. What is behind it does not count: the run is over.
    pub fn first_failed(&mut self) {
        self.under_way.pop_front();
    }

    /// Whether more has arrived than the module was told.
    #[must_use]
    pub fn has_to_tell(&self) -> bool {
        self.arrived != self.told
    }

    /// Compares with the module's places, which are asked for before it is told anything: what is to
    /// be acknowledged as `RELAYED`, if anything.
    ///
    /// # Errors
    /// [`Moved`] if they are behind what it was told. A person may have set `RELAYED` back, to have
    /// events sent again: that must not get lost. Ahead of us may be another worker.
    pub fn compare(&self, places: Places) -> Result<Option<EventId>, Moved> {
        if places.relayed < self.told || places.head < self.told {
            return Err(Moved);
        }
        Ok((places.relayed < self.arrived).then_some(self.arrived))
    }

    /// The module knows what has arrived.
    pub fn told(&mut self) {
        self.told = self.arrived;
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The receipts of what is still under way when the run is over: it must not overtake what is
    /// sent again.
    pub fn rest(self) -> impl Iterator<Item = R> {
        self.under_way.into_iter().map(|batch| batch.receipt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seq: u64) -> EventId {
        EventId::new(7, seq)
    }

    fn places(relayed: u64, head: u64) -> Places {
        Places {
            head: at(head),
            relayed: at(relayed),
            stored: at(0),
        }
    }

    /// From event 2, with events 3 to 7 under way in three batches.
    fn under_way() -> Run<char> {
        let mut run = Run::from(at(2));
        run.sent(at(3), 1, 'a');
        run.sent(at(6), 3, 'b');
        run.sent(at(7), 1, 'c');
        run
    }

    #[test]
    fn reading_goes_on_behind_what_was_sent_until_enough_is_under_way() {
        let mut run = under_way();
        assert_eq!(run.wants(), Some(at(7)));
        run.sent(at(8), 1, 'd');
        assert_eq!(run.wants(), Some(at(8)));
        run.sent(at(9), 1, 'e');
        assert_eq!(run.wants(), None);
        assert_eq!(run.first_arrived(), 1);
        assert_eq!(run.wants(), Some(at(9)));
    }

    #[test]
    fn only_the_unbroken_row_of_what_arrived_is_told() {
        let mut run = under_way();
        assert!(!run.has_to_tell() && !run.is_idle());
        assert_eq!(run.compare(places(2, 9)), Ok(None));
        run.first_arrived();
        assert_eq!(run.first_arrived(), 3);
        assert!(run.has_to_tell());
        assert_eq!(run.compare(places(2, 9)), Ok(Some(at(6))));
        run.told();
        assert!(!run.has_to_tell());
        run.first_failed();
        assert!(!run.has_to_tell(), "what failed did not arrive");
        assert!(run.is_idle());
    }

    #[test]
    fn another_workers_word_is_not_taken_back() {
        let mut run = under_way();
        run.first_arrived();
        assert_eq!(run.compare(places(5, 9)), Ok(None));
    }

    #[test]
    fn a_module_that_stands_behind_what_it_was_told_is_begun_again_with() {
        let mut run = under_way();
        run.first_arrived();
        assert_eq!(
            run.compare(places(1, 9)),
            Err(Moved),
            "RELAYED was set back"
        );
        assert_eq!(run.compare(places(9, 1)), Err(Moved), "another sale");
        run.told();
        assert_eq!(run.compare(places(2, 9)), Err(Moved));
        assert_eq!(run.compare(places(3, 9)), Ok(None));
    }

    #[test]
    fn a_run_that_is_over_says_what_is_still_under_way() {
        let mut run = under_way();
        assert_eq!(run.first(), Some(&mut 'a'));
        run.first_failed();
        assert_eq!(run.first(), Some(&mut 'b'));
        assert_eq!(run.rest().collect::<String>(), "bc");
    }
}

//! The events of a sale that MySQL does not have yet, in order.
//!
//! An acceptance needs no entry: its reservation knows its number and its instant, so the log is what
//! is kept here together with the reservations after the last event that MySQL has. The full event
//! is made when somebody reads it.
//!
//! Entries lie 1024 a block, so that a log that grows long, while MySQL is away, never copies itself.

use crate::reservations::Position;
use seckill_protocol::EventId;
use std::collections::VecDeque;

/// Entries in a block.
const BLOCK: usize = 1024;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: EventId,
    pub(crate) at_ms: u64,
    pub(crate) fact: EntryFact,
}

/// [`seckill_protocol::Fact`] without acceptances, and with positions in place of reservations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntryFact {
    Confirmed(Position),
    Cancelled(Position),
    Expired(Position),
    Restocked(i64),
    Closed,
    Opened(Box<Opened>),
    Epoch(Box<EventId>),
    LatePayment(Position),
}

/// What a sale began with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Its name then: an event that is sent again is the same event.
    pub(crate) name: Box<str>,
    pub(crate) total: u64,
    pub(crate) sold: u64,
}

/// The kept entries.
#[derive(Default)]
pub(crate) struct Log {
    blocks: VecDeque<VecDeque<Entry>>,
    len: usize,
}

// === impl EntryFact ===

impl EntryFact {
    /// The reservation that it speaks of.
    pub(crate) const fn position(&self) -> Option<Position> {
        match self {
            Self::Confirmed(position)
            | Self::Cancelled(position)
            | Self::Expired(position)
            | Self::LatePayment(position) => Some(*position),
            Self::Restocked(_) | Self::Closed | Self::Opened(_) | Self::Epoch(_) => None,
        }
    }

    /// Whether an epoch begins with it.
    pub(crate) const fn begins_epoch(&self) -> bool {
        matches!(self, Self::Opened(_) | Self::Epoch(_))
    }
}

// === impl Log ===

impl Log {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        match self.blocks.back_mut() {
            Some(block) if block.len() < BLOCK => block.push_back(entry),
            _ => self.blocks.push_back(VecDeque::from([entry])),
        }
        self.len += 1;
    }

    /// Forgets the entries up to and including `id`.
    pub(crate) fn trim(&mut self, id: EventId) {
        while let Some(block) = self.blocks.front_mut() {
            while block.front().is_some_and(|entry| entry.id <= id) {
                block.pop_front();
                self.len -= 1;
            }
            if !block.is_empty() {
                return;
            }
            self.blocks.pop_front();
        }
    }

    /// The entries after `id`.
    pub(crate) fn after(&self, id: EventId) -> impl Iterator<Item = &Entry> {
        let is_before = move |entry: &Entry| entry.id <= id;
        let ends_before = |block: &VecDeque<Entry>| block.back().is_some_and(is_before);
        let first = self.blocks.partition_point(ends_before);
        let blocks = self.blocks.range(first..);
        blocks.flat_map(move |b| b.range(b.partition_point(is_before)..))
    }

    /// The entry that is first of all.
    pub(crate) fn first_mut(&mut self) -> Option<&mut Entry> {
        self.blocks.front_mut()?.front_mut()
    }

    /// Pieces of memory. O(1).
    pub(crate) fn allocation_count(&self) -> usize {
        self.blocks.len()
    }

    /// Bytes on the heap, about. O(1).
    pub(crate) fn heap_bytes(&self) -> usize {
        self.blocks.len() * (BLOCK * size_of::<Entry>()).min(self.len * size_of::<Entry>() * 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_is_read_and_trimmed_at_any_place() {
        let mut log = Log::default();
        for seq in 1..=5000 {
            log.push(Entry {
                id: EventId::new(1, seq),
                at_ms: seq,
                fact: EntryFact::Closed,
            });
        }
        let mut kept = 5000;
        for trimmed in [0, 1, 1023, 1024, 1025, 3000, 4999, 5000] {
            log.trim(EventId::new(1, trimmed));
            kept = 5000 - usize::try_from(trimmed).unwrap();
            assert_eq!(log.len(), kept);
            for after in [0, trimmed, 1500, 4998] {
                let first = log.after(EventId::new(1, after)).next().map(|e| e.id.seq);
                let expected = after.max(trimmed) + 1;
                assert_eq!(first, (expected <= 5000).then_some(expected));
            }
        }
        assert_eq!(kept, 0);
        assert!(log.blocks.is_empty());
    }
}

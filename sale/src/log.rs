//! The events of a sale that MySQL does not have yet, in order.
//!
//! An entry names its reservation by position and not by a copy, so it is small; the full event is
//! made when somebody reads it.

use crate::reservation::Position;
use seckill_protocol::EventId;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: EventId,
    pub(crate) at_ms: u64,
    pub(crate) fact: EntryFact,
}

/// [`seckill_protocol::Fact`], with positions in place of reservations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EntryFact {
    Opened { total: u64, sold: u64 },
    Accepted(Position),
    Confirmed(Position),
    Cancelled(Position),
    Expired(Position),
    Restocked(i64),
    Closed,
    Epoch { previous: EventId },
}

/// The kept events.
#[derive(Default)]
pub struct Log {
    entries: VecDeque<Entry>,
}

// === impl Log ===

impl Log {
    /// How many events are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether MySQL has every event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.entries.push_back(entry);
    }

    /// Forgets the events up to and including `id`.
    pub(crate) fn trim(&mut self, id: EventId) {
        while self.entries.front().is_some_and(|entry| entry.id <= id) {
            self.entries.pop_front();
        }
        // A sale that is over should not keep the room that it needed at its peak.
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
        }
    }

    /// The events after `id`.
    pub(crate) fn after(&self, id: EventId) -> impl Iterator<Item = &Entry> {
        let first = self.entries.partition_point(|entry| entry.id <= id);
        self.entries.range(first..)
    }

    /// All kept events, as the two runs in which they lie in memory.
    pub(crate) fn as_slices(&self) -> (&[Entry], &[Entry]) {
        self.entries.as_slices()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }
}

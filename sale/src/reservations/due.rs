//! Which live hold lapses first.
//!
//! Within a run deadlines ascend, so a run is represented by its first live hold, and this is a queue
//! of runs. Nothing is kept for a single hold.

use super::Position;
use std::collections::BTreeSet;

/// The runs that have live holds, by the deadline of their first one.
#[derive(Default)]
pub(super) struct Due(BTreeSet<Turn>);

/// The first live hold of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    /// Unix ms.
    pub(super) deadline_ms: u64,
    /// Of two with one deadline the older comes first.
    pub(super) position: Position,
}

impl Due {
    pub(super) fn first(&self) -> Option<Turn> {
        self.0.first().copied()
    }

    pub(super) fn add(&mut self, turn: Turn) {
        self.0.insert(turn);
    }

    pub(super) fn remove(&mut self, turn: Turn) {
        self.0.remove(&turn);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

//! Runs: what consecutive reservations have in common.
//!
//! Reservations that follow each other are nearly always of one epoch, held equally long, and later
//! than the one before. So these are said once a run, and a reservation counts from its run's first.
//! A sale has one run, and one more for each change of epoch or hold, for each step back of the
//! clock, and for each gap in what was restored.

use super::Position;
use seckill_protocol::ReservationId;

/// A run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// Where it begins.
    pub(super) first: Position,
    /// The id of its first reservation.
    pub(super) rid: ReservationId,
    /// When its first reservation was granted, Unix ms.
    pub(super) at_ms: u64,
    /// How long units are held, ms; 0: they were sold at once.
    pub(super) hold_ms: u64,
    /// Whether its reservations were put back by hand: their acceptance is in no log.
    pub(super) restored: bool,
    /// The last reservation, as it counts from the first.
    last_seq: u32,
    last_at: u32,
    /// Live holds in it.
    pub(super) held: u32,
    /// Its first live hold, if it has one: the one that lapses first.
    pub(super) first_held: Position,
}

/// What a reservation must have in common with a run to join it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joining {
    pub(super) rid: ReservationId,
    pub(super) at_ms: u64,
    pub(super) hold_ms: u64,
    pub(super) restored: bool,
}

#[derive(Default)]
pub(super) struct Runs(Vec<Run>);

// === impl Run ===

impl Run {
    const fn begin(first: Position, joining: Joining) -> Self {
        Self {
            first,
            rid: joining.rid,
            at_ms: joining.at_ms,
            hold_ms: joining.hold_ms,
            restored: joining.restored,
            last_seq: 0,
            last_at: 0,
            held: 0,
            first_held: first,
        }
    }

    /// Where a reservation stands in this run, from its first: its `seq` and its `at`. None if it
    /// cannot be the next one.
    fn offsets(&self, joining: &Joining) -> Option<(u32, u32)> {
        let seq = joining.rid.0.seq.checked_sub(self.rid.0.seq)?;
        let at = joining.at_ms.checked_sub(self.at_ms)?;
        let (seq, at) = (u32::try_from(seq).ok()?, u32::try_from(at).ok()?);
        let alike = joining.rid.0.epoch == self.rid.0.epoch
            && joining.hold_ms == self.hold_ms
            && joining.restored == self.restored;
        (alike && seq > self.last_seq && at >= self.last_at).then_some((seq, at))
    }

    pub(super) const fn last_rid(&self) -> ReservationId {
        let first = self.rid.0;
        ReservationId::new(first.epoch, first.seq.saturating_add(self.last_seq as u64))
    }

    pub(super) const fn rid_at(&self, seq: u32) -> ReservationId {
        let first = self.rid.0;
        ReservationId::new(first.epoch, first.seq.saturating_add(seq as u64))
    }

    pub(super) const fn at_ms_at(&self, at: u32) -> u64 {
        self.at_ms.saturating_add(at as u64)
    }

    /// When a hold that was granted at `at` lapses, Unix ms.
    pub(super) const fn deadline_ms_at(&self, at: u32) -> u64 {
        self.at_ms_at(at).saturating_add(self.hold_ms)
    }
}

// === impl Runs ===

impl Runs {
    /// Adds the reservation at `position`, and tells where it stands in its run.
    pub(super) fn join(&mut self, position: Position, joining: Joining) -> (u32, u32) {
        if let Some(run) = self.0.last_mut()
            && let Some((seq, at)) = run.offsets(&joining)
        {
            (run.last_seq, run.last_at) = (seq, at);
            return (seq, at);
        }
        self.0.push(Run::begin(position, joining));
        (0, 0)
    }

    pub(super) fn as_slice(&self) -> &[Run] {
        &self.0
    }

    /// The run of a position, and its number.
    pub(super) fn of(&self, position: Position) -> Option<(usize, &Run)> {
        let number = match self.0.last() {
            Some(last) if last.first <= position => self.0.len() - 1,
            _ => self
                .0
                .partition_point(|run| run.first <= position)
                .checked_sub(1)?,
        };
        Some((number, self.0.get(number)?))
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut Run> {
        self.0.get_mut(number)
    }

    /// Where a run ends: the first position after it.
    pub(super) fn end(&self, number: usize, len: Position) -> Position {
        self.0.get(number + 1).map_or(len, |next| next.first)
    }

    pub(super) const fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Run>()
    }
}

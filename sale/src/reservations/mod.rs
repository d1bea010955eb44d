//! The reservations of a sale and the ways to find them.
//!
//! Reservations are kept in the order in which they came and are never removed while the sale lives:
//! a token asked again must find its reservation whatever became of it. A reservation is named by its
//! [`Position`] in that order.
//!
//! | file | holds |
//! | --- | --- |
//! | `records` | a reservation as it lies in memory |
//! | `runs` | what consecutive reservations have in common |
//! | `due` | which live hold lapses first |
//! | `recount` | counting it all again without the indexes |
//!
//! * by id: reservations that were granted here ascend, so a run is searched by halving; a run of
//!   restored ones as well
//! * by buyer: a table leads to his latest reservation, and from there each leads to the next older
//!   one. His latest also knows how many live units he has and which live reservation is the latest,
//!   so that deciding costs the same however much he bought
//! * by buyer and token: a table
//! * by deadline: see `due`
//!
//! Cost: granting and finding by buyer or token is O(1), finding by id O(log n). Ending a hold is
//! O(1) amortized. Only a late payment walks its buyer's reservations, down to the one it revives.

mod due;
mod records;
pub(crate) mod recount;
mod runs;

use crate::table::Table;
use due::{Due, Turn};
use foldhash::quality::FixedState;
use records::{Links, NewRecord, Records};
use runs::{Joining, Runs};
use seckill_protocol::{EventId, ReservationId, ReservationState, UidRef};
use std::hash::BuildHasher;
use std::hint::black_box;

/// Place of a reservation in the order in which they came.
pub(crate) type Position = u32;

/// Reservations that are indexed together when a sale is loaded: as many as the processor has loads
/// from memory under way, and some.
const INDEXED_TOGETHER: usize = 32;

/// Reservations of one sale at most.
pub(crate) const RESERVATIONS_MAX: Position = Position::MAX - 1;

/// Units granted to one buyer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation<'a> {
    /// Its name: the id of the event that granted it.
    pub rid: ReservationId,
    /// Whose it is.
    pub uid: UidRef<'a>,
    /// How many units.
    pub qty: u32,
    /// What became of it.
    pub state: ReservationState,
    /// When it was granted, Unix ms.
    pub at_ms: u64,
    /// How long it is held, ms; 0: sold at once.
    pub hold_ms: u64,
    /// The token that it was asked with.
    pub token: Option<&'a [u8]>,
    /// Whether it was put back from what MySQL has: no event of this log granted it.
    pub restored: bool,
}

/// A buyer, looked up once for everything that a try asks of him.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buyer {
    /// The hash by which he is found.
    pub(crate) hash: u64,
    /// His latest reservation, whatever became of it.
    latest: Option<Position>,
}

/// A buyer's live units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    /// His latest live reservation.
    pub(crate) latest: Position,
    /// Units of all of them.
    pub(crate) units: u64,
}

pub(crate) struct Reservations {
    records: Records,
    runs: Runs,
    due: Due,
    by_buyer: Table<Position>,
    by_token: Table<Position>,
    /// Buyers and tokens, while the tables are not built.
    expected: Expected,
    /// The latest that was granted here, and the latest that was restored.
    last_granted: EventId,
    last_restored: EventId,
    hasher: FixedState,
}

#[derive(Clone, Copy, Default)]
struct Expected {
    buyers: usize,
    tokens: usize,
}

// === impl Reservation ===

impl Reservation<'_> {
    /// Until when it is held, Unix ms; `None`: sold at once.
    #[must_use]
    pub const fn deadline_ms(&self) -> Option<u64> {
        match self.hold_ms {
            0 => None,
            hold_ms => Some(self.at_ms.saturating_add(hold_ms)),
        }
    }
}

// === impl Reservations ===

impl Reservations {
    /// `seed` keeps buyers from choosing ids that collide; it changes nothing that can be seen.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            records: Records::default(),
            runs: Runs::default(),
            due: Due::default(),
            by_buyer: Table::new(),
            by_token: Table::new(),
            expected: Expected::default(),
            last_granted: EventId::ZERO,
            last_restored: EventId::ZERO,
            hasher: FixedState::with_seed(seed),
        }
    }

    pub(crate) const fn len(&self) -> Position {
        self.records.len()
    }

    /// Looks a buyer up.
    pub(crate) fn buyer(&self, uid: UidRef<'_>) -> Buyer {
        let hash = self.hash(uid.as_bytes());
        Buyer {
            hash,
            latest: self.latest_of(hash, uid.as_bytes()),
        }
    }

    fn hash(&self, uid: &[u8]) -> u64 {
        self.hasher.hash_one(uid)
    }

    pub(crate) fn at(&self, position: Position) -> Option<Reservation<'_>> {
        let slot = self.records.slot(position)?;
        let (_, run) = self.runs.of(position)?;
        Some(Reservation {
            rid: run.rid_at(slot.seq),
            uid: UidRef::new(self.records.uid(position)).ok()?,
            qty: self.records.qty(position),
            state: slot.state(),
            at_ms: run.at_ms_at(slot.at),
            hold_ms: run.hold_ms,
            token: self.records.token(position),
            restored: run.restored,
        })
    }

    pub(crate) fn rid(&self, position: Position) -> Option<ReservationId> {
        let slot = self.records.slot(position)?;
        let (_, run) = self.runs.of(position)?;
        Some(run.rid_at(slot.seq))
    }

    pub(crate) fn state(&self, position: Position) -> Option<ReservationState> {
        self.records.slot(position).map(records::Slot::state)
    }

    pub(crate) fn qty(&self, position: Position) -> u32 {
        self.records.qty(position)
    }

    /// Whether the buyer of a reservation has an older one.
    pub(crate) fn has_older(&self, position: Position) -> bool {
        self.records
            .slot(position)
            .is_some_and(records::Slot::has_links)
    }

    /// Whether a payment for a reservation came too late and is to be refunded.
    pub(crate) fn is_refund_due(&self, position: Position) -> bool {
        self.records
            .slot(position)
            .is_some_and(records::Slot::is_refund_due)
    }

    /// The positions of each run.
    pub(crate) fn runs(&self) -> impl Iterator<Item = std::ops::Range<Position>> {
        let runs = self.runs.as_slice().iter().enumerate();
        runs.map(|(number, run)| run.first..self.runs.end(number, self.len()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Reservation<'_>> {
        (0..self.len()).filter_map(|position| self.at(position))
    }

    pub(crate) fn find(&self, rid: ReservationId) -> Option<Position> {
        // Whoever adds one after the other asks for none that is here, and does not look into runs.
        if rid.0 > self.last_granted.max(self.last_restored) {
            return None;
        }
        // The latest run first: nearly always it is the only one.
        let mut runs = (0..self.runs.as_slice().len()).rev();
        runs.find_map(|number| {
            let position = self.first_above(number, rid.0).checked_sub(1)?;
            (self.rid(position) == Some(rid)).then_some(position)
        })
    }

    /// The first position of a run that is after `id`; the run's end if none is.
    fn first_above(&self, number: usize, id: EventId) -> Position {
        let Some(run) = self.runs.as_slice().get(number) else {
            return 0;
        };
        let end = self.runs.end(number, self.len());
        if id < run.rid.0 {
            return run.first;
        }
        if id >= run.last_rid().0 {
            return end;
        }
        let seq = id.seq - run.rid.0.seq;
        let (mut low, mut high) = (run.first, end);
        while low < high {
            let middle = low.midpoint(high);
            let slot = self.records.slot(middle);
            if slot.is_some_and(|slot| u64::from(slot.seq) <= seq) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The reservations that were granted here after `id`, oldest first.
    pub(crate) fn granted_after(&self, id: EventId) -> impl Iterator<Item = Position> {
        let runs = self.runs.as_slice().iter().enumerate();
        let granted = runs.filter(|(_, run)| !run.restored);
        granted.flat_map(move |(number, _)| {
            self.first_above(number, id)..self.runs.end(number, self.len())
        })
    }

    /// How many were granted here after `id`.
    pub(crate) fn granted_count_after(&self, id: EventId) -> u64 {
        let runs = self.runs.as_slice().iter().enumerate();
        let granted = runs.filter(|(_, run)| !run.restored);
        granted
            .map(|(number, _)| {
                let end = self.runs.end(number, self.len());
                u64::from(end - self.first_above(number, id))
            })
            .sum()
    }

    /// All reservations of a buyer, whatever became of them, latest first.
    pub(crate) fn all_of(&self, uid: UidRef<'_>) -> impl Iterator<Item = Reservation<'_>> {
        let mut next = self.buyer(uid).latest;
        std::iter::from_fn(move || {
            let position = next?;
            next = self.records.links(position).map(|links| links.older);
            self.at(position)
        })
    }

    /// A buyer's live units, if he has any. O(1).
    pub(crate) fn live_of(&self, buyer: Buyer) -> Option<Live> {
        let latest = buyer.latest?;
        Some(Live {
            latest: self.latest_live(latest)?,
            units: self.live_units(latest),
        })
    }

    fn latest_of(&self, hash: u64, uid: &[u8]) -> Option<Position> {
        let found = self.by_buyer.find(hash, |&p| self.records.uid(p) == uid);
        found.copied()
    }

    fn is_live(&self, position: Position) -> bool {
        self.state(position).is_some_and(ReservationState::is_live)
    }

    /// The latest live reservation of the buyer whose latest one this is.
    fn latest_live(&self, latest: Position) -> Option<Position> {
        if self.is_live(latest) {
            return Some(latest);
        }
        self.records.links(latest)?.skip
    }

    /// Live units of the buyer whose latest reservation this is.
    fn live_units(&self, latest: Position) -> u64 {
        match self.records.links(latest) {
            Some(links) => links.live_units,
            None if self.is_live(latest) => self.records.qty(latest).into(),
            None => 0,
        }
    }

    /// The reservation that this buyer was granted with this token.
    pub(crate) fn with_token(&self, uid: UidRef<'_>, token: &[u8]) -> Option<Position> {
        let uid = uid.as_bytes();
        let hash = self.token_hash(uid, token);
        let is_it =
            |&p: &Position| self.records.uid(p) == uid && self.records.token(p) == Some(token);
        self.by_token.find(hash, is_it).copied()
    }

    fn token_hash(&self, uid: &[u8], token: &[u8]) -> u64 {
        self.hasher.hash_one((uid, token))
    }

    /// The live hold that lapses first, and when, Unix ms.
    pub(crate) fn first_due(&self) -> Option<(u64, Position)> {
        let turn = self.due.first()?;
        Some((turn.deadline_ms, turn.position))
    }

    /// Bytes on the heap, about. O(1).
    pub(crate) fn heap_bytes(&self) -> usize {
        self.records.heap_bytes()
            + self.runs.heap_bytes()
            + self.by_buyer.heap_bytes()
            + self.by_token.heap_bytes()
    }

    /// Pieces of memory, about. O(1).
    pub(crate) const fn allocation_count(&self) -> usize {
        self.records.allocation_count()
            + self.by_buyer.segment_count()
            + self.by_token.segment_count()
    }

    // --- Changes ---

    /// Whether a reservation may be added: one that is granted comes after all that were granted
    /// before it, and none is here already.
    fn has_place_for(&self, new: &Reservation<'_>) -> bool {
        let follows = new.rid.0 > self.last_granted;
        (follows || new.restored)
            && self.find(new.rid).is_none()
            && new.qty > 0
            && self.len() < RESERVATIONS_MAX
    }

    /// Adds a reservation of a buyer who was just looked up, and finds it from now on; `None`, and
    /// nothing is added, if it has no place.
    pub(crate) fn add(&mut self, buyer: Buyer, new: &Reservation<'_>) -> Option<Position> {
        if !self.has_place_for(new) {
            return None;
        }
        let links = buyer.latest.map(|latest| self.links_above(latest, new));
        let position = self.keep(new, links);
        self.index_buyer(buyer, position);
        if let Some(token) = new.token {
            self.index_token(new.uid.as_bytes(), token, position);
        }
        Some(position)
    }

    /// Adds a reservation that a snapshot has, of a buyer who has an older one or not. It is found
    /// after [`index`](Self::index); `None`, and nothing is added, if it has no place.
    pub(crate) fn load(&mut self, new: &Reservation<'_>, has_older: bool) -> Option<Position> {
        if !self.has_place_for(new) {
            return None;
        }
        let unknown = Links {
            older: 0,
            skip: None,
            live_units: 0,
        };
        self.expected.buyers += usize::from(!has_older);
        self.expected.tokens += usize::from(new.token.is_some());
        Some(self.keep(new, has_older.then_some(unknown)))
    }

    /// Builds the tables for what was loaded, at once and of the right size. False if a reservation
    /// said of its buyer what is not true.
    pub(crate) fn index(&mut self) -> bool {
        self.by_buyer = Table::with_capacity(self.expected.buyers);
        self.by_token = Table::with_capacity(self.expected.tokens);
        let mut hashes = [0; INDEXED_TOGETHER];
        let mut positions = 0..self.len();
        while !positions.is_empty() {
            for (hash, position) in hashes.iter_mut().zip(positions.clone()) {
                *hash = self.hash(self.records.uid(position));
                // Nobody is found. It makes the processor fetch what the loop below reads, for all of
                // them at once instead of one after the other.
                black_box(self.by_buyer.find(*hash, |_| false));
            }
            for (hash, position) in hashes.into_iter().zip(positions.by_ref()) {
                if !self.index_one(hash, position) {
                    return false;
                }
            }
        }
        true
    }

    fn index_one(&mut self, hash: u64, position: Position) -> bool {
        let latest = self.latest_of(hash, self.records.uid(position));
        let slot = self.records.slot(position);
        if slot.is_none_or(|slot| slot.has_links() != latest.is_some()) {
            return false;
        }
        if let (Some(latest), Some(new)) = (latest, self.at(position)) {
            let links = self.links_above(latest, &new);
            self.records.set_links(position, links);
        }
        self.index_buyer(Buyer { hash, latest }, position);
        if let Some(token) = self.records.token(position).map(<[u8]>::to_vec) {
            let uid = self.records.uid(position).to_vec();
            self.index_token(&uid, &token, position);
        }
        true
    }

    /// The links of a reservation that comes after `latest`.
    fn links_above(&self, latest: Position, new: &Reservation<'_>) -> Links {
        let units = if new.state.is_live() { new.qty } else { 0 };
        Links {
            older: latest,
            skip: self.latest_live(latest),
            live_units: self.live_units(latest).saturating_add(units.into()),
        }
    }

    fn keep(&mut self, new: &Reservation<'_>, links: Option<Links>) -> Position {
        let position = self.len();
        let (seq, at) = self.runs.join(
            position,
            Joining {
                rid: new.rid,
                at_ms: new.at_ms,
                hold_ms: new.hold_ms,
                restored: new.restored,
            },
        );
        self.records.push(&NewRecord {
            seq,
            at,
            uid: new.uid.as_bytes(),
            qty: new.qty,
            state: new.state,
            token: new.token,
            links,
        });
        let last = if new.restored {
            &mut self.last_restored
        } else {
            &mut self.last_granted
        };
        *last = new.rid.0.max(*last);
        if new.state == ReservationState::Held {
            self.begin_hold(position, at);
        }
        position
    }

    fn index_buyer(&mut self, buyer: Buyer, position: Position) {
        let Self {
            records,
            by_buyer,
            hasher,
            ..
        } = self;
        let Buyer { hash, latest } = buyer;
        match latest.and_then(|latest| by_buyer.find_mut(hash, |&p| p == latest)) {
            Some(latest) => *latest = position,
            None => by_buyer.insert(hash, position, |&p| hasher.hash_one(records.uid(p))),
        }
    }

    /// The first reservation of a token stays the one that it finds.
    fn index_token(&mut self, uid: &[u8], token: &[u8], position: Position) {
        let hash = self.token_hash(uid, token);
        let Self {
            records,
            by_token,
            hasher,
            ..
        } = self;
        let key = |p| (records.uid(p), records.token(p).unwrap_or_default());
        if by_token.find(hash, |&p| key(p) == (uid, token)).is_none() {
            by_token.insert(hash, position, |&p| hasher.hash_one(key(p)));
        }
    }

    /// Moves a reservation to another state and keeps the indexes true.
    pub(crate) fn set_state(&mut self, position: Position, state: ReservationState) {
        let Some(before) = self.state(position) else {
            return;
        };
        self.records.set_state(position, state);
        if before == ReservationState::Held {
            self.end_hold(position);
        }
        if before.is_live() != state.is_live() {
            self.follow_buyer(position, state.is_live());
        }
    }

    /// A payment for a reservation came too late: from now on it is to be refunded.
    pub(crate) fn owe_refund(&mut self, position: Position) {
        self.records.owe_refund(position);
    }

    /// Keeps what a buyer's latest reservation knows true, after one of his came to life or ended.
    fn follow_buyer(&mut self, position: Position, came_to_life: bool) {
        let uid = self.records.uid(position);
        let Some(latest) = self.latest_of(self.hasher.hash_one(uid), uid) else {
            return;
        };
        let Some(mut links) = self.records.links(latest) else {
            return;
        };
        let units = u64::from(self.records.qty(position));
        links.live_units = if came_to_life {
            links.live_units.saturating_add(units)
        } else {
            links.live_units.saturating_sub(units)
        };
        self.records.set_links(latest, links);
        if came_to_life {
            self.stop_skipping(latest, position);
        } else {
            self.skip_ended(latest);
        }
    }

    /// The reservations from `latest` down to the one at `revived` no longer skip it.
    fn stop_skipping(&mut self, latest: Position, revived: Position) {
        let mut at = latest;
        while at > revived
            && let Some(mut links) = self.records.links(at)
        {
            if links.skip.is_none_or(|skip| skip < revived) {
                links.skip = Some(revived);
                self.records.set_links(at, links);
            }
            at = links.older;
        }
    }

    /// Lets each reservation from `latest` down to the latest live one lead straight to it. What was
    /// walked once is skipped from then on.
    fn skip_ended(&mut self, latest: Position) {
        let mut live = Some(latest);
        while let Some(at) = live.filter(|&at| !self.is_live(at)) {
            live = self.records.links(at).and_then(|links| links.skip);
        }
        let mut next = Some(latest);
        while let Some(at) = next.filter(|&at| Some(at) != live)
            && let Some(mut links) = self.records.links(at)
        {
            next = links.skip;
            links.skip = live;
            self.records.set_links(at, links);
        }
    }

    fn begin_hold(&mut self, position: Position, at: u32) {
        let Some(number) = self.runs.of(position).map(|(number, _)| number) else {
            return;
        };
        if let Some(run) = self.runs.get_mut(number) {
            run.held += 1;
            if run.held == 1 {
                run.first_held = position;
                self.due.add(Turn {
                    deadline_ms: run.deadline_ms_at(at),
                    position,
                });
            }
        }
    }

    fn end_hold(&mut self, position: Position) {
        let Some((number, run)) = self.runs.of(position) else {
            return;
        };
        let mut run = *run;
        run.held = run.held.saturating_sub(1);
        if run.first_held == position {
            self.due.remove(self.turn(&run));
            let later = position.saturating_add(1)..self.runs.end(number, self.len());
            let held = |&p: &Position| self.state(p) == Some(ReservationState::Held);
            if run.held > 0
                && let Some(next) = later.into_iter().find(held)
            {
                run.first_held = next;
                self.due.add(self.turn(&run));
            }
        }
        if let Some(kept) = self.runs.get_mut(number) {
            *kept = run;
        }
    }

    fn turn(&self, run: &runs::Run) -> Turn {
        let position = run.first_held;
        let at = self.records.slot(position).map_or(0, |slot| slot.at);
        Turn {
            deadline_ms: run.deadline_ms_at(at),
            position,
        }
    }
}

/// Whether a reservation in one state may still come into the other.
pub(crate) const fn may_become(before: ReservationState, after: ReservationState) -> bool {
    match before {
        ReservationState::Held => !matches!(after, ReservationState::Held),
        ReservationState::Expired => matches!(after, ReservationState::Confirmed),
        ReservationState::Confirmed | ReservationState::Cancelled => false,
    }
}

#[cfg(test)]
mod tests {
    use super::recount::tests::{add, held};
    use super::*;

    fn at(seq: u64) -> EventId {
        EventId::new(7, seq)
    }

    fn restored(seq: u64, uid: &str) -> Reservation<'_> {
        Reservation {
            restored: true,
            ..held(seq, uid, None)
        }
    }

    #[test]
    fn a_granted_reservation_comes_after_all_that_were_granted() {
        let mut all = Reservations::new(1);
        assert_eq!(add(&mut all, &held(5, "u1", None)), Some(0));
        let nothing = Reservation {
            qty: 0,
            ..held(9, "u2", None)
        };
        for refused in [held(5, "u2", None), held(4, "u2", None), nothing] {
            assert_eq!(add(&mut all, &refused), None, "{refused:?}");
        }
        // What is put back may be of any number that is not here.
        for (seq, place) in [
            (3, Some(1)),
            (3, None),
            (5, None),
            (8, Some(2)),
            (4, Some(3)),
        ] {
            assert_eq!(add(&mut all, &restored(seq, "u3")), place, "{seq}");
        }
        assert_eq!(add(&mut all, &held(8, "u4", None)), None, "it is here");
        assert_eq!(add(&mut all, &held(6, "u4", None)), Some(4));
        for (seq, position) in [(3, 1), (4, 3), (5, 0), (6, 4), (8, 2)] {
            assert_eq!(all.find(ReservationId(at(seq))), Some(position));
        }
        assert_eq!(all.find(ReservationId(at(7))), None);
    }

    #[test]
    fn what_is_here_is_not_put_back_again_whatever_came_before_and_after() {
        for (here, again) in [
            ([held(5, "u1", None), held(8, "u2", None)], 5),
            ([held(5, "u1", None), held(8, "u2", None)], 8),
            ([restored(9, "u1"), restored(7, "u2")], 7),
            ([restored(9, "u1"), restored(7, "u2")], 9),
        ] {
            let mut all = Reservations::new(1);
            for new in here {
                add(&mut all, &new).unwrap();
            }
            assert_eq!(add(&mut all, &restored(again, "u3")), None, "{again}");
        }
    }

    #[test]
    fn what_was_granted_after_a_place_is_counted_without_what_was_put_back() {
        let mut all = Reservations::new(1);
        for new in [held(3, "u1", None), held(4, "u2", None), restored(9, "u3")] {
            add(&mut all, &new).unwrap();
        }
        for (seq, positions) in [(2, &[0, 1][..]), (3, &[1]), (4, &[]), (9, &[])] {
            assert_eq!(all.granted_count_after(at(seq)), positions.len() as u64);
            assert!(all.granted_after(at(seq)).eq(positions.iter().copied()));
        }
    }

    #[test]
    fn all_of_a_buyer_are_found_the_latest_first() {
        let mut all = Reservations::new(1);
        for (seq, uid) in [(2, "u1"), (3, "u2"), (4, "u1"), (5, "u1")] {
            add(&mut all, &held(seq, uid, None)).unwrap();
        }
        let found = |uid: &str| {
            let uid = UidRef::new(uid.as_bytes()).unwrap();
            let seqs = all.all_of(uid).map(|found| found.rid.0.seq);
            seqs.collect::<Vec<_>>()
        };
        assert_eq!(found("u1"), [5, 4, 2]);
        assert_eq!((found("u2"), found("u3")), (vec![3], vec![]));
    }

    #[test]
    fn what_lapses_comes_to_life_and_ends_leaves_the_indexes_true() {
        let mut all = Reservations::new(1);
        for seq in 2..9 {
            add(&mut all, &held(seq, "u1", None)).unwrap();
        }
        let (expired, confirmed) = (ReservationState::Expired, ReservationState::Confirmed);
        for (position, state) in [
            (6, expired),
            (5, expired),
            (4, expired),
            (5, confirmed),
            (3, confirmed),
            (0, expired),
            (6, confirmed),
            (1, expired),
            (4, confirmed),
            (0, confirmed),
            (2, expired),
        ] {
            all.set_state(position, state);
            let recount = all.recount();
            assert_eq!((recount.wrong_buyers, recount.found), (0, 7), "{position}");
            assert_eq!(recount.queued, recount.held, "{position}");
        }
    }

    #[test]
    fn a_hold_lapses_when_it_has_lasted() {
        let deadline_ms = |state, hold_ms| {
            let reservation = Reservation {
                state,
                hold_ms,
                ..held(2, "u1", None)
            };
            reservation.deadline_ms()
        };
        assert_eq!(deadline_ms(ReservationState::Held, 50), Some(150));
        assert_eq!(deadline_ms(ReservationState::Expired, 50), Some(150));
        assert_eq!(deadline_ms(ReservationState::Confirmed, 0), None);
    }

    /// A run keeps what its reservations have in common: it decides nothing, and 40 bytes a reservation
    /// depend on it.
    #[test]
    fn those_that_are_alike_share_a_run() {
        let mut all = Reservations::new(1);
        let next = |seq, at_ms, hold_ms| Reservation {
            at_ms,
            hold_ms,
            ..held(seq, "u1", None)
        };
        let far = u64::from(u32::MAX) + 3;
        for (new, runs) in [
            (next(2, 100, 50), 1),
            (next(3, 100, 50), 1),
            (next(9, 170, 50), 1),
            (next(10, 160, 50), 2),
            (next(11, 160, 60), 3),
            (next(far + 11, 160, 60), 4),
        ] {
            add(&mut all, &new).unwrap();
            assert_eq!(all.runs().count(), runs, "{new:?}");
        }
        assert!(
            all.iter()
                .map(|r| r.rid.0.seq)
                .eq([2, 3, 9, 10, 11, far + 11])
        );
    }
}

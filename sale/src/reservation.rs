//! The reservations of a sale and the indexes over them.
//!
//! Reservations are kept in the order in which they were granted and are never removed while the
//! sale lives: a token asked again must find its reservation whatever became of it. The indexes
//! hold positions into that list:
//!
//! * by id: none needed, the list ascends
//! * by buyer: his latest reservation, from which all older ones are linked, and his latest *live*
//!   one, from which the older live ones are linked; deciding walks only the second chain, which is
//!   no longer than his live units, however often he bought and gave up
//! * by buyer and token
//! * by deadline: a queue in order of deadlines; entries of holds that ended early are dropped when
//!   they reach its front, so the front is always a live hold
//!
//! Cost: granting, ending and finding by buyer or token is O(1), finding by id O(log n).

use foldhash::quality::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use seckill_protocol::{ReservationId, ReservationState, Uid};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::hash::BuildHasher;

/// Units granted to one buyer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Its name: the id of the event that granted it.
    pub rid: ReservationId,
    /// Whose it is.
    pub uid: Uid,
    /// How many units.
    pub qty: u32,
    /// What became of it.
    pub state: ReservationState,
    /// When it was granted, Unix ms.
    pub at_ms: u64,
    /// Until when it is held, Unix ms; `None`: sold at once.
    pub deadline_ms: Option<u64>,
    /// The token that it was asked with.
    pub token: Option<Box<[u8]>>,
    /// The same buyer's next older reservation.
    #[serde(skip)]
    older: Option<Position>,
    /// The same buyer's next older live reservation; `None` also while this one is not live.
    #[serde(skip)]
    older_live: Option<Position>,
}

/// Place of a reservation in the list.
pub(crate) type Position = u32;

/// Where a buyer's two chains begin.
struct Buyer {
    latest: Position,
    latest_live: Option<Position>,
}

pub(crate) struct Reservations {
    list: Vec<Reservation>,
    by_buyer: HashTable<Buyer>,
    by_token: HashTable<Position>,
    by_deadline: VecDeque<(u64, Position)>,
    /// Of all ids and tokens together.
    text_bytes: usize,
    hasher: FixedState,
}

// === impl Reservation ===

impl Reservation {
    pub(crate) fn new(
        rid: ReservationId,
        uid: Uid,
        qty: u32,
        at_ms: u64,
        deadline_ms: Option<u64>,
        token: Option<Box<[u8]>>,
    ) -> Self {
        let state = match deadline_ms {
            Some(_) => ReservationState::Held,
            None => ReservationState::Confirmed,
        };
        Self {
            rid,
            uid,
            qty,
            state,
            at_ms,
            deadline_ms,
            token,
            older: None,
            older_live: None,
        }
    }
}

// === impl Reservations ===

impl Reservations {
    /// `seed` keeps buyers from choosing ids that collide; it changes nothing that can be seen.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            list: Vec::new(),
            by_buyer: HashTable::new(),
            by_token: HashTable::new(),
            by_deadline: VecDeque::new(),
            text_bytes: 0,
            hasher: FixedState::with_seed(seed),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn as_slice(&self) -> &[Reservation] {
        &self.list
    }

    pub(crate) fn at(&self, position: Position) -> Option<&Reservation> {
        self.list.get(position as usize)
    }

    pub(crate) fn find(&self, rid: ReservationId) -> Option<(Position, &Reservation)> {
        let index = self.list.binary_search_by_key(&rid, |r| r.rid).ok()?;
        let position = Position::try_from(index).ok()?;
        Some((position, self.list.get(index)?))
    }

    /// The buyer's live reservations, latest first.
    pub(crate) fn live_of(&self, uid: &str) -> impl Iterator<Item = &Reservation> {
        let latest = self.buyer(uid).and_then(|buyer| buyer.latest_live);
        self.chain(latest, |reservation| reservation.older_live)
    }

    /// All reservations of the buyer, whatever became of them, latest first.
    pub(crate) fn all_of(&self, uid: &str) -> impl Iterator<Item = &Reservation> {
        let latest = self.buyer(uid).map(|buyer| buyer.latest);
        self.chain(latest, |reservation| reservation.older)
    }

    /// How many reservations, and how many live ones, the buyers' chains lead to.
    pub(crate) fn found_by_buyers(&self) -> (usize, usize) {
        let lengths = self.by_buyer.iter().map(|buyer| {
            let all = self.chain(Some(buyer.latest), |r| r.older).count();
            let live = self.chain(buyer.latest_live, |r| r.older_live);
            (all, live.filter(|r| r.state.is_live()).count())
        });
        lengths.fold((0, 0), |(all, live), (his, his_live)| {
            (all + his, live + his_live)
        })
    }

    /// The reservation that this buyer was granted with this token.
    pub(crate) fn with_token(&self, uid: &str, token: &[u8]) -> Option<&Reservation> {
        let hash = self.token_hash(uid, token);
        let position = self.by_token.find(hash, |&p| {
            self.is_of(p, uid) && self.at(p).and_then(|r| r.token.as_deref()) == Some(token)
        })?;
        self.at(*position)
    }

    /// The deadline of the live hold that lapses first, Unix ms.
    pub(crate) fn earliest_deadline_ms(&self) -> Option<u64> {
        self.by_deadline
            .front()
            .map(|&(deadline_ms, _)| deadline_ms)
    }

    /// The live holds whose deadline has come, earliest first.
    pub(crate) fn overdue(&self, now_ms: u64) -> impl Iterator<Item = &Reservation> {
        self.by_deadline
            .iter()
            .take_while(move |&&(deadline_ms, _)| deadline_ms <= now_ms)
            .filter_map(|&(_, position)| self.at(position))
            .filter(|r| r.state == ReservationState::Held)
    }

    /// Appends a reservation. Its id must be above all before it, and there must be a position
    /// left; returns false and changes nothing otherwise.
    #[must_use]
    pub(crate) fn push(&mut self, reservation: Reservation) -> bool {
        let ascending = self
            .list
            .last()
            .is_none_or(|last| last.rid < reservation.rid);
        let Ok(position) = Position::try_from(self.list.len()) else {
            return false;
        };
        if !ascending {
            return false;
        }
        let live = reservation.state.is_live();
        let hash = self.buyer_hash(&reservation.uid);
        let deadline_ms = match reservation.state {
            ReservationState::Held => reservation.deadline_ms,
            _ => None,
        };
        self.text_bytes += reservation.uid.len();
        self.text_bytes += reservation.token.as_ref().map_or(0, |token| token.len());
        self.list.push(reservation);
        self.index_token(position);
        self.index_buyer(position, hash);
        if live {
            self.link_live(position);
        }
        if let Some(deadline_ms) = deadline_ms {
            self.queue_deadline(deadline_ms, position);
        }
        true
    }

    /// Moves a reservation to another state and keeps the indexes true.
    pub(crate) fn set_state(&mut self, position: Position, state: ReservationState) {
        let Some(reservation) = self.list.get_mut(position as usize) else {
            return;
        };
        let was_live = reservation.state.is_live();
        reservation.state = state;
        match (was_live, state.is_live()) {
            (true, false) => self.unlink_live(position),
            (false, true) => self.link_live(position),
            _ => {}
        }
        self.drop_ended_holds();
    }

    /// Bytes on the heap, about. O(1).
    pub(crate) fn heap_bytes(&self) -> usize {
        self.list.capacity() * size_of::<Reservation>()
            + self.text_bytes
            + self.by_buyer.capacity() * (size_of::<Buyer>() + 1)
            + self.by_token.capacity() * (size_of::<Position>() + 1)
            + self.by_deadline.capacity() * size_of::<(u64, Position)>()
    }

    fn is_of(&self, position: Position, uid: &str) -> bool {
        self.at(position).is_some_and(|r| r.uid.as_str() == uid)
    }

    fn buyer_hash(&self, uid: &str) -> u64 {
        self.hasher.hash_one(uid)
    }

    fn token_hash(&self, uid: &str, token: &[u8]) -> u64 {
        self.hasher.hash_one((uid, token))
    }

    fn index_token(&mut self, position: Position) {
        let Some((uid, token)) = self
            .at(position)
            .and_then(|r| Some((r.uid.as_str(), r.token.as_deref()?)))
        else {
            return;
        };
        let hash = self.token_hash(uid, token);
        let Self {
            list,
            by_token,
            hasher,
            ..
        } = self;
        by_token.insert_unique(hash, position, |&p| {
            let key = list
                .get(p as usize)
                .map(|r| (r.uid.as_str(), r.token.as_deref().unwrap_or_default()));
            key.map_or(0, |key| hasher.hash_one(key))
        });
    }

    fn buyer(&self, uid: &str) -> Option<&Buyer> {
        self.by_buyer
            .find(self.buyer_hash(uid), |buyer| self.is_of(buyer.latest, uid))
    }

    fn chain(
        &self,
        first: Option<Position>,
        older: impl Fn(&Reservation) -> Option<Position>,
    ) -> impl Iterator<Item = &Reservation> {
        let mut next = first;
        std::iter::from_fn(move || {
            let reservation = self.at(next?)?;
            next = older(reservation);
            Some(reservation)
        })
    }

    /// Makes the newest reservation its buyer's latest.
    fn index_buyer(&mut self, position: Position, hash: u64) {
        let Self {
            list,
            by_buyer,
            hasher,
            ..
        } = self;
        let entry = by_buyer.entry(
            hash,
            |buyer| same_buyer(list, buyer.latest, position),
            |buyer| {
                let latest = list.get(buyer.latest as usize);
                latest.map_or(0, |r| hasher.hash_one(r.uid.as_str()))
            },
        );
        match entry {
            Entry::Occupied(mut known) => {
                let buyer = known.get_mut();
                let older = std::mem::replace(&mut buyer.latest, position);
                if let Some(reservation) = list.get_mut(position as usize) {
                    reservation.older = Some(older);
                }
            }
            Entry::Vacant(unknown) => {
                unknown.insert(Buyer {
                    latest: position,
                    latest_live: None,
                });
            }
        }
    }

    /// Puts a reservation into its buyer's live chain, which descends by position.
    fn link_live(&mut self, position: Position) {
        let Some((list, latest_live)) = self.live_chain(position) else {
            return;
        };
        let Some(mut newer) = latest_live.filter(|&latest| latest > position) else {
            set_older_live(list, position, *latest_live);
            *latest_live = Some(position);
            return;
        };
        // A late payment brought an older reservation back to life: it goes between its neighbours.
        while let Some(older) = older_live(list, newer).filter(|&older| older > position) {
            newer = older;
        }
        let older = older_live(list, newer);
        set_older_live(list, position, older);
        set_older_live(list, newer, Some(position));
    }

    /// Takes a reservation out of its buyer's live chain.
    fn unlink_live(&mut self, position: Position) {
        let Some((list, latest_live)) = self.live_chain(position) else {
            return;
        };
        let older = older_live(list, position);
        set_older_live(list, position, None);
        if *latest_live == Some(position) {
            *latest_live = older;
            return;
        }
        let mut newer = *latest_live;
        while let Some(at) = newer {
            let next = older_live(list, at);
            if next == Some(position) {
                set_older_live(list, at, older);
                return;
            }
            newer = next;
        }
    }

    /// The list, and where the live chain of the buyer of the reservation at `position` begins.
    fn live_chain(
        &mut self,
        position: Position,
    ) -> Option<(&mut [Reservation], &mut Option<Position>)> {
        let hash = self.buyer_hash(&self.at(position)?.uid);
        let Self { list, by_buyer, .. } = self;
        let buyer = by_buyer.find_mut(hash, |buyer| same_buyer(list, buyer.latest, position))?;
        Some((list, &mut buyer.latest_live))
    }

    fn queue_deadline(&mut self, deadline_ms: u64, position: Position) {
        let in_order = self
            .by_deadline
            .back()
            .is_none_or(|&(last_ms, _)| last_ms <= deadline_ms);
        if in_order {
            self.by_deadline.push_back((deadline_ms, position));
        } else {
            // The hold was shortened, or the clock went back.
            let place = self
                .by_deadline
                .partition_point(|&(other_ms, _)| other_ms <= deadline_ms);
            self.by_deadline.insert(place, (deadline_ms, position));
        }
    }

    fn drop_ended_holds(&mut self) {
        while let Some(&(_, position)) = self.by_deadline.front() {
            if self
                .at(position)
                .is_some_and(|r| r.state == ReservationState::Held)
            {
                return;
            }
            self.by_deadline.pop_front();
        }
    }
}

fn same_buyer(list: &[Reservation], one: Position, other: Position) -> bool {
    match (list.get(one as usize), list.get(other as usize)) {
        (Some(one), Some(other)) => one.uid == other.uid,
        _ => false,
    }
}

fn older_live(list: &[Reservation], position: Position) -> Option<Position> {
    list.get(position as usize)?.older_live
}

fn set_older_live(list: &mut [Reservation], position: Position, older: Option<Position>) {
    if let Some(reservation) = list.get_mut(position as usize) {
        reservation.older_live = older;
    }
}

//! The reservations of a sale and the indexes over them.
//!
//! Reservations are kept in the order in which they were granted and are never removed while the
//! sale lives: a token asked again must find its reservation whatever became of it. The indexes
//! hold positions into that list:
//!
//! * by id: none needed, the list ascends
//! * by buyer: his latest *live* reservation, from which the older live ones are linked; a buyer's
//!   chain is no longer than his live units, however often he bought and gave up
//! * by buyer and token
//! * by deadline: a queue in order of deadlines; entries of holds that ended early are dropped when
//!   they reach its front, so the front is always a live hold
//!
//! Cost: granting, ending and finding by buyer or token is O(1), finding by id O(log n).

use foldhash::quality::FixedState;
use hashbrown::HashTable;
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
    /// The same buyer's next older live reservation.
    #[serde(skip)]
    older_live: Option<Position>,
}

/// Place of a reservation in the list.
pub(crate) type Position = u32;

pub(crate) struct Reservations {
    list: Vec<Reservation>,
    latest_live_by_buyer: HashTable<Position>,
    by_token: HashTable<Position>,
    by_deadline: VecDeque<(u64, Position)>,
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
            latest_live_by_buyer: HashTable::new(),
            by_token: HashTable::new(),
            by_deadline: VecDeque::new(),
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
        let mut next = self
            .latest_live_by_buyer
            .find(self.buyer_hash(uid), |&p| self.is_of(p, uid))
            .copied();
        std::iter::from_fn(move || {
            let reservation = self.at(next?)?;
            next = reservation.older_live;
            Some(reservation)
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
        let deadline_ms = match reservation.state {
            ReservationState::Held => reservation.deadline_ms,
            _ => None,
        };
        self.list.push(reservation);
        self.index_token(position);
        if live {
            self.link(position);
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
            (true, false) => self.unlink(position),
            (false, true) => self.link(position),
            _ => {}
        }
        self.drop_ended_holds();
    }

    /// Bytes on the heap, about.
    pub(crate) fn heap_bytes(&self) -> usize {
        let texts: usize = self
            .list
            .iter()
            .map(|r| r.uid.len() + r.token.as_ref().map_or(0, |t| t.len()))
            .sum();
        let tables = self.latest_live_by_buyer.capacity() + self.by_token.capacity();
        self.list.capacity() * size_of::<Reservation>()
            + texts
            + tables * (size_of::<Position>() + 1)
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

    /// Puts a reservation into its buyer's chain, which descends by position.
    fn link(&mut self, position: Position) {
        let Some(uid) = self.at(position).map(|r| r.uid.clone()) else {
            return;
        };
        let hash = self.buyer_hash(&uid);
        let Self {
            list,
            latest_live_by_buyer,
            hasher,
            ..
        } = self;
        let latest = latest_live_by_buyer.find_mut(hash, |&p| {
            list.get(p as usize).is_some_and(|r| r.uid == uid)
        });
        let Some(latest) = latest else {
            set_older(list, position, None);
            latest_live_by_buyer.insert_unique(hash, position, |&p| {
                list.get(p as usize)
                    .map_or(0, |r| hasher.hash_one(r.uid.as_str()))
            });
            return;
        };
        if *latest < position {
            set_older(list, position, Some(*latest));
            *latest = position;
            return;
        }
        // A late payment brought an older reservation back to life: it goes between its neighbours.
        let mut newer = *latest;
        while let Some(older) = older_of(list, newer).filter(|&older| older > position) {
            newer = older;
        }
        let older = older_of(list, newer);
        set_older(list, position, older);
        set_older(list, newer, Some(position));
    }

    /// Takes a reservation out of its buyer's chain.
    fn unlink(&mut self, position: Position) {
        let Some((uid, older)) = self.at(position).map(|r| (r.uid.clone(), r.older_live)) else {
            return;
        };
        let hash = self.buyer_hash(&uid);
        let Self {
            list,
            latest_live_by_buyer,
            ..
        } = self;
        set_older(list, position, None);
        let Ok(mut entry) = latest_live_by_buyer.find_entry(hash, |&p| {
            list.get(p as usize).is_some_and(|r| r.uid == uid)
        }) else {
            return;
        };
        let latest = *entry.get();
        if latest == position {
            match older {
                Some(older) => *entry.get_mut() = older,
                None => {
                    entry.remove();
                }
            }
            return;
        }
        let mut newer = latest;
        while let Some(next) = older_of(list, newer) {
            if next == position {
                set_older(list, newer, older);
                return;
            }
            newer = next;
        }
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

fn older_of(list: &[Reservation], position: Position) -> Option<Position> {
    list.get(position as usize)?.older_live
}

fn set_older(list: &mut [Reservation], position: Position, older: Option<Position>) {
    if let Some(reservation) = list.get_mut(position as usize) {
        reservation.older_live = older;
    }
}

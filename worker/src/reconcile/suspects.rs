//! A first, quick look at all of a sale: whom to look at closely.
//!
//! Both sides are read page by page while the sale goes on, so what is found here may only have been
//! on its way. What is not found here is right, or moved meanwhile and is judged next time.

use super::judge::{OrderRow, status_of};
use super::read::Pages;
use crate::gate::{Gate, Refused, Reservation};
use crate::mysql::{Failure, Session};
use crate::orders::{Status, StockId};
use seckill_protocol::{EventId, ReservationState};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Reservations of one page: the module answers within milliseconds.
const PAGE: usize = 2000;

/// Whom to look at closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suspect {
    pub(super) rid: EventId,
    /// Where the module has it; `None`: it has none.
    pub(super) position: Option<usize>,
}

/// The reservations of a sale, about 60 bytes each.
#[derive(Default)]
pub(super) struct Reservations {
    map: HashMap<EventId, Compact>,
    hasher: RandomState,
    /// The first epoch of which there is one.
    began: Option<u64>,
}

#[derive(Clone, Copy)]
struct Compact {
    position: usize,
    qty: u32,
    state: ReservationState,
    uid: u64,
}

// === impl Reservations ===

impl Reservations {
    /// Reads all of them.
    pub(super) async fn read(gate: &Gate, sid: &str) -> Result<Self, Refused> {
        let mut all = Self::default();
        let mut first = 0;
        loop {
            let page = gate.reservations(sid, first, PAGE).await?;
            for (n, reservation) in page.iter().enumerate() {
                all.add(first + n, reservation);
            }
            first += page.len();
            if page.len() < PAGE {
                return Ok(all);
            }
        }
    }

    fn add(&mut self, position: usize, reservation: &Reservation) {
        let Reservation {
            rid, qty, state, ..
        } = *reservation;
        let began = self.began.unwrap_or(rid.epoch);
        self.began = Some(began.min(rid.epoch));
        let uid = self.hasher.hash_one(&reservation.uid);
        let compact = Compact {
            position,
            qty,
            state,
            uid,
        };
        self.map.insert(rid, compact);
    }

    /// When the sale began: its first epoch, as far as reservations tell.
    pub(super) fn began(&self, head: EventId) -> u64 {
        self.began.unwrap_or(head.epoch)
    }

    /// Looks at all orders. What both sides must have is what lies at or before `place`; the module
    /// has decided nothing after `head` yet.
    pub(super) async fn suspects(
        mut self,
        session: &mut Session,
        sid: StockId,
        place: EventId,
        head: EventId,
    ) -> Result<Vec<Suspect>, Failure> {
        let mut suspects = Vec::new();
        let mut pages = Pages::new(sid);
        loop {
            let page = session.work(async |conn| pages.next(conn).await).await?;
            if page.is_empty() {
                break;
            }
            for (rid, order) in page {
                suspects.extend(self.look_at(rid, &order, place, head));
            }
        }
        let left = self.map.iter().filter(|(rid, _)| **rid <= place);
        suspects.extend(left.map(|(rid, compact)| Suspect {
            rid: *rid,
            position: Some(compact.position),
        }));
        suspects.sort_unstable_by_key(|suspect| suspect.rid);
        Ok(suspects)
    }

    fn look_at(
        &mut self,
        rid: EventId,
        order: &OrderRow,
        place: EventId,
        head: EventId,
    ) -> Option<Suspect> {
        if rid.epoch < self.began(head) {
            // Of a sale that was here before, or the module lost all: then MySQL's cursor says so.
            return None;
        }
        if rid > place {
            let position = None;
            return (rid > head).then_some(Suspect { rid, position });
        }
        let compact = self.map.remove(&rid);
        let alike = compact.is_some_and(|compact| {
            compact.qty == order.qty
                && compact.uid == self.hasher.hash_one(&order.uid)
                && (status_of(compact.state) == order.status || is_over(compact, order.status))
        });
        let position = compact.map(|compact| compact.position);
        (!alike).then_some(Suspect { rid, position })
    }
}

/// Whether MySQL refused it and the module gave it back.
const fn is_over(compact: Compact, status: Status) -> bool {
    matches!(status, Status::Refused) && !compact.state.is_live()
}

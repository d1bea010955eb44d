//! The rules of a sale, as docs/design.md has them, and written so that one can see that they are
//! right: everything is counted again each time it is asked for, nothing is kept in order.

use crate::rates::Soft;
use crate::words::{Given, Rate, Refused, UNITS_MAX, err};
use ReservationState::{Cancelled, Confirmed, Expired, Held};
use seckill_protocol::{
    Event, EventBatch, EventId, Fact, ReservationId, ReservationState, Token, Uid, Verdict,
};

const HOLD_MS: u64 = 900_000;
const RELEASED_AT_ONCE: usize = 1024;

pub(crate) struct Sale {
    pub(crate) epoch: u64,
    pub(crate) total: u64,
    /// Gone before the sale began.
    pub(crate) sold_before: u64,
    pub(crate) limit: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) hold: u64,
    pub(crate) rate: Rate,
    pub(crate) user_rate: Rate,
    pub(crate) name: String,
    pub(crate) paused: bool,
    pub(crate) closed: bool,
    pub(crate) reservations: Vec<Reservation>,
    /// All there ever were; those up to `stored` are only not shown any more.
    pub(crate) events: Vec<Event>,
    pub(crate) relayed: EventId,
    pub(crate) stored: EventId,
    pub(crate) soft: Soft,
}

pub(crate) struct Reservation {
    pub(crate) rid: ReservationId,
    pub(crate) uid: String,
    pub(crate) qty: u64,
    pub(crate) state: ReservationState,
    pub(crate) at: u64,
    /// None: sold at once.
    pub(crate) deadline: Option<u64>,
    pub(crate) token: Option<Vec<u8>>,
    refund_due: bool,
}

impl Sale {
    /// # Errors
    /// If what is given does not fit together.
    pub(crate) fn create(given: Given, epoch: u64, now: u64) -> Refused<Self> {
        let Some(total) = given.stock else {
            return err("STOCK is missing");
        };
        let sold_before = given.sold.unwrap_or(0);
        if sold_before > total {
            return err(format!("SOLD {sold_before} is more than STOCK {total}"));
        }
        let mut sale = Self {
            epoch,
            total,
            sold_before,
            limit: 1,
            start: 0,
            end: 0,
            hold: HOLD_MS,
            rate: Rate::default(),
            user_rate: Rate::default(),
            name: String::new(),
            paused: given.paused.is_some(),
            closed: false,
            reservations: Vec::new(),
            events: Vec::new(),
            relayed: EventId::new(epoch, 0),
            stored: EventId::new(epoch, 0),
            soft: Soft::default(),
        };
        sale.alter(given)?;
        let name = sale.name.clone().into();
        sale.log(
            now,
            Fact::Opened {
                name,
                total,
                sold: sold_before,
            },
        );
        Ok(sale)
    }

    pub(crate) fn alter(&mut self, given: Given) -> Refused<()> {
        let start = given.start.unwrap_or(self.start);
        let end = given.end.unwrap_or(self.end);
        if end != 0 && end <= start {
            return err(format!("END {end} is not after START {start}"));
        }
        (self.start, self.end) = (start, end);
        self.limit = given.limit.unwrap_or(self.limit);
        self.hold = given.hold.unwrap_or(self.hold);
        self.rate = given.rate.unwrap_or(self.rate);
        self.user_rate = given.user_rate.unwrap_or(self.user_rate);
        self.name = given.name.unwrap_or_else(|| self.name.clone());
        Ok(())
    }

    // === Counting ===

    pub(crate) fn units(&self, state: ReservationState) -> u64 {
        let those = self.reservations.iter().filter(|r| r.state == state);
        those.map(|r| r.qty).sum()
    }

    /// A buyer's reservations, the latest last.
    pub(crate) fn his(&self, uid: &str) -> impl DoubleEndedIterator<Item = &Reservation> {
        self.reservations.iter().filter(move |r| r.uid == uid)
    }

    fn live_units(&self, uid: &str) -> u64 {
        let live = self.his(uid).filter(|r| r.state.is_live());
        live.map(|r| r.qty).sum()
    }

    pub(crate) fn sold(&self) -> u64 {
        self.sold_before + self.units(Confirmed)
    }

    pub(crate) fn available(&self) -> u64 {
        self.total - self.units(Held) - self.sold()
    }

    pub(crate) fn head(&self) -> EventId {
        EventId::new(self.epoch, self.events.len() as u64)
    }

    fn log(&mut self, at: u64, fact: Fact) {
        let seq = self.events.len() as u64 + 1;
        self.events.push(Event { seq, at, fact });
    }

    // === What every writing command does first ===

    pub(crate) fn release(&mut self, now: u64) {
        let overdue = |r: &&mut Reservation| r.state == Held && r.deadline.unwrap() <= now;
        let mut overdue: Vec<_> = self.reservations.iter_mut().filter(overdue).collect();
        overdue.sort_by_key(|r| (r.deadline, r.rid));
        let mut released = Vec::new();
        for reservation in overdue.into_iter().take(RELEASED_AT_ONCE) {
            reservation.state = Expired;
            released.push(reservation.rid);
        }
        for rid in released {
            self.log(now, Fact::Expired { rid });
        }
    }

    // === The decision ===

    pub(crate) fn try_(
        &mut self,
        now: u64,
        uid: &str,
        qty: u64,
        token: Option<Vec<u8>>,
    ) -> Refused<Verdict> {
        let limit = self.limit;
        let same_token = |r: &&Reservation| token.is_some() && r.token == token;
        let accepted_before = self.his(uid).find(same_token);
        if accepted_before.is_none() && limit != 0 && qty > limit {
            return err(format!("QTY is above the sale's LIMIT of {limit}"));
        }
        let latest_live = self.his(uid).rfind(|r| r.state.is_live());
        let verdict = if let Some(first) = accepted_before {
            Verdict::Duplicate(first.rid)
        } else if self.paused {
            Verdict::Paused
        } else if now < self.start {
            let wait_ms = self.start - now;
            Verdict::NotStarted { wait_ms }
        } else if self.closed || (self.end != 0 && now >= self.end) {
            Verdict::Ended
        } else if limit != 0 && self.live_units(uid) + qty > limit {
            Verdict::Duplicate(latest_live.unwrap().rid)
        } else if self.available() < qty {
            let held = self.reservations.iter().filter(|r| r.state == Held);
            let next = held.map(|r| r.deadline.unwrap()).min();
            let wait_ms = next.map(|deadline| deadline.saturating_sub(now));
            Verdict::SoldOut { wait_ms }
        } else if let Some(wait_ms) = self.soft.limited(now, uid, self.user_rate, self.rate) {
            Verdict::Limited { wait_ms }
        } else {
            Verdict::Accepted(self.accept(now, uid, qty, token))
        };
        self.soft.tries += 1;
        *self.soft.verdicts.entry(verdict.word()).or_default() += 1;
        Ok(verdict)
    }

    fn accept(&mut self, now: u64, uid: &str, qty: u64, token: Option<Vec<u8>>) -> ReservationId {
        let deadline = (self.hold != 0).then(|| now + self.hold);
        let fact = Fact::Accepted {
            uid: Uid::new(uid.as_bytes()).unwrap(),
            qty: u32::try_from(qty).unwrap(),
            deadline,
            token: token.as_deref().map(|token| Token::new(token).unwrap()),
        };
        self.log(now, fact);
        let rid = ReservationId(self.head());
        self.reservations.push(Reservation {
            rid,
            uid: uid.to_owned(),
            qty,
            state: if deadline.is_some() { Held } else { Confirmed },
            at: now,
            deadline,
            token,
            refund_due: false,
        });
        rid
    }

    // === The end of a hold ===

    pub(crate) fn confirm(&mut self, now: u64, rid: ReservationId, late: bool) -> Refused<()> {
        let available = self.available();
        let Reservation {
            qty,
            state,
            uid,
            refund_due,
            ..
        } = self.find(rid)?;
        let (qty, state, uid, refund_due) = (*qty, *state, uid.clone(), *refund_due);
        // The design says nothing of it: who has bought again meanwhile stays within his LIMIT.
        let live = self.live_units(&uid);
        let allowed = self.limit == 0 || live == 0 || live + qty <= self.limit;
        match state {
            Confirmed => return Ok(()),
            Held => {}
            Expired if late && allowed && !refund_due => {
                if available < qty {
                    return Err(format!("NOSTOCK {available} units available"));
                }
            }
            _ => return Err(format!("GONE reservation is {state}")),
        }
        self.find(rid)?.state = Confirmed;
        self.log(now, Fact::Confirmed { rid });
        Ok(())
    }

    /// A payment that is not taken, if the reservation ever was.
    pub(crate) fn owe_refund(&mut self, now: u64, rid: ReservationId) {
        if let Ok(reservation) = self.find(rid)
            && !reservation.refund_due
        {
            reservation.refund_due = true;
            self.log(now, Fact::LatePayment { rid });
        }
    }

    pub(crate) fn cancel(&mut self, now: u64, rid: ReservationId) -> Refused<()> {
        let reservation = self.find(rid)?;
        match reservation.state {
            Cancelled => return Ok(()),
            Held => reservation.state = Cancelled,
            state => return Err(format!("GONE reservation is {state}")),
        }
        self.log(now, Fact::Cancelled { rid });
        Ok(())
    }

    pub(crate) fn find(&mut self, rid: ReservationId) -> Refused<&mut Reservation> {
        let found = self.reservations.iter_mut().find(|r| r.rid == rid);
        found.ok_or_else(|| "NORESERVATION no such reservation".into())
    }

    // === What an operator does ===

    pub(crate) fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    pub(crate) fn close(&mut self, now: u64) {
        if !self.closed {
            self.closed = true;
            self.log(now, Fact::Closed);
        }
    }

    pub(crate) fn restock(&mut self, now: u64, delta: i128) -> Refused<()> {
        let available = self.available();
        let total = i128::from(self.total) + delta;
        if delta < -i128::from(available) {
            return err(format!(
                "delta takes away more than the {available} units that are available"
            ));
        }
        if total > UNITS_MAX {
            return err(format!(
                "delta would make the sale larger than {UNITS_MAX} units"
            ));
        }
        if delta != 0 {
            self.total = u64::try_from(total).unwrap();
            let delta = i64::try_from(delta).unwrap();
            self.log(now, Fact::Restocked { delta });
        }
        Ok(())
    }

    // === The log ===

    pub(crate) fn events_after(&self, after: EventId, count: usize) -> Option<EventBatch> {
        let place = |event: &&Event| EventId::new(self.epoch, event.seq);
        let kept = self
            .events
            .iter()
            .filter(|event| place(event) > self.stored);
        let asked = kept.filter(|event| place(event) > after);
        let events: Vec<_> = asked.take(count).cloned().collect();
        let epoch = self.epoch;
        (!events.is_empty()).then_some(EventBatch { epoch, events })
    }

    pub(crate) fn ack(&mut self, stored: bool, place: EventId) -> Refused<()> {
        let head = self.head();
        if place > head {
            return err(format!("epoch and seq are beyond the last event, {head}"));
        }
        if stored {
            self.stored = self.stored.max(place);
            self.relayed = self.relayed.max(place);
        } else {
            self.relayed = place.max(self.stored);
        }
        Ok(())
    }
}

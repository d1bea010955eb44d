//! Deciding: what a command means for a sale, without changing it.
//!
//! Each `decide_*` reads the sale and answers with an effect, or with none where nothing changes.
//! [`Sale::perform`] runs a whole command: it releases the holds that are overdue, lets the command
//! decide, applies, and hands back everything that changed as one [`Change`].

use crate::effect::{Change, Effect};
use crate::error::ApplyError;
use crate::options::{Options, UNITS_MAX};
use crate::sale::{Cursor, Sale};
use crate::soft::Soft;
use seckill_protocol::{EventId, ReservationId, ReservationState, Verdict};

/// Overdue holds that one command releases at most: what a buyer may have to wait for.
pub const RELEASES_PER_COMMAND_MAX: usize = 1024;

/// One question for units.
#[derive(Clone, Copy, Debug)]
pub struct Try<'a> {
    /// Who asks; checked by [`seckill_protocol::Uid::check`].
    pub uid: &'a str,
    /// For how many units, at least 1.
    pub qty: u32,
    /// A name for the question, so that an answer that got lost can be asked for again.
    pub token: Option<&'a [u8]>,
}

/// Why a command is refused. A rejected TRY is no refusal: it has a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// More units than one buyer may ever have.
    #[error("QTY is above the sale's LIMIT of {limit}")]
    QuantityAboveLimit {
        /// Units a buyer.
        limit: u32,
    },
    /// Nothing was ever granted under this id.
    #[error("no such reservation")]
    NoReservation,
    /// The reservation ended otherwise.
    #[error("reservation is {0}")]
    Gone(ReservationState),
    /// An expired reservation is paid for, and its units are sold to others.
    #[error("{available} units available")]
    NoStock {
        /// What is left.
        available: u64,
    },
    /// More units are to be taken away than are unsold.
    #[error("delta takes away more than the {available} units that are available")]
    RestockBelowAvailable {
        /// What is left.
        available: u64,
    },
    /// More units than a sale can have.
    #[error("delta would make the sale larger than {UNITS_MAX} units")]
    RestockAboveMax,
    /// The sale would end before it starts.
    #[error("END {end_ms} is not after START {start_ms}")]
    EmptyWindow {
        /// The start, Unix ms.
        start_ms: u64,
        /// The end, Unix ms.
        end_ms: u64,
    },
    /// An event that does not exist yet is acknowledged.
    #[error("epoch and seq are beyond the last event, {head}")]
    BeyondHead {
        /// The last event.
        head: EventId,
    },
    /// The rules decided what cannot be applied: an error in this program.
    #[error("internal: {0}")]
    Internal(#[from] ApplyError),
}

/// What a command did.
#[derive(Debug)]
pub struct Performed<T> {
    /// Everything that changed, the released holds first; to be replicated as it is.
    pub change: Change,
    /// What the caller is answered.
    pub outcome: Result<T, Refusal>,
}

/// An answer, and what it changes.
pub type Decision<T> = Result<(T, Option<Effect>), Refusal>;

impl Sale {
    /// Runs a command at `now_ms`: releases what is overdue, decides, applies.
    pub fn perform<T>(
        &mut self,
        now_ms: u64,
        decide: impl FnOnce(&Self) -> Decision<T>,
    ) -> Performed<T> {
        let mut change = Change::new(self.head);
        let outcome = self
            .release_overdue(now_ms, &mut change)
            .and_then(|()| self.step(&mut change, decide))
            .and_then(|answer| self.lift_fence(&mut change).map(|()| answer));
        Performed { change, outcome }
    }

    /// Runs a command that is many decisions, each made after the one before it was applied; the
    /// first refusal ends it, and what came before stays.
    pub fn perform_each<I, T>(
        &mut self,
        now_ms: u64,
        items: impl IntoIterator<Item = I>,
        mut decide: impl FnMut(&Self, I) -> Decision<T>,
    ) -> Performed<Vec<T>> {
        let mut change = Change::new(self.head);
        let outcome = self.release_overdue(now_ms, &mut change).and_then(|()| {
            items
                .into_iter()
                .map(|item| self.step(&mut change, |sale| decide(sale, item)))
                .collect()
        });
        Performed { change, outcome }
    }

    fn step<T>(
        &mut self,
        change: &mut Change,
        decide: impl FnOnce(&Self) -> Decision<T>,
    ) -> Result<T, Refusal> {
        let (answer, effect) = decide(self)?;
        if let Some(effect) = effect {
            self.apply(&effect)?;
            change.effects.push(effect);
        }
        Ok(answer)
    }

    /// MySQL has the first event of this epoch, which it takes only when it has exactly what this
    /// copy had: nothing is missing here.
    fn lift_fence(&mut self, change: &mut Change) -> Result<(), Refusal> {
        let compared = self.stored.epoch == self.head.epoch && self.stored.seq > 0;
        if self.fenced && compared {
            self.step(change, |_| Ok(((), Some(Effect::Unfenced))))?;
        }
        Ok(())
    }

    fn release_overdue(&mut self, now_ms: u64, change: &mut Change) -> Result<(), Refusal> {
        if self
            .reservations
            .earliest_deadline_ms()
            .is_none_or(|deadline_ms| deadline_ms > now_ms)
        {
            return Ok(());
        }
        let overdue: Vec<ReservationId> = self
            .reservations
            .overdue(now_ms)
            .take(RELEASES_PER_COMMAND_MAX)
            .map(|reservation| reservation.rid)
            .collect();
        for rid in overdue {
            let effect = Effect::Expired { at_ms: now_ms, rid };
            self.apply(&effect)?;
            change.effects.push(effect);
        }
        Ok(())
    }

    /// `TRY`. The order of the tests is the contract: a later one is never reached by an earlier
    /// rejection, and a rejection costs no stock.
    ///
    /// # Errors
    /// [`Refusal::QuantityAboveLimit`].
    pub fn decide_try(&self, soft: &mut Soft, now_ms: u64, request: &Try<'_>) -> Decision<Verdict> {
        let limit = self.options.limit;
        if limit != 0 && request.qty > limit {
            return Err(Refusal::QuantityAboveLimit { limit });
        }
        let verdict = match self.reject(soft, now_ms, request) {
            Some(rejection) => rejection,
            None => {
                // An acceptance's reservation is named by the event that it is about to become.
                let rid = ReservationId::new(self.head.epoch, self.head.seq.saturating_add(1));
                Verdict::Accepted(rid)
            }
        };
        soft.count(&verdict);
        if !matches!(verdict, Verdict::Accepted(_)) {
            return Ok((verdict, None));
        }
        let uid = seckill_protocol::Uid::new(request.uid.as_bytes())
            .map_err(|_| ApplyError::BadEffect("accepted.uid"))?;
        let hold_ms = self.options.hold_ms;
        let effect = Effect::Accepted {
            at_ms: now_ms,
            uid,
            qty: request.qty,
            deadline_ms: (hold_ms != 0).then(|| now_ms.saturating_add(hold_ms)),
            token: request.token.map(Into::into),
        };
        Ok((verdict, Some(effect)))
    }

    fn reject(&self, soft: &mut Soft, now_ms: u64, request: &Try<'_>) -> Option<Verdict> {
        // First of all, so that a buyer whose answer was lost in the last second of a sale, or just
        // before a pause, still learns what he has.
        if let Some(token) = request.token
            && let Some(reservation) = self.reservations.with_token(request.uid, token)
        {
            return Some(Verdict::Duplicate(reservation.rid));
        }
        if self.paused || self.fenced {
            return Some(Verdict::Paused);
        }
        if now_ms < self.options.start_ms {
            return Some(Verdict::NotStarted {
                wait_ms: self.options.start_ms - now_ms,
            });
        }
        if self.closed || self.has_ended(now_ms) {
            return Some(Verdict::Ended);
        }
        if let Some(rid) = self.limit_reached(request.uid, request.qty) {
            return Some(Verdict::Duplicate(rid));
        }
        if self.available < u64::from(request.qty) {
            let wait_ms = self
                .reservations
                .earliest_deadline_ms()
                .map(|deadline_ms| deadline_ms.saturating_sub(now_ms));
            return Some(Verdict::SoldOut { wait_ms });
        }
        let Err(wait_ms) = soft.admit(
            request.uid,
            self.options.user_rate,
            self.options.rate,
            now_ms,
        ) else {
            return None;
        };
        Some(Verdict::Limited { wait_ms })
    }

    /// The buyer's latest live reservation, if `qty` more units would pass his limit.
    fn limit_reached(&self, uid: &str, qty: u32) -> Option<ReservationId> {
        let limit = self.options.limit;
        if limit == 0 {
            return None;
        }
        let latest = self.reservations.live_of(uid).next()?.rid;
        (self.live_units_of(uid).saturating_add(u64::from(qty)) > u64::from(limit))
            .then_some(latest)
    }

    fn live_units_of(&self, uid: &str) -> u64 {
        self.reservations
            .live_of(uid)
            .map(|reservation| u64::from(reservation.qty))
            .sum()
    }

    /// `CONFIRM`. Repeating it is fine. With `late` an expired reservation takes its units again.
    ///
    /// # Errors
    /// [`Refusal::NoReservation`], [`Refusal::Gone`], or [`Refusal::NoStock`] when it is late and
    /// the units are with others.
    pub fn decide_confirm(&self, now_ms: u64, rid: ReservationId, late: bool) -> Decision<()> {
        let reservation = self.reservation(rid).ok_or(Refusal::NoReservation)?;
        let confirm = Some(Effect::Confirmed { at_ms: now_ms, rid });
        match reservation.state {
            ReservationState::Held => Ok(((), confirm)),
            ReservationState::Confirmed => Ok(((), None)),
            ReservationState::Expired if late => {
                // He may have bought again in the meantime: then this one stays gone.
                if self
                    .limit_reached(&reservation.uid, reservation.qty)
                    .is_some()
                {
                    return Err(Refusal::Gone(ReservationState::Expired));
                }
                if self.available < u64::from(reservation.qty) {
                    return Err(Refusal::NoStock {
                        available: self.available,
                    });
                }
                Ok(((), confirm))
            }
            state => Err(Refusal::Gone(state)),
        }
    }

    /// `CANCEL`. Repeating it is fine.
    ///
    /// # Errors
    /// [`Refusal::NoReservation`] or [`Refusal::Gone`].
    pub fn decide_cancel(&self, now_ms: u64, rid: ReservationId) -> Decision<()> {
        let reservation = self.reservation(rid).ok_or(Refusal::NoReservation)?;
        match reservation.state {
            ReservationState::Held => Ok(((), Some(Effect::Cancelled { at_ms: now_ms, rid }))),
            ReservationState::Cancelled => Ok(((), None)),
            state => Err(Refusal::Gone(state)),
        }
    }

    /// `RESTOCK`: never below what is held or sold.
    ///
    /// # Errors
    /// [`Refusal::RestockBelowAvailable`] or [`Refusal::RestockAboveMax`].
    pub fn decide_restock(&self, now_ms: u64, delta: i64) -> Decision<()> {
        let available = self.available;
        if delta < 0 && delta.unsigned_abs() > available {
            return Err(Refusal::RestockBelowAvailable { available });
        }
        if delta > 0 && self.total.saturating_add(delta.unsigned_abs()) > UNITS_MAX {
            return Err(Refusal::RestockAboveMax);
        }
        let effect = Effect::Restocked {
            at_ms: now_ms,
            delta,
        };
        Ok(((), (delta != 0).then_some(effect)))
    }

    /// `ALTER`: `change` says which options become what. Reservations keep the deadline and the
    /// units that they were granted with.
    ///
    /// # Errors
    /// [`Refusal::EmptyWindow`].
    pub fn decide_alter(&self, change: impl FnOnce(&mut Options)) -> Decision<()> {
        let mut options = self.options.clone();
        change(&mut options);
        if let Some((start_ms, end_ms)) = options.empty_window() {
            return Err(Refusal::EmptyWindow { start_ms, end_ms });
        }
        let effect = (options != self.options).then_some(Effect::Altered(options));
        Ok(((), effect))
    }

    /// `PAUSE`.
    ///
    /// # Errors
    /// None.
    pub fn decide_pause(&self) -> Decision<()> {
        Ok(((), (!self.paused).then_some(Effect::Paused)))
    }

    /// A node has become primary with this copy: a new epoch, so that no reservation is named
    /// twice, and a fence, because the copy may lack the last facts.
    ///
    /// # Errors
    /// None.
    pub fn decide_take_over(&self, now_ms: u64, epoch: u64) -> Decision<()> {
        let effect = Effect::TookOver {
            epoch: epoch.max(self.head.epoch.saturating_add(1)),
            at_ms: now_ms,
        };
        Ok(((), Some(effect)))
    }

    /// `RESUME`. It also lifts a fence: an operator has compared the sale himself.
    ///
    /// # Errors
    /// None.
    pub fn decide_resume(&self) -> Decision<()> {
        let stopped = self.paused || self.fenced;
        Ok(((), stopped.then_some(Effect::Resumed)))
    }

    /// `CLOSE`.
    ///
    /// # Errors
    /// None.
    pub fn decide_close(&self, now_ms: u64) -> Decision<()> {
        let effect = Effect::Closed { at_ms: now_ms };
        Ok(((), (!self.closed).then_some(effect)))
    }

    /// `ACK`: `STORED` only goes forward; `RELAYED` may go back, but not behind `STORED`, where
    /// the log is gone.
    ///
    /// # Errors
    /// [`Refusal::BeyondHead`].
    pub fn decide_ack(&self, cursor: Cursor, id: EventId) -> Decision<()> {
        if id > self.head {
            return Err(Refusal::BeyondHead { head: self.head });
        }
        let effect = match cursor {
            Cursor::Stored => (id > self.stored).then_some(Effect::Stored(id)),
            Cursor::Relayed => {
                let id = id.max(self.stored);
                (id != self.relayed).then_some(Effect::Relayed(id))
            }
        };
        Ok(((), effect))
    }
}

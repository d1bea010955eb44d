//! Applying: how each effect changes a sale.
//!
//! The same code runs on the primary, on a replica and while an AOF loads. It reads no clock and
//! no option that an operator may have changed since. An effect is applied whole or not at all, and
//! on a copy that has all that came before it cannot fail; an error says that the copy lacks
//! something.

use crate::effect::{Acceptance, Effect, Effects};
use crate::error::ApplyError;
use crate::log::{Entry, EntryFact, Log, Opened};
use crate::options::UNITS_MAX;
use crate::reservations::{Buyer, Position, Reservation, Reservations, may_become};
use crate::sale::{EPOCH_MAX, Missing, Sale};
use seckill_protocol::{EventId, ReservationId, ReservationState};

impl Sale {
    /// Makes the sale that an `Opened` effect creates.
    ///
    /// # Errors
    /// [`ApplyError::NotOpened`] for any other effect; [`ApplyError::Units`] if more is sold than
    /// there is, or more is there than a sale can have; [`ApplyError::BadEffect`] if no epoch can
    /// follow.
    pub fn open(effect: &Effect<'_>, seed: u64) -> Result<Self, ApplyError> {
        let Effect::Opened {
            epoch,
            at_ms,
            options,
            total,
            sold,
            paused,
        } = effect
        else {
            return Err(ApplyError::NotOpened);
        };
        if *epoch > EPOCH_MAX {
            return Err(ApplyError::BadEffect("opened.epoch"));
        }
        let available = total
            .checked_sub(*sold)
            .filter(|_| *total <= UNITS_MAX)
            .ok_or(ApplyError::Units("more is sold than there is"))?;
        let before = EventId::new(*epoch, 0);
        let mut sale = Self {
            options: (**options).clone(),
            paused: *paused,
            closed: false,
            fenced: false,
            head: before,
            total: *total,
            available,
            held: 0,
            sold: *sold,
            sold_before: *sold,
            reservations: Reservations::new(seed),
            log: Log::default(),
            accepted_pending: 0,
            relayed: before,
            stored: before,
            released_from_ms: 0,
            missing: Missing::default(),
        };
        let opened = Opened {
            name: options.name.clone(),
            total: *total,
            sold: *sold,
        };
        sale.record(*at_ms, EntryFact::Opened(Box::new(opened)));
        Ok(sale)
    }

    /// Makes a sale from the change that created it.
    ///
    /// # Errors
    /// [`ApplyError`] if it does not create one.
    pub fn from_effects(mut effects: Effects<'_>, seed: u64) -> Result<Self, ApplyError> {
        let first = effects.next().ok_or(ApplyError::NotOpened)??;
        let mut sale = Self::open(&first, seed)?;
        for effect in effects {
            sale.apply(&effect?)?;
        }
        Ok(sale)
    }

    /// Applies the effects of one command.
    ///
    /// # Errors
    /// [`ApplyError`] at the first effect that does not fit; those before it are applied. To a part
    /// of a sale none is applied.
    pub fn apply_effects(&mut self, effects: Effects<'_>) -> Result<(), ApplyError> {
        if !self.is_complete() {
            return Err(ApplyError::Incomplete);
        }
        if effects.after != self.head {
            return Err(ApplyError::OutOfPlace {
                expected: effects.after,
                found: self.head,
            });
        }
        for effect in effects {
            self.apply(&effect?)?;
        }
        Ok(())
    }

    /// Applies one effect.
    ///
    /// # Errors
    /// [`ApplyError`] if it does not fit; then nothing has changed.
    pub fn apply(&mut self, effect: &Effect<'_>) -> Result<(), ApplyError> {
        match effect {
            Effect::Accepted(acceptance) => {
                let buyer = self.reservations.buyer(acceptance.uid);
                self.accept(buyer, acceptance).map(|_| ())
            }
            Effect::Opened { .. } => Err(ApplyError::AlreadyOpened),
            Effect::Confirmed { at_ms, rid } => self.confirm(*at_ms, *rid),
            Effect::Cancelled { at_ms, rid } => {
                let position = self.release(*rid, ReservationState::Cancelled)?;
                self.record(*at_ms, EntryFact::Cancelled(position));
                Ok(())
            }
            Effect::Expired { at_ms, rid } => {
                let position = self.release(*rid, ReservationState::Expired)?;
                self.record(*at_ms, EntryFact::Expired(position));
                Ok(())
            }
            Effect::Restocked { at_ms, delta } => self.restock(*at_ms, *delta),
            Effect::Closed { at_ms } => {
                self.next_id()?;
                self.closed = true;
                self.record(*at_ms, EntryFact::Closed);
                Ok(())
            }
            Effect::Altered(options) => {
                self.options = (**options).clone();
                Ok(())
            }
            Effect::Paused => {
                self.paused = true;
                Ok(())
            }
            Effect::Resumed => {
                self.paused = false;
                self.fenced = false;
                Ok(())
            }
            Effect::TookOver {
                epoch,
                at_ms,
                fenced,
            } => self.take_over(*epoch, *at_ms, *fenced),
            Effect::Unfenced => {
                self.fenced = false;
                Ok(())
            }
            Effect::Relayed(id) => {
                self.relayed = self.place_in_log(*id)?;
                Ok(())
            }
            Effect::Stored(id) => {
                let id = self.place_in_log(*id)?;
                self.relayed = self.relayed.max(id);
                self.forget_up_to(id);
                Ok(())
            }
            Effect::Restored(reservation) => self.put_back(reservation),
            Effect::Recounted { total, sold_before } => self.set_units(*total, *sold_before),
            Effect::Joined { previous } => self.join(*previous),
            Effect::Rebased {
                previous,
                epoch,
                at_ms,
            } => self.rebase(*previous, *epoch, *at_ms),
            Effect::LatePayment { at_ms, rid } => self.pay_late(*at_ms, *rid),
            Effect::RefundOwed { rid } => self.owe_refund(*rid).map(|_| ()),
        }
    }

    /// Grants units to a buyer who was just looked up; the reservation's id.
    pub(crate) fn accept(
        &mut self,
        buyer: Buyer,
        acceptance: &Acceptance<'_>,
    ) -> Result<ReservationId, ApplyError> {
        let units = u64::from(acceptance.qty);
        let available = self
            .available
            .checked_sub(units)
            .ok_or(ApplyError::Units("fewer are available than were accepted"))?;
        let id = self.next_id()?;
        let state = if acceptance.hold_ms == 0 {
            ReservationState::Confirmed
        } else {
            ReservationState::Held
        };
        let reservation = Reservation {
            rid: ReservationId(id),
            uid: acceptance.uid,
            qty: acceptance.qty,
            state,
            at_ms: acceptance.at_ms,
            hold_ms: acceptance.hold_ms,
            token: acceptance.token,
            restored: false,
        };
        let added = self.reservations.add(buyer, &reservation);
        added.ok_or(ApplyError::BadEffect("accepted"))?;
        self.available = available;
        *self.units_mut(state) += units;
        self.head = id;
        self.accepted_pending += 1;
        Ok(reservation.rid)
    }

    /// The units of live reservations in a state.
    const fn units_mut(&mut self, state: ReservationState) -> &mut u64 {
        match state {
            ReservationState::Held => &mut self.held,
            ReservationState::Confirmed => &mut self.sold,
            ReservationState::Cancelled | ReservationState::Expired => &mut self.available,
        }
    }

    fn confirm(&mut self, at_ms: u64, rid: ReservationId) -> Result<(), ApplyError> {
        self.next_id()?;
        let (position, state, units) = self.locate(rid)?;
        match state {
            ReservationState::Held => {
                self.held = self
                    .held
                    .checked_sub(units)
                    .ok_or(ApplyError::Units("fewer are held than were confirmed"))?;
            }
            ReservationState::Expired => {
                self.available = self.available.checked_sub(units).ok_or(ApplyError::Units(
                    "fewer are available than were confirmed late",
                ))?;
            }
            state => return Err(ApplyError::WrongState { rid, state }),
        }
        self.sold += units;
        self.reservations
            .set_state(position, ReservationState::Confirmed);
        self.record(at_ms, EntryFact::Confirmed(position));
        Ok(())
    }

    /// Gives the units of a hold back.
    fn release(
        &mut self,
        rid: ReservationId,
        into: ReservationState,
    ) -> Result<Position, ApplyError> {
        self.next_id()?;
        let (position, state, units) = self.locate(rid)?;
        if state != ReservationState::Held {
            return Err(ApplyError::WrongState { rid, state });
        }
        self.held = self
            .held
            .checked_sub(units)
            .ok_or(ApplyError::Units("fewer are held than were released"))?;
        self.available += units;
        self.reservations.set_state(position, into);
        Ok(position)
    }

    /// Writes down that a payment is to be refunded. No unit moves.
    fn pay_late(&mut self, at_ms: u64, rid: ReservationId) -> Result<(), ApplyError> {
        self.next_id()?;
        let position = self.owe_refund(rid)?;
        self.record(at_ms, EntryFact::LatePayment(position));
        Ok(())
    }

    /// From now on the payment for what has ended is to be refunded.
    fn owe_refund(&mut self, rid: ReservationId) -> Result<Position, ApplyError> {
        let (position, state, _) = self.locate(rid)?;
        if state.is_live() {
            return Err(ApplyError::WrongState { rid, state });
        }
        if self.reservations.is_refund_due(position) {
            return Err(ApplyError::BadEffect("refund"));
        }
        self.reservations.owe_refund(position);
        Ok(position)
    }

    fn restock(&mut self, at_ms: u64, delta: i64) -> Result<(), ApplyError> {
        self.next_id()?;
        let total = self.total.checked_add_signed(delta);
        let (Some(total), Some(available)) = (
            total.filter(|&total| total <= UNITS_MAX),
            self.available.checked_add_signed(delta),
        ) else {
            return Err(ApplyError::Units(
                "more is taken away than is available, or more is there than a sale can have",
            ));
        };
        self.total = total;
        self.available = available;
        self.record(at_ms, EntryFact::Restocked(delta));
        Ok(())
    }

    fn take_over(&mut self, epoch: u64, at_ms: u64, fenced: bool) -> Result<(), ApplyError> {
        let previous = self.head;
        if epoch <= previous.epoch || epoch > EPOCH_MAX {
            return Err(ApplyError::BadEffect("tookover.epoch"));
        }
        self.fenced = self.fenced || fenced;
        self.head = EventId::new(epoch, 0);
        self.record(at_ms, EntryFact::Epoch(Box::new(previous)));
        Ok(())
    }

    /// A place that a cursor can have: the log before it is gone, and there is none after it.
    fn place_in_log(&self, id: EventId) -> Result<EventId, ApplyError> {
        if id < self.stored || id > self.head {
            return Err(ApplyError::BadEffect("cursor"));
        }
        Ok(id)
    }

    /// MySQL has the events up to `id`: nobody will ask for them again.
    fn forget_up_to(&mut self, id: EventId) {
        self.stored = id;
        self.log.trim(id);
        self.accepted_pending = self.reservations.granted_count_after(id);
    }

    fn put_back(&mut self, restored: &Reservation<'_>) -> Result<(), ApplyError> {
        let rid = restored.rid;
        let known = self.reservations.find(rid);
        let before = match known.and_then(|position| self.reservations.at(position)) {
            Some(here) if here.uid != restored.uid || here.qty != restored.qty => {
                return Err(ApplyError::BadEffect("restored"));
            }
            Some(Reservation { state, .. }) if !may_become(state, restored.state) => {
                return Err(ApplyError::WrongState { rid, state });
            }
            Some(here) => here.state,
            None if rid.0 > self.head => return Err(ApplyError::BadEffect("restored.rid")),
            // Units that no live reservation has are available ones.
            None => ReservationState::Cancelled,
        };
        let moves_units = before.is_live() || restored.state.is_live();
        let units = if moves_units { restored.qty.into() } else { 0 };
        let left = self.units_mut(before).checked_sub(units);
        let left = left.ok_or(ApplyError::Units("fewer are there than were restored"))?;
        match known {
            Some(position) => self.reservations.set_state(position, restored.state),
            None => {
                let buyer = self.reservations.buyer(restored.uid);
                let reservation = Reservation {
                    restored: true,
                    ..*restored
                };
                let added = self.reservations.add(buyer, &reservation);
                added.ok_or(ApplyError::BadEffect("restored"))?;
            }
        }
        *self.units_mut(before) = left;
        *self.units_mut(restored.state) += units;
        Ok(())
    }

    fn set_units(&mut self, total: u64, sold_before: u64) -> Result<(), ApplyError> {
        let taken = self.taken();
        let available = total
            .checked_sub(sold_before)
            .and_then(|rest| rest.checked_sub(taken))
            .filter(|_| total <= UNITS_MAX)
            .ok_or(ApplyError::Units("fewer than are held or sold"))?;
        self.sold = self.sold - self.sold_before + sold_before;
        self.total = total;
        self.available = available;
        self.sold_before = sold_before;
        Ok(())
    }

    fn join(&mut self, previous: EventId) -> Result<(), ApplyError> {
        self.joint(previous)
            .map_err(|_| ApplyError::BadEffect("joined"))?;
        self.forget_up_to(previous);
        if let Some(entry) = self.log.first_mut() {
            entry.fact = EntryFact::Epoch(Box::new(previous));
        }
        self.relayed = previous;
        self.fenced = true;
        Ok(())
    }

    fn rebase(&mut self, previous: EventId, epoch: u64, at_ms: u64) -> Result<(), ApplyError> {
        let follows = epoch > self.head.epoch && epoch <= EPOCH_MAX;
        if self.joint(previous).is_err() || !self.may_rebase(previous) || !follows {
            return Err(ApplyError::BadEffect("rebased"));
        }
        let since = self.log.after(previous);
        let since: Vec<Entry> = since
            .filter(|entry| !entry.fact.begins_epoch())
            .cloned()
            .collect();
        self.log = Log::default();
        self.forget_up_to(previous);
        self.relayed = previous;
        self.fenced = true;
        self.head = EventId::new(epoch, 0);
        self.record(at_ms, EntryFact::Epoch(Box::new(previous)));
        for Entry { at_ms, fact, .. } in since {
            self.record(at_ms, fact);
        }
        Ok(())
    }

    fn locate(&self, rid: ReservationId) -> Result<(Position, ReservationState, u64), ApplyError> {
        let missing = ApplyError::NoReservation(rid);
        let position = self.reservations.find(rid).ok_or(missing)?;
        let state = self.reservations.state(position).ok_or(missing)?;
        Ok((position, state, self.reservations.qty(position).into()))
    }

    /// The id of the next event.
    fn next_id(&self) -> Result<EventId, ApplyError> {
        let seq = self.head.seq.checked_add(1);
        let seq = seq.ok_or(ApplyError::Units("the epoch has no number left"))?;
        Ok(EventId::new(self.head.epoch, seq))
    }

    /// Writes an event to the log. Its number has been tried by [`next_id`](Self::next_id).
    fn record(&mut self, at_ms: u64, fact: EntryFact) {
        self.head.seq = self.head.seq.saturating_add(1);
        self.log.push(Entry {
            id: self.head,
            at_ms,
            fact,
        });
    }
}

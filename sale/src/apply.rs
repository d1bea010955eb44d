//! Applying: how each effect changes a sale.
//!
//! The same code runs on the primary, on a replica and while an AOF loads. It reads no clock and
//! no option that an operator may have changed since. An effect is applied whole or not at all, and
//! on a copy that has all that came before it cannot fail; an error says that the copy lacks
//! something.

use crate::effect::{Change, Effect};
use crate::error::ApplyError;
use crate::log::{Entry, EntryFact, Log};
use crate::reservation::{Position, Reservation, Reservations};
use crate::sale::Sale;
use seckill_protocol::{EventId, ReservationId, ReservationState};

impl Sale {
    /// Makes the sale that an `Opened` effect creates.
    ///
    /// # Errors
    /// [`ApplyError::NotOpened`] for any other effect; [`ApplyError::Units`] if more is sold than
    /// there is.
    pub fn open(effect: &Effect, seed: u64) -> Result<Self, ApplyError> {
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
        let available = total
            .checked_sub(*sold)
            .ok_or(ApplyError::Units("more is sold than there is"))?;
        let before = EventId::new(*epoch, 0);
        let mut sale = Self {
            options: options.clone(),
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
            relayed: before,
            stored: before,
        };
        sale.record(
            *at_ms,
            EntryFact::Opened {
                total: *total,
                sold: *sold,
            },
        );
        Ok(sale)
    }

    /// Makes a sale from the change that created it.
    ///
    /// # Errors
    /// [`ApplyError`] if it does not create one.
    pub fn from_change(change: &Change, seed: u64) -> Result<Self, ApplyError> {
        let (first, rest) = change.effects.split_first().ok_or(ApplyError::NotOpened)?;
        let mut sale = Self::open(first, seed)?;
        for effect in rest {
            sale.apply(effect)?;
        }
        Ok(sale)
    }

    /// Applies the effects of one command.
    ///
    /// # Errors
    /// [`ApplyError`] at the first effect that does not fit; those before it are applied.
    pub fn apply_change(&mut self, change: &Change) -> Result<(), ApplyError> {
        if change.after != self.head {
            return Err(ApplyError::OutOfPlace {
                expected: change.after,
                found: self.head,
            });
        }
        change
            .effects
            .iter()
            .try_for_each(|effect| self.apply(effect))
    }

    /// Applies one effect.
    ///
    /// # Errors
    /// [`ApplyError`] if it does not fit; then nothing has changed.
    pub fn apply(&mut self, effect: &Effect) -> Result<(), ApplyError> {
        match effect {
            Effect::Opened { .. } => Err(ApplyError::AlreadyOpened),
            Effect::Accepted {
                at_ms,
                uid,
                qty,
                deadline_ms,
                token,
            } => {
                let rid = ReservationId(self.next_id()?);
                self.accept(Reservation::new(
                    rid,
                    uid.clone(),
                    *qty,
                    *at_ms,
                    *deadline_ms,
                    token.clone(),
                ))
            }
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
                self.options = options.clone();
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
            Effect::TookOver { epoch, at_ms } => self.take_over(*epoch, *at_ms),
            Effect::Unfenced => {
                self.fenced = false;
                Ok(())
            }
            Effect::Relayed(id) => {
                self.relayed = *id;
                Ok(())
            }
            Effect::Stored(id) => {
                self.stored = *id;
                self.relayed = self.relayed.max(*id);
                self.log.trim(*id);
                Ok(())
            }
        }
    }

    fn accept(&mut self, reservation: Reservation) -> Result<(), ApplyError> {
        if reservation.qty == 0 {
            return Err(ApplyError::BadEffect("accepted.qty"));
        }
        let units = u64::from(reservation.qty);
        let available = self
            .available
            .checked_sub(units)
            .ok_or(ApplyError::Units("fewer are available than were accepted"))?;
        let (held, sold) = match reservation.state {
            ReservationState::Held => (self.held + units, self.sold),
            _ => (self.held, self.sold + units),
        };
        let at_ms = reservation.at_ms;
        let position = Position::try_from(self.reservations.len())
            .map_err(|_| ApplyError::Units("the sale has 4294967295 reservations"))?;
        if !self.reservations.push(reservation) {
            return Err(ApplyError::BadEffect("accepted.rid"));
        }
        self.available = available;
        self.held = held;
        self.sold = sold;
        self.record(at_ms, EntryFact::Accepted(position));
        Ok(())
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

    fn restock(&mut self, at_ms: u64, delta: i64) -> Result<(), ApplyError> {
        self.next_id()?;
        let (Some(total), Some(available)) = (
            self.total.checked_add_signed(delta),
            self.available.checked_add_signed(delta),
        ) else {
            return Err(ApplyError::Units("more is taken away than is available"));
        };
        self.total = total;
        self.available = available;
        self.record(at_ms, EntryFact::Restocked(delta));
        Ok(())
    }

    fn take_over(&mut self, epoch: u64, at_ms: u64) -> Result<(), ApplyError> {
        let previous = self.head;
        if epoch <= previous.epoch {
            return Err(ApplyError::BadEffect("tookover.epoch"));
        }
        self.fenced = true;
        self.head = EventId::new(epoch, 0);
        self.record(at_ms, EntryFact::Epoch { previous });
        Ok(())
    }

    fn locate(&self, rid: ReservationId) -> Result<(Position, ReservationState, u64), ApplyError> {
        let (position, reservation) = self
            .reservations
            .find(rid)
            .ok_or(ApplyError::NoReservation(rid))?;
        Ok((position, reservation.state, u64::from(reservation.qty)))
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

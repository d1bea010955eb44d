//! `RESTORE`: putting back what MySQL has and this copy does not.

use crate::decide::{Decision, Refusal};
use crate::effect::{Change, Effect};
use crate::reservations::{RESERVATIONS_MAX, Reservation, may_become};
use crate::sale::{Place, Sale};
use seckill_protocol::{EventId, ReservationId};

/// One step of a `RESTORE`.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// The units are what MySQL says.
    Units {
        /// All units.
        total: u64,
        /// Units that are gone and in no reservation.
        sold_before: u64,
    },
    /// MySQL has a reservation.
    Reservation(Reservation<'a>),
    /// MySQL has it that the payment for a reservation is to be refunded.
    Refund(ReservationId),
    /// MySQL has an epoch that nothing here is above.
    Epoch(u64),
    /// This copy has all that MySQL has, up to this place.
    Join(EventId),
}

/// What became of a reservation that was put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It was not here.
    Added,
    /// It was here in an earlier state.
    Moved,
    /// It was here as it is, or further on.
    Known,
}

impl Sale {
    /// `RESTORE`: each step is decided after the one before it was applied; the first refusal ends it,
    /// and what came before stays. Epochs that begin are at least `epoch`. What became of each
    /// reservation stands in its step's place.
    ///
    /// # Errors
    /// The first refusal.
    pub fn perform_restore<'a>(
        &mut self,
        now_ms: u64,
        change: &mut Change,
        steps: impl IntoIterator<Item = Step<'a>>,
        epoch: u64,
    ) -> Result<Vec<Option<Put>>, Refusal> {
        self.release_overdue(now_ms, change)?;
        let mut done = Vec::new();
        for step in steps {
            done.push(self.step(change, |sale| sale.decide_step(now_ms, step, epoch))?);
            if let Step::Join(_) = step {
                self.step(change, |sale| sale.decide_epoch_after_join(now_ms, epoch))?;
            }
        }
        Ok(done)
    }

    fn decide_step<'a>(
        &self,
        now_ms: u64,
        step: Step<'a>,
        epoch: u64,
    ) -> Decision<'a, Option<Put>> {
        let without_put = |((), effect)| (None, effect);
        match step {
            Step::Units { total, sold_before } => {
                self.decide_recount(total, sold_before).map(without_put)
            }
            Step::Reservation(restored) => {
                let (put, effect) = self.decide_restore(&restored)?;
                Ok((Some(put), effect))
            }
            Step::Refund(rid) => self.decide_restore_refund(rid).map(without_put),
            Step::Epoch(above) => {
                let epoch = epoch.max(above.saturating_add(1));
                self.decide_epoch(now_ms, epoch).map(without_put)
            }
            Step::Join(previous) => self.decide_join(now_ms, previous, epoch).map(without_put),
        }
    }

    /// `RESTORE … RESERVATION`: puts back a reservation that MySQL has and this copy does not, or
    /// moves one that is here on to the state that MySQL has. A state never goes back: what happened
    /// here since reaches MySQL by the log.
    ///
    /// # Errors
    /// [`Refusal::Selling`], [`Refusal::RestoreBeyondHead`], [`Refusal::RestoreOther`],
    /// [`Refusal::RestoreUnits`] or [`Refusal::Full`].
    pub fn decide_restore<'a>(&self, restored: &Reservation<'a>) -> Decision<'a, Put> {
        self.must_stand()?;
        let rid = restored.rid;
        if rid.0 > self.head {
            return Err(Refusal::RestoreBeyondHead {
                rid,
                head: self.head,
            });
        }
        let takes_units = restored.state.is_live();
        let (put, units) = match self.reservation(rid) {
            None if self.reservations.len() >= RESERVATIONS_MAX => return Err(Refusal::Full),
            None => (Put::Added, if takes_units { restored.qty } else { 0 }),
            Some(here) if here.uid != restored.uid || here.qty != restored.qty => {
                return Err(Refusal::RestoreOther(rid));
            }
            Some(here) if !may_become(here.state, restored.state) => {
                return Ok((Put::Known, None));
            }
            Some(here) if here.state.is_live() => (Put::Moved, 0),
            Some(_) => (Put::Moved, restored.qty),
        };
        if self.available < units.into() {
            return Err(Refusal::RestoreUnits {
                available: self.available,
            });
        }
        Ok((put, Some(Effect::Restored(*restored))))
    }

    /// `RESTORE … REFUND`: MySQL has it that the payment for what is expired or cancelled is to be
    /// refunded, so that no late payment takes its units again. What is held or sold is as MySQL
    /// does not have it, and nothing changes.
    ///
    /// # Errors
    /// [`Refusal::Selling`] or [`Refusal::NoReservation`].
    pub fn decide_restore_refund(&self, rid: ReservationId) -> Decision<'static, ()> {
        self.must_stand()?;
        let reservation = self.reservation(rid).ok_or(Refusal::NoReservation)?;
        let changes = !reservation.state.is_live() && !self.is_refund_due(rid);
        Ok(((), changes.then_some(Effect::RefundOwed { rid })))
    }

    /// `RESTORE … UNITS`: the units are what MySQL says.
    ///
    /// # Errors
    /// [`Refusal::Selling`] or [`Refusal::RestoreTotal`].
    pub fn decide_recount(&self, total: u64, sold_before: u64) -> Decision<'static, ()> {
        self.must_stand()?;
        let taken = self.taken();
        if total
            .checked_sub(sold_before)
            .is_none_or(|rest| rest < taken)
        {
            return Err(Refusal::RestoreTotal {
                total,
                sold_before,
                taken,
            });
        }
        let changes = (total, sold_before) != (self.total, self.sold_before);
        let effect = Effect::Recounted { total, sold_before };
        Ok(((), changes.then_some(effect)))
    }

    /// `RESTORE … JOIN`: this copy has all that MySQL has, up to `previous`. What happened here since
    /// follows that place, is sent again, and the fence falls when MySQL has taken the first event of
    /// the last epoch.
    ///
    /// What was put back is no event, so that a copy that loses it again has the same last event. Therefore
    /// what follows gets other numbers, in a new `epoch`. Reservations have told theirs to buyers:
    /// where some were granted since, numbers stay, and
    /// [`decide_epoch_after_join`](Self::decide_epoch_after_join) adds one that such a copy lacks.
    ///
    /// # Errors
    /// [`Refusal::Selling`] or [`Refusal::NoJoint`].
    pub fn decide_join(&self, now_ms: u64, previous: EventId, epoch: u64) -> Decision<'static, ()> {
        self.must_stand()?;
        self.joint(previous)?;
        let joined = if self.may_rebase(previous) {
            Effect::Rebased {
                previous,
                epoch: self.epoch_above(epoch),
                at_ms: now_ms,
            }
        } else {
            Effect::Joined { previous }
        };
        Ok(((), Some(joined)))
    }

    /// What belongs to a `JOIN`, after it: see [`decide_join`](Self::decide_join).
    ///
    /// # Errors
    /// None in practice.
    pub fn decide_epoch_after_join(&self, now_ms: u64, epoch: u64) -> Decision<'static, ()> {
        let is_rebased = self.may_rebase(self.stored);
        let effect = (!is_rebased).then(|| self.new_epoch(now_ms, epoch, true));
        Ok(((), effect))
    }

    /// `RESTORE … EPOCH`: what comes next is behind what MySQL has, although no node took over here: an
    /// epoch begins, above another one, and nothing is sold until MySQL has it.
    ///
    /// # Errors
    /// [`Refusal::Selling`].
    pub fn decide_epoch(&self, now_ms: u64, epoch: u64) -> Decision<'static, ()> {
        self.must_stand()?;
        Ok(((), Some(self.new_epoch(now_ms, epoch, true))))
    }

    /// Whether no reservation has its name from an event after `previous`.
    pub(crate) fn may_rebase(&self, previous: EventId) -> bool {
        self.reservations.granted_count_after(previous) == 0
    }

    /// Whether the first event after `previous` begins an epoch that MySQL has nothing of. Anything
    /// else MySQL reads from the log, and joining would take it away.
    pub(crate) fn joint(&self, previous: EventId) -> Result<(), Refusal> {
        let place = self.places_after(previous).next();
        let next = place.as_ref().map_or(previous, Place::id);
        let begins = match place {
            Some(Place::Entry(entry)) => entry.fact.begins_epoch(),
            Some(Place::Acceptance(..)) | None => false,
        };
        let untouched = self.stored < next && (self.stored <= previous || self.stored.seq == 0);
        if begins && untouched {
            Ok(())
        } else {
            Err(Refusal::NoJoint { previous, next })
        }
    }

    /// Facts are put back only while nothing is granted: an answer that is on its way to a buyer
    /// would meet a sale that changes behind it.
    fn must_stand(&self) -> Result<(), Refusal> {
        if self.fenced || self.paused {
            Ok(())
        } else {
            Err(Refusal::Selling)
        }
    }
}

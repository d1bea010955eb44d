//! Deciding: what a command means for a sale, without changing it.
//!
//! Each `decide_*` reads the sale and answers with an effect, or with none where nothing changes.
//! [`Sale::perform`] runs a whole command: it releases the holds that are overdue, lets the command
//! decide, applies, and records everything that changed as one [`Change`].

use crate::effect::{Acceptance, Change, Effect};
use crate::error::ApplyError;
use crate::options::{Options, UNITS_MAX};
use crate::reservations::{Buyer, RESERVATIONS_MAX, Reservation};
use crate::sale::{Cursor, Sale};
use crate::soft::Soft;
use seckill_protocol::{EventId, ReservationId, ReservationState, UidRef, Verdict};

/// Overdue holds that one command releases at most: what a buyer may have to wait for.
pub const RELEASES_PER_COMMAND_MAX: usize = 1024;

/// For so long after a fence has fallen nothing lapses, ms: whoever paid meanwhile was told to ask
/// again, and is to find his hold.
pub const FENCE_GRACE_MS: u64 = 30_000;

/// One question for units.
#[derive(Clone, Copy, Debug)]
pub struct Try<'a> {
    /// Who asks.
    pub uid: UidRef<'a>,
    /// For how many units, at least 1.
    pub qty: u32,
    /// A name for the question, checked by [`seckill_protocol::Token::check`], so that an answer that
    /// got lost can be asked for again.
    pub token: Option<&'a [u8]>,
}

/// What became of a question, before it changes anything.
enum Judgement {
    Rejected(Verdict),
    /// The buyer is to get what he asked for.
    Admitted(Buyer),
}

/// What becomes of a payment that comes when its hold has ended: the shop's policy, said with each
/// confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfLate {
    /// It is refused, and nothing is written down: whoever asks sees to it himself.
    Refuse,
    /// Units of an expired hold are taken again; if they are not to be had, the payment is to be
    /// refunded.
    Take,
    /// It is to be refunded, whether there are units or not.
    Refund,
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
    /// What this copy lacks may exclude what is asked for.
    #[error("the sale is fenced until MySQL is seen to have the same: ask again")]
    Fenced,
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
    /// An event is acknowledged of an epoch that this sale never had.
    #[error("this log has no epoch {0}: another node, which was replaced, began it")]
    ForeignEpoch(u64),
    /// More reservations than a sale can keep.
    #[error("the sale has {RESERVATIONS_MAX} reservations, which is as many as one can have")]
    Full,
    /// Facts are put back into a sale that is selling.
    #[error("the sale is neither fenced nor paused: PAUSE it before facts are put back")]
    Selling,
    /// A reservation is put back whose event this sale does not come after.
    #[error("reservation {rid} is beyond the last event, {head}")]
    RestoreBeyondHead {
        /// Which.
        rid: ReservationId,
        /// The last event.
        head: EventId,
    },
    /// A reservation is put back under an id that is here and is another buyer's, or another
    /// quantity.
    #[error("reservation {0} is here with another uid or qty")]
    RestoreOther(ReservationId),
    /// Units are put back that the sale does not have.
    #[error("only {available} units are available: say what MySQL has with UNITS first")]
    RestoreUnits {
        /// What is left.
        available: u64,
    },
    /// Fewer units are said to be there than are held or sold.
    #[error("UNITS {total} {sold_before} is less than the {taken} units that reservations hold")]
    RestoreTotal {
        /// All units.
        total: u64,
        /// Units that are gone and in no reservation.
        sold_before: u64,
        /// Units of live reservations.
        taken: u64,
    },
    /// The sale cannot be joined to the place.
    #[error(
        "JOIN {previous}: the next event here is {next}, which begins no epoch or is in MySQL already"
    )]
    NoJoint {
        /// The place.
        previous: EventId,
        /// What comes after it here; the place itself if nothing does.
        next: EventId,
    },
    /// The rules decided what cannot be applied: an error in this program.
    #[error("internal: {0}")]
    Internal(#[from] ApplyError),
}

/// An answer, and what it changes.
pub type Decision<'a, T> = Result<(T, Option<Effect<'a>>), Refusal>;

impl Sale {
    /// Runs a command at `now_ms`: releases what is overdue, decides, applies. What changed is added to
    /// `change`, also where the command is refused: overdue holds were released all the same.
    ///
    /// # Errors
    /// What `decide` refuses.
    pub fn perform<'a, T>(
        &mut self,
        now_ms: u64,
        change: &mut Change,
        decide: impl FnOnce(&Self) -> Decision<'a, T>,
    ) -> Result<T, Refusal> {
        self.release_overdue(now_ms, change)?;
        let was_fenced = self.fenced;
        let answer = self.step(change, decide)?;
        self.lift_fence(change)?;
        if was_fenced && !self.fenced {
            self.released_from_ms = now_ms.saturating_add(FENCE_GRACE_MS);
        }
        Ok(answer)
    }

    /// A node goes on with a copy that may lack the last facts: a new epoch, so that no reservation
    /// is named twice, and, if `fenced`, nothing is sold until MySQL is seen to have the same.
    ///
    /// Nothing is released before: that would be an event of the old epoch, under a number that MySQL
    /// may know another fact by.
    ///
    /// # Errors
    /// None in practice.
    pub fn perform_take_over(
        &mut self,
        now_ms: u64,
        change: &mut Change,
        epoch: u64,
        fenced: bool,
    ) -> Result<(), Refusal> {
        self.step(change, |sale| {
            Ok(((), Some(sale.new_epoch(now_ms, epoch, fenced))))
        })
    }

    /// `CONFIRM`: what cannot be confirmed because it came late is written down as a payment to be
    /// refunded, once, and refused all the same.
    ///
    /// # Errors
    /// As for [`decide_confirm`](Self::decide_confirm).
    pub fn perform_confirm(
        &mut self,
        now_ms: u64,
        change: &mut Change,
        rid: ReservationId,
        if_late: IfLate,
    ) -> Result<(), Refusal> {
        let takes = if_late == IfLate::Take;
        let confirmed = self.perform(now_ms, change, |sale| {
            sale.decide_confirm(now_ms, rid, takes)
        });
        let is_late = matches!(confirmed, Err(Refusal::Gone(_) | Refusal::NoStock { .. }));
        if is_late && if_late != IfLate::Refuse {
            self.step(change, |sale| sale.decide_refund(now_ms, rid))?;
        }
        confirmed
    }

    pub(crate) fn epoch_above(&self, epoch: u64) -> u64 {
        epoch.max(self.head.epoch.saturating_add(1))
    }

    pub(crate) fn new_epoch(&self, now_ms: u64, epoch: u64, fenced: bool) -> Effect<'static> {
        Effect::TookOver {
            epoch: self.epoch_above(epoch),
            at_ms: now_ms,
            fenced,
        }
    }

    pub(crate) fn step<'a, T>(
        &mut self,
        change: &mut Change,
        decide: impl FnOnce(&Self) -> Decision<'a, T>,
    ) -> Result<T, Refusal> {
        let (answer, effect) = decide(self)?;
        if let Some(effect) = effect {
            self.apply(&effect)?;
            change.record(&effect);
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

    pub(crate) fn release_overdue(
        &mut self,
        now_ms: u64,
        change: &mut Change,
    ) -> Result<(), Refusal> {
        // A copy that may lack facts may lack a payment: nothing lapses until MySQL has been compared.
        if self.fenced {
            return Ok(());
        }
        for _ in 0..RELEASES_PER_COMMAND_MAX {
            let Some((deadline_ms, position)) = self.reservations.first_due() else {
                return Ok(());
            };
            if deadline_ms.max(self.released_from_ms) > now_ms {
                return Ok(());
            }
            let rid = self.reservations.rid(position);
            let rid = rid.ok_or(Refusal::NoReservation)?;
            self.step(change, |_| {
                Ok(((), Some(Effect::Expired { at_ms: now_ms, rid })))
            })?;
        }
        Ok(())
    }

    /// `TRY`: releases what is overdue, decides, applies.
    ///
    /// # Errors
    /// [`Refusal::QuantityAboveLimit`] or [`Refusal::Full`].
    pub fn perform_try(
        &mut self,
        now_ms: u64,
        change: &mut Change,
        soft: &mut Soft,
        request: &Try<'_>,
    ) -> Result<Verdict, Refusal> {
        self.release_overdue(now_ms, change)?;
        self.step_try(now_ms, change, soft, request)
    }

    /// `MTRY`: as many tries one after the other, each decided after the one before it was applied.
    ///
    /// # Errors
    /// As for [`perform_try`](Self::perform_try), at the first; what came before stays.
    pub fn perform_tries<'a>(
        &mut self,
        now_ms: u64,
        change: &mut Change,
        soft: &mut Soft,
        requests: impl ExactSizeIterator<Item = Try<'a>>,
    ) -> Result<Vec<Verdict>, Refusal> {
        self.release_overdue(now_ms, change)?;
        let mut verdicts = Vec::with_capacity(requests.len());
        for request in requests {
            verdicts.push(self.step_try(now_ms, change, soft, &request)?);
        }
        Ok(verdicts)
    }

    /// What every buyer waits for. An acceptance is not carried as an effect from deciding to
    /// applying, and its buyer is looked up once.
    fn step_try(
        &mut self,
        now_ms: u64,
        change: &mut Change,
        soft: &mut Soft,
        request: &Try<'_>,
    ) -> Result<Verdict, Refusal> {
        let verdict = match self.judge(soft, now_ms, request)? {
            Judgement::Rejected(verdict) => verdict,
            Judgement::Admitted(buyer) => {
                let acceptance = Acceptance {
                    at_ms: now_ms,
                    uid: request.uid,
                    qty: request.qty,
                    hold_ms: self.options.hold_ms,
                    token: request.token,
                };
                let rid = self.accept(buyer, &acceptance)?;
                change.record_acceptance(&acceptance);
                Verdict::Accepted(rid)
            }
        };
        soft.count(&verdict);
        Ok(verdict)
    }

    /// The order of the tests is the contract: a later one is never reached by an earlier rejection,
    /// and a rejection costs no stock.
    fn judge(&self, soft: &mut Soft, now_ms: u64, request: &Try<'_>) -> Result<Judgement, Refusal> {
        let (uid, qty, limit) = (request.uid, request.qty, self.options.limit);
        // First of all, so that a buyer whose answer was lost in the last second of a sale, or just
        // before a pause, still learns what he has.
        if let Some(token) = request.token
            && let Some(position) = self.reservations.with_token(uid, token)
            && let Some(rid) = self.reservations.rid(position)
        {
            return Ok(Judgement::Rejected(Verdict::Duplicate(rid)));
        }
        if limit != 0 && qty > limit {
            return Err(Refusal::QuantityAboveLimit { limit });
        }
        if self.paused || self.fenced {
            return Ok(Judgement::Rejected(Verdict::Paused));
        }
        if now_ms < self.options.start_ms {
            let wait_ms = self.options.start_ms - now_ms;
            return Ok(Judgement::Rejected(Verdict::NotStarted { wait_ms }));
        }
        if self.closed || self.has_ended(now_ms) {
            return Ok(Judgement::Rejected(Verdict::Ended));
        }
        let buyer = self.reservations.buyer(uid);
        if let Some(rid) = self.limit_reached(buyer, qty) {
            return Ok(Judgement::Rejected(Verdict::Duplicate(rid)));
        }
        if self.available < u64::from(qty) {
            let first = self.next_release_ms();
            let wait_ms = first.map(|release_ms| release_ms.saturating_sub(now_ms));
            return Ok(Judgement::Rejected(Verdict::SoldOut { wait_ms }));
        }
        if self.reservations.len() >= RESERVATIONS_MAX {
            return Err(Refusal::Full);
        }
        let Options {
            user_rate, rate, ..
        } = self.options;
        match soft.admit(buyer.hash, user_rate, rate, now_ms) {
            Ok(()) => Ok(Judgement::Admitted(buyer)),
            Err(wait_ms) => Ok(Judgement::Rejected(Verdict::Limited { wait_ms })),
        }
    }

    /// The buyer's latest live reservation, if `qty` more units would pass his limit.
    fn limit_reached(&self, buyer: Buyer, qty: u32) -> Option<ReservationId> {
        let limit = self.options.limit;
        if limit == 0 {
            return None;
        }
        let live = self.reservations.live_of(buyer)?;
        if live.units.saturating_add(qty.into()) <= limit.into() {
            return None;
        }
        self.reservations.rid(live.latest)
    }

    /// `CONFIRM`. Repeating it is fine. With `late` an expired reservation takes its units again,
    /// unless its payment is to be refunded.
    ///
    /// # Errors
    /// [`Refusal::NoReservation`], [`Refusal::Gone`], [`Refusal::NoStock`] when it is late and the
    /// units are with others, or [`Refusal::Fenced`].
    pub fn decide_confirm(
        &self,
        now_ms: u64,
        rid: ReservationId,
        late: bool,
    ) -> Decision<'static, ()> {
        let reservation = self.may_end_as(rid, ReservationState::Confirmed)?;
        let confirm = Some(Effect::Confirmed { at_ms: now_ms, rid });
        match reservation.state {
            ReservationState::Held => Ok(((), confirm)),
            ReservationState::Confirmed => Ok(((), None)),
            ReservationState::Expired if late && !self.is_refund_due(rid) => {
                // He may have bought again in the meantime: then this one stays gone.
                let buyer = self.reservations.buyer(reservation.uid);
                if self.limit_reached(buyer, reservation.qty).is_some() {
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

    /// A reservation that is to end, or has ended, in a state. What a fenced copy lacks may be that it
    /// ended otherwise and that its units are with others, so it only says there what is so already.
    fn may_end_as(
        &self,
        rid: ReservationId,
        state: ReservationState,
    ) -> Result<Reservation<'_>, Refusal> {
        let reservation = self.granted(rid)?;
        if self.fenced && reservation.state != state {
            return Err(Refusal::Fenced);
        }
        Ok(reservation)
    }

    /// A payment for what has ended is to be refunded; once.
    fn decide_refund(&self, now_ms: u64, rid: ReservationId) -> Decision<'static, ()> {
        let effect = Effect::LatePayment { at_ms: now_ms, rid };
        Ok(((), (!self.is_refund_due(rid)).then_some(effect)))
    }

    /// `CANCEL`. Repeating it is fine.
    ///
    /// # Errors
    /// [`Refusal::NoReservation`], [`Refusal::Gone`] or [`Refusal::Fenced`].
    pub fn decide_cancel(&self, now_ms: u64, rid: ReservationId) -> Decision<'static, ()> {
        let reservation = self.may_end_as(rid, ReservationState::Cancelled)?;
        match reservation.state {
            ReservationState::Held => Ok(((), Some(Effect::Cancelled { at_ms: now_ms, rid }))),
            ReservationState::Cancelled => Ok(((), None)),
            state => Err(Refusal::Gone(state)),
        }
    }

    /// `RESTOCK`: never below what is held or sold.
    ///
    /// # Errors
    /// [`Refusal::RestockBelowAvailable`] or [`Refusal::RestockAboveMax`]; [`Refusal::Fenced`] if units
    /// are to be taken away that what a copy lacks may have granted.
    pub fn decide_restock(&self, now_ms: u64, delta: i64) -> Decision<'static, ()> {
        let [added, taken] = [delta.max(0), delta.min(0)].map(i64::unsigned_abs);
        if self.fenced && taken > 0 {
            return Err(Refusal::Fenced);
        }
        let available = self.available;
        if taken > available {
            return Err(Refusal::RestockBelowAvailable { available });
        }
        if self.total.saturating_add(added) > UNITS_MAX {
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
    pub fn decide_alter(&self, change: impl FnOnce(&mut Options)) -> Decision<'static, ()> {
        let mut options = self.options.clone();
        change(&mut options);
        if let Some((start_ms, end_ms)) = options.empty_window() {
            return Err(Refusal::EmptyWindow { start_ms, end_ms });
        }
        let effect = (options != self.options).then(|| Effect::Altered(Box::new(options)));
        Ok(((), effect))
    }

    /// `PAUSE`.
    ///
    /// # Errors
    /// None.
    pub fn decide_pause(&self) -> Decision<'static, ()> {
        Ok(((), (!self.paused).then_some(Effect::Paused)))
    }

    /// `RESUME`. It also lifts a fence: an operator has compared the sale himself.
    ///
    /// # Errors
    /// None.
    pub fn decide_resume(&self) -> Decision<'static, ()> {
        let stopped = self.paused || self.fenced;
        Ok(((), stopped.then_some(Effect::Resumed)))
    }

    /// `CLOSE`.
    ///
    /// # Errors
    /// None.
    pub fn decide_close(&self, now_ms: u64) -> Decision<'static, ()> {
        let effect = Effect::Closed { at_ms: now_ms };
        Ok(((), (!self.closed).then_some(effect)))
    }

    /// `ACK`: `STORED` only goes forward; `RELAYED` may go back, but not behind `STORED`, where
    /// the log is gone.
    ///
    /// What a node began that was replaced and did not know it may be in the broker, or in MySQL, and
    /// its epoch may be the later one. Up to there this log has facts that they do not have.
    ///
    /// # Errors
    /// [`Refusal::BeyondHead`] or [`Refusal::ForeignEpoch`].
    pub fn decide_ack(&self, cursor: Cursor, id: EventId) -> Decision<'static, ()> {
        if id > self.head {
            return Err(Refusal::BeyondHead { head: self.head });
        }
        let place = id.max(self.stored);
        if !self.has_epoch(place.epoch) {
            return Err(Refusal::ForeignEpoch(id.epoch));
        }
        let effect = match cursor {
            Cursor::Stored => (place != self.stored).then_some(Effect::Stored(place)),
            Cursor::Relayed => (place != self.relayed).then_some(Effect::Relayed(place)),
        };
        Ok(((), effect))
    }

    /// Whether an epoch is the one of the last event that MySQL has, or begins behind it here.
    fn has_epoch(&self, epoch: u64) -> bool {
        let first = self.log.after(EventId::new(epoch, 0)).next();
        epoch == self.stored.epoch || first.is_some_and(|first| first.id.epoch == epoch)
    }
}

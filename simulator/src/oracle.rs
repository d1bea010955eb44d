//! What really happened, whoever knows of it, and whether what the parts say can be true.

use seckill_orders::fold::Outcome;
use seckill_protocol::{EventBatch, EventId, Fact, ReservationId, ReservationState, Token};
use seckill_sale::{Effect, Payload, Sale};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that was ever decided, and what was promised to whom.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// Every event of every node, also of those that nobody follows.
    facts: BTreeMap<EventId, Fact>,
    /// Who was told so: he has units.
    accepted: BTreeSet<ReservationId>,
    /// Whose payment or cancellation was answered, and what it made of his reservation.
    settled: BTreeMap<ReservationId, ReservationState>,
    /// What the settings allow to be lost: reservations, and steps of them.
    may_miss: BTreeSet<ReservationId>,
    may_be_behind: BTreeSet<ReservationId>,
    /// Whether anything at all may be lost.
    is_behind: bool,
    /// What the broker has; without one, what MySQL has.
    sent: BTreeSet<EventId>,
}

// === impl Oracle ===

impl Oracle {
    /// A node has changed its copy; `counts`: it is the one that everybody goes on with.
    pub(crate) fn changed(
        &mut self,
        payload: &[u8],
        sale: &Sale,
        counts: bool,
    ) -> Result<(), String> {
        let Ok(Payload::Change(effects)) = Payload::decode(payload) else {
            return Err("a node sends what is no change".to_owned());
        };
        self.is_behind |= !counts;
        let mut id = effects.after;
        for effect in effects {
            let effect = effect.map_err(|error| error.to_string())?;
            if let Effect::TookOver { epoch, .. } | Effect::Opened { epoch, .. } = &effect {
                if *epoch <= id.epoch {
                    return Err(format!("epoch {epoch} follows {id}"));
                }
                let previous = id;
                id = EventId::new(*epoch, 0);
                self.add(&mut id, Fact::Epoch { previous })?;
            } else if let Effect::Rebased {
                previous, epoch, ..
            } = &effect
            {
                id = EventId::new(*epoch, 0);
                self.add(
                    &mut id,
                    Fact::Epoch {
                        previous: *previous,
                    },
                )?;
                // What happened here since has other numbers now.
                let since = sale.events_after(id, usize::MAX);
                for event in since.into_iter().flat_map(|batch| batch.events) {
                    self.add(&mut id, event.fact)?;
                }
            } else if let Some(fact) = fact_of(&effect) {
                self.add(&mut id, fact)?;
                if !counts {
                    self.happened_in_vain(id, &effect);
                }
            }
            if let Effect::Expired { at_ms, rid } = effect {
                let deadline = sale.reservation(rid).and_then(|found| found.deadline_ms());
                if deadline.is_none_or(|deadline| at_ms < deadline) {
                    return Err(format!(
                        "{rid} expires at {at_ms}, before its deadline {deadline:?}"
                    ));
                }
            }
        }
        if id != sale.head() {
            return Err(format!(
                "the log ends at {}, and its effects at {id}",
                sale.head()
            ));
        }
        Ok(())
    }

    /// A primary that was replaced goes on as if it were not: nobody goes on with what it decides.
    fn happened_in_vain(&mut self, id: EventId, effect: &Effect<'_>) {
        match effect {
            Effect::Accepted(_) => {
                self.may_miss.insert(ReservationId(id));
            }
            Effect::Confirmed { rid, .. }
            | Effect::Cancelled { rid, .. }
            | Effect::Expired { rid, .. } => {
                self.may_be_behind.insert(*rid);
            }
            _ => {}
        }
    }

    fn add(&mut self, id: &mut EventId, fact: Fact) -> Result<(), String> {
        id.seq += 1;
        match self.facts.insert(*id, fact) {
            None => Ok(()),
            Some(other) => Err(format!(
                "two facts under the number {id}; the first: {other:?}"
            )),
        }
    }

    /// The broker, or without one MySQL, has a batch.
    pub(crate) fn sent(&mut self, batch: &EventBatch) -> Result<(), String> {
        for event in &batch.events {
            let id = EventId::new(batch.epoch, event.seq);
            let is_fact = match (&event.fact, self.facts.get(&id)) {
                (Fact::Epoch { .. } | Fact::Opened { .. }, Some(Fact::Epoch { .. })) => true,
                (fact, found) => found == Some(fact),
            };
            if !is_fact {
                return Err(format!(
                    "event {id} says {:?}, and nobody decided that",
                    event.fact
                ));
            }
            self.sent.insert(id);
        }
        Ok(())
    }

    /// `RELAYED` of a copy moved forward.
    pub(crate) fn relayed(&self, from: EventId, sale: &Sale) -> Result<(), String> {
        let mut after = from;
        while after < sale.relayed()
            && let Some(batch) = sale.events_after(after, 64)
        {
            for event in &batch.events {
                let id = EventId::new(batch.epoch, event.seq);
                if id <= sale.relayed() && !self.sent.contains(&id) {
                    return Err(format!(
                        "RELAYED is {}, and the broker does not have {id}",
                        sale.relayed()
                    ));
                }
            }
            after = batch.last_id().unwrap_or(sale.relayed());
        }
        Ok(())
    }

    /// MySQL has committed a batch.
    pub(crate) fn committed(&mut self, outcome: &Outcome) -> Result<(), String> {
        for order in &outcome.orders {
            let is_granted = matches!(
                self.facts.get(&order.id),
                Some(Fact::Accepted { uid, qty, deadline, token })
                    if (uid, *qty, *deadline) == (&order.uid, order.qty, order.deadline_ms)
                        && *token == order.token
            );
            if !is_granted {
                return Err(format!(
                    "there is an order {}, and nobody granted that",
                    order.id
                ));
            }
        }
        Ok(())
    }

    /// A buyer was told that he has units.
    pub(crate) fn told(&mut self, rid: ReservationId) {
        self.accepted.insert(rid);
    }

    /// Somebody was told what became of a reservation.
    pub(crate) fn settled(&mut self, rid: ReservationId, state: ReservationState) {
        self.settled.insert(rid, state);
    }

    /// The sale goes on with another copy: what it lacks may be missing from now on. Returns the
    /// reservations that it lacks.
    pub(crate) fn goes_on_with(
        &mut self,
        before: Option<&Sale>,
        copy: Option<&Sale>,
    ) -> Vec<ReservationId> {
        let mut lost = Vec::new();
        let Some(before) = before else {
            return lost;
        };
        // Also events that are no reservation's, as units that were added.
        self.is_behind |= copy.is_none_or(|copy| copy.head() < before.head());
        for had in before.reservations_from(0) {
            let has = copy.and_then(|copy| copy.reservation(had.rid));
            if has.is_none() {
                self.may_miss.insert(had.rid);
                lost.push(had.rid);
            }
            if has.is_none_or(|has| has.state != had.state) {
                self.may_be_behind.insert(had.rid);
            }
        }
        lost
    }

    /// Whether a buyer was told of what is missing in spite of a promise that outlives a takeover.
    pub(crate) fn told_in_vain(&self, lost: &[ReservationId]) -> Option<ReservationId> {
        lost.iter().find(|rid| self.accepted.contains(rid)).copied()
    }

    /// Whether a step of a reservation may be lost.
    pub(crate) fn may_be_behind(&self, rid: ReservationId) -> bool {
        self.may_be_behind.contains(&rid)
    }

    /// Whether the settings made anything be lost.
    pub(crate) fn has_lost_facts(&self) -> bool {
        self.is_behind || !self.may_miss.is_empty() || !self.may_be_behind.is_empty()
    }

    /// When all is at rest: whether everybody has what he was told.
    pub(crate) fn keeps_its_word(&self, sale: &Sale) -> Result<(), String> {
        for rid in self.accepted.difference(&self.may_miss) {
            if sale.reservation(*rid).is_none() {
                return Err(format!(
                    "a buyer was told that {rid} is his, and it is gone"
                ));
            }
        }
        for (rid, state) in &self.settled {
            let found = sale.reservation(*rid).map(|found| found.state);
            if found != Some(*state) && !self.may_be_behind.contains(rid) {
                return Err(format!(
                    "somebody was told that {rid} is {state}, and it is {found:?}"
                ));
            }
        }
        let mut tokens = BTreeSet::new();
        for reservation in sale.reservations_from(0) {
            if let Some(token) = reservation.token
                && !tokens.insert((reservation.uid.as_str(), token))
            {
                let uid = reservation.uid.as_str();
                return Err(format!(
                    "one question of {uid} was granted twice: {}",
                    reservation.rid
                ));
            }
        }
        Ok(())
    }
}

/// The event that an effect is, if it is one.
fn fact_of(effect: &Effect<'_>) -> Option<Fact> {
    Some(match effect {
        Effect::Accepted(acceptance) => Fact::Accepted {
            uid: acceptance.uid.to_owned(),
            qty: acceptance.qty,
            deadline: (acceptance.hold_ms > 0).then(|| acceptance.at_ms + acceptance.hold_ms),
            token: acceptance.token.and_then(|token| Token::new(token).ok()),
        },
        Effect::Confirmed { rid, .. } => Fact::Confirmed { rid: *rid },
        Effect::Cancelled { rid, .. } => Fact::Cancelled { rid: *rid },
        Effect::Expired { rid, .. } => Fact::Expired { rid: *rid },
        Effect::LatePayment { rid, .. } => Fact::LatePayment { rid: *rid },
        Effect::Restocked { delta, .. } => Fact::Restocked { delta: *delta },
        Effect::Closed { .. } => Fact::Closed,
        _ => return None,
    })
}

//! Buyers, and the shop that confirms and cancels for them.

use super::{Answer, World};
use crate::settings::Hazard;
use crate::story::say;
use seckill_protocol::{ReservationId, ReservationState, UidRef, Verdict};
use seckill_sale::decide::IfLate;
use seckill_sale::{Refusal, Try};

/// A buyer.
#[derive(Debug, Default)]
pub(crate) struct Buyer {
    pub(crate) uid: String,
    /// The Redis that his proxy asks.
    view: usize,
    /// What he asks, until it is answered.
    question: Option<Question>,
    questions: usize,
    /// What he was told that he has.
    has: Vec<ReservationId>,
}

#[derive(Clone, Debug)]
struct Question {
    token: Option<String>,
    qty: u32,
}

/// A question that is on its way for long.
#[derive(Debug)]
pub(crate) enum Late {
    Try {
        buyer: usize,
        view: usize,
        question: LateQuestion,
    },
    Confirm {
        view: usize,
        rid: ReservationId,
        if_late: IfLate,
    },
    Cancel {
        view: usize,
        rid: ReservationId,
    },
}

/// See [`Late`].
#[derive(Debug)]
pub(crate) struct LateQuestion(Question);

impl World {
    pub(super) fn buyer(&mut self) -> Result<(), String> {
        let b = self.dice.below(self.buyers.len());
        let rid = {
            let among = &self.buyers[b].has;
            self.dice.pick(among)
        };
        let changes_mind = self.hazard(Hazard::Fickle) > 0 && self.dice.one_in(3);
        // One in three is given up.
        let pays = rid.map(|rid| rid.0.seq.is_multiple_of(3) == changes_mind);
        match (self.dice.below(8), rid, pays) {
            (0..3, Some(rid), Some(true)) => {
                let if_late = [IfLate::Take, IfLate::Take, IfLate::Refund, IfLate::Refuse];
                let if_late = if_late[self.dice.below(4)];
                let view = self.buyers[b].view;
                if self.is_late() {
                    self.late.push(Late::Confirm { view, rid, if_late });
                } else if self.confirm(view, rid, if_late)? == Answer::Unknown {
                    self.buyers[b].view = self.official;
                }
            }
            (0, Some(rid), Some(false)) => {
                let view = self.buyers[b].view;
                if self.is_late() {
                    self.late.push(Late::Cancel { view, rid });
                } else if self.cancel(view, rid)? == Answer::Unknown {
                    self.buyers[b].view = self.official;
                }
            }
            _ => {
                let question = self.question_of(b);
                let view = self.buyers[b].view;
                if self.is_late() {
                    let question = LateQuestion(question);
                    self.late.push(Late::Try {
                        buyer: b,
                        view,
                        question,
                    });
                } else {
                    self.ask(b, view, &question)?;
                }
            }
        }
        Ok(())
    }

    /// One that was on its way for long arrives.
    pub(super) fn late(&mut self) -> Result<(), String> {
        if self.late.is_empty() {
            return Ok(());
        }
        let which = self.dice.below(self.late.len());
        match self.late.swap_remove(which) {
            Late::Try {
                buyer,
                view,
                question,
            } => self.ask(buyer, view, &question.0),
            Late::Confirm { view, rid, if_late } => self.confirm(view, rid, if_late).map(drop),
            Late::Cancel { view, rid } => self.cancel(view, rid).map(drop),
        }
    }

    fn is_late(&mut self) -> bool {
        !self.is_healed && self.late.len() < 8 && self.dice.below(40) < self.hazard(Hazard::Late)
    }

    /// The question that he has asked and got no answer to, or another one.
    fn question_of(&mut self, b: usize) -> Question {
        let again = self.buyers[b]
            .question
            .clone()
            .filter(|_| self.dice.below(4) > 0);
        again.unwrap_or_else(|| {
            let buyer = &mut self.buyers[b];
            buyer.questions += 1;
            let token =
                (!buyer.questions.is_multiple_of(4)).then(|| format!("t{}", buyer.questions));
            let qty_max = self.settings.limit.clamp(1, 3).into();
            let qty = u32::try_from(self.dice.between(1, qty_max)).unwrap_or(1);
            let question = Question { token, qty };
            self.buyers[b].question = Some(question.clone());
            question
        })
    }

    fn ask(&mut self, b: usize, view: usize, question: &Question) -> Result<(), String> {
        let uid = self.buyers[b].uid.clone();
        let request = |uid| {
            Some(Try {
                uid: UidRef::new(uid).ok()?,
                qty: question.qty,
                token: question.token.as_deref().map(str::as_bytes),
            })
        };
        let Some(request) = request(uid.as_bytes()) else {
            return Err(format!("{uid} is no uid"));
        };
        let answer = self.command(view, |now, sale, change, soft| {
            sale.perform_try(now, change, soft, &request)
        })?;
        match answer {
            None => self.buyers[b].view = self.official,
            Some(Err(refusal)) => return Err(format!("a TRY is refused: {refusal}")),
            Some(Ok(verdict)) => {
                say!(
                    self,
                    "{uid} asks for {} at {}: {verdict:?}",
                    question.qty,
                    self.nodes[view].name
                );
                if let Verdict::Accepted(rid) | Verdict::Duplicate(rid) = verdict {
                    self.hears(b, view, rid);
                }
                if self.buyers[b]
                    .question
                    .as_ref()
                    .is_some_and(|q| q.token == question.token)
                {
                    self.buyers[b].question = None;
                }
            }
        }
        Ok(())
    }

    /// A buyer is told of his reservation; at once, or when the replica has it.
    fn hears(&mut self, b: usize, view: usize, rid: ReservationId) {
        if self.settings.replica_first && !(view == self.official && self.link.has_everything()) {
            return;
        }
        if !self.buyers[b].has.contains(&rid) {
            self.buyers[b].has.push(rid);
        }
        self.oracle.told(rid);
    }

    fn confirm(
        &mut self,
        view: usize,
        rid: ReservationId,
        if_late: IfLate,
    ) -> Result<Answer, String> {
        let answer = self.command(view, |now, sale, change, _| {
            sale.perform_confirm(now, change, rid, if_late)
        })?;
        say!(self, "{rid} is paid for ({if_late:?}): {answer:?}");
        self.settled(view, rid, ReservationState::Confirmed, answer)
    }

    pub(super) fn cancel(&mut self, view: usize, rid: ReservationId) -> Result<Answer, String> {
        let answer = self.command(view, |now, sale, change, _| {
            sale.perform(now, change, |sale| sale.decide_cancel(now, rid))
        })?;
        say!(self, "{rid} is given up: {answer:?}");
        self.settled(view, rid, ReservationState::Cancelled, answer)
    }

    fn settled(
        &mut self,
        view: usize,
        rid: ReservationId,
        state: ReservationState,
        answer: Option<Result<(), Refusal>>,
    ) -> Result<Answer, String> {
        match answer {
            None | Some(Err(Refusal::Fenced)) => Ok(Answer::Unknown),
            Some(Ok(())) => {
                let holds = view == self.official;
                if holds && (!self.settings.replica_first || self.link.has_everything()) {
                    self.oracle.settled(rid, state);
                }
                Ok(Answer::Done)
            }
            Some(Err(Refusal::NoReservation | Refusal::Gone(_) | Refusal::NoStock { .. })) => {
                Ok(Answer::Refused)
            }
            Some(Err(refusal)) => Err(format!("{rid}: {refusal}")),
        }
    }
}

// === impl Buyer ===

impl Buyer {
    pub(super) fn new(uid: String) -> Self {
        Self {
            uid,
            ..Self::default()
        }
    }
}

//! What becomes of a request: the shop has it, the shop has it with a reservation, or the proxy
//! answers.

use crate::answer::Answer;
use crate::buy::{self, Wanted};
use crate::callback::Callback;
use crate::code::Code;
use crate::counters::Counters;
use crate::fields::Fields;
use crate::forward::{Forward, Passages};
use crate::gate::{Gate, NotSettled, Outcome, Reservation};
use crate::ledger::Notes;
use crate::problem::{Problem, rejection};
use crate::route::{Fail, Found, Mode, Place, Route};
use crate::shadow::Shadows;
use crate::site::Site;
use http::Method;
use seckill_protocol::{ReservationId, Uid, Verdict};
use std::net::IpAddr;
use std::sync::Arc;

/// Where requests are decided.
pub(crate) struct Desk {
    gate: Arc<Gate>,
    passages: Passages,
    counters: Arc<Counters>,
    shadows: Shadows,
}

/// What is asked, and by whom.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    /// As it came, without the query.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) headers: &'a Fields<'a>,
    /// Who has connected.
    pub(crate) peer: Option<IpAddr>,
}

/// One request at the desk.
struct Case<'a> {
    desk: &'a Desk,
    site: &'a Site,
    asked: &'a Asked<'a>,
    notes: &'a mut Notes,
}

/// A buy of which Redis knows nothing, or nobody knows whether it does.
pub(crate) struct Unasked {
    pub(crate) sid: String,
    pub(crate) uid: Uid,
    pub(crate) qty: u32,
}

/// What to do with a request.
pub(crate) enum Decision {
    /// The shop answers.
    Pass,
    /// The shop answers this buy.
    Forward(Forward),
    /// The shop answers this buy, and sees to it by itself that it does not sell too much.
    ForwardUnreserved(Unasked),
    /// The proxy answers.
    Answer(Answer),
}

// === impl Desk ===

impl Desk {
    /// Asks `gate`.
    pub(crate) fn new(gate: Arc<Gate>, counters: Arc<Counters>) -> Self {
        Self {
            gate,
            passages: Passages::default(),
            shadows: Shadows::new(Arc::clone(&counters)),
            counters,
        }
    }

    /// What it asks.
    pub(crate) const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Says what becomes of a request, and notes what it came to.
    pub(crate) async fn decide(
        &self,
        site: &Site,
        asked: &Asked<'_>,
        notes: &mut Notes,
    ) -> Decision {
        let Found { route, place } = site.routes.find(asked.path);
        notes.route = route;
        let mut case = Case {
            desk: self,
            site,
            asked,
            notes,
        };
        let decided = match place {
            Place::Elsewhere => return Decision::Pass,
            Place::Sale { route, sid } if route.mode == Mode::Shadow => {
                if asked.method == Method::POST {
                    self.shadows.watch(&self.gate, site, asked, sid);
                }
                return Decision::Pass;
            }
            Place::Disguised => Err(Problem::BadRequest),
            _ if buy::overrides_method(asked.headers) || buy::upgrades(asked.headers) => {
                Err(Problem::BadRequest)
            }
            Place::Sale { route, sid } if asked.method == Method::POST => {
                case.buy(route.mode, sid).await
            }
            Place::BadSid if asked.method == Method::POST => Err(Problem::BadSale),
            // No buy: a page of the shop's, or nothing.
            Place::Sale { .. } | Place::BadSid if asked.reads() => return Decision::Pass,
            Place::Sale { .. } | Place::BadSid => Err(Problem::MethodNotAllowed {
                allow: "GET, HEAD, POST",
            }),
            // What is rare has a place of its own, so that what is not need not carry it about.
            Place::State { route, sid } => Box::pin(case.state(route, sid)).await,
            Place::Reservation { sid, rid } => Box::pin(case.at_reservation(sid, rid)).await,
            Place::Confirmation { sid, rid } => Box::pin(case.confirm(sid, rid)).await,
        };
        decided.unwrap_or_else(|problem| {
            case.notes.code = problem.into();
            let status = match place {
                Place::Sale { route, .. } | Place::State { route, .. } => {
                    route.statuses.of(problem)
                }
                _ => problem.status(),
            };
            Answer::refusal(problem, status, site.tells_limits).into()
        })
    }
}

// === impl Case ===

impl Case<'_> {
    async fn buy(&mut self, mode: Mode, sid: &str) -> Result<Decision, Problem> {
        let Wanted { uid, qty, token } = buy::wanted(self.site, self.asked)?;
        let access = self.site.access.as_ref();
        if access.is_some_and(|access| access.buyers) {
            self.notes.uid = Some(uid.clone());
        }
        let gate = &self.desk.gate;
        let verdict = match (gate.try_for(sid, &uid, qty, token, self.notes).await, mode) {
            (Err(Problem::Unavailable), Mode::Forward(how)) if how.fail == Fail::Open => {
                self.desk.counters.unreserved.inc();
                self.notes.code = Code::Unreserved;
                let sid = sid.to_owned();
                return Ok(Decision::ForwardUnreserved(Unasked { sid, uid, qty }));
            }
            (verdict, _) => verdict?,
        };
        self.notes.code = verdict.into();
        if let Verdict::Accepted(rid) | Verdict::Duplicate(rid) = verdict {
            self.notes.rid = Some(rid);
        }
        let path = self.asked.path;
        let passages = &self.desk.passages;
        match (verdict, mode) {
            (Verdict::Accepted(rid), Mode::Forward(how)) => passages
                .accepted(sid, rid, uid, qty, how)
                .map(Decision::Forward),
            (Verdict::Duplicate(rid), Mode::Forward(how)) => {
                let reservation = Box::pin(self.reservation(sid, rid)).await?;
                passages
                    .repeated(sid, &reservation, uid, how)
                    .map(Decision::Forward)
            }
            (Verdict::Accepted(rid), _) => Ok(Answer::queued(path, sid, rid).into()),
            (Verdict::Duplicate(rid), _) => Ok(Answer::duplicate(path, sid, rid).into()),
            (verdict, _) => Err(rejection(verdict).unwrap_or(Problem::Internal)),
        }
    }

    /// For everybody, so that nobody has to try in order to see when it starts.
    async fn state(&mut self, route: &Route, sid: &str) -> Result<Decision, Problem> {
        let asked = self.asked;
        self.site.clients.admit(asked.peer, asked.headers)?;
        if !asked.reads() {
            return Err(Problem::MethodNotAllowed { allow: "GET, HEAD" });
        }
        let state = self.desk.gate.state(sid);
        let state = self.notes.while_redis_answers(state).await?;
        self.notes.code = Code::State;
        Ok(Answer::state(sid, &state, route.show_units).into())
    }

    async fn at_reservation(&mut self, sid: &str, rid: &str) -> Result<Decision, Problem> {
        let asked = self.asked;
        self.site.clients.admit(asked.peer, asked.headers)?;
        if asked.method == Method::DELETE {
            self.cancel(sid, rid).await
        } else if asked.reads() {
            self.show(sid, rid).await
        } else {
            Err(Problem::MethodNotAllowed {
                allow: "GET, HEAD, DELETE",
            })
        }
    }

    async fn show(&mut self, sid: &str, rid: &str) -> Result<Decision, Problem> {
        let asked = self.asked;
        let uid = self.site.buyers.identify(asked.peer, asked.headers)?;
        let reservation = self.reservation(sid, parse(rid)?).await?;
        owned(&reservation, &uid)?;
        self.notes.code = Code::Reservation;
        Ok(Answer::reservation(sid, &reservation).into())
    }

    /// For the owner, and for the shop.
    async fn cancel(&mut self, sid: &str, rid: &str) -> Result<Decision, Problem> {
        let rid = parse(rid)?;
        if !self.is_shops() {
            let asked = self.asked;
            let uid = self.site.buyers.buying(asked.peer, asked.headers)?;
            owned(&self.reservation(sid, rid).await?, &uid)?;
        }
        self.settle(sid, rid, Outcome::Cancel).await
    }

    /// For the shop.
    async fn confirm(&mut self, sid: &str, rid: &str) -> Result<Decision, Problem> {
        if self.asked.method != Method::POST {
            return Err(Problem::MethodNotAllowed { allow: "POST" });
        }
        if !self.is_shops() {
            return Err(Problem::NotTheShop);
        }
        let callback = self.site.callback.as_ref();
        let late_payment = callback.map(Callback::late_payment).unwrap_or_default();
        let outcome = Outcome::Confirm(late_payment);
        self.settle(sid, parse(rid)?, outcome).await
    }

    async fn reservation(&mut self, sid: &str, rid: ReservationId) -> Result<Reservation, Problem> {
        self.notes.rid = Some(rid);
        let answer = self.desk.gate.reservation(sid, rid);
        self.notes.while_redis_answers(answer).await
    }

    async fn settle(
        &mut self,
        sid: &str,
        rid: ReservationId,
        outcome: Outcome,
    ) -> Result<Decision, Problem> {
        let _passage = self.desk.passages.enter(sid, rid)?;
        let settled = self.desk.gate.settle(sid, rid, outcome);
        let settled = self.notes.while_redis_answers(settled).await;
        if let Err(NotSettled::Unknown(_)) = settled {
            return Err(Problem::Unavailable);
        }
        let reservation = self.reservation(sid, rid).await?;
        match settled {
            Ok(()) => {
                self.notes.code = match outcome {
                    Outcome::Confirm(_) => Code::Confirmed,
                    Outcome::Cancel => Code::Cancelled,
                };
                Ok(Answer::reservation(sid, &reservation).into())
            }
            Err(_) => Err(Problem::WrongState {
                state: reservation.state,
            }),
        }
    }

    fn is_shops(&self) -> bool {
        let callback = self.site.callback.as_ref();
        callback.is_some_and(|callback| callback.is_shop(self.asked.peer, self.asked.headers))
    }
}

fn parse(rid: &str) -> Result<ReservationId, Problem> {
    rid.parse().map_err(|_| Problem::UnknownReservation)
}

/// Somebody else's is as unknown as none: ids can be guessed.
fn owned(reservation: &Reservation, uid: &Uid) -> Result<(), Problem> {
    if reservation.uid == uid.as_str() {
        Ok(())
    } else {
        Err(Problem::UnknownReservation)
    }
}

// === impl Asked ===

impl Asked<'_> {
    fn reads(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }
}

// === impl Decision ===

impl From<Answer> for Decision {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

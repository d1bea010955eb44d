//! What becomes of a request: the shop has it, the shop has it with a reservation, or the proxy
//! answers.

use crate::answer::Answer;
use crate::body;
use crate::buy;
use crate::code::Code;
use crate::counters::Counters;
use crate::forward::{Forward, Passages};
use crate::gate::{Gate, NotSettled, Outcome, Reservation};
use crate::ledger::Notes;
use crate::problem::{Problem, rejection};
use crate::route::{Fail, Found, Mode, Place, Route};
use crate::shadow::Shadows;
use crate::site::Site;
use http::{HeaderMap, Method};
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
    pub(crate) headers: &'a HeaderMap,
    /// Who has connected.
    pub(crate) peer: Option<IpAddr>,
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
            Place::Sale { route, sid } => self.at_sale(site, asked, route, sid, notes).await,
            Place::BadSid if asked.method == Method::POST => Err(Problem::BadSale),
            Place::BadSid => self.passed(asked),
            Place::Reservation { sid, rid } => {
                self.at_reservation(site, asked, sid, rid, notes).await
            }
            Place::Confirmation { sid, rid } => self.confirm(site, asked, sid, rid, notes).await,
        };
        decided.unwrap_or_else(|problem| {
            notes.code = problem.into();
            let status = match place {
                Place::Sale { route, .. } => route.statuses.of(problem),
                _ => problem.status(),
            };
            Answer::refusal(problem, status, site.tells_limits).into()
        })
    }

    async fn at_sale(
        &self,
        site: &Site,
        asked: &Asked<'_>,
        route: &Route,
        sid: &str,
        notes: &mut Notes,
    ) -> Result<Decision, Problem> {
        if asked.method != Method::POST {
            return self.passed(asked);
        }
        site.clients.admit(asked.peer, asked.headers)?;
        self.buy(site, asked, route.mode, sid, notes).await
    }

    async fn at_reservation(
        &self,
        site: &Site,
        asked: &Asked<'_>,
        sid: &str,
        rid: &str,
        notes: &mut Notes,
    ) -> Result<Decision, Problem> {
        site.clients.admit(asked.peer, asked.headers)?;
        if asked.method == Method::DELETE {
            self.cancel(site, asked, sid, rid, notes).await
        } else if asked.reads() {
            self.show(site, asked, sid, rid, notes).await
        } else {
            Err(Problem::MethodNotAllowed {
                allow: "GET, HEAD, DELETE",
            })
        }
    }

    /// What is no buy at a path that sells: a page of the shop's, or nothing.
    fn passed(&self, asked: &Asked<'_>) -> Result<Decision, Problem> {
        if asked.reads() {
            Ok(Decision::Pass)
        } else {
            Err(Problem::MethodNotAllowed {
                allow: "GET, HEAD, POST",
            })
        }
    }

    async fn buy(
        &self,
        site: &Site,
        asked: &Asked<'_>,
        mode: Mode,
        sid: &str,
        notes: &mut Notes,
    ) -> Result<Decision, Problem> {
        let uid = site.buyers.buying(asked.peer, asked.headers)?;
        let qty = buy::quantity(asked.query)?;
        let token = buy::token(asked.headers)?;
        if body::is_too_large(asked.headers) {
            return Err(Problem::BodyTooLarge);
        }
        if site.access.as_ref().is_some_and(|access| access.buyers) {
            notes.uid = Some(uid.clone());
        }
        let verdict = match (self.gate.try_for(sid, &uid, qty, token, notes).await, mode) {
            (Err(Problem::Unavailable), Mode::Forward(how)) if how.fail == Fail::Open => {
                self.counters.unreserved.inc();
                notes.code = Code::Unreserved;
                let sid = sid.to_owned();
                return Ok(Decision::ForwardUnreserved(Unasked { sid, uid, qty }));
            }
            (verdict, _) => verdict?,
        };
        notes.code = verdict.into();
        if let Verdict::Accepted(rid) | Verdict::Duplicate(rid) = verdict {
            notes.rid = Some(rid);
        }
        let path = asked.path;
        match (verdict, mode) {
            (Verdict::Accepted(rid), Mode::Forward(how)) => self
                .passages
                .accepted(sid, rid, uid, qty, how)
                .map(Decision::Forward),
            (Verdict::Duplicate(rid), Mode::Forward(how)) => {
                let reservation = self.reservation(sid, rid, notes).await?;
                self.passages
                    .repeated(sid, &reservation, uid, how)
                    .map(Decision::Forward)
            }
            (Verdict::Accepted(rid), _) => Ok(Answer::queued(path, sid, rid).into()),
            (Verdict::Duplicate(rid), _) => Ok(Answer::duplicate(path, sid, rid).into()),
            (verdict, _) => Err(rejection(verdict).unwrap_or(Problem::Internal)),
        }
    }

    async fn show(
        &self,
        site: &Site,
        asked: &Asked<'_>,
        sid: &str,
        rid: &str,
        notes: &mut Notes,
    ) -> Result<Decision, Problem> {
        let uid = site.buyers.identify(asked.peer, asked.headers)?;
        let reservation = self.reservation(sid, parse(rid)?, notes).await?;
        owned(&reservation, &uid)?;
        notes.code = Code::Reservation;
        Ok(Answer::reservation(sid, &reservation).into())
    }

    /// For the owner, and for the shop.
    async fn cancel(
        &self,
        site: &Site,
        asked: &Asked<'_>,
        sid: &str,
        rid: &str,
        notes: &mut Notes,
    ) -> Result<Decision, Problem> {
        let rid = parse(rid)?;
        if !asked.is_shops(site) {
            let uid = site.buyers.buying(asked.peer, asked.headers)?;
            owned(&self.reservation(sid, rid, notes).await?, &uid)?;
        }
        self.settle(sid, rid, Outcome::Cancel, notes).await
    }

    /// For the shop.
    async fn confirm(
        &self,
        site: &Site,
        asked: &Asked<'_>,
        sid: &str,
        rid: &str,
        notes: &mut Notes,
    ) -> Result<Decision, Problem> {
        if asked.method != Method::POST {
            return Err(Problem::MethodNotAllowed { allow: "POST" });
        }
        if !asked.is_shops(site) {
            return Err(Problem::NotTheShop);
        }
        let rid = parse(rid)?;
        self.settle(sid, rid, Outcome::Confirm, notes).await
    }

    async fn reservation(
        &self,
        sid: &str,
        rid: ReservationId,
        notes: &mut Notes,
    ) -> Result<Reservation, Problem> {
        notes.rid = Some(rid);
        let answer = self.gate.reservation(sid, rid);
        notes.while_redis_answers(answer).await
    }

    async fn settle(
        &self,
        sid: &str,
        rid: ReservationId,
        outcome: Outcome,
        notes: &mut Notes,
    ) -> Result<Decision, Problem> {
        let _passage = self.passages.enter(sid, rid)?;
        let settled = self.gate.settle(sid, rid, outcome);
        let settled = notes.while_redis_answers(settled).await;
        if let Err(NotSettled::Unknown(_)) = settled {
            return Err(Problem::Unavailable);
        }
        let reservation = self.reservation(sid, rid, notes).await?;
        match settled {
            Ok(()) => {
                notes.code = match outcome {
                    Outcome::Confirm => Code::Confirmed,
                    Outcome::Cancel => Code::Cancelled,
                };
                Ok(Answer::reservation(sid, &reservation).into())
            }
            Err(_) => Err(Problem::WrongState {
                state: reservation.state,
            }),
        }
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

    fn is_shops(&self, site: &Site) -> bool {
        let callback = site.callback.as_ref();
        callback.is_some_and(|callback| callback.is_shop(self.peer, self.headers))
    }
}

// === impl Decision ===

impl From<Answer> for Decision {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

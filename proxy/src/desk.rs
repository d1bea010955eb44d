//! What becomes of a request: the shop has it, the shop has it with a reservation, or the proxy
//! answers.

use crate::answer::Answer;
use crate::body;
use crate::buy;
use crate::forward::{Forward, Passages};
use crate::gate::{Gate, NotSettled, Outcome, Reservation};
use crate::metrics::Unreserved;
use crate::problem::{Problem, rejection};
use crate::route::{Fail, Mode, Place, Route};
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
    unreserved: Arc<Unreserved>,
    shadows: Arc<Shadows>,
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
    /// Asks `gate`, and counts in `unreserved` whom it could not ask, and in `shadows` for whom it
    /// only looked on.
    pub(crate) fn new(gate: Arc<Gate>, unreserved: Arc<Unreserved>, shadows: Arc<Shadows>) -> Self {
        Self {
            gate,
            passages: Passages::default(),
            unreserved,
            shadows,
        }
    }

    /// What it asks.
    pub(crate) const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Says what becomes of a request.
    pub(crate) async fn decide(&self, site: &Site, asked: &Asked<'_>) -> Decision {
        let place = site.routes.place(asked.path);
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
            Place::Sale { route, sid } => self.at_sale(site, asked, route, sid).await,
            Place::BadSid if asked.method == Method::POST => Err(Problem::BadSale),
            Place::BadSid => self.passed(asked),
            Place::Reservation { sid, rid } => self.at_reservation(site, asked, sid, rid).await,
            Place::Confirmation { sid, rid } => self.confirm(site, asked, sid, rid).await,
        };
        decided.unwrap_or_else(|problem| {
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
    ) -> Result<Decision, Problem> {
        if asked.method != Method::POST {
            return self.passed(asked);
        }
        site.clients.admit(asked.peer, asked.headers)?;
        self.buy(site, asked, route.mode, sid).await
    }

    async fn at_reservation(
        &self,
        site: &Site,
        asked: &Asked<'_>,
        sid: &str,
        rid: &str,
    ) -> Result<Decision, Problem> {
        site.clients.admit(asked.peer, asked.headers)?;
        if asked.method == Method::DELETE {
            self.cancel(site, asked, sid, rid).await
        } else if asked.reads() {
            self.show(site, asked, sid, rid).await
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
    ) -> Result<Decision, Problem> {
        let uid = site.buyers.buying(asked.peer, asked.headers)?;
        let qty = buy::quantity(asked.query)?;
        let token = buy::token(asked.headers)?;
        if body::is_too_large(asked.headers) {
            return Err(Problem::BodyTooLarge);
        }
        let verdict = match (self.gate.try_for(sid, &uid, qty, token).await, mode) {
            (Err(Problem::Unavailable), Mode::Forward(how)) if how.fail == Fail::Open => {
                self.unreserved.count();
                let sid = sid.to_owned();
                return Ok(Decision::ForwardUnreserved(Unasked { sid, uid, qty }));
            }
            (verdict, _) => verdict?,
        };
        let path = asked.path;
        match (verdict, mode) {
            (Verdict::Accepted(rid), Mode::Forward(how)) => self
                .passages
                .accepted(sid, rid, uid, qty, how)
                .map(Decision::Forward),
            (Verdict::Duplicate(rid), Mode::Forward(how)) => {
                let reservation = self.gate.reservation(sid, rid).await?;
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
    ) -> Result<Decision, Problem> {
        let uid = site.buyers.identify(asked.peer, asked.headers)?;
        let reservation = self.gate.reservation(sid, parse(rid)?).await?;
        owned(&reservation, &uid)?;
        Ok(Answer::reservation(sid, &reservation).into())
    }

    /// For the owner, and for the shop.
    async fn cancel(
        &self,
        site: &Site,
        asked: &Asked<'_>,
        sid: &str,
        rid: &str,
    ) -> Result<Decision, Problem> {
        let rid = parse(rid)?;
        if !asked.is_shops(site) {
            let uid = site.buyers.buying(asked.peer, asked.headers)?;
            owned(&self.gate.reservation(sid, rid).await?, &uid)?;
        }
        self.settle(sid, rid, Outcome::Cancel).await
    }

    /// For the shop.
    async fn confirm(
        &self,
        site: &Site,
        asked: &Asked<'_>,
        sid: &str,
        rid: &str,
    ) -> Result<Decision, Problem> {
        if asked.method != Method::POST {
            return Err(Problem::MethodNotAllowed { allow: "POST" });
        }
        if !asked.is_shops(site) {
            return Err(Problem::NotTheShop);
        }
        self.settle(sid, parse(rid)?, Outcome::Confirm).await
    }

    async fn settle(
        &self,
        sid: &str,
        rid: ReservationId,
        outcome: Outcome,
    ) -> Result<Decision, Problem> {
        let _passage = self.passages.enter(sid, rid)?;
        let settled = self.gate.settle(sid, rid, outcome).await;
        if let Err(NotSettled::Unknown(_)) = settled {
            return Err(Problem::Unavailable);
        }
        let reservation = self.gate.reservation(sid, rid).await?;
        match settled {
            Ok(()) => Ok(Answer::reservation(sid, &reservation).into()),
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

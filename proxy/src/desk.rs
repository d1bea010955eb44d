//! What becomes of a request: the shop has it, the shop has it with a reservation, or the proxy
//! answers.

use crate::answer::Answer;
use crate::body;
use crate::buy;
use crate::forward::{Forward, Passages};
use crate::gate::Gate;
use crate::metrics::Unreserved;
use crate::problem::Problem;
use crate::route::{Fail, Mode, Place};
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
    /// Asks `gate`, and counts in `unreserved` whom it could not ask.
    pub(crate) fn new(gate: Arc<Gate>, unreserved: Arc<Unreserved>) -> Self {
        Self {
            gate,
            passages: Passages::default(),
            unreserved,
        }
    }

    /// What it asks.
    pub(crate) const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Says what becomes of a request.
    pub(crate) async fn decide(&self, site: &Site, asked: &Asked<'_>) -> Decision {
        let method = asked.method;
        let place = site.routes.place(asked.path);
        if place == Place::Elsewhere {
            return Decision::Pass;
        }
        if place == Place::Disguised || buy::overrides_method(asked.headers) {
            return Problem::BadRequest.into();
        }
        let reads = method == Method::GET || method == Method::HEAD;
        let decided = match place {
            Place::Sale { mode, sid } if method == Method::POST => {
                self.buy(site, asked, mode, sid).await
            }
            Place::BadSid if method == Method::POST => Err(Problem::BadSale),
            Place::Reservation { sid, rid } if reads => {
                self.reservation(site, asked, sid, rid).await
            }
            Place::Sale { .. } | Place::BadSid if reads => Ok(Decision::Pass),
            Place::Reservation { .. } => Err(Problem::MethodNotAllowed { allow: "GET, HEAD" }),
            _ => Err(Problem::MethodNotAllowed {
                allow: "GET, HEAD, POST",
            }),
        };
        decided.unwrap_or_else(Decision::from)
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
            (Verdict::Accepted(rid), Mode::Queue) => Ok(Answer::queued(path, sid, rid).into()),
            (Verdict::Duplicate(rid), Mode::Queue) => Ok(Answer::duplicate(path, sid, rid).into()),
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
            (Verdict::SoldOut { wait_ms }, _) => Err(Problem::SoldOut { wait_ms }),
            (Verdict::Limited { wait_ms }, _) => Err(Problem::Limited { wait_ms }),
            (Verdict::NotStarted { wait_ms }, _) => Err(Problem::NotStarted { wait_ms }),
            (Verdict::Ended, _) => Err(Problem::Ended),
            (Verdict::Paused, _) => Err(Problem::Paused),
        }
    }

    async fn reservation(
        &self,
        site: &Site,
        asked: &Asked<'_>,
        sid: &str,
        rid: &str,
    ) -> Result<Decision, Problem> {
        let uid: Uid = site.buyers.identify(asked.peer, asked.headers)?;
        let rid: ReservationId = rid.parse().map_err(|_| Problem::UnknownReservation)?;
        let reservation = self.gate.reservation(sid, rid).await?;
        // Somebody else's is as unknown as none: ids can be guessed.
        if reservation.uid != uid.as_str() {
            return Err(Problem::UnknownReservation);
        }
        Ok(Answer::reservation(sid, &reservation).into())
    }
}

// === impl Decision ===

impl From<Answer> for Decision {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

impl From<Problem> for Decision {
    fn from(problem: Problem) -> Self {
        Self::Answer(problem.into())
    }
}

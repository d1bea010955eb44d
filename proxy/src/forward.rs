//! A buy on its way to the shop, and what the shop's answer makes of its reservation.
//!
//! One at a time: while the shop is asked about a reservation, or its "no" is still being taken to
//! Redis, the same buyer's repetition waits outside. Otherwise the "no" to the first request could
//! cancel what the second has just bought. This holds within one proxy; across several the shop
//! must answer a reservation that it has seen as it did the first time.

use crate::callback::LatePayment;
use crate::gate::{Gate, NotSettled, Outcome, Reservation};
use crate::pauses::Pauses;
use crate::problem::Problem;
use crate::route::{Forwarding, OnFailure, OnSuccess};
use http::StatusCode;
use seckill_protocol::{ReservationId, Uid};
use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tracing::{error, warn};

/// Between two attempts to settle: first, and at most.
const PAUSES: Pauses = Pauses::new(Duration::from_millis(100), Duration::from_secs(15));

/// How long a confirmation is tried: as long as a hold lives by default, since somebody has paid.
const CONFIRM_FOR: Duration = Duration::from_secs(900);

/// How long a cancellation is tried. What is not cancelled lapses by itself, and a cancellation
/// that comes late could meet another proxy's purchase.
const CANCEL_FOR: Duration = Duration::from_secs(30);

/// The reservations that are with the shop.
#[derive(Debug, Default)]
pub(crate) struct Passages(Arc<Mutex<HashSet<Passing>>>);

/// Epochs are a sale's own, so that only sid and rid together name a reservation.
type Passing = (String, ReservationId);

/// One reservation's turn at the shop; ends when dropped.
#[derive(Debug)]
pub(crate) struct Passage {
    passing: Passing,
    all: Arc<Mutex<HashSet<Passing>>>,
}

/// A buy that goes to the shop.
#[derive(Debug)]
pub(crate) struct Forward {
    /// The buyer.
    pub(crate) uid: Uid,
    /// The units that the reservation is for.
    pub(crate) qty: u64,
    /// Whether this request made the reservation. Only then does a "no" cancel it: to a repetition
    /// a shop may well say "you have it already".
    first: bool,
    how: Forwarding,
    passage: Passage,
}

// === impl Passages ===

impl Passages {
    /// A buy that was accepted just now.
    ///
    /// # Errors
    /// [`Problem::InProgress`] if its own repetition has overtaken it.
    pub(crate) fn accepted(
        &self,
        sid: &str,
        rid: ReservationId,
        uid: Uid,
        qty: u32,
        how: Forwarding,
    ) -> Result<Forward, Problem> {
        Ok(Forward {
            uid,
            qty: qty.into(),
            first: true,
            how,
            passage: self.enter(sid, rid)?,
        })
    }

    /// A buy that was asked again, with what the module knows of it.
    ///
    /// # Errors
    /// [`Problem::ReservationGone`] if there are no units in it any more, which the shop must not
    /// sell; [`Problem::InProgress`] if the shop is still busy with it.
    pub(crate) fn repeated(
        &self,
        sid: &str,
        reservation: &Reservation,
        uid: Uid,
        how: Forwarding,
    ) -> Result<Forward, Problem> {
        if !reservation.state.is_live() {
            return Err(Problem::ReservationGone);
        }
        Ok(Forward {
            uid,
            qty: reservation.qty,
            first: false,
            how,
            passage: self.enter(sid, reservation.rid)?,
        })
    }

    /// Keeps everybody else from a reservation as long as the result lives.
    ///
    /// # Errors
    /// [`Problem::InProgress`] if somebody is at it.
    pub(crate) fn enter(&self, sid: &str, rid: ReservationId) -> Result<Passage, Problem> {
        let passing = (sid.to_owned(), rid);
        let entered = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(passing.clone());
        if !entered {
            return Err(Problem::InProgress);
        }
        Ok(Passage {
            passing,
            all: Arc::clone(&self.0),
        })
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.passing);
    }
}

// === impl Forward ===

impl Forward {
    /// The sale.
    pub(crate) fn sid(&self) -> &str {
        &self.passage.passing.0
    }

    /// The reservation.
    pub(crate) const fn rid(&self) -> ReservationId {
        self.passage.passing.1
    }

    /// Takes the shop's answer to Redis, if it decides anything, and waits for the first attempt:
    /// a buyer who is told "no" can buy again at once. Further attempts go on by themselves, also
    /// when the buyer hangs up.
    pub(crate) async fn answered(self, status: StatusCode, gate: &Arc<Gate>) {
        let outcome = self.outcome(status);
        self.end(outcome, gate).await;
    }

    /// The same if there is no answer: whether the shop has sold, nobody knows.
    pub(crate) async fn unanswered(self, gate: &Arc<Gate>) {
        let outcome = self.failed(self.how.on_timeout);
        self.end(outcome, gate).await;
    }

    async fn end(self, outcome: Option<Outcome>, gate: &Arc<Gate>) {
        let Some(outcome) = outcome else {
            return;
        };
        let (tried, first) = oneshot::channel();
        tokio::spawn(settle(self, outcome, Arc::clone(gate), tried));
        // An error means no more than that the task is through with its first attempt.
        let _ = first.await;
    }

    fn outcome(&self, status: StatusCode) -> Option<Outcome> {
        if status.is_success() {
            let confirms = self.how.on_success == OnSuccess::Confirm;
            // Units that lapsed while the shop was busy are taken again if there are any: it has said
            // yes.
            confirms.then_some(Outcome::Confirm(LatePayment::Take))
        } else if status.is_client_error() {
            self.failed(self.how.on_client_error)
        } else if status.is_server_error() {
            self.failed(self.how.on_server_error)
        } else {
            None
        }
    }

    fn failed(&self, then: OnFailure) -> Option<Outcome> {
        (self.first && then == OnFailure::Cancel).then_some(Outcome::Cancel)
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sale {}, reservation {}, buyer {}",
            self.sid(),
            self.rid(),
            self.uid
        )
    }
}

/// Asks until Redis has answered or there is no point in it any more. The passage ends with it.
async fn settle(forward: Forward, outcome: Outcome, gate: Arc<Gate>, tried: oneshot::Sender<()>) {
    let sold = matches!(outcome, Outcome::Confirm(_));
    let patience = if sold { CONFIRM_FOR } else { CANCEL_FOR };
    let since = Instant::now();
    let mut tried = Some(tried);
    let mut pauses = PAUSES;
    loop {
        match gate.settle(forward.sid(), forward.rid(), outcome).await {
            Ok(()) => return,
            Err(NotSettled::Refused(reason)) => {
                if sold {
                    error!("the shop sold what is not reserved ({reason}): {forward}");
                }
                // What lapsed or was confirmed meanwhile need not be cancelled any more.
                return;
            }
            Err(NotSettled::Unknown(reason)) if since.elapsed() >= patience => {
                if sold {
                    error!("a sold reservation was not confirmed ({reason}): {forward}");
                } else {
                    warn!(
                        "a refused reservation was not cancelled and will lapse ({reason}): {forward}"
                    );
                }
                return;
            }
            Err(NotSettled::Unknown(reason)) => {
                if sold && tried.is_some() {
                    // Should this process end before Redis is back, this line is all that is left.
                    warn!("a sold reservation is not confirmed yet ({reason}): {forward}");
                }
            }
        }
        drop(tried.take());
        tokio::time::sleep(pauses.take()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Fail;
    use seckill_protocol::ReservationState;

    const SOLD: Option<Outcome> = Some(Outcome::Confirm(LatePayment::Take));

    const HOW: Forwarding = Forwarding {
        on_success: OnSuccess::Confirm,
        on_client_error: OnFailure::Cancel,
        on_server_error: OnFailure::Keep,
        on_timeout: OnFailure::Keep,
        fail: Fail::Closed,
    };

    const RID: ReservationId = ReservationId::new(7, 1);

    fn uid() -> Uid {
        Uid::new(b"u7").unwrap()
    }

    fn accepted(passages: &Passages, sid: &str) -> Result<Forward, Problem> {
        passages.accepted(sid, RID, uid(), 2, HOW)
    }

    fn repeated(passages: &Passages, state: ReservationState) -> Result<Forward, Problem> {
        let reservation = Reservation {
            rid: RID,
            uid: "u7".to_owned(),
            qty: 2,
            state,
            deadline: None,
            stored: false,
        };
        passages.repeated("1001", &reservation, uid(), HOW)
    }

    #[test]
    fn the_shop_is_asked_about_one_reservation_by_one_request_at_a_time() {
        let passages = Passages::default();
        let first = accepted(&passages, "1001").unwrap();
        assert_eq!(
            repeated(&passages, ReservationState::Held).unwrap_err(),
            Problem::InProgress
        );
        assert!(accepted(&passages, "1002").is_ok(), "another sale");
        drop(first);
        assert!(repeated(&passages, ReservationState::Held).is_ok());
    }

    #[test]
    fn the_shop_is_not_asked_to_sell_what_is_gone() {
        let passages = Passages::default();
        for state in [ReservationState::Cancelled, ReservationState::Expired] {
            assert_eq!(
                repeated(&passages, state).unwrap_err(),
                Problem::ReservationGone
            );
        }
        assert!(repeated(&passages, ReservationState::Confirmed).is_ok());
    }

    #[test]
    fn only_the_first_no_cancels_and_only_a_yes_confirms() {
        let passages = Passages::default();
        let first = accepted(&passages, "1001").unwrap();
        let again = accepted(&passages, "1002").map(|f| Forward { first: false, ..f });
        let again = again.unwrap();
        for (status, first_outcome, again_outcome) in [
            (200, SOLD, SOLD),
            (201, SOLD, SOLD),
            (303, None, None),
            (402, Some(Outcome::Cancel), None),
            (409, Some(Outcome::Cancel), None),
            (500, None, None),
            (503, None, None),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(first.outcome(status), first_outcome, "{status}");
            assert_eq!(again.outcome(status), again_outcome, "{status}");
        }
    }

    #[test]
    fn a_route_says_what_becomes_of_a_reservation_that_was_not_sold() {
        let passages = Passages::default();
        let how = Forwarding {
            on_client_error: OnFailure::Keep,
            on_server_error: OnFailure::Cancel,
            on_timeout: OnFailure::Cancel,
            ..HOW
        };
        let forward = |sid, first| {
            let forward = accepted(&passages, sid).unwrap();
            Forward {
                first,
                how,
                ..forward
            }
        };
        let first = forward("1001", true);
        let again = forward("1002", false);
        for (status, first_outcome) in [
            (409, None),
            (500, Some(Outcome::Cancel)),
            (503, Some(Outcome::Cancel)),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(first.outcome(status), first_outcome, "{status}");
            assert_eq!(again.outcome(status), None, "{status}");
        }
        assert_eq!(first.failed(how.on_timeout), Some(Outcome::Cancel));
        assert_eq!(again.failed(how.on_timeout), None);
    }
}

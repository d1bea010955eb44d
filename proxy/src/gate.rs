//! The questions that the module answers, and what its answers mean.

use crate::link::{Link, Trouble};
use crate::problem::Problem;
use crate::throttle::Throttle;
use redis::{Cmd, RedisError, Value, from_redis_value};
use seckill_protocol::{ReservationId, ReservationState, Uid, Verdict, VerdictDetail};
use std::collections::HashMap;
use std::sync::Arc;
use tracing::error;

/// Asks the module.
pub(crate) struct Gate {
    link: Arc<Link>,
    key_prefix: String,
    oddities: Throttle,
}

/// A reservation as the module has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    /// Its id.
    pub(crate) rid: ReservationId,
    /// Its owner.
    pub(crate) uid: String,
    /// Its units.
    pub(crate) qty: u64,
    /// Where it stands.
    pub(crate) state: ReservationState,
    /// When it lapses unless paid for, in Unix milliseconds; `None`: never.
    pub(crate) deadline: Option<u64>,
    /// Whether MySQL has its order.
    pub(crate) stored: bool,
}

/// What the shop's answer makes of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Paid for.
    Confirm,
    /// Turned down.
    Cancel,
}

/// Why an [`Outcome`] was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSettled {
    /// It may have been taken or not; asking again does no harm.
    #[error("{0}")]
    Unknown(String),
    /// The module says no, and will go on saying so.
    #[error("{0}")]
    Refused(String),
}

// === impl Gate ===

impl Gate {
    /// Asks over `link` about sales whose keys begin with `key_prefix`.
    pub(crate) fn new(link: Link, key_prefix: String) -> Self {
        Self {
            link: Arc::new(link),
            key_prefix,
            oddities: Throttle::default(),
        }
    }

    /// Connects to Redis, in the background and on the runtime that this is called from.
    pub(crate) fn open(&self) {
        self.link.open();
    }

    /// Asks for units.
    ///
    /// # Errors
    /// [`Problem`] if there is no such sale, `qty` is above its limit, or Redis did not decide.
    /// In the last case the units may have been granted: asked again, the verdict is `DUPLICATE`.
    pub(crate) async fn try_for(
        &self,
        sid: &str,
        uid: &Uid,
        qty: u32,
        token: Option<&[u8]>,
    ) -> Result<Verdict, Problem> {
        let mut question = self.about("SECKILL.TRY", sid);
        question.arg(uid.as_str()).arg("QTY").arg(qty);
        if let Some(token) = token {
            question.arg("TOKEN").arg(token);
        }
        let answer = self.ask(&question).await?;
        verdict(&answer).ok_or_else(|| self.odd(&format!("unexpected answer to TRY: {answer:?}")))
    }

    /// Looks a reservation up.
    ///
    /// # Errors
    /// [`Problem`] if there is none, or Redis did not answer.
    pub(crate) async fn reservation(
        &self,
        sid: &str,
        rid: ReservationId,
    ) -> Result<Reservation, Problem> {
        let mut question = self.about("SECKILL.GET", sid);
        question.arg(rid.to_string());
        let answer = self.ask(&question).await?;
        reservation(&answer)
            .ok_or_else(|| self.odd(&format!("unexpected answer to GET: {answer:?}")))
    }

    /// Confirms or cancels a reservation. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`NotSettled`] says whether it makes sense to ask again.
    pub(crate) async fn settle(
        &self,
        sid: &str,
        rid: ReservationId,
        outcome: Outcome,
    ) -> Result<(), NotSettled> {
        let question = match outcome {
            Outcome::Confirm => {
                // The shop has said yes. If the hold lapsed meanwhile, LATE takes its units again
                // as long as there are any.
                let mut question = self.about("SECKILL.CONFIRM", sid);
                question.arg(rid.to_string()).arg("LATE");
                question
            }
            Outcome::Cancel => {
                let mut question = self.about("SECKILL.CANCEL", sid);
                question.arg(rid.to_string());
                question
            }
        };
        match self.link.ask(&question).await {
            Ok(_) => Ok(()),
            Err(Trouble::Failed(error)) if is_final(&error) => {
                Err(NotSettled::Refused(error.to_string()))
            }
            Err(trouble) => Err(NotSettled::Unknown(trouble.to_string())),
        }
    }

    fn about(&self, command: &str, sid: &str) -> Cmd {
        let mut question = redis::cmd(command);
        if self.key_prefix.is_empty() {
            question.arg(sid);
        } else {
            question.arg(format!("{}{sid}", self.key_prefix));
        }
        question
    }

    async fn ask(&self, question: &Cmd) -> Result<Value, Problem> {
        match self.link.ask(question).await {
            Ok(answer) => Ok(answer),
            Err(Trouble::Away | Trouble::Busy) => Err(Problem::Unavailable),
            Err(Trouble::Failed(error)) => Err(self.meaning(&error)),
        }
    }

    fn meaning(&self, error: &RedisError) -> Problem {
        match error.code() {
            Some("NOSALE") => Problem::UnknownSale,
            Some("NORESERVATION") => Problem::UnknownReservation,
            Some("ERR") if names_quantity(error.detail().unwrap_or_default()) => {
                Problem::BadQuantity
            }
            // Somebody uses the key for something else: no sale is called that.
            Some("WRONGTYPE") => Problem::UnknownSale,
            // The link tells of these itself.
            None if error.is_timeout() || error.is_io_error() => Problem::Unavailable,
            _ => self.odd(&error.to_string()),
        }
    }

    fn odd(&self, what: &str) -> Problem {
        if let Some(skipped) = self.oddities.pass() {
            error!(skipped, "Redis does not decide: {what}");
        }
        Problem::Unavailable
    }
}

/// The one mistake in the arguments that a buyer can make and only the sale can see.
fn names_quantity(detail: &str) -> bool {
    detail.contains("QTY") && detail.contains("LIMIT")
}

fn is_final(error: &RedisError) -> bool {
    matches!(
        error.code(),
        Some("GONE" | "NOSTOCK" | "NORESERVATION" | "NOSALE" | "WRONGTYPE")
    )
}

fn verdict(answer: &Value) -> Option<Verdict> {
    let Value::Array(parts) = answer else {
        return None;
    };
    let [word, detail] = parts.as_slice() else {
        return None;
    };
    let detail = match detail {
        Value::Int(number) => VerdictDetail::Integer(*number),
        other => VerdictDetail::Reservation(text(other)?.parse().ok()?),
    };
    Verdict::from_reply(text(word)?, detail).ok()
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn reservation(answer: &Value) -> Option<Reservation> {
    let fields: HashMap<String, Value> = from_redis_value(answer.clone()).ok()?;
    let number = |name: &str| -> Option<i64> { from_redis_value(fields.get(name)?.clone()).ok() };
    Some(Reservation {
        rid: text(fields.get("rid")?)?.parse().ok()?,
        uid: text(fields.get("uid")?)?.to_owned(),
        qty: u64::try_from(number("qty")?).ok()?,
        state: text(fields.get("state")?)?.parse().ok()?,
        deadline: number("deadline")
            .and_then(|ms| u64::try_from(ms).ok())
            .filter(|&ms| ms > 0),
        stored: number("stored")? != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn a_verdict_is_read_from_either_kind_of_string() {
        let rid = ReservationId::new(7, 1);
        assert_eq!(
            verdict(&Value::Array(vec![bulk("ACCEPTED"), bulk("7-1")])),
            Some(Verdict::Accepted(rid))
        );
        assert_eq!(
            verdict(&Value::Array(vec![
                Value::SimpleString("DUPLICATE".to_owned()),
                Value::SimpleString("7-1".to_owned())
            ])),
            Some(Verdict::Duplicate(rid))
        );
        assert_eq!(
            verdict(&Value::Array(vec![bulk("SOLDOUT"), Value::Int(-1)])),
            Some(Verdict::SoldOut { wait_ms: None })
        );
    }

    #[test]
    fn what_is_no_verdict_grants_nothing() {
        for answer in [
            Value::Nil,
            Value::Okay,
            bulk("ACCEPTED"),
            Value::Array(vec![bulk("ACCEPTED")]),
            Value::Array(vec![bulk("ACCEPTED"), Value::Int(1)]),
            Value::Array(vec![bulk("ACCEPTED"), bulk("7")]),
        ] {
            assert_eq!(verdict(&answer), None, "{answer:?}");
        }
    }

    #[test]
    fn a_reservation_is_read_from_the_reply_of_either_protocol() {
        let pairs = [
            ("rid", bulk("7-1")),
            ("uid", bulk("u7")),
            ("qty", Value::Int(2)),
            ("state", bulk("held")),
            ("at", Value::Int(1)),
            ("deadline", Value::Int(900)),
            ("stored", Value::Int(0)),
        ];
        let flat = Value::Array(
            pairs
                .iter()
                .flat_map(|(name, value)| [bulk(name), value.clone()])
                .collect(),
        );
        let map = Value::Map(pairs.map(|(name, value)| (bulk(name), value)).to_vec());
        for answer in [flat, map] {
            assert_eq!(
                reservation(&answer),
                Some(Reservation {
                    rid: ReservationId::new(7, 1),
                    uid: "u7".to_owned(),
                    qty: 2,
                    state: ReservationState::Held,
                    deadline: Some(900),
                    stored: false,
                })
            );
        }
    }
}

//! What a question can come to: an answer, or silence.

use http::StatusCode;
use seckill_protocol::ReservationId;
use serde::Deserialize;
use std::fmt;

/// An answer to a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The buyer has a new reservation.
    Accepted(ReservationId),
    /// The buyer has this reservation already.
    Duplicate(ReservationId),
    /// No unit is left.
    SoldOut,
    /// Too many tries.
    Limited,
    /// The sale has not started.
    NotStarted,
    /// The sale is over.
    Ended,
    /// The sale is paused.
    Paused,
    /// Any other answer, by its HTTP status: a bad request, or what a shop behind a `forward`
    /// route says.
    Other(u16),
}

/// Why a question got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Silence {
    /// No connection could be opened.
    NoConnection,
    /// The connection broke before the answer was there.
    Broken,
    /// No answer in time.
    Timeout,
    /// A 5xx: nothing was decided, or nobody can say.
    Status(u16),
}

/// A reservation, as the proxy tells it.
#[derive(Deserialize)]
struct Reservation<'a> {
    rid: ReservationId,
    #[serde(borrow)]
    status: &'a str,
}

/// An RFC 9457 problem; `code` is the stable part.
#[derive(Deserialize)]
struct Problem<'a> {
    #[serde(borrow)]
    code: &'a str,
}

// === impl Answer ===

impl Answer {
    /// Reads a response.
    ///
    /// # Errors
    /// [`Silence`] when it decides nothing.
    pub(crate) fn read(status: StatusCode, body: &[u8]) -> Result<Self, Silence> {
        if status.is_success() {
            return Ok(Self::reservation(body).unwrap_or(Self::Other(status.as_u16())));
        }
        match Self::problem(body) {
            Some(answer) => Ok(answer),
            None if status.is_server_error() => Err(Silence::Status(status.as_u16())),
            None => Ok(Self::Other(status.as_u16())),
        }
    }

    fn reservation(body: &[u8]) -> Option<Self> {
        let reservation: Reservation<'_> = serde_json::from_slice(body).ok()?;
        match reservation.status {
            "queued" => Some(Self::Accepted(reservation.rid)),
            "duplicate" => Some(Self::Duplicate(reservation.rid)),
            _ => None,
        }
    }

    fn problem(body: &[u8]) -> Option<Self> {
        let problem: Problem<'_> = serde_json::from_slice(body).ok()?;
        match problem.code {
            "sold_out" => Some(Self::SoldOut),
            "limited" => Some(Self::Limited),
            "not_started" => Some(Self::NotStarted),
            "ended" => Some(Self::Ended),
            "paused" => Some(Self::Paused),
            _ => None,
        }
    }
}

// === impl Silence ===

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnection => f.write_str("no connection"),
            Self::Broken => f.write_str("connection broken"),
            Self::Timeout => f.write_str("timeout"),
            Self::Status(status) => write!(f, "status {status}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Result<Answer, Silence> {
        Answer::read(StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    #[test]
    fn every_answer_of_the_proxy_is_understood() {
        let rid = ReservationId::new(1_763_800_000_000, 42);
        let told = |status: &str| format!(r#"{{"sid":"1001","rid":"{rid}","status":"{status}"}}"#);
        let problem = |status: u16, code: &str| {
            read(
                status,
                &format!(
                    r#"{{"type":"about:blank","title":"-","status":{status},"code":"{code}"}}"#
                ),
            )
        };
        assert_eq!(read(202, &told("queued")), Ok(Answer::Accepted(rid)));
        assert_eq!(read(200, &told("duplicate")), Ok(Answer::Duplicate(rid)));
        assert_eq!(problem(410, "sold_out"), Ok(Answer::SoldOut));
        assert_eq!(problem(429, "limited"), Ok(Answer::Limited));
        assert_eq!(problem(403, "not_started"), Ok(Answer::NotStarted));
        assert_eq!(problem(410, "ended"), Ok(Answer::Ended));
        assert_eq!(problem(503, "paused"), Ok(Answer::Paused));
        assert_eq!(problem(404, "unknown_sale"), Ok(Answer::Other(404)));
    }

    #[test]
    fn what_decides_nothing_is_silence() {
        let unavailable = r#"{"type":"about:blank","status":503,"code":"unavailable"}"#;
        assert_eq!(read(503, unavailable), Err(Silence::Status(503)));
        assert_eq!(read(502, ""), Err(Silence::Status(502)));
    }

    #[test]
    fn what_a_shop_says_is_kept_by_its_status() {
        assert_eq!(read(201, r#"{"order":7}"#), Ok(Answer::Other(201)));
        assert_eq!(read(200, "thank you"), Ok(Answer::Other(200)));
        assert_eq!(read(422, "no"), Ok(Answer::Other(422)));
    }
}

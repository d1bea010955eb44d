//! What the proxy itself answers: the status, headers and body of every verdict and mistake.
//!
//! The bodies that never change are constants of the program: a rejection is what the proxy does
//! most.

use crate::gate::Reservation;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use pingora_core::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use seckill_protocol::{ReservationId, ReservationState};
use serde::Serialize;

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// How long to wait, in seconds, before asking again where only a person or a restart helps.
const RETRY_PAUSED_S: u64 = 5;
const RETRY_UNAVAILABLE_S: u64 = 1;

/// Why a request is not served. Each has a stable `code` in its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// No unit is left; one may come back after so many milliseconds.
    SoldOut { wait_ms: Option<u64> },
    /// Too many tries.
    Limited { wait_ms: u64 },
    /// The sale has not started.
    NotStarted { wait_ms: u64 },
    /// The sale is over.
    Ended,
    /// The sale is paused.
    Paused,
    /// Nobody who may says who the buyer is.
    NoBuyer,
    /// The sid is none.
    BadSale,
    /// The uid is none, or said twice.
    BadBuyer,
    /// The quantity is none, or above the sale's limit.
    BadQuantity,
    /// The key is none.
    BadIdempotencyKey,
    /// A guarded path under another spelling, or a method in a header.
    BadRequest,
    /// There is no such sale.
    UnknownSale,
    /// The buyer has no such reservation.
    UnknownReservation,
    /// The reservation that this key stands for was given up or ran out.
    ReservationGone,
    /// The shop is still busy with the same reservation.
    InProgress,
    /// The body is longer than a buy needs.
    BodyTooLarge,
    /// A guarded path that takes no such method.
    MethodNotAllowed { allow: &'static str },
    /// Redis does not decide at the moment.
    Unavailable,
    /// The shop did not answer, or nothing that is HTTP.
    ShopUnavailable,
    /// The shop did not answer in time.
    ShopTimeout,
    /// The proxy itself failed.
    Internal,
}

/// An answer of the proxy's own.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    content_type: HeaderValue,
    body: Bytes,
    retry_after_s: Option<u64>,
    location: Option<String>,
    allow: Option<&'static str>,
}

#[derive(Serialize)]
struct Purchase<'a> {
    sid: &'a str,
    rid: ReservationId,
    status: &'a str,
}

#[derive(Serialize)]
struct View<'a> {
    sid: &'a str,
    rid: ReservationId,
    status: &'a str,
    qty: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<u64>,
}

/// The body of a problem, complete at compile time.
macro_rules! body {
    ($title:literal, $status:literal, $code:literal $(, $detail:literal)?) => {
        concat!(
            r#"{"type":"about:blank","title":""#, $title,
            r#"","status":"#, $status,
            $(r#","detail":""#, $detail, r#"""#,)?
            r#","code":""#, $code, r#""}"#
        )
    };
}

// === impl Problem ===

impl Problem {
    const fn status(self) -> StatusCode {
        match self {
            Self::SoldOut { .. } | Self::Ended => StatusCode::GONE,
            Self::Limited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NotStarted { .. } => StatusCode::FORBIDDEN,
            Self::Paused | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoBuyer => StatusCode::UNAUTHORIZED,
            Self::BadSale
            | Self::BadBuyer
            | Self::BadQuantity
            | Self::BadIdempotencyKey
            | Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::UnknownSale | Self::UnknownReservation => StatusCode::NOT_FOUND,
            Self::ReservationGone | Self::InProgress => StatusCode::CONFLICT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::ShopUnavailable => StatusCode::BAD_GATEWAY,
            Self::ShopTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn body(self) -> Bytes {
        let text = match self {
            Self::NotStarted { wait_ms } => {
                return Bytes::from(format!(
                    r#"{{"type":"about:blank","title":"Not started","status":403,"code":"not_started","starts_in_ms":{wait_ms}}}"#
                ));
            }
            Self::SoldOut { .. } => body!("Sold out", 410, "sold_out"),
            Self::Limited { .. } => body!("Too many tries", 429, "limited"),
            Self::Ended => body!("The sale is over", 410, "ended"),
            Self::Paused => body!("The sale is paused", 503, "paused"),
            Self::NoBuyer => body!(
                "Not signed in",
                401,
                "no_buyer",
                "No trusted gateway said who the buyer is."
            ),
            Self::BadSale => body!(
                "Bad sale",
                400,
                "bad_sale",
                "Expected 1 to 64 of A-Z a-z 0-9 _ -."
            ),
            Self::BadBuyer => body!(
                "Bad buyer",
                400,
                "bad_buyer",
                "Expected one id of 1 to 128 bytes of UTF-8 without control characters."
            ),
            Self::BadQuantity => body!(
                "Bad quantity",
                400,
                "bad_quantity",
                "Expected one qty, a whole number from 1 up to the sale's limit."
            ),
            Self::BadIdempotencyKey => body!(
                "Bad Idempotency-Key",
                400,
                "bad_idempotency_key",
                "Expected one key of 1 to 128 visible ASCII characters."
            ),
            Self::BadRequest => body!(
                "Bad request",
                400,
                "bad_request",
                "Expected the path in its plain spelling, and no header that overrides the method."
            ),
            Self::UnknownSale => body!("Unknown sale", 404, "unknown_sale"),
            Self::UnknownReservation => body!("Unknown reservation", 404, "unknown_reservation"),
            Self::ReservationGone => body!(
                "Reservation is gone",
                409,
                "reservation_gone",
                "The reservation of this Idempotency-Key was cancelled or expired. Try again with a new key."
            ),
            Self::InProgress => body!(
                "In progress",
                409,
                "in_progress",
                "The shop is still busy with this reservation."
            ),
            Self::BodyTooLarge => body!(
                "Body too large",
                413,
                "body_too_large",
                "Expected at most 8192 bytes."
            ),
            Self::MethodNotAllowed { .. } => body!("Method not allowed", 405, "method_not_allowed"),
            Self::Unavailable => body!("Try again", 503, "unavailable"),
            Self::ShopUnavailable => body!("The shop is unavailable", 502, "shop_unavailable"),
            Self::ShopTimeout => body!("The shop is too slow", 504, "shop_unavailable"),
            Self::Internal => body!("Internal error", 500, "internal"),
        };
        Bytes::from_static(text.as_bytes())
    }

    fn retry_after_s(self) -> Option<u64> {
        match self {
            Self::SoldOut { wait_ms } => wait_ms.map(whole_seconds),
            Self::Limited { wait_ms } | Self::NotStarted { wait_ms } => {
                Some(whole_seconds(wait_ms))
            }
            Self::Paused => Some(RETRY_PAUSED_S),
            Self::InProgress | Self::Unavailable | Self::ShopUnavailable | Self::ShopTimeout => {
                Some(RETRY_UNAVAILABLE_S)
            }
            _ => None,
        }
    }
}

/// Rounded up, and never 0: "now" would be too early.
fn whole_seconds(ms: u64) -> u64 {
    ms.div_ceil(1000).max(1)
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        Self {
            status: problem.status(),
            content_type: PROBLEM_JSON,
            body: problem.body(),
            retry_after_s: problem.retry_after_s(),
            location: None,
            allow: match problem {
                Problem::MethodNotAllowed { allow } => Some(allow),
                _ => None,
            },
        }
    }
}

// === impl Answer ===

impl Answer {
    /// The units are the buyer's, and the order will be written.
    pub(crate) fn queued(path: &str, sid: &str, rid: ReservationId) -> Self {
        Self::purchase(StatusCode::ACCEPTED, path, sid, rid, "queued")
    }

    /// The buyer has this reservation already.
    pub(crate) fn duplicate(path: &str, sid: &str, rid: ReservationId) -> Self {
        Self::purchase(StatusCode::OK, path, sid, rid, "duplicate")
    }

    fn purchase(status: StatusCode, path: &str, sid: &str, rid: ReservationId, word: &str) -> Self {
        let body = Purchase {
            sid,
            rid,
            status: word,
        };
        let mut answer = Self::json(status, &body);
        answer.location = Some(format!("{path}/reservations/{rid}"));
        answer
    }

    /// What its owner sees of a reservation.
    pub(crate) fn reservation(sid: &str, reservation: &Reservation) -> Self {
        let status = match reservation.state {
            ReservationState::Held if reservation.stored => "ordered",
            ReservationState::Held => "queued",
            state => state.as_str(),
        };
        let body = View {
            sid,
            rid: reservation.rid,
            status,
            qty: reservation.qty,
            deadline: reservation.deadline,
        };
        Self::json(StatusCode::OK, &body)
    }

    fn json(status: StatusCode, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => Self {
                status,
                content_type: JSON,
                body: Bytes::from(body),
                retry_after_s: None,
                location: None,
                allow: None,
            },
            Err(_) => Problem::Internal.into(),
        }
    }

    /// The status that it is sent with.
    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// Writes the answer. Its length is known beforehand, so that header and body leave in one
    /// write and the connection stays usable.
    ///
    /// # Errors
    /// The client is gone.
    pub(crate) async fn send(self, session: &mut Session) -> Result<()> {
        let mut header = ResponseHeader::build_no_case(self.status, Some(8))?;
        header.insert_header(CONTENT_TYPE, self.content_type)?;
        header.insert_header(CONTENT_LENGTH, self.body.len())?;
        // A 410 may be kept by caches unless it says otherwise; so may nothing else that is true
        // for one buyer and one moment.
        header.insert_header(CACHE_CONTROL, NO_STORE)?;
        if let Some(seconds) = self.retry_after_s {
            header.insert_header(RETRY_AFTER, seconds)?;
        }
        if let Some(location) = self.location {
            header.insert_header(LOCATION, location)?;
        }
        if let Some(methods) = self.allow {
            header.insert_header(ALLOW, methods)?;
        }
        session
            .write_response_header(Box::new(header), false)
            .await?;
        session.write_response_body(Some(self.body), true).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Problem; 21] = [
        Problem::SoldOut { wait_ms: None },
        Problem::Limited { wait_ms: 1 },
        Problem::NotStarted { wait_ms: 1 },
        Problem::Ended,
        Problem::Paused,
        Problem::NoBuyer,
        Problem::BadSale,
        Problem::BadBuyer,
        Problem::BadQuantity,
        Problem::BadIdempotencyKey,
        Problem::BadRequest,
        Problem::UnknownSale,
        Problem::UnknownReservation,
        Problem::ReservationGone,
        Problem::InProgress,
        Problem::BodyTooLarge,
        Problem::MethodNotAllowed { allow: "GET" },
        Problem::Unavailable,
        Problem::ShopUnavailable,
        Problem::ShopTimeout,
        Problem::Internal,
    ];

    #[test]
    fn every_problem_says_its_status_in_its_body_and_fits_one_packet() {
        for problem in ALL {
            let body: serde_json::Value = serde_json::from_slice(&problem.body()).unwrap();
            assert_eq!(body["status"], problem.status().as_u16(), "{problem:?}");
            assert_eq!(body["type"], "about:blank");
            assert!(body["title"].is_string() && body["code"].is_string());
            assert!(problem.body().len() < 300, "{problem:?}");
        }
    }

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        let retry = |problem: Problem| problem.retry_after_s();
        assert_eq!(retry(Problem::Limited { wait_ms: 0 }), Some(1));
        assert_eq!(retry(Problem::Limited { wait_ms: 1001 }), Some(2));
        assert_eq!(retry(Problem::NotStarted { wait_ms: 60_000 }), Some(60));
        assert_eq!(retry(Problem::SoldOut { wait_ms: None }), None);
        assert_eq!(
            retry(Problem::SoldOut {
                wait_ms: Some(900_000)
            }),
            Some(900)
        );
    }

    #[test]
    fn the_contracts_example_of_a_problem_is_what_is_sent() {
        assert_eq!(
            Problem::SoldOut { wait_ms: None }.body(),
            r#"{"type":"about:blank","title":"Sold out","status":410,"code":"sold_out"}"#
        );
    }
}

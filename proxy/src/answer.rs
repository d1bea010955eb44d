//! What the proxy itself answers: status, headers and body, in one write.

use crate::date;
use crate::gate::Reservation;
use crate::problem::{Problem, Quota};
use crate::state::{State, Units};
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use pingora_core::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use seckill_protocol::{ReservationId, ReservationState};
use serde::Serialize;
use std::time::Instant;

/// What a rejection is.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: &[u8] = b"no-store";

/// Names as pingora writes them.
const ALLOW: &str = "Allow";
const CACHE_CONTROL: &str = "Cache-Control";
const CONTENT_LENGTH: &str = "Content-Length";
const CONTENT_TYPE: &str = "Content-Type";
const LOCATION: &str = "Location";
const RATELIMIT: &str = "ratelimit";
const RATELIMIT_POLICY: &str = "ratelimit-policy";
const RETRY_AFTER: &str = "Retry-After";
const WWW_AUTHENTICATE: &str = "WWW-Authenticate";

/// What fits most answers.
const BYTES_USUAL: usize = 512;

/// An answer of the proxy's own.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    content_type: HeaderValue,
    body: Bytes,
    retry_after_s: Option<u64>,
    location: Option<String>,
    allow: Option<&'static str>,
    challenge: Option<&'static str>,
    limit: Option<Box<LimitHeaders>>,
}

/// The fields of draft-ietf-httpapi-ratelimit-headers-11.
#[derive(Debug)]
struct LimitHeaders {
    policy: Option<String>,
    limit: String,
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

#[derive(Serialize)]
struct Sight<'a> {
    sid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_in_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_in_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    units: Option<Units>,
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        Self::refusal(problem, problem.status(), false)
    }
}

// === impl Answer ===

impl Answer {
    /// A request is not served. If `tells_limits`, a limit is told in headers, too.
    pub(crate) fn refusal(problem: Problem, status: StatusCode, tells_limits: bool) -> Self {
        Self {
            status,
            content_type: HeaderValue::from_static(PROBLEM_JSON),
            body: problem.body(status),
            retry_after_s: problem.retry_after_s().map(|s| spread(problem, s)),
            location: None,
            allow: match problem {
                Problem::MethodNotAllowed { allow } => Some(allow),
                _ => None,
            },
            challenge: problem.challenge(),
            limit: if tells_limits { limit(problem) } else { None },
        }
    }

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

    /// What everybody sees of a sale; how many units there are only with `show_units`.
    pub(crate) fn state(sid: &str, state: &State, show_units: bool) -> Self {
        let body = Sight {
            sid,
            name: state.name.as_deref(),
            state: state.phase.word(),
            starts_in_ms: state.starts_in_ms(),
            ends_in_ms: state.ends_in_ms(),
            units: show_units.then_some(state.units),
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
                challenge: None,
                limit: None,
            },
            Err(_) => Problem::Internal.into(),
        }
    }

    /// The status that it is sent with.
    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// How long its body is.
    pub(crate) const fn body_length(&self) -> usize {
        self.body.len()
    }

    /// Writes the answer. Its length is known beforehand, so that header and body leave in one
    /// write and the connection stays usable.
    ///
    /// # Errors
    /// The client is gone.
    pub(crate) async fn send(self, session: &mut Session) -> Result<()> {
        let mut header = ResponseHeader::build_no_case(self.status, Some(8))?;
        let mut inserted = Ok(());
        self.tell_headers(|name, value| {
            if inserted.is_ok() {
                inserted = header.insert_header(name, value);
            }
        });
        inserted?;
        session
            .write_response_header(Box::new(header), false)
            .await?;
        session.write_response_body(Some(self.body), true).await
    }

    /// The answer as pingora would write it, now or a moment later, to a client whose connection is
    /// kept.
    pub(crate) fn bytes(self, now: Instant) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BYTES_USUAL);
        bytes.extend_from_slice(b"HTTP/1.1 ");
        bytes.extend_from_slice(self.status.as_str().as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(self.status.canonical_reason().unwrap_or("").as_bytes());
        self.tell_headers(|name, value| {
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
        });
        bytes.extend_from_slice(b"\r\nDate: ");
        date::write(now, &mut bytes);
        bytes.extend_from_slice(b"\r\nConnection: keep-alive\r\n\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Says its headers one after the other. Each is made of what a header may have in it.
    fn tell_headers(&self, mut tell: impl FnMut(&'static str, &[u8])) {
        tell(CONTENT_TYPE, self.content_type.as_bytes());
        tell(
            CONTENT_LENGTH,
            itoa::Buffer::new().format(self.body.len()).as_bytes(),
        );
        // A 410 may be kept by caches unless it says otherwise; so may nothing else that is
        // true for one buyer and one moment.
        tell(CACHE_CONTROL, NO_STORE);
        if let Some(seconds) = self.retry_after_s {
            tell(RETRY_AFTER, seconds.to_string().as_bytes());
        }
        if let Some(location) = &self.location {
            tell(LOCATION, location.as_bytes());
        }
        if let Some(methods) = self.allow {
            tell(ALLOW, methods.as_bytes());
        }
        if let Some(how) = self.challenge {
            tell(WWW_AUTHENTICATE, how.as_bytes());
        }
        let Some(limit) = self.limit.as_deref() else {
            return;
        };
        if let Some(policy) = &limit.policy {
            tell(RATELIMIT_POLICY, policy.as_bytes());
        }
        tell(RATELIMIT, limit.limit.as_bytes());
    }
}

/// Later than it would be worth while, by up to a tenth and half a minute: those who were told the
/// same must not come back in the same second. The start of a sale is the same second for everybody.
fn spread(problem: Problem, seconds: u64) -> u64 {
    match problem {
        Problem::NotStarted { .. } => seconds,
        _ => seconds.saturating_add(fastrand::u64(0..=(seconds / 10).clamp(1, 30))),
    }
}

fn limit(problem: Problem) -> Option<Box<LimitHeaders>> {
    let (name, quota) = match problem {
        Problem::Limited { .. } => ("sale", None),
        Problem::ClientLimited { quota, .. } => ("client", Some(quota)),
        _ => return None,
    };
    let seconds = problem.retry_after_s()?;
    let policy = |Quota { tries, window_s }| format!("\"{name}\";q={tries};w={window_s}");
    Some(Box::new(LimitHeaders {
        policy: quota.map(policy),
        limit: format!("\"{name}\";r=0;t={seconds}"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Code;

    const ALL: [Problem; 35] = [
        Problem::SoldOut { wait_ms: None },
        Problem::Limited { wait_ms: 1 },
        Problem::ClientLimited {
            wait_ms: 1,
            quota: Quota {
                tries: 20,
                window_s: 10,
            },
        },
        Problem::NotTheShop,
        Problem::WrongState {
            state: ReservationState::Expired,
        },
        Problem::NotStarted { wait_ms: 1 },
        Problem::Ended,
        Problem::Paused,
        Problem::NoBuyer,
        Problem::BadToken { expired: false },
        Problem::BadToken { expired: true },
        Problem::BadCookie { expired: false },
        Problem::BadCookie { expired: true },
        Problem::CrossSite,
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
        Problem::BodyTooLong,
        Problem::BodyTooSlow,
        Problem::HeadTooLong,
        Problem::HeadTooSlow,
        Problem::UriTooLong,
        Problem::MethodNotAllowed { allow: "GET" },
        Problem::Unavailable,
        Problem::Overloaded,
        Problem::ShopUnavailable,
        Problem::ShopTimeout,
        Problem::Internal,
    ];

    #[test]
    fn every_problem_says_its_status_in_its_body_and_fits_one_packet() {
        for problem in ALL {
            let body: serde_json::Value =
                serde_json::from_slice(&problem.body(problem.status())).unwrap();
            assert_eq!(body["status"], problem.status().as_u16(), "{problem:?}");
            assert_eq!(body["code"], problem.code());
            assert_eq!(body["code"], Code::from(problem).word());
            assert_eq!(body["type"], "about:blank");
            assert!(body["title"].is_string() && body["code"].is_string());
            assert!(problem.body(problem.status()).len() < 300, "{problem:?}");
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
    fn who_is_told_to_wait_is_never_told_to_come_too_early_and_not_all_at_once() {
        let told = |problem: Problem| Answer::from(problem).retry_after_s.unwrap();
        let sold_out = Problem::SoldOut {
            wait_ms: Some(100_000),
        };
        let mut all: Vec<u64> = (0..200).map(|_| told(sold_out)).collect();
        all.sort_unstable();
        assert!(all[0] >= 100 && all[199] <= 110, "{all:?}");
        all.dedup();
        assert!(all.len() > 5, "{all:?}");
        let start = Problem::NotStarted { wait_ms: 100_000 };
        assert!((0..200).all(|_| told(start) == 100));
    }

    #[test]
    fn a_limit_is_told_in_headers_where_that_is_wanted() {
        let quota = Quota {
            tries: 20,
            window_s: 10,
        };
        let problem = Problem::ClientLimited {
            wait_ms: 6_100,
            quota,
        };
        let told = |tells| Answer::refusal(problem, problem.status(), tells).limit;
        assert!(told(false).is_none());
        let headers = told(true).unwrap();
        assert_eq!(headers.policy.as_deref(), Some("\"client\";q=20;w=10"));
        assert_eq!(headers.limit, "\"client\";r=0;t=7");
    }

    #[test]
    fn the_contracts_example_of_a_problem_is_what_is_sent() {
        let sold_out = Problem::SoldOut { wait_ms: None };
        assert_eq!(
            sold_out.body(sold_out.status()),
            r#"{"type":"about:blank","title":"Sold out","status":410,"code":"sold_out"}"#
        );
    }
}

//! Why a request is not served, and how that is said: the status, the body, when to ask again.
//!
//! The bodies that never change are constants of the program: a rejection is what the proxy does
//! most.

use bytes::Bytes;
use http::StatusCode;
use seckill_protocol::{ReservationState, Verdict};

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
    /// Too many tries from one address.
    ClientLimited { wait_ms: u64, quota: Quota },
    /// The sale has not started.
    NotStarted { wait_ms: u64 },
    /// The sale is over.
    Ended,
    /// The sale is paused.
    Paused,
    /// Nobody who is believed says who the buyer is.
    NoBuyer,
    /// A token that is not to be believed, or not any more.
    BadToken { expired: bool },
    /// A signed cookie that is not to be believed, or not any more.
    BadCookie { expired: bool },
    /// A browser sent a buyer's cookie along with another site's request.
    CrossSite,
    /// The sid is none.
    BadSale,
    /// The uid is none, or said twice, or denied.
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
    /// The reservation cannot become what was asked for any more.
    WrongState { state: ReservationState },
    /// Nobody who is believed says that the shop asks.
    NotTheShop,
    /// The shop is still busy with the same reservation.
    InProgress,
    /// The body is longer than a buy needs.
    BodyTooLarge,
    /// The body is longer than the shop is to get.
    BodyTooLong,
    /// The body does not arrive.
    BodyTooSlow,
    /// More headers, or longer ones, than there should be.
    HeadTooLong,
    /// The head does not arrive.
    HeadTooSlow,
    /// The path and query are longer than they should be.
    UriTooLong,
    /// A guarded path that takes no such method.
    MethodNotAllowed { allow: &'static str },
    /// Redis does not decide at the moment.
    Unavailable,
    /// Too many others are waiting for Redis.
    Overloaded,
    /// The shop did not answer, or nothing that is HTTP.
    ShopUnavailable,
    /// The shop did not answer in time.
    ShopTimeout,
    /// The proxy itself failed.
    Internal,
}

/// How often somebody may try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    /// So many tries
    pub(crate) tries: u32,
    /// in so many seconds.
    pub(crate) window_s: u32,
}

/// What the body of a problem says.
struct Text {
    code: &'static str,
    body: &'static str,
}

/// The body of a problem, complete at compile time.
macro_rules! text {
    ($title:literal, $status:literal, $code:literal $(, $detail:literal)?) => {
        Text {
            code: $code,
            body: concat!(
                r#"{"type":"about:blank","title":""#, $title,
                r#"","status":"#, $status,
                $(r#","detail":""#, $detail, r#"""#,)?
                r#","code":""#, $code, r#""}"#
            ),
        }
    };
}

// === impl Problem ===

impl Problem {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::SoldOut { .. } | Self::Ended => StatusCode::GONE,
            Self::Limited { .. } | Self::ClientLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NotStarted { .. } | Self::CrossSite => StatusCode::FORBIDDEN,
            Self::Paused | Self::Unavailable | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoBuyer | Self::BadToken { .. } | Self::BadCookie { .. } | Self::NotTheShop => {
                StatusCode::UNAUTHORIZED
            }
            Self::BadSale
            | Self::BadBuyer
            | Self::BadQuantity
            | Self::BadIdempotencyKey
            | Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::UnknownSale | Self::UnknownReservation => StatusCode::NOT_FOUND,
            Self::ReservationGone | Self::WrongState { .. } | Self::InProgress => {
                StatusCode::CONFLICT
            }
            Self::BodyTooLarge | Self::BodyTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow | Self::HeadTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::HeadTooLong => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::ShopUnavailable => StatusCode::BAD_GATEWAY,
            Self::ShopTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The word for it that does not change.
    pub(crate) const fn code(self) -> &'static str {
        self.text().code
    }

    /// The body, for a `status` that may be another than its own.
    pub(crate) fn body(self, status: StatusCode) -> Bytes {
        let body = self.text().body;
        let own = self.status();
        let more = match self {
            Self::NotStarted { wait_ms } => format!(r#","starts_in_ms":{wait_ms}}}"#),
            Self::WrongState { state } => format!(r#","reservation":"{state}"}}"#),
            _ if status == own => return Bytes::from_static(body.as_bytes()),
            _ => "}".to_owned(),
        };
        let open = body.strip_suffix('}').unwrap_or(body);
        let said = format!(r#""status":{}"#, own.as_u16());
        let says = format!(r#""status":{}"#, status.as_u16());
        Bytes::from(open.replacen(&said, &says, 1) + &more)
    }

    const fn text(self) -> Text {
        match self {
            Self::NotStarted { .. } => text!("Not started", 403, "not_started"),
            Self::SoldOut { .. } => text!("Sold out", 410, "sold_out"),
            Self::Limited { .. } => text!("Too many tries", 429, "limited"),
            Self::ClientLimited { .. } => text!(
                "Too many tries",
                429,
                "client_limited",
                "Too many tries came from this address."
            ),
            Self::Ended => text!("The sale is over", 410, "ended"),
            Self::Paused => text!("The sale is paused", 503, "paused"),
            Self::NoBuyer => text!(
                "Not signed in",
                401,
                "no_buyer",
                "Nobody who is believed here said who the buyer is."
            ),
            Self::BadToken { expired: false } => text!(
                "Bad token",
                401,
                "bad_token",
                "The token is not one that is believed here."
            ),
            Self::BadToken { expired: true } => text!("Token expired", 401, "expired_token"),
            Self::BadCookie { expired: false } => text!(
                "Bad cookie",
                401,
                "bad_cookie",
                "The signed cookie is not one that is believed here."
            ),
            Self::BadCookie { expired: true } => text!("Cookie expired", 401, "expired_cookie"),
            Self::CrossSite => text!(
                "Not from here",
                403,
                "cross_site",
                "A buy has to come from the shop's own pages."
            ),
            Self::BadSale => text!(
                "Bad sale",
                400,
                "bad_sale",
                "Expected 1 to 64 of A-Z a-z 0-9 _ -."
            ),
            Self::BadBuyer => text!(
                "Bad buyer",
                400,
                "bad_buyer",
                "Expected one id, said once, of 1 to 128 bytes of UTF-8 without control characters."
            ),
            Self::BadQuantity => text!(
                "Bad quantity",
                400,
                "bad_quantity",
                "Expected one qty, a whole number from 1 up to the sale's limit."
            ),
            Self::BadIdempotencyKey => text!(
                "Bad Idempotency-Key",
                400,
                "bad_idempotency_key",
                "Expected one key of 1 to 128 visible ASCII characters."
            ),
            Self::BadRequest => text!(
                "Bad request",
                400,
                "bad_request",
                "Expected one Host, one length, the path in its plain spelling, and no header that overrides the method."
            ),
            Self::UnknownSale => text!("Unknown sale", 404, "unknown_sale"),
            Self::UnknownReservation => text!("Unknown reservation", 404, "unknown_reservation"),
            Self::ReservationGone => text!(
                "Reservation is gone",
                409,
                "reservation_gone",
                "The reservation of this Idempotency-Key was cancelled or expired. Try again with a new key."
            ),
            Self::WrongState { .. } => text!("Too late for that", 409, "wrong_state"),
            Self::NotTheShop => text!(
                "Not the shop",
                401,
                "not_the_shop",
                "Expected Authorization: Bearer and a key of shop.callback."
            ),
            Self::InProgress => text!(
                "In progress",
                409,
                "in_progress",
                "The shop is still busy with this reservation."
            ),
            Self::BodyTooLarge => text!(
                "Body too large",
                413,
                "body_too_large",
                "Expected at most 8192 bytes."
            ),
            Self::BodyTooLong => text!("Body too large", 413, "body_too_large"),
            Self::BodyTooSlow => text!("Body too slow", 408, "body_too_slow"),
            Self::HeadTooLong => text!("Head too large", 431, "head_too_large"),
            Self::HeadTooSlow => text!("Head too slow", 408, "head_too_slow"),
            Self::UriTooLong => text!("URI too long", 414, "uri_too_long"),
            Self::MethodNotAllowed { .. } => text!("Method not allowed", 405, "method_not_allowed"),
            Self::Unavailable | Self::Overloaded => text!("Try again", 503, "unavailable"),
            Self::ShopUnavailable => text!("The shop is unavailable", 502, "shop_unavailable"),
            Self::ShopTimeout => text!("The shop is too slow", 504, "shop_unavailable"),
            Self::Internal => text!("Internal error", 500, "internal"),
        }
    }

    /// How to prove who one is, where HTTP has a word for it.
    pub(crate) const fn challenge(self) -> Option<&'static str> {
        match self {
            Self::BadToken { .. } => Some(r#"Bearer error="invalid_token""#),
            _ => None,
        }
    }

    /// Whole seconds, rounded up.
    pub(crate) fn retry_after_s(self) -> Option<u64> {
        match self {
            Self::SoldOut { wait_ms } => wait_ms.map(whole_seconds),
            Self::Limited { wait_ms }
            | Self::ClientLimited { wait_ms, .. }
            | Self::NotStarted { wait_ms } => Some(whole_seconds(wait_ms)),
            Self::Paused => Some(RETRY_PAUSED_S),
            Self::InProgress
            | Self::Unavailable
            | Self::Overloaded
            | Self::ShopUnavailable
            | Self::ShopTimeout => Some(RETRY_UNAVAILABLE_S),
            _ => None,
        }
    }
}

/// Why the module grants nothing; `None` if it has granted something.
pub(crate) const fn rejection(verdict: Verdict) -> Option<Problem> {
    Some(match verdict {
        Verdict::Accepted(_) | Verdict::Duplicate(_) => return None,
        Verdict::SoldOut { wait_ms } => Problem::SoldOut { wait_ms },
        Verdict::Limited { wait_ms } => Problem::Limited { wait_ms },
        Verdict::NotStarted { wait_ms } => Problem::NotStarted { wait_ms },
        Verdict::Ended => Problem::Ended,
        Verdict::Paused => Problem::Paused,
    })
}

/// Rounded up, and never 0: "now" would be too early.
fn whole_seconds(ms: u64) -> u64 {
    ms.div_ceil(1000).max(1)
}

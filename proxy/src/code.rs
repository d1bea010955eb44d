//! What a request came to, in one word: the `code` of a problem's body, or what else became of it.
//!
//! The words are the values of the label `code` in the metrics and of the field `code` in the access
//! log. There are few of them, whatever buyers ask.

use crate::problem::Problem;
use seckill_protocol::Verdict;

macro_rules! codes {
    ($($name:ident = $word:literal,)*) => {
        /// What a request came to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code { $($name,)* }

        impl Code {
            /// Every one, each at its own number.
            pub(crate) const ALL: [Self; [$($word,)*].len()] = [$(Self::$name,)*];

            /// The word for it.
            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

codes! {
    // A buyer has units, or had them already.
    Accepted = "accepted",
    Duplicate = "duplicate",
    // A buyer sees what became of a reservation; it is given up, or paid for.
    Reservation = "reservation",
    Cancelled = "cancelled",
    Confirmed = "confirmed",
    // Somebody sees how a sale stands.
    State = "state",
    // The shop answers: what nobody guards, and a buy that Redis did not decide.
    Passed = "passed",
    Unreserved = "unreserved",
    // The problems, by the codes of their bodies.
    SoldOut = "sold_out",
    Limited = "limited",
    ClientLimited = "client_limited",
    NotStarted = "not_started",
    Ended = "ended",
    Paused = "paused",
    NoBuyer = "no_buyer",
    BadToken = "bad_token",
    ExpiredToken = "expired_token",
    BadCookie = "bad_cookie",
    ExpiredCookie = "expired_cookie",
    CrossSite = "cross_site",
    BadSale = "bad_sale",
    BadBuyer = "bad_buyer",
    BadQuantity = "bad_quantity",
    BadIdempotencyKey = "bad_idempotency_key",
    BadRequest = "bad_request",
    UnknownSale = "unknown_sale",
    UnknownReservation = "unknown_reservation",
    ReservationGone = "reservation_gone",
    WrongState = "wrong_state",
    NotTheShop = "not_the_shop",
    InProgress = "in_progress",
    BodyTooLarge = "body_too_large",
    BodyTooSlow = "body_too_slow",
    HeadTooLarge = "head_too_large",
    HeadTooSlow = "head_too_slow",
    UriTooLong = "uri_too_long",
    MethodNotAllowed = "method_not_allowed",
    Unavailable = "unavailable",
    ShopUnavailable = "shop_unavailable",
    Internal = "internal",
}

// === impl Code ===

impl Code {
    /// Whether it can happen a million times in a minute: a buyer was turned away, or only looks. That
    /// the shop or the proxy failed is something else.
    pub(crate) const fn comes_in_crowds(self) -> bool {
        !matches!(
            self,
            Self::Accepted
                | Self::Duplicate
                | Self::Reservation
                | Self::Cancelled
                | Self::Confirmed
                | Self::Passed
                | Self::Unreserved
                | Self::ShopUnavailable
                | Self::Internal
        )
    }
}

impl From<Problem> for Code {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::SoldOut { .. } => Self::SoldOut,
            Problem::Limited { .. } => Self::Limited,
            Problem::ClientLimited { .. } => Self::ClientLimited,
            Problem::NotStarted { .. } => Self::NotStarted,
            Problem::Ended => Self::Ended,
            Problem::Paused => Self::Paused,
            Problem::NoBuyer => Self::NoBuyer,
            Problem::BadToken { expired: false } => Self::BadToken,
            Problem::BadToken { expired: true } => Self::ExpiredToken,
            Problem::BadCookie { expired: false } => Self::BadCookie,
            Problem::BadCookie { expired: true } => Self::ExpiredCookie,
            Problem::CrossSite => Self::CrossSite,
            Problem::BadSale => Self::BadSale,
            Problem::BadBuyer => Self::BadBuyer,
            Problem::BadQuantity => Self::BadQuantity,
            Problem::BadIdempotencyKey => Self::BadIdempotencyKey,
            Problem::BadRequest => Self::BadRequest,
            Problem::UnknownSale => Self::UnknownSale,
            Problem::UnknownReservation => Self::UnknownReservation,
            Problem::ReservationGone => Self::ReservationGone,
            Problem::WrongState { .. } => Self::WrongState,
            Problem::NotTheShop => Self::NotTheShop,
            Problem::InProgress => Self::InProgress,
            Problem::BodyTooLarge | Problem::BodyTooLong => Self::BodyTooLarge,
            Problem::BodyTooSlow => Self::BodyTooSlow,
            Problem::HeadTooLong => Self::HeadTooLarge,
            Problem::HeadTooSlow => Self::HeadTooSlow,
            Problem::UriTooLong => Self::UriTooLong,
            Problem::MethodNotAllowed { .. } => Self::MethodNotAllowed,
            Problem::Unavailable | Problem::Overloaded => Self::Unavailable,
            Problem::ShopUnavailable | Problem::ShopTimeout => Self::ShopUnavailable,
            Problem::Internal => Self::Internal,
        }
    }
}

impl From<Verdict> for Code {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Accepted(_) => Self::Accepted,
            Verdict::Duplicate(_) => Self::Duplicate,
            Verdict::SoldOut { .. } => Self::SoldOut,
            Verdict::Limited { .. } => Self::Limited,
            Verdict::NotStarted { .. } => Self::NotStarted,
            Verdict::Ended => Self::Ended,
            Verdict::Paused => Self::Paused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_at_its_number_and_has_a_word_of_its_own() {
        for (at, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, at, "{code:?}");
            let same = Code::ALL.iter().filter(|c| c.word() == code.word());
            assert_eq!(same.count(), 1, "{code:?}");
        }
    }

    #[test]
    fn a_buyer_who_has_something_and_a_part_that_failed_do_not_come_in_crowds() {
        for code in [Code::Accepted, Code::Duplicate, Code::ShopUnavailable] {
            assert!(!code.comes_in_crowds(), "{code:?}");
        }
        for code in [Code::SoldOut, Code::NoBuyer, Code::Unavailable, Code::State] {
            assert!(code.comes_in_crowds(), "{code:?}");
        }
    }
}

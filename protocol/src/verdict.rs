//! The answer to a TRY.

use crate::ReservationId;
use std::fmt;

/// What a `SECKILL.TRY` answered: a word and a detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The sale is paused.
    Paused,
    /// The sale has not started.
    NotStarted {
        /// Milliseconds until it starts.
        wait_ms: u64,
    },
    /// The sale is over.
    Ended,
    /// The buyer has this reservation already: the same token again, or his limit is reached.
    Duplicate(ReservationId),
    /// Fewer units are left than were asked for.
    SoldOut {
        /// Milliseconds until the earliest live hold may lapse; `None` if nothing can come back.
        wait_ms: Option<u64>,
    },
    /// Too many tries.
    Limited {
        /// Milliseconds until a retry can succeed.
        wait_ms: u64,
    },
    /// The buyer has the units, under this new reservation.
    Accepted(ReservationId),
}

/// The second element of a TRY's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictDetail {
    /// Milliseconds, or 0 where there is nothing to say, or −1 for "never".
    Integer(i64),
    /// The reservation.
    Reservation(ReservationId),
}

/// A reply that is no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unexpected reply to TRY: {0}")]
pub struct VerdictError(String);

// === impl Verdict ===

impl Verdict {
    /// The verdict's word, as the module replies it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Paused => "PAUSED",
            Self::NotStarted { .. } => "NOTSTARTED",
            Self::Ended => "ENDED",
            Self::Duplicate(_) => "DUPLICATE",
            Self::SoldOut { .. } => "SOLDOUT",
            Self::Limited { .. } => "LIMITED",
            Self::Accepted(_) => "ACCEPTED",
        }
    }

    /// The verdict's detail, as the module replies it.
    #[must_use]
    pub fn detail(&self) -> VerdictDetail {
        match *self {
            Self::Paused | Self::Ended => VerdictDetail::Integer(0),
            Self::NotStarted { wait_ms } | Self::Limited { wait_ms } => {
                VerdictDetail::Integer(clamp(wait_ms))
            }
            Self::SoldOut { wait_ms } => VerdictDetail::Integer(wait_ms.map_or(-1, clamp)),
            Self::Duplicate(rid) | Self::Accepted(rid) => VerdictDetail::Reservation(rid),
        }
    }

    /// Puts word and detail together again.
    ///
    /// # Errors
    /// [`VerdictError`] when the word is unknown or the detail is of another verdict.
    pub fn from_reply(word: &str, detail: VerdictDetail) -> Result<Self, VerdictError> {
        use VerdictDetail::{Integer, Reservation};
        let verdict = match (word, detail) {
            ("PAUSED", Integer(_)) => Self::Paused,
            ("ENDED", Integer(_)) => Self::Ended,
            ("NOTSTARTED", Integer(ms)) => Self::NotStarted {
                wait_ms: u64::try_from(ms).unwrap_or(0),
            },
            ("LIMITED", Integer(ms)) => Self::Limited {
                wait_ms: u64::try_from(ms).unwrap_or(0),
            },
            ("SOLDOUT", Integer(ms)) => Self::SoldOut {
                wait_ms: u64::try_from(ms).ok(),
            },
            ("DUPLICATE", Reservation(rid)) => Self::Duplicate(rid),
            ("ACCEPTED", Reservation(rid)) => Self::Accepted(rid),
            _ => return Err(VerdictError(format!("{word:?} with {detail:?}"))),
        };
        Ok(verdict)
    }
}

fn clamp(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_survives_its_reply() {
        let rid = ReservationId::new(7, 1);
        for verdict in [
            Verdict::Paused,
            Verdict::NotStarted { wait_ms: 5 },
            Verdict::Ended,
            Verdict::Duplicate(rid),
            Verdict::SoldOut { wait_ms: None },
            Verdict::SoldOut {
                wait_ms: Some(900_000),
            },
            Verdict::Limited { wait_ms: 1 },
            Verdict::Accepted(rid),
        ] {
            assert_eq!(
                Verdict::from_reply(verdict.word(), verdict.detail()),
                Ok(verdict)
            );
        }
    }

    #[test]
    fn a_word_with_another_verdicts_detail_is_refused() {
        assert!(Verdict::from_reply("ACCEPTED", VerdictDetail::Integer(0)).is_err());
        assert!(Verdict::from_reply("MAYBE", VerdictDetail::Integer(0)).is_err());
    }
}

//! The life of a reservation.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// `held → confirmed | cancelled | expired`, each transition at most once; a late payment may turn
/// `expired` into `confirmed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReservationState {
    /// Not yet paid for; it has a deadline.
    Held,
    /// Paid for: its units are sold.
    Confirmed,
    /// Given up: its units went back.
    Cancelled,
    /// Not paid for in time: its units went back.
    Expired,
}

/// A word that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected held, confirmed, cancelled or expired")]
pub struct UnknownState;

// === impl ReservationState ===

impl ReservationState {
    /// The state's word, as replies, events and the `status` column spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Whether units belong to the buyer: held or confirmed.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Held | Self::Confirmed)
    }
}

impl fmt::Display for ReservationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ReservationState {
    type Err = UnknownState;

    fn from_str(word: &str) -> Result<Self, UnknownState> {
        match word {
            "held" => Ok(Self::Held),
            "confirmed" => Ok(Self::Confirmed),
            "cancelled" => Ok(Self::Cancelled),
            "expired" => Ok(Self::Expired),
            _ => Err(UnknownState),
        }
    }
}

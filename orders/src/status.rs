//! The `status` column.

use std::fmt;

/// Where an order stands: a reservation's state, or `refused`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Not paid for yet.
    Held,
    /// Paid for.
    Confirmed,
    /// Given up; its units went back.
    Cancelled,
    /// Not paid for in time; its units went back.
    Expired,
    /// Accepted by the module, but MySQL had no unit for it.
    Refused,
}

// === impl Status ===

impl Status {
    /// Every value of the column.
    const ALL: [Self; 5] = [
        Self::Held,
        Self::Confirmed,
        Self::Cancelled,
        Self::Expired,
        Self::Refused,
    ];

    /// The word in the column.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Refused => "refused",
        }
    }

    /// Reads the column.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! What an operator sets on a sale.

use serde::{Deserialize, Serialize};

/// Units of one sale at most: what JSON readers that count in doubles still hold exactly.
pub const UNITS_MAX: u64 = (1 << 53) - 1;
/// Bytes of a sale's name at most.
pub const NAME_BYTES_MAX: usize = 255;
/// Tries a second, and burst, at most: one a nanosecond is the resolution of the arithmetic.
pub const RATE_MAX: u32 = 1_000_000_000;
/// Units a buyer, unless said otherwise.
pub const DEFAULT_LIMIT: u32 = 1;
/// How long units are held unpaid, unless said otherwise: 15 minutes.
pub const DEFAULT_HOLD_MS: u64 = 900_000;

/// The options of a sale. Zero stands for "none" in every number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// What is sold, for people.
    pub name: Box<str>,
    /// Live units that one buyer may have; 0: any number.
    pub limit: u32,
    /// First instant of the sale, Unix ms; 0: at once.
    pub start_ms: u64,
    /// First instant after the sale, Unix ms; 0: never.
    pub end_ms: u64,
    /// How long units are held unpaid, ms; 0: an acceptance is a sale.
    pub hold_ms: u64,
    /// Accepted tries over the whole sale.
    pub rate: Option<Rate>,
    /// Tries of one buyer.
    pub user_rate: Option<Rate>,
}

/// So many a second, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Sustained, from 1 to [`RATE_MAX`].
    pub per_second: u32,
    /// At once after a pause, from 1 to [`RATE_MAX`].
    pub burst: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "".into(),
            limit: DEFAULT_LIMIT,
            start_ms: 0,
            end_ms: 0,
            hold_ms: DEFAULT_HOLD_MS,
            rate: None,
            user_rate: None,
        }
    }
}

// === impl Options ===

impl Options {
    /// The start and the end, if the sale would end before it starts.
    #[must_use]
    pub const fn empty_window(&self) -> Option<(u64, u64)> {
        if self.end_ms != 0 && self.end_ms <= self.start_ms {
            Some((self.start_ms, self.end_ms))
        } else {
            None
        }
    }
}

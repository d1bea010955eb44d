//! `<epoch>-<seq>`: the place of an event in a sale's log, and the name of the reservation that it
//! made.

use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A place in a sale's log. Ordered: a later epoch is later, whatever its `seq`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Which life of the sale.
    pub epoch: u64,
    /// Number of the event in it, from 1.
    pub seq: u64,
}

/// A text that is no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected <epoch>-<seq>, for example 1763800000000-42, not {0:?}")]
pub struct NoPlace(String);

// === impl Place ===

impl Place {
    /// The place `seq` of `epoch`.
    #[must_use]
    pub const fn new(epoch: u64, seq: u64) -> Self {
        Self { epoch, seq }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

impl FromStr for Place {
    type Err = NoPlace;

    /// Only what is written back the same: two spellings would be two reservations.
    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let read = || {
            let (epoch, seq) = text.split_once('-')?;
            let place = Self::new(epoch.parse().ok()?, seq.parse().ok()?);
            (place.to_string() == text).then_some(place)
        };
        read().ok_or_else(|| NoPlace(text.to_owned()))
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_what_it_writes_and_nothing_else() {
        let place = Place::new(1_763_800_000_000, 42);
        assert_eq!(place.to_string().parse(), Ok(place));
        for text in [
            "", "-", "1", "1-", "-1", "01-2", "+1-2", "1-2-3", "1 -2", "a-b",
        ] {
            assert!(text.parse::<Place>().is_err(), "{text:?}");
        }
    }
}

//! `<epoch>-<seq>`: the number of an event, and of the reservation that an acceptance made.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The place of an event in a sale's log. Ordered: a later epoch is later, whatever its `seq`.
///
/// An epoch begins with `seq` 1 and has no gaps. Its number is the Unix time in milliseconds at
/// which it began, raised where needed so that it is above every epoch before it.
/// `0-0` is the place before the first event of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// Which life of the sale: changes when a node takes over with a copy that may lack facts.
    pub epoch: u64,
    /// Number of the event within its epoch, from 1.
    pub seq: u64,
}

/// Units granted to one buyer, named by the event that granted them: unique for ever, also across
/// restarts, restores and failovers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReservationId(pub EventId);

/// What is wrong with the text of an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected <epoch>-<seq>, for example 1763800000000-42")]
pub struct IdError;

// === impl EventId ===

impl EventId {
    /// The place before the first event.
    pub const ZERO: Self = Self { epoch: 0, seq: 0 };

    /// The place `seq` of `epoch`.
    #[must_use]
    pub const fn new(epoch: u64, seq: u64) -> Self {
        Self { epoch, seq }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

impl FromStr for EventId {
    type Err = IdError;

    /// Accepts only the canonical spelling: no sign, no leading zero, no space. Two spellings of
    /// one reservation would be two entries in somebody's map.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (epoch, seq) = text.split_once('-').ok_or(IdError)?;
        Ok(Self {
            epoch: canonical_u64(epoch)?,
            seq: canonical_u64(seq)?,
        })
    }
}

fn canonical_u64(text: &str) -> Result<u64, IdError> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if !digits || leading_zero {
        return Err(IdError);
    }
    text.parse().map_err(|_| IdError)
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            (self.epoch, self.seq).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
            text.parse().map_err(D::Error::custom)
        } else {
            let (epoch, seq) = Deserialize::deserialize(deserializer)?;
            Ok(Self { epoch, seq })
        }
    }
}

// === impl ReservationId ===

impl ReservationId {
    /// The reservation made by event `seq` of `epoch`.
    #[must_use]
    pub const fn new(epoch: u64, seq: u64) -> Self {
        Self(EventId::new(epoch, seq))
    }
}

impl fmt::Display for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ReservationId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_writes() {
        let id = EventId::new(1_763_800_000_000, 42);
        assert_eq!(id.to_string(), "1763800000000-42");
        assert_eq!("1763800000000-42".parse(), Ok(id));
    }

    #[test]
    fn only_the_canonical_spelling_is_an_id() {
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "01-2",
            "1-02",
            "+1-2",
            "1-2-3",
            "1 -2",
            "a-b",
            "18446744073709551616-1",
        ] {
            assert_eq!(text.parse::<ReservationId>(), Err(IdError), "{text:?}");
        }
    }

    #[test]
    fn a_later_epoch_is_later_whatever_its_seq() {
        assert!(EventId::new(2, 1) > EventId::new(1, 1_000));
        assert!(EventId::new(2, 2) > EventId::new(2, 1));
    }
}

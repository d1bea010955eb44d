//! Tries by what they were told. Pure.

use crate::gate::SaleInfo;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// The verdicts, as the dashboard names them.
pub(super) const VERDICTS: [&str; 7] = [
    "accepted",
    "duplicate",
    "limited",
    "soldout",
    "notstarted",
    "paused",
    "ended",
];

/// What a proxy calls those that it tells buyers by itself.
const AT_THE_EDGE: [(&str, usize); 4] = [
    ("sold_out", 3),
    ("not_started", 4),
    ("paused", 5),
    ("ended", 6),
];

/// Tries by verdict, in the order of [`VERDICTS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts(pub(super) [u64; VERDICTS.len()]);

// === impl Counts ===

impl Counts {
    /// What the sale's node has decided.
    pub(super) const fn of_module(info: &SaleInfo) -> Self {
        let rejected = &info.rejected;
        Self([
            info.accepted,
            rejected.duplicate,
            rejected.limited,
            rejected.soldout,
            rejected.notstarted,
            rejected.paused,
            rejected.ended,
        ])
    }

    /// What a proxy told by itself.
    pub(super) fn of_proxy(rejections: &BTreeMap<String, u64>) -> Self {
        let mut counts = Self::default();
        for (word, place) in AT_THE_EDGE {
            if let (Some(count), Some(n)) = (counts.0.get_mut(place), rejections.get(word)) {
                *count = *n;
            }
        }
        counts
    }

    pub(super) fn and(mut self, other: &Self) -> Self {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count = count.saturating_add(more);
        }
        self
    }

    /// How many a second more than `before`. Of another node or a new process, which count from
    /// zero, nothing can be said.
    pub(super) fn a_second(&self, before: &Self, seconds: f64) -> [f64; VERDICTS.len()] {
        let mut rates = [0.0; VERDICTS.len()];
        let counts = self.0.iter().zip(before.0);
        for (rate, (now, before)) in rates.iter_mut().zip(counts) {
            let more = u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX);
            if seconds > 0.0 {
                *rate = (f64::from(more) / seconds * 10.0).round() / 10.0;
            }
        }
        rates
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(VERDICTS.iter().zip(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_proxy_tells_is_counted_with_what_the_module_tells() {
        let words = [("sold_out", 7), ("paused", 2), ("brewing", 9)];
        let words = words.map(|(word, n)| (word.to_owned(), n));
        let edge = Counts::of_proxy(&words.into());
        let module = Counts([1, 0, 0, 3, 0, 0, 0]);
        assert_eq!(module.and(&edge), Counts([1, 0, 0, 10, 0, 2, 0]));
    }

    #[test]
    fn a_rate_is_what_came_since_and_never_less_than_nothing() {
        let (before, now) = (
            Counts([10, 5, 0, 0, 0, 0, 0]),
            Counts([40, 1, 0, 0, 0, 0, 0]),
        );
        let rates = now.a_second(&before, 2.0);
        assert_eq!(rates, [15.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(now.a_second(&before, 0.0), [0.0; 7]);
    }
}

//! The last ten minutes, a point a second. Pure.

use super::counts::VERDICTS;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Ten minutes of a look a second.
const POINTS_MAX: usize = 600;

/// So many sales have a history: some 15 MB.
const SALES_MAX: usize = 200;

/// What the numbers of a point are, in their order.
pub(super) const COLUMNS: [&str; 13] = [
    "at",
    "accepted",
    "duplicate",
    "limited",
    "soldout",
    "notstarted",
    "paused",
    "ended",
    "available",
    "held",
    "sold",
    "behind",
    "late_ms",
];

/// How it stood at one look.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    pub(super) at_ms: u64,
    /// Tries a second, in the order of [`VERDICTS`].
    pub(super) rates: [f64; VERDICTS.len()],
    pub(super) available: u64,
    pub(super) held: u64,
    pub(super) sold: u64,
    /// Events that MySQL does not have.
    pub(super) behind: u64,
    /// The age of the oldest acceptance without an order.
    pub(super) late_ms: u64,
}

/// Of each sale, and of all together.
#[derive(Debug, Default)]
pub(super) struct History {
    all: VecDeque<Point>,
    sales: BTreeMap<String, VecDeque<Point>>,
}

// === impl Point ===

impl Point {
    fn and(mut self, other: &Self) -> Self {
        for (rate, more) in self.rates.iter_mut().zip(other.rates) {
            *rate += more;
        }
        Self {
            available: self.available.saturating_add(other.available),
            held: self.held.saturating_add(other.held),
            sold: self.sold.saturating_add(other.sold),
            behind: self.behind.saturating_add(other.behind),
            late_ms: self.late_ms.max(other.late_ms),
            ..self
        }
    }
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut numbers = serializer.serialize_seq(Some(COLUMNS.len()))?;
        numbers.serialize_element(&self.at_ms)?;
        for rate in self.rates {
            numbers.serialize_element(&rate)?;
        }
        for number in [
            self.available,
            self.held,
            self.sold,
            self.behind,
            self.late_ms,
        ] {
            numbers.serialize_element(&number)?;
        }
        numbers.end()
    }
}

// === impl History ===

impl History {
    /// How the sales stood at one look.
    pub(super) fn add(&mut self, at_ms: u64, points: &BTreeMap<String, Point>) {
        let sids: BTreeSet<&String> = points.keys().collect();
        self.sales.retain(|sid, _| sids.contains(sid));
        let mut all = Point {
            at_ms,
            ..Point::default()
        };
        for (sid, point) in points {
            all = all.and(point);
            if let Some(kept) = self.sales.get_mut(sid) {
                push(kept, *point);
            } else if self.sales.len() < SALES_MAX {
                self.sales.insert(sid.clone(), VecDeque::from([*point]));
            }
        }
        push(&mut self.all, all);
    }

    /// All sales together, after this instant.
    pub(super) fn all(&self, since_ms: u64) -> Vec<Point> {
        after(&self.all, since_ms)
    }

    /// One sale, after this instant.
    pub(super) fn of(&self, sid: &str, since_ms: u64) -> Vec<Point> {
        let kept = self.sales.get(sid);
        kept.map_or_else(Vec::new, |kept| after(kept, since_ms))
    }
}

fn push(kept: &mut VecDeque<Point>, point: Point) {
    if kept.len() >= POINTS_MAX {
        kept.pop_front();
    }
    kept.push_back(point);
}

fn after(kept: &VecDeque<Point>, since_ms: u64) -> Vec<Point> {
    let first = kept.partition_point(|point| point.at_ms <= since_ms);
    kept.range(first..).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at_ms: u64, available: u64) -> Point {
        Point {
            at_ms,
            available,
            rates: [1.0; VERDICTS.len()],
            late_ms: available,
            ..Point::default()
        }
    }

    #[test]
    fn all_is_the_sum_of_the_sales_and_the_latest_of_their_orders() {
        let mut history = History::default();
        let sales = [("1".to_owned(), point(5, 3)), ("2".to_owned(), point(5, 4))];
        history.add(5, &sales.into());
        let all = history.all(0);
        assert_eq!((all[0].available, all[0].late_ms), (7, 4));
        assert_eq!(all[0].rates, [2.0; VERDICTS.len()]);
        let text = serde_json::to_value(&all).unwrap();
        assert_eq!(text[0].as_array().unwrap().len(), COLUMNS.len());
    }

    #[test]
    fn only_the_last_ten_minutes_of_sales_that_are_there_are_kept() {
        let mut history = History::default();
        for at_ms in 1..=700 {
            let one = [("1".to_owned(), point(at_ms, 1))];
            history.add(at_ms, &one.into());
        }
        assert_eq!(history.of("1", 0).len(), POINTS_MAX);
        assert_eq!(history.of("1", 690).len(), 10);
        assert!(history.of("2", 0).is_empty());
        history.add(701, &BTreeMap::new());
        assert!(history.of("1", 0).is_empty());
    }

    #[test]
    fn the_columns_are_the_verdicts_and_what_follows() {
        assert_eq!(COLUMNS[1..=VERDICTS.len()], VERDICTS);
    }
}

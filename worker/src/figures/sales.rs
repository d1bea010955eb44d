//! How far behind each sale is, with a label for the first thousand.

use super::{opts, registered};
use prometheus::{GaugeVec, IntGaugeVec, Registry};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// So many sales have a label of their own.
const SALES_MAX: usize = 1000;

/// The sales that have none.
const OTHER: &str = "other";

/// From the log to the sink, and from there to MySQL.
const STEPS: [&str; 2] = ["relay", "orders"];

/// How far behind one sale is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Lag {
    /// Not in the sink yet.
    pub(crate) relay: Behind,
    /// In the sink, and not in MySQL yet.
    pub(crate) orders: Behind,
    /// The age of the oldest acceptance without an order, in seconds.
    pub(crate) unordered_s: f64,
    /// Units that MySQL and the module disagree about while nothing is on its way.
    pub(crate) drift: i64,
}

/// One step's part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Behind {
    pub(crate) events: i64,
    /// The age of the oldest of them.
    pub(crate) seconds: f64,
}

/// The gauges of all sales.
#[derive(Debug)]
pub(crate) struct Sales {
    events: IntGaugeVec,
    seconds: GaugeVec,
    unordered: GaugeVec,
    drift: IntGaugeVec,
    named: Mutex<BTreeSet<String>>,
    behind: AtomicI64,
}

// === impl Lag ===

impl Lag {
    /// Of two sales that share a label: what is behind adds up, and the older one counts.
    fn and(self, other: Self) -> Self {
        Self {
            relay: self.relay.and(other.relay),
            orders: self.orders.and(other.orders),
            unordered_s: self.unordered_s.max(other.unordered_s),
            drift: self.drift.saturating_add(other.drift.saturating_abs()),
        }
    }
}

impl Behind {
    const fn and(self, other: Self) -> Self {
        Self {
            events: self.events.saturating_add(other.events),
            seconds: self.seconds.max(other.seconds),
        }
    }
}

// === impl Sales ===

impl Sales {
    /// No sale yet.
    ///
    /// # Errors
    /// The registry has one of the names already.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            registered(registry, GaugeVec::new(opts(name, help), labels)?)
        };
        let whole = |name: &str, help: &str, labels: &[&str]| {
            registered(registry, IntGaugeVec::new(opts(name, help), labels)?)
        };
        Ok(Self {
            events: whole(
                "lag_events",
                "Events that a step has still to do.",
                &["sale", "step"],
            )?,
            seconds: gauge(
                "lag_seconds",
                "The age of the oldest event that a step has still to do.",
                &["sale", "step"],
            )?,
            unordered: gauge(
                "unordered_seconds",
                "The age of the oldest acceptance without an order.",
                &["sale"],
            )?,
            drift: whole(
                "drift_units",
                "What the module has held or sold less stock.sale, while nothing is on its way.",
                &["sale"],
            )?,
            named: Mutex::default(),
            behind: AtomicI64::new(0),
        })
    }

    /// These are the sales, and so far behind each is.
    pub(crate) fn show(&self, sales: &BTreeMap<String, Lag>) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.retain(|sid| {
            let stays = sales.contains_key(sid);
            if !stays {
                self.forget(sid);
            }
            stays
        });
        let behind = sales.values().map(|lag| lag.relay.and(lag.orders).events);
        self.behind.store(behind.sum(), Relaxed);
        let mut others: Option<Lag> = None;
        for (sid, lag) in sales {
            if named.contains(sid) || named.len() < SALES_MAX {
                named.insert(sid.clone());
                self.set(sid, *lag);
            } else {
                others = Some(others.unwrap_or_default().and(*lag));
            }
        }
        match others {
            Some(lag) => self.set(OTHER, lag),
            None => self.forget(OTHER),
        }
    }

    /// The events of all sales that are not in MySQL yet.
    pub(crate) fn behind(&self) -> i64 {
        self.behind.load(Relaxed)
    }

    fn set(&self, label: &str, lag: Lag) {
        for (step, behind) in STEPS.iter().zip([lag.relay, lag.orders]) {
            let labels = [label, step];
            self.events.with_label_values(&labels).set(behind.events);
            self.seconds.with_label_values(&labels).set(behind.seconds);
        }
        self.unordered
            .with_label_values(&[label])
            .set(lag.unordered_s);
        self.drift.with_label_values(&[label]).set(lag.drift);
    }

    /// An error says that there was none.
    fn forget(&self, label: &str) {
        for step in STEPS {
            let _ = self.events.remove_label_values(&[label, step]);
            let _ = self.seconds.remove_label_values(&[label, step]);
        }
        let _ = self.unordered.remove_label_values(&[label]);
        let _ = self.drift.remove_label_values(&[label]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind(events: i64, seconds: f64) -> Lag {
        Lag {
            relay: Behind { events, seconds },
            ..Lag::default()
        }
    }

    fn events(sales: &Sales, label: &str) -> i64 {
        sales.events.with_label_values(&[label, "relay"]).get()
    }

    #[test]
    fn a_thousand_sales_have_a_name_and_the_rest_share_one() {
        let sales = Sales::new(&Registry::new()).unwrap();
        let all = (0..SALES_MAX + 5).map(|n| (format!("{n:04}"), behind(3, 1.0)));
        let mut all: BTreeMap<String, Lag> = all.collect();
        sales.show(&all);
        assert_eq!(events(&sales, "0000"), 3);
        assert_eq!(events(&sales, OTHER), 5 * 3);

        for gone in 0..5 {
            all.remove(&format!("{gone:04}"));
        }
        sales.show(&all);
        let names = sales.named.lock().unwrap().clone();
        assert!(names.contains("1004") && !names.contains("0000"));
        assert_eq!(events(&sales, OTHER), 0);
    }
}

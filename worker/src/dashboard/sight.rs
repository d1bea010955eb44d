//! What was seen last, and in the ten minutes before.

use super::counts::{Counts, VERDICTS};
use super::history::{History, Point};
use super::proxies::Proxy;
use crate::options::Options;
use crate::status::Row;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What the looks have seen.
#[derive(Debug, Default)]
pub(super) struct Sight(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    latest: Option<Arc<Seen>>,
    history: History,
}

/// One look.
#[derive(Debug, Serialize)]
pub(super) struct Seen {
    pub(super) looked_ms: u64,
    pub(super) redis: Server,
    pub(super) mysql: Server,
    /// There is none with `broker = "none"`.
    pub(super) kafka: Option<Server>,
    /// Letters of the dead topic that nobody has dealt with.
    pub(super) dead_letters: Option<i64>,
    /// Messages on the topic that no order writer has dealt with.
    pub(super) messages_behind: Option<i64>,
    pub(super) proxies: Vec<Proxy>,
    pub(super) sales: Vec<SaleSeen>,
}

/// Whether a server answers.
#[derive(Debug, Serialize)]
pub(super) struct Server {
    up: bool,
    reason: Option<String>,
}

/// A sale.
#[derive(Debug, Serialize)]
pub(super) struct SaleSeen {
    #[serde(flatten)]
    pub(super) row: Row,
    /// The clock of its node, Unix ms.
    pub(super) clock_ms: Option<u64>,
    pub(super) options: Option<Terms>,
    /// Reservations that were ever granted.
    pub(super) reservations: u64,
    /// Tries by verdict, since its node and the proxies began to count.
    pub(super) tries: Counts,
    /// Those of them that proxies answered by themselves.
    pub(super) at_the_edge: Counts,
    /// Tries by verdict a second, in the order of `VERDICTS`.
    #[serde(serialize_with = "by_verdict")]
    pub(super) a_second: [f64; VERDICTS.len()],
}

/// What a sale allows.
#[derive(Debug, Serialize)]
pub(super) struct Terms {
    limit: u64,
    start_ms: u64,
    end_ms: u64,
    hold_ms: u64,
    rate: u64,
    user_rate: u64,
}

// === impl Sight ===

impl Sight {
    /// This was seen.
    pub(super) fn add(&self, seen: Seen, points: &BTreeMap<String, Point>) {
        self.with(|state| {
            state.history.add(seen.looked_ms, points);
            state.latest = Some(Arc::new(seen));
        });
    }

    /// The last look.
    pub(super) fn latest(&self) -> Option<Arc<Seen>> {
        self.with(|state| state.latest.clone())
    }

    /// All sales together, after this instant.
    pub(super) fn all(&self, since_ms: u64) -> Vec<Point> {
        self.with(|state| state.history.all(since_ms))
    }

    /// One sale, after this instant.
    pub(super) fn of(&self, sid: &str, since_ms: u64) -> Vec<Point> {
        self.with(|state| state.history.of(sid, since_ms))
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl Server ===

impl Server {
    pub(super) fn of<T>(answer: &Result<T, String>) -> Self {
        let reason = answer.as_ref().err().cloned();
        Self {
            up: reason.is_none(),
            reason,
        }
    }
}

// === impl Terms ===

impl From<Options> for Terms {
    fn from(options: Options) -> Self {
        Self {
            limit: options.limit,
            start_ms: options.start,
            end_ms: options.end,
            hold_ms: options.hold,
            rate: options.rate,
            user_rate: options.user_rate,
        }
    }
}

fn by_verdict<S: Serializer>(rates: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(VERDICTS.iter().zip(rates))
}

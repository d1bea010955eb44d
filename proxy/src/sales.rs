//! The sales that this proxy was asked about, and what it keeps of each.

use crate::convoy::Stop;
use crate::shut::Shut;
use seckill_protocol::Verdict;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// So many sales at the same time are more than anybody has. The paths of sales that do not exist
/// could otherwise fill the memory.
const SALES_MAX: usize = 10_000;

/// The sales by their sids.
#[derive(Debug)]
pub(crate) struct Sales {
    sales: RwLock<HashMap<Box<str>, Arc<Sale>>>,
    key_prefix: String,
    remember: Duration,
}

/// What is kept of one sale.
#[derive(Debug)]
pub(crate) struct Sale {
    /// Its key in Redis.
    pub(crate) key: String,
    /// Where tries for it wait to travel together.
    pub(crate) stop: Stop,
    /// Whether it turns everybody away.
    pub(crate) shut: Shut,
    /// Rejections that the proxy has answered itself.
    pub(crate) turned_away: TurnedAway,
}

/// Rejections by their verdicts.
#[derive(Debug, Default)]
pub(crate) struct TurnedAway {
    sold_out: AtomicU64,
    ended: AtomicU64,
    paused: AtomicU64,
    not_started: AtomicU64,
}

// === impl Sales ===

impl Sales {
    /// No sales yet. Their keys begin with `key_prefix`, and what they answer is remembered for at
    /// most `remember`.
    pub(crate) fn new(key_prefix: String, remember: Duration) -> Self {
        Self {
            sales: RwLock::default(),
            key_prefix,
            remember,
        }
    }

    /// The sale that is called so, whether it exists or not.
    pub(crate) fn named(&self, sid: &str) -> Arc<Sale> {
        let known = self.known(sid);
        known.unwrap_or_else(|| {
            let mut sales = self.sales.write().unwrap_or_else(PoisonError::into_inner);
            if sales.len() >= SALES_MAX {
                // What somebody asks about at this moment stays.
                sales.retain(|_, sale| Arc::strong_count(sale) > 1);
            }
            let sale = sales.entry(sid.into()).or_insert_with(|| {
                Arc::new(Sale {
                    key: self.key(sid),
                    stop: Stop::default(),
                    shut: Shut::new(self.remember),
                    turned_away: TurnedAway::default(),
                })
            });
            Arc::clone(sale)
        })
    }

    /// The sale of a key, if it was asked about.
    pub(crate) fn of_key(&self, key: &str) -> Option<Arc<Sale>> {
        self.known(key.strip_prefix(&*self.key_prefix)?)
    }

    /// The key of a sale.
    pub(crate) fn key(&self, sid: &str) -> String {
        format!("{}{sid}", self.key_prefix)
    }

    /// There is no such sale.
    pub(crate) fn remove(&self, sale: &Sale) {
        if let Some(sid) = sale.key.strip_prefix(&*self.key_prefix) {
            let mut sales = self.sales.write().unwrap_or_else(PoisonError::into_inner);
            sales.remove(sid);
        }
    }

    /// Visits every sale.
    pub(crate) fn each(&self, mut visit: impl FnMut(&str, &Sale)) {
        let sales = self.sales.read().unwrap_or_else(PoisonError::into_inner);
        for (sid, sale) in &*sales {
            visit(sid, sale);
        }
    }

    fn known(&self, sid: &str) -> Option<Arc<Sale>> {
        let sales = self.sales.read().unwrap_or_else(PoisonError::into_inner);
        sales.get(sid).cloned()
    }
}

// === impl TurnedAway ===

impl TurnedAway {
    /// One more.
    pub(crate) fn count(&self, verdict: Verdict) {
        let counter = match verdict {
            Verdict::SoldOut { .. } => &self.sold_out,
            Verdict::Ended => &self.ended,
            Verdict::Paused => &self.paused,
            Verdict::NotStarted { .. } => &self.not_started,
            // These depend on the buyer: nobody but the module tells them.
            Verdict::Accepted(_) | Verdict::Duplicate(_) | Verdict::Limited { .. } => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// How many, by the code that buyers were given.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 4] {
        [
            ("sold_out", &self.sold_out),
            ("ended", &self.ended),
            ("paused", &self.paused),
            ("not_started", &self.not_started),
        ]
        .map(|(code, counter)| (code, counter.load(Ordering::Relaxed)))
    }
}

//! The sales that this proxy was asked about, and what it keeps of each.

use crate::code::Code;
use crate::convoy::Stop;
use crate::counters::{Counters, EDGE_VERDICTS};
use crate::shut::Shut;
use crate::state::Window;
use ahash::RandomState;
use prometheus::IntCounter;
use seckill_protocol::Verdict;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

/// So many sales at the same time are more than anybody has. The paths of sales that do not exist
/// could otherwise fill the memory.
const SALES_MAX: usize = 10_000;

/// The sales by their sids.
pub(crate) struct Sales {
    sales: RwLock<HashMap<Box<str>, Arc<Sale>, RandomState>>,
    key_prefix: String,
    remember: Duration,
    counters: Arc<Counters>,
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
    /// How it was last seen by those who only look.
    pub(crate) window: Window,
    /// Rejections that the proxy has answered itself.
    pub(crate) turned_away: TurnedAway,
}

/// Rejections by their verdicts, in the order of [`EDGE_VERDICTS`].
#[derive(Debug, Default)]
pub(crate) struct TurnedAway {
    /// Of this sale, as long as it is kept.
    own: [AtomicU64; EDGE_VERDICTS.len()],
    /// What is shown: found when there is something to count.
    shown: OnceLock<[IntCounter; EDGE_VERDICTS.len()]>,
}

// === impl Sales ===

impl Sales {
    /// No sales yet. Their keys begin with `key_prefix`, and what they answer is remembered for at
    /// most `remember`.
    pub(crate) fn new(key_prefix: String, remember: Duration, counters: Arc<Counters>) -> Self {
        Self {
            sales: RwLock::default(),
            key_prefix,
            remember,
            counters,
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
                    window: Window::default(),
                    turned_away: TurnedAway::default(),
                })
            });
            Arc::clone(sale)
        })
    }

    /// What there is to see of a sale, if it was asked about.
    pub(crate) fn see<T>(&self, sid: &str, see: impl FnOnce(&Arc<Sale>) -> T) -> Option<T> {
        let sales = self.sales.read().unwrap_or_else(PoisonError::into_inner);
        sales.get(sid).map(see)
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

    /// All of them, with their sids, in no order.
    pub(crate) fn all(&self) -> Vec<(Box<str>, Arc<Sale>)> {
        let sales = self.sales.read().unwrap_or_else(PoisonError::into_inner);
        let all = sales.iter();
        all.map(|(sid, sale)| (sid.clone(), Arc::clone(sale)))
            .collect()
    }

    /// One more buyer of a sale was turned away without asking Redis.
    pub(crate) fn turned_away(&self, sale: &Sale, verdict: Verdict) {
        let TurnedAway { own, shown } = &sale.turned_away;
        let Some(at) = EDGE_VERDICTS.iter().position(|&c| c == verdict.into()) else {
            // The others depend on the buyer: nobody but the module tells them.
            return;
        };
        let shown = shown.get_or_init(|| {
            let sid = sale.key.strip_prefix(&*self.key_prefix);
            self.counters.edge_rejections.of(sid.unwrap_or(&sale.key))
        });
        if let (Some(own), Some(shown)) = (own.get(at), shown.get(at)) {
            own.fetch_add(1, Ordering::Relaxed);
            shown.inc();
        }
    }

    fn known(&self, sid: &str) -> Option<Arc<Sale>> {
        self.see(sid, Arc::clone)
    }
}

// === impl TurnedAway ===

impl TurnedAway {
    /// How many, by the code that buyers were given.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Code, u64)> {
        let counts = self.own.iter().map(|count| count.load(Ordering::Relaxed));
        EDGE_VERDICTS.into_iter().zip(counts)
    }
}

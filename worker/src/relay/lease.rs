//! The leases: one worker at a time relays a sale, and the workers share the sales.
//!
//! A lease is held by saying so again and again; a worker that dies, freezes or is cut off loses it
//! within seconds. It saves work and is no lock: what a relay does that has lost it and does not know
//! yet is to send events once more, which MySQL's cursor skips, and to move `RELAYED` to what the
//! broker has, which is true whoever says it.

use super::sale::Ended;
use crate::gate::{Gate, Leased};
use futures_util::future::join_all;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::sleep;
use tracing::{debug, info};

/// How often a lease is renewed, as long as there are not too many.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// How many renewals a second a worker may send: beyond that they come less often, and leases last
/// longer.
const RENEWALS_A_SECOND: usize = 2000;

/// A lease lasts for so many renewals.
const RENEWALS: u32 = 3;

/// A lease at most: what the module grants.
const SPAN_MAX: Duration = Duration::from_secs(60);

/// What this worker has heard of leases, its own among them.
#[derive(Debug)]
pub(crate) struct Leases {
    /// What this worker is called. Unique: two of one name would both have a lease.
    worker: String,
    heard: Mutex<HashMap<String, Leased>>,
    /// How many sales this worker has more than its share.
    surplus: AtomicUsize,
}

// === impl Leases ===

impl Leases {
    pub(crate) fn new() -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        // A fresh hasher's keys are random; the standard library offers no other source.
        let random = RandomState::new().hash_one(()) & 0xffff_ffff;
        Self {
            worker: format!("{}-{}-{random:08x}", host.trim(), std::process::id()),
            heard: Mutex::default(),
            surplus: AtomicUsize::new(0),
        }
    }

    /// Returns when the sale is this worker's.
    pub(super) async fn take(&self, gate: &Gate, sid: &str) -> Result<(), Ended> {
        let mut other = None;
        loop {
            let span = self.span();
            let leased = gate.lease(sid, &self.worker, span).await?;
            let is_mine = self.hear(sid, &leased);
            if is_mine {
                info!("sale {sid} is relayed");
                return Ok(());
            }
            if other != leased.holder {
                debug!(
                    "sale {sid} is relayed by {}",
                    leased.holder.as_deref().unwrap_or_default()
                );
                other = leased.holder;
            }
            // Not before it lapses, unless it is given back.
            sleep(leased.left.min(span / RENEWALS)).await;
        }
    }

    /// Renews the lease; returns when the sale is another's, or is to be.
    pub(super) async fn keep(&self, gate: &Gate, sid: &str) -> Ended {
        loop {
            let span = self.span();
            sleep(span / RENEWALS).await;
            if self.has_to_give(sid) {
                if let Err(refused) = gate.lease(sid, &self.worker, Duration::ZERO).await {
                    return refused.into();
                }
                info!("sale {sid} is left to another worker");
                return Ended::GivenUp(span);
            }
            match gate.lease(sid, &self.worker, span).await {
                Ok(leased) if self.hear(sid, &leased) => {}
                Ok(leased) => return Ended::Taken(leased.holder.unwrap_or_default()),
                Err(refused) => return refused.into(),
            }
        }
    }

    /// The sale is no more.
    pub(super) fn forget(&self, sid: &str) {
        self.heard().remove(sid);
    }

    /// Counts who has how many.
    pub(super) fn count(&self) {
        let surplus = surplus(&self.worker, self.heard().values());
        self.surplus.store(surplus, Relaxed);
    }

    /// How many sales this worker relays.
    pub(super) fn held(&self) -> usize {
        let heard = self.heard();
        heard.values().filter(|leased| self.is_mine(leased)).count()
    }

    /// Gives all leases back, so that nobody has to wait for their end.
    pub(crate) async fn give_back(&self, gate: &Gate) {
        let mine: Vec<String> = {
            let heard = self.heard();
            let mine = heard.iter().filter(|(_, leased)| self.is_mine(leased));
            mine.map(|(sid, _)| sid.clone()).collect()
        };
        let given = mine
            .iter()
            .map(|sid| gate.lease(sid, &self.worker, Duration::ZERO));
        // One that cannot be given back lapses.
        drop(join_all(given).await);
    }

    fn span(&self) -> Duration {
        span(self.heard().len())
    }

    /// Notes what was heard; returns whether the lease is this worker's.
    fn hear(&self, sid: &str, leased: &Leased) -> bool {
        self.heard().insert(sid.to_owned(), leased.clone());
        self.is_mine(leased)
    }

    fn is_mine(&self, leased: &Leased) -> bool {
        leased.holder.as_deref() == Some(&*self.worker)
    }

    /// Whether this sale goes to somebody who waits for it and has fewer.
    fn has_to_give(&self, sid: &str) -> bool {
        let mut heard = self.heard();
        let Some(leased) = heard.get_mut(sid) else {
            return false;
        };
        let take_one = |surplus: usize| surplus.checked_sub(1);
        let gives = leased.rival.is_some()
            && self
                .surplus
                .fetch_update(Relaxed, Relaxed, take_one)
                .is_ok();
        if gives {
            *leased = Leased::default();
        }
        gives
    }

    fn heard(&self) -> MutexGuard<'_, HashMap<String, Leased>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a lease lasts with so many sales.
fn span(sales: usize) -> Duration {
    let every_ms = sales.saturating_mul(1000) / RENEWALS_A_SECOND;
    let every = Duration::from_millis(u64::try_from(every_ms).unwrap_or(u64::MAX));
    every
        .max(RENEW_EVERY)
        .saturating_mul(RENEWALS)
        .min(SPAN_MAX)
}

/// How many sales a worker has more than its share among all that have or want some.
fn surplus<'a>(worker: &'a str, heard: impl Iterator<Item = &'a Leased>) -> usize {
    let mut workers = HashSet::from([worker]);
    let (mut mine, mut sales) = (0_usize, 0_usize);
    for Leased { holder, rival, .. } in heard {
        workers.extend([holder, rival].into_iter().filter_map(Option::as_deref));
        mine += usize::from(holder.as_deref() == Some(worker));
        sales += 1;
    }
    mine.saturating_sub(sales.div_ceil(workers.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leased(holder: &str, rival: &str) -> Leased {
        let name = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Leased {
            holder: name(holder),
            left: Duration::ZERO,
            rival: name(rival),
        }
    }

    #[test]
    fn a_worker_with_more_than_its_share_has_to_give() {
        for (heard, expected) in [
            (&[("a", ""), ("a", ""), ("a", "")][..], 0),
            (&[("a", "b"), ("a", ""), ("a", "")], 1),
            (&[("a", "b"), ("a", "c"), ("a", "c"), ("a", "")], 2),
            (&[("a", "b"), ("b", "a"), ("a", "b")], 0),
            (&[("a", "b"), ("", ""), ("", "")], 0),
            (&[("b", "a"), ("b", "a")], 0),
            (&[], 0),
        ] {
            let heard: Vec<_> = heard.iter().map(|(h, r)| leased(h, r)).collect();
            assert_eq!(surplus("a", heard.iter()), expected, "{heard:?}");
        }
    }

    #[test]
    fn with_many_sales_leases_last_longer_and_are_renewed_less_often() {
        for (sales, seconds) in [(0, 3), (2000, 3), (10_000, 15), (1_000_000, 60)] {
            assert_eq!(span(sales), Duration::from_secs(seconds), "{sales}");
        }
    }
}

//! The line of figures in the log: every ten seconds while something happens.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::info;

const EVERY: Duration = Duration::from_secs(10);

/// Counters since the last line.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    relayed: AtomicU64,
    applied: AtomicU64,
    orders: AtomicU64,
    transactions: AtomicU64,
    slowest_ms: AtomicU64,
}

// === impl Figures ===

impl Figures {
    /// The broker has these many events more.
    pub(crate) fn relayed(&self, events: u64) {
        self.relayed.fetch_add(events, Relaxed);
    }

    /// A transaction is committed: so many events and orders, the earliest event decided at
    /// `earliest_ms`.
    pub(crate) fn stored(&self, events: u64, orders: u64, earliest_ms: Option<u64>) {
        self.applied.fetch_add(events, Relaxed);
        self.orders.fetch_add(orders, Relaxed);
        self.transactions.fetch_add(1, Relaxed);
        if let Some(earliest_ms) = earliest_ms {
            let lag_ms = unix_ms().saturating_sub(earliest_ms);
            self.slowest_ms.fetch_max(lag_ms, Relaxed);
        }
    }

    /// Writes the lines, for ever.
    pub(crate) async fn report(&self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.line();
        }
    }

    /// Writes one line, if something happened since the last.
    pub(crate) fn line(&self) {
        let relayed = self.relayed.swap(0, Relaxed);
        let applied = self.applied.swap(0, Relaxed);
        let orders = self.orders.swap(0, Relaxed);
        let transactions = self.transactions.swap(0, Relaxed);
        let slowest_ms = self.slowest_ms.swap(0, Relaxed);
        if relayed + transactions > 0 {
            info!(
                "relayed {relayed} events; applied {applied} events, {orders} orders, in \
                 {transactions} transactions; slowest {slowest_ms} ms from decision to commit"
            );
        }
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

//! The crowd: buyers who try, pay, give up, ask again and hang up.
//!
//! * `caller`: one call, and what is written into the record about it
//! * `buyer`: the life of one buyer

mod buyer;
mod caller;

use crate::schedule::Sale;
use anyhow::Result;
use buyer::Buyer;
use caller::Caller;
use seckill_oracle::record::Recorder;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Where buyers go, and as whom the shop speaks.
pub(crate) struct Doors {
    /// The proxies, `host:port`.
    pub(crate) proxies: Vec<String>,
    /// What proves that the shop speaks.
    pub(crate) shop_key: String,
    pub(crate) sid: String,
}

/// What buyers have come to so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Reservations that somebody was told of.
    pub(crate) accepted: AtomicU64,
    pub(crate) confirmed: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    /// Calls without an answer that means anything.
    pub(crate) unknown: AtomicU64,
    pub(crate) calls: AtomicU64,
}

/// Everybody who buys in a round.
#[derive(Clone)]
pub(crate) struct Crowd {
    caller: Arc<Caller>,
    sale: Sale,
    seed: u64,
}

impl Crowd {
    pub(crate) fn new(doors: Doors, recorder: Recorder, sale: Sale, seed: u64) -> Self {
        Self {
            caller: Arc::new(Caller::new(doors, recorder)),
            sale,
            seed,
        }
    }

    pub(crate) fn tally(&self) -> &Tally {
        self.caller.tally()
    }

    /// Everybody comes, and the last one has left soon after `until`.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub(crate) async fn come(&self, until: Instant) -> Result<()> {
        let mut buyers = JoinSet::new();
        for number in 0..self.sale.buyers {
            let buyer = Buyer::new(number, self.seed, self.sale, Arc::clone(&self.caller));
            buyers.spawn(buyer.live(until));
        }
        while let Some(buyer) = buyers.join_next().await {
            buyer??;
        }
        Ok(())
    }

    /// So many new buyers come, who take one unit each and pay at once, or learn that there is none.
    /// None of them asks beyond `until`.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub(crate) async fn buy_the_rest(&self, wave: u32, buyers: u32, until: Instant) -> Result<()> {
        /// At a time.
        const TOGETHER: usize = 64;
        let mut waiting = JoinSet::new();
        for number in 0..buyers {
            if waiting.len() >= TOGETHER
                && let Some(buyer) = waiting.join_next().await
            {
                buyer??;
            }
            let uid = format!("late-{wave}-{number}");
            let buyer = Buyer::named(uid, self.seed, self.sale, Arc::clone(&self.caller));
            waiting.spawn(buyer.take_one(until));
        }
        while let Some(buyer) = waiting.join_next().await {
            buyer??;
        }
        Ok(())
    }
}

// === impl Tally ===

impl Tally {
    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }
}

/// Between these two, in milliseconds.
fn span(rng: &mut fastrand::Rng, ms: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.u64(ms))
}

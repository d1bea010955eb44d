//! The buyers: all of them are there when the sale opens.
//!
//! A buyer who hears neither "yes" nor "sold out" asks again, so often as he may. Buyers share
//! connections that are kept, as behind a gateway: what is measured is the shop, and not how fast a
//! machine makes connections.
//!
//! | file | idea |
//! | --- | --- |
//! | `connection.rs` | one keep-alive connection: one question, one answer |
//! | `answer.rs` | what the answer says |
//! | `waits.rs` | how long buyers waited |
//! | `stream.rs` | buyers without end |

mod answer;
mod connection;
mod stream;
mod waits;

pub(crate) use answer::{Answer, Promise};
pub(crate) use stream::Stream;
pub(crate) use waits::{Percentiles, Waits};

use anyhow::{Context, Result};
use connection::Connection;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Connections at most: each is a file descriptor here, at the balancer twice, and at the shop.
pub(crate) const CONNECTIONS_MAX: u32 = 1000;

/// Who comes, and where to.
#[derive(Clone)]
pub(crate) struct Crowd {
    /// `host:port`
    pub(crate) address: String,
    pub(crate) path: String,
    pub(crate) buyers: u32,
    /// How often each of them asks at most.
    pub(crate) tries: u32,
}

/// What they were told.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) promises: Vec<Promise>,
    pub(crate) sold_out: u64,
    pub(crate) limited: u64,
    pub(crate) conflicts: u64,
    pub(crate) failed: u64,
    /// Of each answer: for a buyer's first since the sale opened, for another since the one before.
    pub(crate) waits: Waits,
    /// From the opening to the last answer.
    pub(crate) took: Duration,
}

/// For whoever watches.
#[derive(Default)]
pub(crate) struct Progress {
    /// Buyers who will not ask again.
    pub(crate) done: AtomicU64,
    pub(crate) yes: AtomicU64,
}

// === impl Crowd ===

impl Crowd {
    /// Opens the sale, and waits for the last answer.
    pub(crate) async fn buy(&self, progress: &Arc<Progress>) -> Result<Seen> {
        let connections = self.buyers.min(CONNECTIONS_MAX);
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(Connection::open(&self.address, &self.path).await?);
        }
        let next = Arc::new(AtomicU64::new(1));
        let opened = Instant::now();
        let mut queues = JoinSet::new();
        for connection in open {
            let queue = Queue {
                connection,
                opened,
                next: Arc::clone(&next),
                progress: Arc::clone(progress),
                seen: Seen::default(),
            };
            queues.spawn(queue.serve(self.buyers.into(), self.tries));
        }
        let mut all = Seen::default();
        while let Some(seen) = queues.join_next().await {
            all.add(seen??);
        }
        all.took = opened.elapsed();
        Ok(all)
    }
}

/// The buyers of one connection, one after the other.
struct Queue {
    connection: Connection,
    opened: Instant,
    next: Arc<AtomicU64>,
    progress: Arc<Progress>,
    seen: Seen,
}

// === impl Queue ===

impl Queue {
    async fn serve(mut self, buyers: u64, tries: u32) -> Result<Seen> {
        loop {
            let buyer = self.next.fetch_add(1, Ordering::Relaxed);
            if buyer > buyers {
                return Ok(self.seen);
            }
            let bought = self.buy(buyer, tries).await;
            bought.with_context(|| format!("buyer {buyer}"))?;
            self.progress.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn buy(&mut self, buyer: u64, tries: u32) -> Result<()> {
        let mut since = self.opened;
        for _ in 0..tries {
            let answer = self.connection.ask(buyer).await?;
            let now = Instant::now();
            self.seen.waits.add(now - since);
            since = now;
            self.seen.keep(answer, &self.progress);
            if matches!(answer, Answer::Yes(_) | Answer::SoldOut) {
                break;
            }
        }
        Ok(())
    }
}

// === impl Seen ===

impl Seen {
    fn keep(&mut self, answer: Answer, progress: &Progress) {
        match answer {
            Answer::Yes(promise) => {
                self.promises.push(promise);
                progress.yes.fetch_add(1, Ordering::Relaxed);
            }
            Answer::SoldOut => self.sold_out += 1,
            Answer::Limited => self.limited += 1,
            Answer::Conflict => self.conflicts += 1,
            Answer::Failed => self.failed += 1,
        }
    }

    fn add(&mut self, more: Self) {
        self.promises.extend(more.promises);
        self.sold_out += more.sold_out;
        self.limited += more.limited;
        self.conflicts += more.conflicts;
        self.failed += more.failed;
        self.waits.extend(more.waits);
    }
}

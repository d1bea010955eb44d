//! The buyers: all of them are there when the sale opens.
//!
//! A buyer who hears neither "yes" nor "sold out" asks again, so often as he may: at once, or when he
//! was told to (`Retry-After`). Buyers share connections that are kept, as behind a gateway: what is
//! measured is the shop, and not how fast a machine makes connections.
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
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

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
    /// Of each answer: for a buyer's first since the sale opened, for another since he was to ask.
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
                buyers: self.buyers.into(),
                progress: Arc::clone(progress),
                seen: Seen::default(),
                later: BinaryHeap::new(),
            };
            queues.spawn(queue.serve(self.tries));
        }
        let mut all = Seen::default();
        while let Some(seen) = queues.join_next().await {
            all.add(seen??);
        }
        all.took = opened.elapsed();
        Ok(all)
    }
}

/// The buyers of one connection: each asks when it is his turn, and somebody who was told to come
/// again later does not keep those behind him waiting.
struct Queue {
    connection: Connection,
    opened: Instant,
    next: Arc<AtomicU64>,
    /// The number of the last buyer.
    buyers: u64,
    progress: Arc<Progress>,
    seen: Seen,
    /// Who asks once more, by the time of it.
    later: BinaryHeap<Reverse<Turn>>,
}

/// When a buyer asks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    /// From here on his wait counts.
    due: Instant,
    buyer: u64,
    tries_left: u32,
}

// === impl Queue ===

impl Queue {
    async fn serve(mut self, tries: u32) -> Result<Seen> {
        while let Some(turn) = self.turn(tries) {
            sleep_until(turn.due).await;
            let asked = self.ask(turn).await;
            asked.with_context(|| format!("buyer {}", turn.buyer))?;
        }
        Ok(self.seen)
    }

    /// Who asks next: somebody whose time has come, else somebody new, else the first to come again.
    fn turn(&mut self, tries: u32) -> Option<Turn> {
        let first = self.later.peek().map(|Reverse(turn)| turn.due);
        if first.is_none_or(|due| due > Instant::now()) {
            let buyer = self.next.fetch_add(1, Ordering::Relaxed);
            if buyer <= self.buyers {
                return Some(Turn {
                    due: self.opened,
                    buyer,
                    tries_left: tries,
                });
            }
        }
        self.later.pop().map(|Reverse(turn)| turn)
    }

    async fn ask(&mut self, turn: Turn) -> Result<()> {
        let told = self.connection.ask(turn.buyer).await?;
        let now = Instant::now();
        self.seen.waits.add(now - turn.due);
        self.seen.keep(told.answer, &self.progress);
        let settled = matches!(told.answer, Answer::Yes(_) | Answer::SoldOut);
        if settled || turn.tries_left == 1 {
            self.progress.done.fetch_add(1, Ordering::Relaxed);
        } else {
            self.later.push(Reverse(Turn {
                due: now + told.retry_after,
                tries_left: turn.tries_left - 1,
                ..turn
            }));
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

//! Buyers without end: as soon as one of a connection has his answer, the next one asks, who never
//! came before.

use super::{Connection, Progress, Seen};
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Where they come to, and how many at once.
pub(crate) struct Stream {
    /// `host:port`
    address: String,
    path: String,
    connections: u32,
    next: Arc<AtomicU64>,
}

// === impl Stream ===

impl Stream {
    pub(crate) fn new(address: String, path: String, connections: u32) -> Self {
        Self {
            address,
            path,
            connections,
            next: Arc::new(AtomicU64::new(1)),
        }
    }

    /// Buys for so long.
    pub(crate) async fn buy(&self, length: Duration, progress: &Arc<Progress>) -> Result<Seen> {
        let mut open = Vec::new();
        for _ in 0..self.connections {
            open.push(Connection::open(&self.address, &self.path).await?);
        }
        let opened = Instant::now();
        let mut queues = JoinSet::new();
        for connection in open {
            let (next, progress) = (Arc::clone(&self.next), Arc::clone(progress));
            queues.spawn(serve(connection, opened + length, next, progress));
        }
        let mut all = Seen::default();
        while let Some(seen) = queues.join_next().await {
            all.add(seen??);
        }
        all.took = opened.elapsed();
        Ok(all)
    }
}

async fn serve(
    mut connection: Connection,
    until: Instant,
    next: Arc<AtomicU64>,
    progress: Arc<Progress>,
) -> Result<Seen> {
    let mut seen = Seen::default();
    let mut since = Instant::now();
    while since < until {
        let buyer = next.fetch_add(1, Ordering::Relaxed);
        let told = connection.ask(buyer).await?;
        let now = Instant::now();
        seen.waits.add(now - since);
        since = now;
        seen.keep(told.answer, &progress);
    }
    Ok(seen)
}

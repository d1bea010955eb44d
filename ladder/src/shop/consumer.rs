//! Out of Kafka into MySQL: takes a unit if the stock still has the version that the message says.
//!
//! Where it has not, the message can never be right again: it is logged and passed over, as the
//! article's consumer does. Its buyer was told "yes" long before.

use super::answer::Answer;
use super::cache::Cache;
use super::message::{self, TOPIC};
use super::routes::{redis, until_told};
use super::store::{self, Store};
use crate::cli::ConsumerOptions;
use anyhow::{Context, Result};
use axum::Json;
use axum::extract::State;
use axum::routing::get;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::{ClientConfig, Message};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What became of the messages so far.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Handled {
    /// Whether it has the topic.
    pub(crate) reads: bool,
    pub(crate) ordered: u64,
    pub(crate) dropped: u64,
}

struct Work {
    messages: StreamConsumer,
    store: Store,
    cache: Cache,
    ordered: AtomicU64,
    dropped: AtomicU64,
}

/// Consumes until it is told to stop.
pub(crate) async fn run(options: ConsumerOptions) -> Result<()> {
    let parts = &options.parts;
    let brokers = parts.kafka_brokers.as_deref().context("no Kafka")?;
    let work = Arc::new(Work {
        messages: consumer(brokers)?,
        // It has one purchase in hand at a time.
        store: Store::connect(&parts.mysql_url, 1).await?,
        cache: Cache::new(redis(parts).await?.context("no Redis")?),
        ordered: AtomicU64::new(0),
        dropped: AtomicU64::new(0),
    });
    let routes = axum::Router::new()
        .route("/handled", get(handled))
        .with_state(Arc::clone(&work));
    let listener = tokio::net::TcpListener::bind(options.listen).await?;
    tokio::select! {
        served = async { axum::serve(listener, routes).await } => Ok(served?),
        consumed = work.consume() => consumed,
        told = until_told() => told,
    }
}

async fn handled(State(work): State<Arc<Work>>) -> Json<Handled> {
    let assigned = work.messages.assignment().map(|list| list.count());
    Json(Handled {
        reads: assigned.unwrap_or_default() > 0,
        ordered: work.ordered.load(Ordering::Relaxed),
        dropped: work.dropped.load(Ordering::Relaxed),
    })
}

fn consumer(brokers: &str) -> Result<StreamConsumer> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config.set("group.id", "orders");
    config.set("auto.offset.reset", "earliest");
    config.set("enable.auto.commit", "true");
    config.set("enable.auto.offset.store", "false");
    config.set("fetch.wait.max.ms", "100");
    let consumer: StreamConsumer = config.create()?;
    consumer.subscribe(&[TOPIC])?;
    Ok(consumer)
}

// === impl Work ===

impl Work {
    async fn consume(&self) -> Result<()> {
        loop {
            let message = self.messages.recv().await?;
            let Some(stock) = message::read(message.payload())? else {
                self.messages.store_offset_from_message(&message)?;
                continue;
            };
            let mut connection = self.store.connection().await?;
            match store::buy_optimistically(&mut connection, &stock).await? {
                Answer::Ordered(_) => {
                    self.cache.took(stock.sid).await?;
                    self.ordered.fetch_add(1, Ordering::Relaxed);
                }
                _ => {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                    let offset = message.offset();
                    drop(writeln!(
                        std::io::stderr(),
                        "purchase {offset}: the stock has moved on since version {}",
                        stock.version
                    ));
                }
            }
            self.messages.store_offset_from_message(&message)?;
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What is not committed is read again, and finds a version that is gone.
        drop(self.messages.commit_consumer_state(CommitMode::Sync));
    }
}

//! Into Kafka: a buyer is told "yes" when the broker has his purchase.

use super::message::{self, TOPIC};
use super::store::Stock;
use anyhow::Result;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use std::time::Duration;

/// How long a full queue of ours may take to get room.
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);

/// Sends purchases.
#[derive(Clone)]
pub(crate) struct Queue {
    producer: FutureProducer,
}

// === impl Queue ===

impl Queue {
    /// Sends a message without a purchase: the first buyer is not to wait until the producer has
    /// found the broker.
    pub(crate) async fn connect(brokers: &str) -> Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers);
        config.set("enable.idempotence", "true");
        config.set("acks", "all");
        config.set("linger.ms", "2");
        config.set("compression.type", "lz4");
        let producer: FutureProducer = config.create()?;
        let nothing = FutureRecord::<str, [u8]>::to(TOPIC);
        let sent = producer.send(nothing, QUEUE_PATIENCE).await;
        sent.map_err(|(error, _)| error)?;
        Ok(Self { producer })
    }

    pub(crate) async fn send(&self, stock: &Stock) -> Result<()> {
        let (key, payload) = (stock.sid.to_string(), message::write(stock)?);
        let record = FutureRecord::to(TOPIC).key(&key).payload(&payload);
        let sent = self.producer.send(record, QUEUE_PATIENCE).await;
        sent.map_err(|(error, _)| error)?;
        Ok(())
    }
}

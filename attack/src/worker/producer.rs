//! A producer of the topic that is not ours, and what the broker says became of its messages.

use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::{Result, bail};
use rdkafka::ClientContext;
use rdkafka::Message as _;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};

use super::message::Message;

const FLUSH_PATIENCE: Duration = Duration::from_secs(30);

/// A message that the broker has taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lies {
    pub(super) number: u64,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// Sends messages.
pub(super) struct Producer(ThreadedProducer<Context>);

struct Context(Sender<Lies>);

// === impl Producer ===

impl Producer {
    /// Tells `taken` of each message that the broker takes.
    pub(super) fn new(brokers: &str, taken: Sender<Lies>) -> Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers);
        // Whatever is too much, the broker shall say so.
        config.set("message.max.bytes", "1000000000");
        config.set("queue.buffering.max.kbytes", "1000000");
        config.set("compression.type", "gzip");
        config.set("linger.ms", "0");
        Ok(Self(ThreadedProducer::from_config_and_context(
            &config,
            Context(taken),
        )?))
    }

    /// Sends one.
    pub(super) fn send(&self, topic: &str, number: u64, message: &Message) -> Result<()> {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &message.headers {
            headers = headers.insert(Header {
                key,
                value: value.as_ref(),
            });
        }
        loop {
            let mut record: BaseRecord<'_, Vec<u8>, Vec<u8>, Box<u64>> =
                BaseRecord::with_opaque_to(topic, Box::new(number)).headers(headers.clone());
            if let Some(key) = &message.key {
                record = record.key(key);
            }
            if let Some(payload) = &message.payload {
                record = record.payload(payload);
            }
            match self.0.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err((error, _)) => bail!("message {number} is not sent: {error}"),
            }
        }
    }

    /// Waits until the broker has said of each whether it has it.
    pub(super) fn flush(&self) -> Result<()> {
        Ok(self.0.flush(FLUSH_PATIENCE)?)
    }
}

impl ClientContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Box<u64>) {
        // One that was not taken lies nowhere.
        if let Ok(message) = result {
            let lies = Lies {
                number: *number,
                partition: message.partition(),
                offset: message.offset(),
            };
            // Nobody listens any more: it is over.
            let _ = self.0.send(lies);
        }
    }
}

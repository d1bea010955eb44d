//! What lies in the dead topic, by where it came from.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::{Offset, TopicPartitionList};

const TOPIC: &str = "seckill.events.dead";

/// Reads the letters as they come.
pub(super) struct Letters {
    consumer: BaseConsumer,
    /// The reason of each, by the partition and offset of the message that it is.
    pub(super) reasons: HashMap<(i32, i64), String>,
}

// === impl Letters ===

impl Letters {
    pub(super) fn new(brokers: &str) -> Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers);
        config.set("group.id", "attack");
        config.set("enable.auto.commit", "false");
        config.set("fetch.message.max.bytes", "100000000");
        let consumer: BaseConsumer = config.create()?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(TOPIC, 0, Offset::Beginning)?;
        consumer.assign(&list)?;
        Ok(Self {
            consumer,
            reasons: HashMap::new(),
        })
    }

    /// Takes what is there.
    pub(super) fn read(&mut self, patience: Duration) -> Result<()> {
        let since = Instant::now();
        while since.elapsed() < patience {
            let Some(message) = self.consumer.poll(Duration::from_millis(20)) else {
                return Ok(());
            };
            let message = match message {
                Ok(message) => message,
                // A broker on a busy machine comes back; what was not read yet is read then.
                Err(error) if is_away(&error) => continue,
                Err(error) => return Err(error.into()),
            };
            let number = |name| header(&message, name)?.parse::<i64>().ok();
            let place = number("partition").zip(number("offset"));
            let place = place
                .and_then(|(partition, offset)| Some((i32::try_from(partition).ok()?, offset)));
            if let Some(place) = place {
                let reason = header(&message, "error").unwrap_or_default();
                self.reasons.insert(place, reason);
            }
        }
        Ok(())
    }
}

fn is_away(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown)
    )
}

fn header(message: &BorrowedMessage<'_>, name: &str) -> Option<String> {
    let mut headers = message.headers()?.iter();
    let found = headers.find(|header| header.key == name)?;
    Some(String::from_utf8_lossy(found.value?).into_owned())
}

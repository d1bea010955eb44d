//! A look at the topics from outside the group: nothing is assigned, nothing is committed.

use super::common;
use crate::config::Kafka;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};
use seckill_protocol::{EventBatch, EventId};
use std::collections::HashMap;
use std::time::Duration;

/// How long one answer of the broker may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// A connection to the brokers for looking only. Its calls block.
pub(crate) struct TopicLook {
    consumer: BaseConsumer<Quiet>,
    topic: String,
    dead_topic: String,
}

/// What lies on the topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopicFigures {
    /// Partitions of the topic.
    pub(crate) partitions: usize,
    /// Messages that the group has not dealt with.
    pub(crate) behind: i64,
    /// Messages on the dead topic, whatever became of them.
    pub(crate) dead: i64,
}

/// What the library says is an answer here, and no news for the log.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Quiet {}

// === impl TopicLook ===

impl TopicLook {
    /// Does not connect yet.
    ///
    /// # Errors
    /// If the settings make no client.
    pub(crate) fn new(kafka: &Kafka) -> KafkaResult<Self> {
        let mut config = common(kafka);
        config.set("group.id", &kafka.group);
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        Ok(Self {
            consumer: BaseConsumer::from_config_and_context(&config, Quiet)?,
            topic: kafka.topic.clone(),
            dead_topic: kafka.dead_topic.clone(),
        })
    }

    /// Counts what lies there.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub(crate) fn figures(&self) -> KafkaResult<TopicFigures> {
        let mut behind = 0;
        let read = self.committed()?;
        for (partition, committed) in &read {
            let (low, high) = self
                .consumer
                .fetch_watermarks(&self.topic, *partition, PATIENCE)?;
            // Nothing is committed before the first message, and what was committed may be gone.
            behind += high - committed.unwrap_or(low).max(low);
        }
        let mut dead = 0;
        for partition in self.partitions(&self.dead_topic)? {
            let (low, high) =
                self.consumer
                    .fetch_watermarks(&self.dead_topic, partition, PATIENCE)?;
            dead += high - low;
        }
        Ok(TopicFigures {
            partitions: read.len(),
            behind,
            dead,
        })
    }

    /// Whether an event of a sale after `place` lies before the group: it will be read some day.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub(crate) fn has_after(&self, sid: &str, place: EventId) -> KafkaResult<bool> {
        let mut ends = HashMap::new();
        let mut list = TopicPartitionList::new();
        for (partition, committed) in self.committed()? {
            let (low, high) = self
                .consumer
                .fetch_watermarks(&self.topic, partition, PATIENCE)?;
            let from = committed.unwrap_or(low).max(low);
            if from < high {
                list.add_partition_offset(&self.topic, partition, Offset::Offset(from))?;
                ends.insert(partition, high);
            }
        }
        self.consumer.assign(&list)?;
        while !ends.is_empty() {
            let Some(message) = self.consumer.poll(PATIENCE) else {
                let code = RDKafkaErrorCode::OperationTimedOut;
                return Err(KafkaError::MessageConsumption(code));
            };
            let message = message?;
            let partition = message.partition();
            if ends
                .get(&partition)
                .is_some_and(|end| message.offset() + 1 >= *end)
            {
                ends.remove(&partition);
            }
            if message.key() == Some(sid.as_bytes())
                && let Ok((_, batch)) = EventBatch::from_json(message.payload().unwrap_or_default())
                && batch.last_id() > Some(place)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Each partition of the topic, and up to where the group has dealt with it.
    fn committed(&self) -> KafkaResult<Vec<(i32, Option<i64>)>> {
        let mut list = TopicPartitionList::new();
        for partition in self.partitions(&self.topic)? {
            list.add_partition(&self.topic, partition);
        }
        let committed = self.consumer.committed_offsets(list, PATIENCE)?;
        let elements = committed.elements();
        let offsets = elements.iter().map(|element| {
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            (element.partition(), offset)
        });
        Ok(offsets.collect())
    }

    fn partitions(&self, topic: &str) -> KafkaResult<Vec<i32>> {
        let metadata = self.consumer.fetch_metadata(Some(topic), PATIENCE)?;
        let topics = metadata.topics();
        let partitions = topics.iter().flat_map(MetadataTopic::partitions);
        Ok(partitions.map(MetadataPartition::id).collect())
    }
}

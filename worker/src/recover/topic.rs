//! What lies on the topic and is not in MySQL yet.

use crate::config::Kafka;
use crate::kafka::for_reader;
use anyhow::{Context, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use seckill_orders::diagnosis::Message;
use seckill_protocol::EventBatch;
use std::time::{Duration, Instant};

/// How long the broker may take for one answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// The messages of a sale, from where the workers' group has committed.
///
/// All partitions are looked at: whoever else writes the topic may choose another one.
pub(super) fn events_of(kafka: &Kafka, sid: &str) -> anyhow::Result<Vec<Message>> {
    let consumer: BaseConsumer = for_reader(kafka).create()?;
    let topic = &kafka.topic;
    let asked = || format!("the topic {topic} at {}", kafka.brokers);
    let metadata = consumer
        .fetch_metadata(Some(topic), ANSWER_PATIENCE)
        .with_context(asked)?;
    let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
    let partitions: Vec<i32> = partitions.map(MetadataPartition::id).collect();
    ensure!(
        !partitions.is_empty(),
        "{} has no partitions: is kafka.topic right?",
        asked()
    );
    let mut wanted = TopicPartitionList::new();
    for partition in &partitions {
        wanted.add_partition(topic, *partition);
    }
    let committed = consumer
        .committed_offsets(wanted, ANSWER_PATIENCE)
        .with_context(asked)?;
    let mut messages = Vec::new();
    for partition in partitions {
        let (low, high) = consumer
            .fetch_watermarks(topic, partition, ANSWER_PATIENCE)
            .with_context(asked)?;
        let from = committed
            .find_partition(topic, partition)
            .and_then(|element| element.offset().to_raw())
            .map_or(low, |offset| offset.clamp(low, high));
        if from < high {
            read(
                &consumer,
                kafka,
                (partition, from, high),
                sid,
                &mut messages,
            )
            .with_context(asked)?;
        }
    }
    Ok(messages)
}

/// Reads a partition from an offset to another one.
fn read(
    consumer: &BaseConsumer,
    kafka: &Kafka,
    (partition, from, high): (i32, i64, i64),
    sid: &str,
    messages: &mut Vec<Message>,
) -> anyhow::Result<()> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&kafka.topic, partition, Offset::Offset(from))?;
    consumer.assign(&list)?;
    let mut heard = Instant::now();
    loop {
        // The end may be a place without a message, such as the mark of a transaction.
        let position = consumer.position()?;
        let position = position
            .find_partition(&kafka.topic, partition)
            .and_then(|element| element.offset().to_raw());
        if position.is_some_and(|position| position >= high) {
            return Ok(());
        }
        ensure!(
            heard.elapsed() < ANSWER_PATIENCE,
            "partition {partition} cannot be read up to {high}"
        );
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message?;
        heard = Instant::now();
        if message.key() == Some(sid.as_bytes())
            && let Some(Ok((_, batch))) = message.payload().map(EventBatch::from_json)
        {
            messages.extend(Message::of(&batch));
        }
    }
}

//! Reads the dead topic, for the chore `dead`.

use super::dead_letters::header;
use super::{Callbacks, common};
use crate::config::Kafka;
use anyhow::{Context, bail};
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::message::{BorrowedMessage, Headers, OwnedMessage};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{Message, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long the broker may take to answer, and between two letters.
const PATIENCE: Duration = Duration::from_secs(10);

/// A letter of the dead topic.
#[derive(Debug)]
pub(crate) struct KeptLetter {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// When it was written, Unix time in milliseconds.
    pub(crate) sent_at_ms: i64,
    /// `topic:partition:offset` of the message that it comes from.
    pub(crate) origin: String,
    /// The reservation, if it is an acceptance that was refused.
    pub(crate) rid: Option<String>,
    /// Whether only its beginning is here.
    pub(crate) is_cut: bool,
    /// Why it is dead.
    pub(crate) reason: String,
    /// The whole of it.
    pub(crate) message: OwnedMessage,
}

impl ConsumerContext for Callbacks {}

/// All letters of the dead topic, oldest first in each partition. Blocks.
///
/// # Errors
/// If the broker does not answer, or there is no such topic.
pub(crate) fn read_letters(kafka: &Kafka) -> anyhow::Result<Vec<KeptLetter>> {
    let topic = &kafka.dead_topic;
    let consumer = BaseConsumer::from_config_and_context(&config(kafka), Callbacks)?;
    let mut ends = ends(&consumer, topic)
        .with_context(|| format!("cannot read the topic {topic} of {}", kafka.brokers))?;
    let mut list = TopicPartitionList::new();
    for partition in ends.keys() {
        list.add_partition_offset(topic, *partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let mut letters = Vec::new();
    let mut got_on = Instant::now();
    while !ends.is_empty() {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            if got_on.elapsed() > PATIENCE {
                bail!("the topic {topic} of {} is not delivered", kafka.brokers);
            }
            continue;
        };
        let message = message?;
        got_on = Instant::now();
        if ends
            .get(&message.partition())
            .is_some_and(|end| message.offset() + 1 >= *end)
        {
            ends.remove(&message.partition());
        }
        letters.push(KeptLetter::of(&message));
    }
    letters.sort_by_key(|letter| (letter.partition, letter.offset));
    Ok(letters)
}

/// It joins no group: it reads what there is, and nobody notices.
fn config(kafka: &Kafka) -> ClientConfig {
    let mut config = common(kafka);
    // The library wants a name for whoever reads.
    config.set("group.id", format!("{}-dead", kafka.group));
    config.set("enable.auto.commit", "false");
    config.set("auto.offset.reset", "earliest");
    config
}

/// One after the last letter of each partition that has any.
fn ends(consumer: &BaseConsumer<Callbacks>, topic: &str) -> anyhow::Result<BTreeMap<i32, i64>> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let mut ends = BTreeMap::new();
    for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE)?;
        if low < high {
            ends.insert(partition.id(), high);
        }
    }
    Ok(ends)
}

// === impl KeptLetter ===

impl KeptLetter {
    fn of(message: &BorrowedMessage<'_>) -> Self {
        let header = |name: &str| {
            let headers = message.headers()?;
            let found = headers.iter().find(|header| header.key == name)?;
            Some(String::from_utf8_lossy(found.value?).into_owned())
        };
        let said = |name| header(name).unwrap_or_else(|| "?".to_owned());
        Self {
            partition: message.partition(),
            offset: message.offset(),
            sent_at_ms: message.timestamp().to_millis().unwrap_or_default(),
            origin: format!(
                "{}:{}:{}",
                said(header::TOPIC),
                said(header::PARTITION),
                said(header::OFFSET)
            ),
            rid: header(header::RID),
            is_cut: header(header::CUT).is_some(),
            reason: said(header::ERROR),
            message: message.detach(),
        }
    }
}

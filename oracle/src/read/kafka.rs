//! The topic, from its first offset.

use super::Brokers;
use crate::event::read_message;
use crate::seen::{Message, Topic};
use anyhow::{Context, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long the brokers may take to answer, and to deliver the next message.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads the whole topic and keeps the messages of a sale.
pub(crate) async fn read(brokers: &Brokers, sid: &str) -> Result<Topic> {
    let (brokers, sid) = (brokers.clone(), sid.to_owned());
    // The client blocks.
    tokio::task::spawn_blocking(move || read_all(&brokers, &sid)).await?
}

fn read_all(brokers: &Brokers, sid: &str) -> Result<Topic> {
    let Brokers {
        brokers: addresses,
        topic: name,
        settings,
    } = brokers;
    let place = || format!("the topic {name} of {addresses}");
    let consumer: BaseConsumer = config(addresses, settings)
        .create()
        .with_context(|| format!("Kafka: the client for {addresses} cannot be made"))?;
    let (mut ends, cut) = ends(&consumer, name).with_context(place)?;
    let mut topic = Topic {
        name: name.clone(),
        messages: Vec::new(),
        cut,
    };
    let mut list = TopicPartitionList::new();
    for partition in ends.keys() {
        list.add_partition_offset(name, *partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let mut got_on = Instant::now();
    while !ends.is_empty() {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            if got_on.elapsed() > PATIENCE {
                bail!("{} is not delivered", place());
            }
            continue;
        };
        let message = message.with_context(place)?;
        got_on = Instant::now();
        let (partition, offset) = (message.partition(), message.offset());
        if ends.get(&partition).is_some_and(|end| offset + 1 >= *end) {
            ends.remove(&partition);
        }
        let content = read_message(message.payload().unwrap_or_default());
        let is_ours = match &content {
            Ok(batch) => batch.sid == sid,
            // What it is about, only its key can say.
            Err(_) => message.key() == Some(sid.as_bytes()),
        };
        if is_ours {
            topic.messages.push(Message {
                partition,
                offset,
                events: content.map(|batch| batch.events),
            });
        }
    }
    topic
        .messages
        .sort_by_key(|message| (message.partition, message.offset));
    Ok(topic)
}

/// It joins no group and commits nothing: nobody notices that it reads.
fn config(brokers: &str, settings: &[(String, String)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    // The library wants a name for whoever reads.
    config.set("group.id", "seckill-oracle");
    config.set("enable.auto.commit", "false");
    config.set("auto.offset.reset", "earliest");
    config.set("check.crcs", "true");
    config.set("broker.address.family", "v4");
    for (name, value) in settings {
        config.set(name, value);
    }
    config
}

type Ends = BTreeMap<i32, i64>;

/// One after the last offset of each partition that has messages, and the partitions whose
/// beginning is gone.
fn ends(consumer: &BaseConsumer, topic: &str) -> Result<(Ends, Vec<(i32, i64)>)> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let mut ends = BTreeMap::new();
    let mut cut = Vec::new();
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let partitions = found.map(MetadataTopic::partitions).unwrap_or_default();
    if partitions.is_empty() {
        bail!("there is no such topic");
    }
    for partition in partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE)?;
        if low < high {
            ends.insert(partition.id(), high);
        }
        if low > 0 {
            cut.push((partition.id(), low));
        }
    }
    Ok((ends, cut))
}

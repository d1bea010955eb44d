//! The topic to the order writer: a thread that polls.
//!
//! A thread, and not a task, because the library wants to be polled whatever else happens: also
//! while MySQL is away and the writer takes nothing.

use super::for_consumer;
use super::reader::{Reader, numbers};
use super::reread::Rereads;
use crate::config::Kafka;
use crate::delivery::{Delivery, Origin};
use crate::figures::Figures;
use crate::orders::Offsets;
use crate::shown::shown;
use crate::signs::Part;
use crate::stop::Stop;
use anyhow::bail;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};
use seckill_protocol::EventBatch;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tracing::{debug, error, info, warn};

/// Of the reason why a message is none, as much as somebody reads: it quotes the message.
const REASON_CHARS_MAX: usize = 300;

/// How long one poll waits for a message; also how late a stored offset may be.
const POLL: Duration = Duration::from_millis(100);

/// How long the writer may be busy before the partitions are paused. Shorter waits are cheaper
/// without: pausing throws away what was fetched ahead.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long we wait for room at the writer before looking again.
const WRITER_PAUSE: Duration = Duration::from_millis(2);

/// How long the library may take to read on from elsewhere.
const SEEK_PATIENCE: Duration = Duration::from_secs(5);

/// How long the writer may take to finish its last batch at a stop.
const STOP_PATIENCE: Duration = Duration::from_secs(8);

/// Starts the thread. It ends after the stop, when the writer has gone: the writer's last offsets
/// are committed and the group is left.
///
/// # Errors
/// If the operating system gives no thread.
pub(crate) fn spawn_consumer(
    kafka: Kafka,
    intake: mpsc::Sender<Delivery>,
    offsets: Offsets,
    figures: Arc<Figures>,
    stop: Stop,
) -> std::io::Result<JoinHandle<()>> {
    let name = "kafka-consumer".to_owned();
    thread::Builder::new().name(name).spawn(move || {
        while let Err(error) = consume(&kafka, &intake, &offsets, &figures, &stop) {
            error!("the Kafka consumer is broken and replaced: {error}");
            thread::sleep(Duration::from_secs(1));
        }
    })
}

fn consume(
    kafka: &Kafka,
    intake: &mpsc::Sender<Delivery>,
    offsets: &Offsets,
    figures: &Arc<Figures>,
    stop: &Stop,
) -> anyhow::Result<()> {
    let reader = Reader::new(kafka.topic.clone(), offsets.clone(), Arc::clone(figures));
    let consumer = BaseConsumer::from_config_and_context(&for_consumer(kafka), reader)?;
    let reader = Arc::clone(consumer.context());
    consumer.subscribe(&[&kafka.topic])?;
    // Read, but not yet taken by the writer.
    let mut waiting: VecDeque<Delivery> = VecDeque::new();
    let mut busy_since: Option<Instant> = None;
    let mut paused = false;
    // The library keeps a partition paused that went and comes back.
    let mut held: BTreeSet<i32> = BTreeSet::new();
    let mut rereads = Rereads::default();
    while !stop.is_asked() {
        figures.signs.of_life(Part::Consumer);
        store(&consumer, &kafka.topic, offsets);
        for (partition, from) in rereads.begin(offsets, Instant::now()) {
            info!("partition {partition} is read again from offset {from}");
            consumer.seek(&kafka.topic, partition, Offset::Offset(from), SEEK_PATIENCE)?;
            waiting
                .retain(|delivery| place(delivery).is_none_or(|(number, _)| number != partition));
        }
        hand_over(intake, &mut waiting, offsets);
        let poll = if waiting.is_empty() {
            if paused {
                resume(&consumer, &mut held)?;
                info!("the order writer has caught up: reading on");
                paused = false;
            }
            busy_since = None;
            POLL
        } else if busy_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            // Each time, because partitions may have been assigned meanwhile.
            let ours = consumer.assignment()?;
            consumer.pause(&ours)?;
            held.extend(numbers(&ours));
            if !paused {
                info!("the order writer is busy: reading no further until it has caught up");
            }
            paused = true;
            POLL
        } else {
            thread::sleep(WRITER_PAUSE);
            continue;
        };
        reader.is_paused(paused);
        let polled = consumer.poll(poll);
        // Not given to the writer yet: their new owner reads them.
        let left = reader.take_left();
        waiting
            .retain(|delivery| place(delivery).is_none_or(|(number, _)| !left.contains(&number)));
        for partition in left {
            rereads.leave(partition, Instant::now());
        }
        if reader.take_came() && !paused {
            resume(&consumer, &mut held)?;
        }
        if let Some(stall) = reader.take_stalled() {
            bail!("partition {} stands still", stall.partition);
        }
        match polled {
            None => {}
            Some(Ok(message)) => {
                rereads.read(message.partition(), message.offset(), Instant::now());
                let assignment = offsets.assignment(message.partition());
                waiting.push_back(read(&message, assignment));
            }
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error.into()),
            Some(Err(error)) => warn!("Kafka: {error}"),
        }
    }
    let asked = Instant::now();
    while !intake.is_closed() && asked.elapsed() < STOP_PATIENCE {
        thread::sleep(WRITER_PAUSE);
    }
    store(&consumer, &kafka.topic, offsets);
    // Dropping the consumer commits what is stored and leaves the group.
    Ok(())
}

/// Resumes those of our partitions that are held.
///
/// No others: the library throws away what it has fetched ahead of a partition that it is told to
/// resume, also of one that is not paused, and may not fetch it again.
fn resume(consumer: &BaseConsumer<Reader>, held: &mut BTreeSet<i32>) -> KafkaResult<()> {
    let ours = consumer.assignment()?;
    let mut resumed = TopicPartitionList::new();
    for element in ours.elements() {
        if held.remove(&element.partition()) {
            resumed.add_partition(element.topic(), element.partition());
        }
    }
    if resumed.count() > 0 {
        consumer.resume(&resumed)?;
    }
    Ok(())
}

/// Gives the writer what it has room for.
fn hand_over(intake: &mpsc::Sender<Delivery>, waiting: &mut VecDeque<Delivery>, offsets: &Offsets) {
    while let Some(delivery) = waiting.pop_front() {
        let place = place(&delivery);
        match intake.try_send(delivery) {
            Ok(()) => {
                if let Some((partition, offset)) = place {
                    offsets.given(partition, offset);
                }
            }
            Err(TrySendError::Full(delivery) | TrySendError::Closed(delivery)) => {
                waiting.push_front(delivery);
                return;
            }
        }
    }
}

fn place(delivery: &Delivery) -> Option<(i32, i64)> {
    match &delivery.origin {
        Origin::Topic { message, .. } => Some((message.partition(), message.offset())),
        Origin::Relay(_) => None,
    }
}

fn read(message: &BorrowedMessage<'_>, assignment: u64) -> Delivery {
    let events = match message.payload() {
        Some(payload) => EventBatch::from_json(payload)
            .map_err(|error| shown(&error.to_string(), REASON_CHARS_MAX)),
        None => Err("the message is empty".to_owned()),
    };
    Delivery {
        events,
        origin: Origin::Topic {
            message: Box::new(message.detach()),
            assignment,
        },
    }
}

/// Stores what the writer has dealt with; the library commits it every second.
pub(super) fn store(consumer: &BaseConsumer<Reader>, topic: &str, offsets: &Offsets) {
    for (partition, next) in offsets.take() {
        let mut list = TopicPartitionList::new();
        let stored = list
            .add_partition_offset(topic, partition, Offset::Offset(next))
            .and_then(|()| consumer.store_offsets(&list));
        if let Err(error) = stored {
            // The partition belongs to another worker now, which finds MySQL's cursor.
            debug!("offset {next} of partition {partition} is not stored: {error}");
        }
    }
}

//! What the client library tells the reader of the topic: partitions that come and go, and whether
//! one stands still.
//!
//! A partition that goes is drained first: what the writer was given of it is finished and its
//! offset stored, and only then it is let go, so that its new owner reads nothing again. Where that
//! takes too long, he reads it again and MySQL's cursor says what is new.

use super::Callbacks;
use super::consumer::store;
use super::stall::{Stall, Stalls};
use crate::figures::Figures;
use crate::orders::Offsets;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{ClientContext, Statistics, TopicPartitionList};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tracing::{error, info, warn};

/// How long a partition that goes is waited for. The group waits as long.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked whether it is drained.
const DRAIN_PAUSE: Duration = Duration::from_millis(2);

/// What the reader knows.
pub(super) struct Reader {
    topic: String,
    offsets: Offsets,
    figures: Arc<Figures>,
    state: Mutex<State>,
}

struct State {
    /// Partitions that went since the last look.
    left: BTreeSet<i32>,
    /// Whether partitions came since the last look.
    came: bool,
    /// Whether reading was stopped because the writer is busy.
    is_paused: bool,
    stalls: Stalls,
    /// A partition that stands still, although its broker is there.
    stalled: Option<Stall>,
}

// === impl Reader ===

impl Reader {
    pub(super) fn new(topic: String, offsets: Offsets, figures: Arc<Figures>) -> Self {
        Self {
            topic,
            offsets,
            figures,
            state: Mutex::new(State {
                left: BTreeSet::new(),
                came: false,
                is_paused: false,
                stalls: Stalls::default(),
                stalled: None,
            }),
        }
    }

    /// Partitions that went since the last call.
    pub(super) fn take_left(&self) -> BTreeSet<i32> {
        std::mem::take(&mut self.state().left)
    }

    /// Whether partitions came since the last call.
    pub(super) fn take_came(&self) -> bool {
        std::mem::take(&mut self.state().came)
    }

    /// A partition that stands still and that another consumer would read.
    pub(super) fn take_stalled(&self) -> Option<Stall> {
        self.state().stalled.take()
    }

    /// Whether reading is stopped because the writer is busy.
    pub(super) fn is_paused(&self, is_paused: bool) {
        self.state().is_paused = is_paused;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the writer has finished what it has of these partitions, for a while.
    fn drain(&self, partitions: &[i32]) {
        let since = Instant::now();
        let under_way = || {
            let drained = |number: &&i32| !self.offsets.is_drained(**number);
            partitions.iter().filter(drained).collect::<Vec<_>>()
        };
        while !under_way().is_empty() {
            if since.elapsed() > DRAIN_PATIENCE {
                warn!(
                    "partitions {:?} go although their last messages are under way: whoever gets \
                     them reads these again",
                    under_way()
                );
                return;
            }
            thread::sleep(DRAIN_PAUSE);
        }
    }
}

impl ClientContext for Reader {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Callbacks.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Callbacks.error(error, reason);
    }

    /// Comes every few seconds: a library that has messages and delivers none has to be noticed.
    fn stats(&self, statistics: Statistics) {
        let mut state = self.state();
        if state.is_paused {
            state.stalls.clear();
            return;
        }
        for stall in state.stalls.look(&self.topic, &statistics, Instant::now()) {
            let unread = match stall.unread {
                Some(count) => format!("{count} messages wait"),
                None => "its end was never heard of".to_owned(),
            };
            error!(
                kind = "unread",
                "ALARM: partition {} of {} has not been read for a while, and {unread}",
                stall.partition,
                self.topic
            );
            if stall.has_broker {
                state.stalled = Some(stall);
            }
        }
    }
}

impl ConsumerContext for Reader {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(list) = rebalance else {
            return;
        };
        let partitions = numbers(list);
        // Of one that was lost, while this process was asleep, somebody else is the owner already.
        if !consumer.assignment_lost() {
            self.drain(&partitions);
            store(consumer, &self.topic, &self.offsets);
        }
        for partition in &partitions {
            self.offsets.leave(*partition);
        }
        self.state().left.extend(partitions);
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                self.state().came = true;
                info!("partitions {:?} are ours", numbers(list));
            }
            Rebalance::Revoke(list) => info!("partitions {:?} are no longer ours", numbers(list)),
            Rebalance::Error(error) => return warn!("Kafka: {error}"),
        }
        self.figures.rebalances.inc();
        if let Ok(ours) = consumer.assignment() {
            let count = i64::try_from(ours.count()).unwrap_or(i64::MAX);
            self.figures.partitions.set(count);
        }
    }
}

/// The partitions of a list.
pub(super) fn numbers(list: &TopicPartitionList) -> Vec<i32> {
    let elements = list.elements();
    let numbers = elements.iter().map(TopicPartitionListElem::partition);
    numbers.collect()
}

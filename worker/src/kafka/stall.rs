//! Partitions of ours that stand still.
//!
//! The client library has been seen to hold a partition and to fetch nothing of it, with a broker
//! that answers. It says so nowhere but in its statistics: there is something behind what was read,
//! or the end of the partition was never heard of, and the place does not move.

use rdkafka::Statistics;
use rdkafka::statistics::Partition;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// So long a partition may stand still before somebody has to know.
const PATIENCE: Duration = Duration::from_secs(30);

/// Since when which place has not moved, by partition.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    standing: BTreeMap<i32, Standing>,
}

#[derive(Debug)]
struct Standing {
    place: i64,
    since: Instant,
}

/// A partition that stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stall {
    pub(super) partition: i32,
    /// How many messages wait; unknown where nothing was ever fetched.
    pub(super) unread: Option<i64>,
    /// Whether we are connected with the broker that has it: then another consumer would get on.
    pub(super) has_broker: bool,
}

// === impl Stalls ===

impl Stalls {
    /// What stands still for too long, by what the library says of the topic. Each is named again
    /// only after as long a time.
    pub(super) fn look(
        &mut self,
        topic: &str,
        statistics: &Statistics,
        now: Instant,
    ) -> Vec<Stall> {
        let topic = statistics.topics.get(topic);
        let ours = topic.into_iter().flat_map(|topic| &topic.partitions);
        let waiting: Vec<&Partition> = ours
            .map(|(_, partition)| partition)
            .filter(|partition| partition.desired && unread(partition) != Some(0))
            .collect();
        self.standing.retain(|number, _| {
            waiting
                .iter()
                .any(|partition| partition.partition == *number)
        });
        let mut stalls = Vec::new();
        for partition in waiting {
            let place = partition.app_offset;
            let fresh = Standing { place, since: now };
            let number = partition.partition;
            let standing = self.standing.entry(number).or_insert(fresh);
            if standing.place != place {
                *standing = Standing { place, since: now };
            } else if now.duration_since(standing.since) > PATIENCE {
                standing.since = now;
                stalls.push(Stall {
                    partition: number,
                    unread: unread(partition),
                    has_broker: has_broker(statistics, partition.leader),
                });
            }
        }
        stalls
    }

    /// Nothing is to be read: nothing stands still.
    pub(super) fn clear(&mut self) {
        self.standing.clear();
    }
}

/// How many messages are behind what was read, if its end is known.
fn unread(partition: &Partition) -> Option<i64> {
    if partition.hi_offset < 0 {
        return None;
    }
    // Of one that came and was not read yet, only the committed place is known.
    let read = partition.app_offset.max(partition.committed_offset);
    Some((partition.hi_offset - read.max(partition.lo_offset)).max(0))
}

fn has_broker(statistics: &Statistics, id: i32) -> bool {
    let mut brokers = statistics.brokers.values();
    brokers.any(|broker| broker.nodeid == id && broker.state == "UP")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::statistics::{Broker, Topic};

    const TOPIC: &str = "seckill.events";

    /// What the library says of partition 0, whose broker is 1, and of one that is not ours.
    fn says(app_offset: i64, hi_offset: i64, broker: &str) -> Statistics {
        let partition = |partition, desired| Partition {
            partition,
            desired,
            leader: 1,
            app_offset,
            committed_offset: -1001,
            hi_offset,
            ..Partition::default()
        };
        let topic = Topic {
            partitions: [(0, partition(0, true)), (1, partition(1, false))].into(),
            ..Topic::default()
        };
        let broker = Broker {
            nodeid: 1,
            state: broker.to_owned(),
            ..Broker::default()
        };
        Statistics {
            topics: [(TOPIC.to_owned(), topic)].into(),
            brokers: [("broker".to_owned(), broker)].into(),
            ..Statistics::default()
        }
    }

    /// What is said of each five seconds, for a minute.
    fn watched(says: impl Fn(i64) -> Statistics) -> Vec<(u64, Stall)> {
        let began = Instant::now();
        let mut stalls = Stalls::default();
        let mut seen = Vec::new();
        for (step, seconds) in (0..=60).step_by(5).enumerate() {
            let now = began + Duration::from_secs(seconds);
            let step = i64::try_from(step).unwrap_or(i64::MAX);
            let stood = stalls.look(TOPIC, &says(step), now);
            seen.extend(stood.into_iter().map(|stall| (seconds, stall)));
        }
        seen
    }

    fn stall(unread: Option<i64>, has_broker: bool) -> Stall {
        Stall {
            partition: 0,
            unread,
            has_broker,
        }
    }

    #[test]
    fn a_partition_of_which_nothing_was_ever_fetched_stands_still() {
        let seen = watched(|_| says(-1001, -1001, "UP"));
        assert_eq!(seen, [(35, stall(None, true))]);
    }

    #[test]
    fn a_partition_with_unread_messages_stands_still_if_its_place_does_not_move() {
        let seen = watched(|_| says(4, 10, "UP"));
        assert_eq!(seen, [(35, stall(Some(6), true))]);
        assert_eq!(watched(|step| says(step, 100, "UP")), []);
    }

    #[test]
    fn a_partition_that_is_read_to_its_end_does_not_stand_still() {
        assert_eq!(watched(|_| says(10, 10, "UP")), []);
        assert_eq!(watched(|_| says(-1001, 0, "UP")), []);
    }

    #[test]
    fn a_broker_that_is_away_is_told_apart() {
        let seen = watched(|_| says(4, 10, "DOWN"));
        assert_eq!(seen, [(35, stall(Some(6), false))]);
    }

    #[test]
    fn what_was_paused_begins_anew() {
        let mut stalls = Stalls::default();
        let began = Instant::now();
        let waits = says(4, 10, "UP");
        assert_eq!(stalls.look(TOPIC, &waits, began), []);
        stalls.clear();
        let later = began + Duration::from_secs(60);
        assert_eq!(stalls.look(TOPIC, &waits, later), []);
    }
}

//! Redis, its replica, Kafka and MariaDB, before anybody uses them.

use super::Lines;
use crate::fault::Line;
use crate::schedule::PAIR;
use anyhow::{Context, Result, anyhow};
use seckill_testbed::{Clock, Disk, Kafka, MariaDb, Place, Redis};
use std::thread;

/// The servers.
pub(super) struct Servers {
    /// The primary first.
    pub(super) redis: [RedisNode; PAIR],
    pub(super) mariadb: MariaDb,
    pub(super) mariadb_disk: Disk,
    pub(super) kafka: Kafka,
    pub(super) kafka_disk: Disk,
}

/// A Redis, and what it sees of the world.
pub(super) struct RedisNode {
    pub(super) server: Redis,
    pub(super) clock: Clock,
    pub(super) disk: Disk,
}

// === impl Servers ===

impl Servers {
    /// Starts them, all at the same time: Kafka takes seconds.
    pub(super) fn start(place: &Place, lines: &Lines) -> Result<Self> {
        let ports = lines.kafka_ports()?;
        let (mariadb_disk, kafka_disk) = (Disk::new(place)?, Disk::new(place)?);
        let servers = thread::scope(|scope| {
            let mariadb = scope.spawn(|| MariaDb::start(&place.with_disk(&mariadb_disk)));
            let kafka = scope.spawn(|| Kafka::start_behind(&place.with_disk(&kafka_disk), &ports));
            let redis = redis(place, lines)?;
            let gone = |_| anyhow!("a thread that starts a server broke off");
            let mariadb = mariadb.join().map_err(gone)??;
            anyhow::Ok((redis, mariadb, kafka.join().map_err(gone)??))
        });
        let (redis, mariadb, kafka) = servers?;
        for number in 0..PAIR {
            lines.lead(Line::WorkerToMariaDb(number), mariadb.port())?;
            let port = kafka.port_behind(number);
            let port = port.context("kafka has too few listeners")?;
            lines.lead(Line::WorkerToKafka(number), port)?;
        }
        Ok(Self {
            redis,
            mariadb,
            mariadb_disk,
            kafka,
            kafka_disk,
        })
    }
}

/// A primary, and a replica that reaches it over a wire.
fn redis(place: &Place, lines: &Lines) -> Result<[RedisNode; PAIR]> {
    let (clock, disk) = (Clock::new(place)?, Disk::new(place)?);
    let server = Redis::start(&place.with_clock(&clock).with_disk(&disk))?;
    let port = server.port();
    lines.lead(Line::ReplicaToPrimary, port)?;
    for number in 0..PAIR {
        lines.lead(Line::ProxyToRedis(number), port)?;
        lines.lead(Line::WorkerToRedis(number), port)?;
    }
    let primary = RedisNode {
        server,
        clock,
        disk,
    };
    let (clock, disk) = (Clock::new(place)?, Disk::new(place)?);
    let server = Redis::start_replica_through(
        &place.with_clock(&clock).with_disk(&disk),
        &primary.server,
        lines.wire(Line::ReplicaToPrimary)?.port(),
    )?;
    let replica = RedisNode {
        server,
        clock,
        disk,
    };
    Ok([primary, replica])
}

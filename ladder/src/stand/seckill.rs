//! Rung 6: the proxy decides with the module, and the worker carries what was decided through Kafka
//! into MySQL. All of it is configured as it ships.

use super::{Named, SID, insert_stock};
use anyhow::{Context, Result, ensure};
use redis::aio::MultiplexedConnection;
use seckill_testbed::{Kafka, MariaDb, Part, Place, Proxy, Redis, Settings, User, Worker};
use std::collections::HashMap;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How long the sale's opening may take to reach MySQL.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// This system.
pub(super) struct Seckill {
    proxy: Proxy,
    redis: Redis,
    kafka: Kafka,
    worker: Worker,
    /// To ask the module, as its operator would.
    module: MultiplexedConnection,
}

// === impl Seckill ===

impl Seckill {
    pub(super) fn start(place: &Place, db: &MariaDb, stock: u32) -> Result<Self> {
        let redis = Redis::start(place)?;
        let kafka = Kafka::start(place)?;
        let settings = Settings::worker(&redis, db)?.kafka(&kafka);
        Worker::command(place, &settings, &["migrate"])?;
        insert_stock(db, stock)?;
        Worker::command(place, &settings, &["warm", &SID.to_string()])?;
        let worker = Worker::start(place, &settings)?;
        // Buyers share connections that are kept.
        let settings =
            Settings::proxy(&redis)?.with("limits.requests_per_connection", 1_000_000_000);
        let proxy = Proxy::start(place, &settings)?;
        let client = redis::Client::open(redis.url(User::Operator))?;
        let module = Handle::current().block_on(client.get_multiplexed_async_connection())?;
        let seckill = Self {
            proxy,
            redis,
            kafka,
            worker,
            module,
        };
        seckill.await_the_road()?;
        Ok(seckill)
    }

    /// Waits until MySQL knows that the sale is open: from then on every part has found the others.
    fn await_the_road(&self) -> Result<()> {
        let began = Instant::now();
        while !Handle::current().block_on(self.is_at_rest())? {
            ensure!(
                began.elapsed() < PATIENCE,
                "the opening of the sale does not reach MySQL; see {}",
                self.worker.log().display()
            );
            sleep(LOOK_EVERY);
        }
        Ok(())
    }

    pub(super) fn address(&self) -> String {
        self.proxy.address()
    }

    /// The module is told what MySQL has after it has it.
    pub(super) async fn is_at_rest(&self) -> Result<bool> {
        let info: HashMap<String, String> = redis::cmd("SECKILL.INFO")
            .arg(SID)
            .query_async(&mut self.module.clone())
            .await?;
        let head = info.get("head").context("SECKILL.INFO has no head")?;
        Ok(info.get("stored") == Some(head))
    }

    pub(super) fn parts(&self) -> [Named<'_>; 4] {
        [
            ("proxy", &self.proxy),
            ("Redis", &self.redis),
            ("Kafka", &self.kafka),
            ("worker", &self.worker),
        ]
    }
}

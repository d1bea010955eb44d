//! The servers, and a sale on them.

use anyhow::{Context, Result, ensure};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};
use redis::{Connection, Value};
use seckill_testbed::account::cpu;
use seckill_testbed::{Kafka, MariaDb, Part, Place, Redis, Settings, User, Worker};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::time::sleep;

/// What the worker looks for, and what it does not: a sale is filled where nobody sees it, and then
/// renamed.
pub(crate) const SEEN: &str = "sale:";
pub(crate) const UNSEEN: &str = "filling:";

/// Buyers of one MTRY.
const BUYERS_AT_ONCE: u32 = 1000;

/// How often MySQL is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The longest that anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// The sale that is carried before the one that is measured, so that everything is connected.
const FIRST_SALE: u32 = 1;
const FIRST_ORDERS: u32 = 2000;

/// The servers; workers come and go.
pub(crate) struct Stand {
    place: Place,
    pub(crate) redis: Redis,
    pub(crate) db: MariaDb,
    kafka: Option<Kafka>,
    pub(crate) runtime: Runtime,
}

/// How a sale was carried.
pub(crate) struct Carried {
    pub(crate) took: Duration,
    /// Of the worker.
    pub(crate) cpu: Duration,
}

/// The version of the server that is installed here.
pub(crate) fn mariadb_version() -> Result<String> {
    let place = Place::temporary("bench")?;
    version_of(&MariaDb::start(&place)?)
}

/// The version of a server.
pub(crate) fn version_of(db: &MariaDb) -> Result<String> {
    let rows = db.query("SELECT VERSION()")?;
    let version = rows.into_iter().flatten().next();
    version.context("the server has no version")
}

// === impl Stand ===

impl Stand {
    /// Without Kafka, its workers have no broker.
    pub(crate) fn start(with_kafka: bool) -> Result<Self> {
        let place = Place::temporary("bench-worker")?;
        let stand = Self {
            redis: Redis::start(&place)?,
            db: MariaDb::start(&place)?,
            kafka: with_kafka.then(|| Kafka::start(&place)).transpose()?,
            runtime: Runtime::new()?,
            place,
        };
        Worker::command(&stand.place, &stand.settings(false)?, &["migrate"])?;
        Ok(stand)
    }

    /// Of its workers.
    fn settings(&self, through_kafka: bool) -> Result<Settings> {
        let settings = Settings::worker(&self.redis, &self.db)?.with("redis.key_prefix", SEEN);
        Ok(if through_kafka {
            settings.kafka(self.kafka.as_ref().context("no Kafka was started")?)
        } else {
            settings
        })
    }

    /// Runs a command of the worker to its end.
    pub(crate) fn command(&self, words: &[&str]) -> Result<()> {
        Worker::command(&self.place, &self.settings(false)?, words).map(drop)
    }

    /// A worker that has carried a small sale already.
    pub(crate) fn worker(&self, through_kafka: bool) -> Result<Worker> {
        let worker = Worker::start(&self.place, &self.settings(through_kafka)?)?;
        self.fill(FIRST_SALE, FIRST_ORDERS)?;
        self.carry(FIRST_SALE, &worker)?;
        self.forget(FIRST_SALE)?;
        Ok(worker)
    }

    pub(crate) fn redis(&self) -> Result<Connection> {
        self.redis.connect(User::Anything)
    }

    pub(crate) async fn mysql(&self) -> Result<Conn> {
        let opts = Opts::from_url(&self.db.url())?;
        let opts = OptsBuilder::from_opts(opts).prefer_socket(false);
        Ok(Conn::new(opts).await?)
    }

    /// A stock row, and a sale of it that the worker sees at once.
    pub(crate) fn open(&self, sid: u32, units: u32) -> Result<String> {
        self.create(&format!("{SEEN}{sid}"), sid, units)
    }

    /// A stock row, and a sale of it of which every unit is accepted; the worker does not see it.
    pub(crate) fn fill(&self, sid: u32, units: u32) -> Result<()> {
        let key = self.create(&format!("{UNSEEN}{sid}"), sid, units)?;
        let mut redis = self.redis()?;
        let mut buyer = 0;
        while buyer < units {
            let next = units.min(buyer + BUYERS_AT_ONCE);
            accept(&mut redis, &key, buyer..next)?;
            buyer = next;
        }
        Ok(())
    }

    fn create(&self, key: &str, sid: u32, units: u32) -> Result<String> {
        self.db.query(&format!(
            "INSERT INTO stock VALUES ({sid}, 'Lamp', {units}, 0, 0)"
        ))?;
        let mut create = redis::cmd("SECKILL.CREATE");
        create.arg(key).arg("STOCK").arg(units);
        create.arg("HOLD").arg(3_600_000).exec(&mut self.redis()?)?;
        Ok(key.to_owned())
    }

    /// Lets the worker see a filled sale, and waits until MySQL has all of it.
    pub(crate) fn carry(&self, sid: u32, worker: &Worker) -> Result<Carried> {
        let mut redis = self.redis()?;
        let (from, to) = (format!("{UNSEEN}{sid}"), format!("{SEEN}{sid}"));
        let head = place(&mut redis, &from, "head")?;
        let (began, cpu_before) = (Instant::now(), cpu(worker.pid())?);
        redis::cmd("RENAME").arg(from).arg(to).exec(&mut redis)?;
        let took = self.runtime.block_on(async {
            let mut mysql = self.mysql().await?;
            let sql = format!("SELECT epoch, seq FROM stock_cursor WHERE sid = {sid}");
            loop {
                let cursor: Option<(u64, u64)> = mysql.query_first(&sql).await?;
                if cursor == Some(head) {
                    return anyhow::Ok(began.elapsed());
                }
                ensure!(
                    began.elapsed() < PATIENCE,
                    "the sale is not in MySQL after {PATIENCE:?}: its log ends at {head:?}, MySQL is at {cursor:?}; see {}",
                    worker.log().display()
                );
                sleep(LOOK_EVERY).await;
            }
        })?;
        Ok(Carried {
            took,
            cpu: cpu(worker.pid())? - cpu_before,
        })
    }

    /// Deletes a sale everywhere, so that the next finds empty tables.
    pub(crate) fn forget(&self, sid: u32) -> Result<()> {
        let key = format!("{SEEN}{sid}");
        redis::cmd("DEL").arg(key).exec(&mut self.redis()?)?;
        self.db.query(&format!(
            "TRUNCATE stock_order; DELETE FROM stock_cursor WHERE sid = {sid}; DELETE FROM stock WHERE id = {sid}"
        ))?;
        Ok(())
    }
}

/// Each of these buyers gets a unit.
pub(crate) fn accept(
    redis: &mut Connection,
    key: &str,
    buyers: std::ops::Range<u32>,
) -> Result<()> {
    let mut tries = redis::cmd("SECKILL.MTRY");
    tries.arg(key);
    let asked = buyers.len();
    for buyer in buyers {
        tries.arg(format!("u{buyer:012}"));
    }
    let answers: Vec<String> = tries.query(redis)?;
    let accepted = answers.iter().filter(|word| *word == "ACCEPTED").count();
    ensure!(
        accepted == asked,
        "{accepted} of {asked} buyers were accepted"
    );
    Ok(())
}

/// One of the places in a sale's log.
pub(crate) fn place(redis: &mut Connection, key: &str, name: &str) -> Result<(u64, u64)> {
    let info: HashMap<String, Value> = redis::cmd("SECKILL.INFO").arg(key).query(redis)?;
    let place = || {
        let text: String = redis::from_redis_value(info.get(name)?.clone()).ok()?;
        let (epoch, seq) = text.split_once('-')?;
        Some((epoch.parse().ok()?, seq.parse().ok()?))
    };
    place().with_context(|| format!("SECKILL.INFO {key} has no {name}"))
}

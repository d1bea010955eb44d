//! The servers around a worker, and an honest sale.

use std::collections::HashMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use seckill_testbed::{Kafka, MariaDb, Part, Place, Redis, Settings, User, Worker};

use super::message::{HONEST, ROWS};
use crate::plan::Finding;

const BOOKS: &str = "the honest sale has all its orders, and its books are closed";

/// Units of the honest sale, more than are sold.
const UNITS: u32 = 1_000_000;

/// Between two honest buyers.
const PAUSE: Duration = Duration::from_millis(4);

/// So long its books may move before they are judged as they are.
const AUDIT_PATIENCE: Duration = Duration::from_secs(30);

/// A worker with all that it needs.
pub(super) struct Stand {
    redis: Redis,
    db: MariaDb,
    pub(super) kafka: Kafka,
    pub(super) worker: Worker,
    pub(super) pid: u32,
    _place: Place,
}

// === impl Stand ===

impl Stand {
    pub(super) fn start() -> Result<Self> {
        let place = Place::temporary("attack-worker")?;
        let redis = Redis::start(&place)?;
        let db = MariaDb::start(&place)?;
        let kafka = Kafka::start(&place)?;
        let settings = Settings::worker(&redis, &db)?
            .kafka(&kafka)
            .with("kafka.partitions", 3);
        Worker::command(&place, &settings, &["migrate"])?;
        let rows: Vec<String> = ROWS.map(|id| format!("({id}, 'Row', 100, 0, 0)")).collect();
        db.query(&format!(
            "INSERT INTO stock VALUES ({HONEST}, 'Lamp', {UNITS}, 0, 0), {}",
            rows.join(", ")
        ))?;
        Worker::command(
            &place,
            &settings,
            &["warm", &HONEST.to_string(), "--hold", "60000"],
        )?;
        let worker = Worker::start(&place, &settings)?;
        Ok(Self {
            pid: worker.pid(),
            redis,
            db,
            kafka,
            worker,
            _place: place,
        })
    }

    /// Honest buyers, of whom some pay and some do not want it any more, until it is over. Returns
    /// how many there were.
    pub(super) fn sell(&self, over: &AtomicBool) -> Result<u64> {
        let mut connection = self.redis.connect(User::Proxy)?;
        let mut sold = 0;
        while !over.load(Ordering::Relaxed) {
            let uid = format!("u{sold}");
            let (verdict, rid): (String, String) = redis::cmd("SECKILL.TRY")
                .arg(HONEST)
                .arg(uid)
                .query(&mut connection)?;
            ensure!(verdict == "ACCEPTED", "the honest sale answers {verdict}");
            let step = match sold % 3 {
                0 => Some("SECKILL.CONFIRM"),
                1 => Some("SECKILL.CANCEL"),
                _ => None,
            };
            if let Some(step) = step {
                redis::cmd(step)
                    .arg(HONEST)
                    .arg(rid)
                    .exec(&mut connection)?;
            }
            sold += 1;
            std::thread::sleep(PAUSE);
        }
        Ok(sold)
    }

    /// Whether MySQL has all of the honest sale's log.
    pub(super) fn is_stored(&self) -> Result<bool> {
        let info = self.info()?;
        Ok(info.get("stored") == info.get("head"))
    }

    fn info(&self) -> Result<HashMap<String, String>> {
        let mut connection = self.redis.connect(User::Operator)?;
        let info: HashMap<String, redis::Value> = redis::cmd("SECKILL.INFO")
            .arg(HONEST)
            .query(&mut connection)?;
        let text = |value| match value {
            redis::Value::Int(number) => Ok(number.to_string()),
            other => redis::from_redis_value(other),
        };
        let fields = info
            .into_iter()
            .map(|(name, value)| Ok((name, text(value)?)));
        fields.collect()
    }

    /// The books of the honest sale, when nothing is on its way.
    pub(super) fn audit(&self) -> Result<Option<Finding>> {
        let sql = format!(
            "SELECT (SELECT sale FROM stock WHERE id = {HONEST}), COUNT(*), \
             SUM(IF(status IN ('held', 'confirmed'), qty, 0)), SUM(uid NOT LIKE 'u%') \
             FROM stock_order WHERE sid = {HONEST}"
        );
        let mut info = self.info()?;
        let since = Instant::now();
        // Holds lapse all the time: the two have to be looked at between two events.
        let found = loop {
            let found = self.db.query(&sql)?;
            let now = self.info()?;
            let stood = now.get("head") == info.get("head") && now.get("stored") == now.get("head");
            if stood || since.elapsed() > AUDIT_PATIENCE {
                break found;
            }
            info = now;
        };
        let number = |name: &str| {
            info.get(name)
                .and_then(|text| text.parse::<u64>().ok())
                .unwrap_or(0)
        };
        let live = number("held") + number("sold");
        let expected = [live, number("reservations"), live, 0].map(|figure| figure.to_string());
        Ok((found != [expected.clone()]).then(|| {
            let evidence =
                format!("sold, orders, live, foreign are {found:?}, and are to be {expected:?}");
            Finding::new(BOOKS, evidence)
        }))
    }

    /// What the worker wrote into its log.
    pub(super) fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.worker.log())?).into_owned())
    }
}

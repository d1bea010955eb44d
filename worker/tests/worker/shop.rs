//! The servers of one test, and its questions to them.

use redis::Commands;
use seckill_testbed::{Kafka, MariaDb, Place, Redis, Settings, User, Worker};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long anything may take to come true; CI machines are slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One shop: a database with the tables, a Redis with the module, maybe a broker.
pub(crate) struct Shop {
    pub(crate) place: Place,
    pub(crate) redis: Redis,
    pub(crate) db: MariaDb,
    pub(crate) kafka: Option<Kafka>,
    pub(crate) settings: Settings,
}

/// What the books of a sale say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Books {
    /// `stock.count`, `stock.sale`.
    pub(crate) stock: (i64, i64),
    /// Units of orders held or confirmed.
    pub(crate) live: i64,
    /// Orders by status.
    pub(crate) orders: HashMap<String, i64>,
}

// === impl Shop ===

impl Shop {
    /// Without tables.
    pub(crate) fn empty(name: &str) -> Self {
        let place = Place::temporary(name).unwrap();
        let redis = Redis::start(&place).unwrap();
        let db = MariaDb::start(&place).unwrap();
        let settings = Settings::worker(&redis, &db).unwrap();
        Self {
            place,
            redis,
            db,
            kafka: None,
            settings,
        }
    }

    /// With tables, without a broker.
    pub(crate) fn open(name: &str) -> Self {
        let shop = Self::empty(name);
        shop.chore(&["migrate"]).unwrap();
        shop
    }

    /// With tables and a broker. `None`, said aloud, where no broker can be started.
    pub(crate) fn with_kafka(name: &str) -> Option<Self> {
        if !Kafka::or_skip(name) {
            return None;
        }
        let mut shop = Self::open(name);
        let kafka = Kafka::start(&shop.place).unwrap();
        shop.settings = shop.settings.kafka(&kafka).with("kafka.partitions", 1);
        shop.kafka = Some(kafka);
        Some(shop)
    }

    pub(crate) fn chore(&self, words: &[&str]) -> anyhow::Result<String> {
        Worker::command(&self.place, &self.settings, words)
    }

    pub(crate) fn run(&self) -> Worker {
        Worker::start(&self.place, &self.settings).unwrap()
    }

    pub(crate) fn run_with(&self, settings: &Settings) -> Worker {
        Worker::start(&self.place, settings).unwrap()
    }

    pub(crate) fn stock(&self, sid: u32, count: i64, sale: i64) {
        let sql = format!("INSERT INTO stock VALUES ({sid}, 'Lamp', {count}, {sale}, 0)");
        self.db.query(&sql).unwrap();
    }

    /// A stock row with nothing sold, and its sale.
    pub(crate) fn sale(&self, sid: u32, count: i64, options: &[&str]) {
        self.stock(sid, count, 0);
        let sid = sid.to_string();
        self.chore(&[&["warm", &sid], options].concat()).unwrap();
    }

    pub(crate) fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let mut connection = self.redis.connect(User::Anything).unwrap();
        let (name, arguments) = words.split_first().unwrap();
        redis::cmd(name).arg(arguments).query(&mut connection)
    }

    /// Accepted tries: buyers `u{first}` and on, one unit each. Returns their reservations.
    pub(crate) fn buy(&self, sid: u32, first: u32, buyers: u32) -> Vec<String> {
        let mut connection = self.redis.connect(User::Proxy).unwrap();
        (first..first + buyers)
            .map(|buyer| {
                let (verdict, rid): (String, String) = redis::cmd("SECKILL.TRY")
                    .arg(sid)
                    .arg(format!("u{buyer}"))
                    .query(&mut connection)
                    .unwrap();
                assert_eq!(verdict, "ACCEPTED", "u{buyer}");
                rid
            })
            .collect()
    }

    pub(crate) fn info(&self, sid: u32) -> HashMap<String, String> {
        let info: HashMap<String, redis::Value> =
            self.ask(&["SECKILL.INFO", &sid.to_string()]).unwrap();
        info.into_iter()
            .map(|(name, value)| {
                let text = match value {
                    redis::Value::Int(number) => number.to_string(),
                    other => redis::from_redis_value::<String>(other).unwrap(),
                };
                (name, text)
            })
            .collect()
    }

    pub(crate) fn books(&self, sid: u32) -> Books {
        let number = |text: &String| text.parse::<i64>().unwrap();
        let stock = self.query(&format!("SELECT count, sale FROM stock WHERE id = {sid}"));
        let orders = self.query(&format!(
            "SELECT status, COUNT(*), SUM(qty) FROM stock_order WHERE sid = {sid} GROUP BY status"
        ));
        Books {
            stock: (number(&stock[0][0]), number(&stock[0][1])),
            live: orders
                .iter()
                .filter(|row| matches!(row[0].as_str(), "held" | "confirmed"))
                .map(|row| number(&row[2]))
                .sum(),
            orders: orders
                .iter()
                .map(|row| (row[0].clone(), number(&row[1])))
                .collect(),
        }
    }

    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<String>> {
        self.db.query(sql).unwrap()
    }

    /// Waits until the module knows that MySQL has all of a sale's log.
    pub(crate) fn await_stored(&self, sid: u32) {
        await_true(&format!("the log of sale {sid} is stored"), || {
            let info = self.info(sid);
            info["stored"] == info["head"]
        });
    }

    /// At rest: one order for each reservation, and the same units everywhere.
    pub(crate) fn assert_books_close(&self, sid: u32) {
        let info = self.info(sid);
        let number = |name: &str| info[name].parse::<i64>().unwrap();
        let books = self.books(sid);
        let taken = number("held") + number("sold");
        assert_eq!(books.stock, (number("total"), taken), "{books:?} {info:?}");
        let orders: i64 = books.orders.values().sum();
        assert_eq!(orders, number("reservations"), "{books:?} {info:?}");
        let before = self.query(&format!(
            "SELECT COUNT(*) FROM stock_order WHERE sid = {sid} AND epoch IS NULL"
        ));
        assert_eq!(before, [["0"]]);
        assert_eq!(books.live, taken, "{books:?} {info:?}");
        let _: String = self.ask(&["SECKILL.AUDIT", &sid.to_string()]).unwrap();
    }

    pub(crate) fn log_of(&self, worker: &Worker) -> String {
        use seckill_testbed::Part;
        std::fs::read_to_string(worker.log()).unwrap()
    }

    /// The names of the keys in Redis.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut connection = self.redis.connect(User::Anything).unwrap();
        connection.keys("*").unwrap()
    }
}

/// Waits until it is so.
pub(crate) fn await_true(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

//! The servers of the sale, what happened in it, and what it takes to damage and mend them.

use crate::buyers::Buyers;
use seckill_oracle::record::Recorder;
use seckill_oracle::{Brokers, Name, Report, Setting, Sources, Topic, check, judge, look};
use seckill_testbed::{Clock, Kafka, MariaDb, Part, Place, Redis, Settings, User, Worker};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;

/// Everything is to come to rest within this time; CI machines are slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// How far the standing clock of Redis and that of the test may be apart.
const SKEW: Duration = Duration::from_secs(120);

/// The sale.
pub(crate) const SID: &str = "1001";

const HOLD_MS: u64 = 900_000;

/// The columns that are kept of each table; what is generated is left out.
const TABLES: [(&str, &str); 7] = [
    ("stock", "id, name, count, sale, version"),
    (
        "stock_order",
        "id, sid, name, create_time, epoch, seq, uid, qty, status, deadline, token, stock_version",
    ),
    (
        "stock_order_event",
        "sid, epoch, seq, event_epoch, event_seq, at, from_status, to_status, who, note, uid, qty",
    ),
    ("stock_cursor", "sid, epoch, seq"),
    (
        "stock_sale",
        "sid, buyer_limit, start, end, hold, rate, burst, user_rate, user_burst, closed, opened, recovering",
    ),
    ("stock_refusal", "sid, epoch, seq"),
    (
        "stock_refund",
        "sid, epoch, seq, uid, qty, due_at, reason, refunded_at",
    ),
];

/// A sale at rest, and its worker gone.
pub(crate) struct Stage {
    pub(crate) db: MariaDb,
    pub(crate) redis: Redis,
    pub(crate) clock: Clock,
    pub(crate) kafka: Kafka,
    pub(crate) sources: Sources,
    pub(crate) rids: Rids,
    /// Where the clock of Redis stands.
    pub(crate) now_ms: Mutex<u64>,
    runtime: Runtime,
    topic: Option<Topic>,
    dump: Vec<u8>,
    /// The last: a part of it is stopped before its folder goes.
    pub(crate) place: Place,
}

/// What became of the buyers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rids {
    /// Two units, paid for.
    pub(crate) paid: String,
    /// Asked with token `t2`, not paid for in time, and paid for then.
    pub(crate) late: String,
    /// Given up.
    pub(crate) given_up: String,
    /// Held to the end.
    pub(crate) held: String,
}

// === impl Stage ===

impl Stage {
    /// `None`, said aloud, where no broker can be started.
    pub(crate) fn open() -> Option<Self> {
        if !Kafka::or_skip("the oracle") {
            return None;
        }
        let place = Place::temporary("oracle").unwrap();
        let clock = Clock::new(&place).unwrap();
        let now_ms = now_ms();
        clock.set_ms(now_ms).unwrap();
        let redis = Redis::start_with_clock(&place, &[], &clock).unwrap();
        let db = MariaDb::start(&place).unwrap();
        let kafka = Kafka::start(&place).unwrap();
        let settings = Settings::worker(&redis, &db)
            .unwrap()
            .kafka(&kafka)
            .with("kafka.partitions", 1);
        let chore = |words: &[&str]| Worker::command(&place, &settings, words).unwrap();
        chore(&["migrate"]);
        db.query("INSERT INTO stock VALUES (1001, 'Lamp', 7, 1, 0)")
            .unwrap();
        chore(&["warm", SID, "--limit", "2", "--hold", "900000"]);
        let mut worker = Worker::start(&place, &settings).unwrap();

        let record = place.path().join("buyers.jsonl");
        let sources = Sources {
            redis: redis.url(User::Operator),
            key_prefix: String::new(),
            mysql: db.url(),
            kafka: Some(Brokers::at(&kafka.brokers())),
            records: Some(vec![record.clone()]),
        };
        let mut stage = Self {
            db,
            redis,
            clock,
            kafka,
            sources,
            rids: Rids::default(),
            now_ms: Mutex::new(now_ms),
            runtime: Runtime::new().unwrap(),
            topic: None,
            dump: Vec::new(),
            place,
        };
        stage.rids = stage.sell(&Recorder::create(&record).unwrap());
        let report = stage.run(check(&stage.sources, SID, &setting(), PATIENCE));
        let report = report.unwrap();
        assert!(report.holds(), "{report}");
        worker.kill().unwrap();
        stage.keep();
        Some(stage)
    }

    /// Six units, and what buyers do.
    fn sell(&self, recorder: &Recorder) -> Rids {
        let mut buyers = Buyers::of(&self.redis, recorder);
        let paid = buyers.buy("u1", 2, None);
        buyers.confirm("u1", &paid);
        let late = buyers.buy("u2", 1, Some("t2"));
        assert_eq!(buyers.buy("u2", 1, Some("t2")), late, "the same question");
        let given_up = buyers.buy("u3", 1, None);
        buyers.lose_the_answer("u4");
        buyers.buy("u5", 1, None);
        buyers.is_sold_out("u6");
        buyers.cancel("u3", &given_up);
        // u2, u4 and u5 do not pay in time. u2 pays later, and gets nothing.
        self.advance_ms(HOLD_MS + 1);
        let held = buyers.buy("u7", 1, None);
        buyers.pay_too_late("u2", &late);
        buyers.never_asks("u8");
        let _: () = self.ask(&["SECKILL.CLOSE", SID]);
        Rids {
            paid,
            late,
            given_up,
            held,
        }
    }

    pub(crate) fn advance_ms(&self, ms: u64) {
        let mut now_ms = self.now_ms.lock().unwrap();
        *now_ms += ms;
        self.clock.set_ms(*now_ms).unwrap();
    }

    pub(crate) fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut connection = self.redis.connect(User::Anything).unwrap();
        let (name, arguments) = words.split_first().unwrap();
        redis::cmd(name)
            .arg(arguments)
            .query(&mut connection)
            .unwrap()
    }

    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// What is found in these sources. The stage's own topic is read once: nobody writes to it any
    /// more, and a client of Kafka takes longer to come up than all the rest.
    pub(crate) fn report_of(&self, sources: &Sources, setting: &Setting) -> Report {
        let name = |sources: &Sources| sources.kafka.as_ref().map(|kafka| kafka.topic.clone());
        let is_own = name(sources) == name(&self.sources);
        let mut sources = sources.clone();
        if is_own {
            sources.kafka = None;
        }
        let mut seen = self.run(look(&sources, SID)).unwrap();
        if is_own {
            seen.topic = self.topic.clone();
        }
        judge(&seen, setting)
    }

    pub(crate) fn holds(&self, why: &str) {
        let report = self.report_of(&self.sources, &setting());
        assert!(report.holds(), "{why}, and yet:\n{report}");
    }

    /// Exactly these invariants are broken, and the evidence has these words.
    pub(crate) fn finds(&self, damage: &str, sources: &Sources, broken: &[Name], words: &[&str]) {
        self.finds_under(&setting(), damage, sources, broken, words);
    }

    pub(crate) fn finds_under(
        &self,
        setting: &Setting,
        damage: &str,
        sources: &Sources,
        broken: &[Name],
        words: &[&str],
    ) {
        let report = self.report_of(sources, setting);
        let found: BTreeSet<Name> = report.broken().map(|invariant| invariant.name).collect();
        let expected: BTreeSet<Name> = broken.iter().copied().collect();
        assert_eq!(found, expected, "{damage}:\n{report}");
        let text = report.to_string();
        for word in words {
            assert!(
                text.contains(word),
                "{damage}: no word of {word:?}:\n{report}"
            );
        }
    }

    /// Keeps MySQL and the module as they are now.
    fn keep(&mut self) {
        for (table, columns) in TABLES {
            let sql = format!("CREATE TABLE kept_{table} AS SELECT {columns} FROM {table}");
            self.db.query(&sql).unwrap();
        }
        self.dump = self.ask(&["DUMP", SID]);
        self.topic = self.run(look(&self.sources, SID)).unwrap().topic;
    }

    /// Puts MySQL back to what was kept.
    pub(crate) fn mend_mysql(&self) {
        let statements = TABLES.map(|(table, columns)| {
            format!(
                "DELETE FROM {table}; INSERT INTO {table} ({columns}) \
                 SELECT {columns} FROM kept_{table};"
            )
        });
        // At once, because somebody may be looking.
        let sql = format!("START TRANSACTION; {} COMMIT", statements.concat());
        self.db.query(&sql).unwrap();
    }

    /// Puts the module back to what was kept.
    pub(crate) fn mend_module(&self) {
        let mut connection = self.redis.connect(User::Anything).unwrap();
        redis::cmd("DEL").arg(SID).exec(&mut connection).unwrap();
        redis::cmd("RESTORE")
            .arg(SID)
            .arg(0)
            .arg(&self.dump)
            .exec(&mut connection)
            .unwrap();
    }

    /// The clients' record.
    pub(crate) fn record(&self) -> String {
        fs::read_to_string(self.record_path()).unwrap()
    }

    pub(crate) fn record_path(&self) -> PathBuf {
        self.sources.records.as_ref().unwrap()[0].clone()
    }

    /// These sources with another record.
    pub(crate) fn with_record(&self, text: &str) -> Sources {
        let path = self.place.path().join("forged.jsonl");
        fs::write(&path, text).unwrap();
        Sources {
            records: Some(vec![path]),
            ..self.sources.clone()
        }
    }
}

/// What the tests judge by.
pub(crate) fn setting() -> Setting {
    Setting {
        skew: Some(SKEW),
        ..Setting::default()
    }
}

pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

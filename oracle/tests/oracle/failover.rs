//! A primary is lost with what its replica did not have: what may be gone then, and what not.

use crate::buyers::Buyers;
use crate::stage::SID;
use redis::Value;
use seckill_oracle::record::Recorder;
use seckill_oracle::{Brokers, Durability, Name, Report, Setting, Sources, check, judge, look};
use seckill_testbed::{Kafka, MariaDb, Part, Place, Redis, Settings, User, Worker};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// How long anything may take to come true; CI machines are slow.
const PATIENCE: Duration = Duration::from_secs(60);

fn ask<T: redis::FromRedisValue>(redis: &Redis, words: &[&str]) -> T {
    let mut connection = redis.connect(User::Anything).unwrap();
    let (name, arguments) = words.split_first().unwrap();
    let mut question = redis::cmd(name);
    question.arg(arguments).query(&mut connection).unwrap()
}

fn await_true(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn broken(report: &Report) -> Vec<Name> {
    report.broken().map(|invariant| invariant.name).collect()
}

#[test]
fn what_a_primary_takes_with_it_is_told_from_what_was_lost() {
    if !Kafka::or_skip("a lost primary") {
        return;
    }
    let place = Place::temporary("oracle-failover").unwrap();
    let mut primary = Redis::start(&place).unwrap();
    let db = MariaDb::start(&place).unwrap();
    let kafka = Kafka::start(&place).unwrap();
    let settings = Settings::worker(&primary, &db)
        .unwrap()
        .kafka(&kafka)
        .with("kafka.partitions", 1);
    Worker::command(&place, &settings, &["migrate"]).unwrap();
    db.query("INSERT INTO stock VALUES (1001, 'Lamp', 9, 0, 0)")
        .unwrap();
    Worker::command(&place, &settings, &["warm", SID]).unwrap();
    let mut worker = Worker::start(&place, &settings).unwrap();
    let record = place.path().join("buyers.jsonl");
    let recorder = Recorder::create(&record).unwrap();
    let runtime = Runtime::new().unwrap();
    let sources = |redis: &Redis| Sources {
        redis: redis.url(User::Operator),
        key_prefix: String::new(),
        mysql: db.url(),
        kafka: Some(Brokers::at(&kafka.brokers())),
        records: Some(vec![record.clone()]),
    };
    let setting = Setting::default();
    let at_rest = |redis: &Redis| {
        let sources = sources(redis);
        let report = check(&sources, SID, &setting, PATIENCE);
        runtime.block_on(report).unwrap()
    };

    // u1 is on the replica, u2 in MySQL, u3 nowhere; neither is the payment of u2.
    let mut buyers = Buyers::of(&primary, &recorder);
    let of_u1 = buyers.buy("u1", 1, None);
    buyers.confirm("u1", &of_u1);
    let report = at_rest(&primary);
    assert!(report.holds(), "{report}");
    let replica = Redis::start_replica(&place, &primary).unwrap();
    await_true("the replica has it", || {
        let digest = |redis: &Redis| -> Vec<String> { ask(redis, &["DEBUG", "DIGEST-VALUE", SID]) };
        digest(&replica) == digest(&primary)
    });
    let _: Value = ask(&primary, &["ACL", "SETUSER", "replica", "off"]);
    let _: Value = ask(&primary, &["CLIENT", "KILL", "TYPE", "replica"]);
    let of_u2 = buyers.buy("u2", 1, None);
    let report = at_rest(&primary);
    assert!(report.holds(), "{report}");
    worker.kill().unwrap();
    let of_u3 = buyers.buy("u3", 1, None);
    buyers.confirm("u2", &of_u2);
    primary.kill().unwrap();

    // Nobody has said yet what becomes of u2.
    let _: Value = ask(&replica, &["REPLICAOF", "NO", "ONE"]);
    let settings = settings.with("redis.url", replica.url(User::Worker));
    let worker = Worker::start(&place, &settings).unwrap();
    await_true("the sale is fenced", || {
        let info: Vec<Value> = ask(&replica, &["SECKILL.INFO", SID]);
        info.contains(&Value::BulkString(b"fenced".to_vec()))
    });
    await_true("the topic has the new epoch", || {
        let seen = runtime.block_on(look(&sources(&replica), SID)).unwrap();
        let module = seen.module.as_ref().unwrap();
        module.info.relayed == module.info.head
    });
    let seen = runtime.block_on(look(&sources(&replica), SID)).unwrap();
    let report = judge(&seen, &setting);
    assert_eq!(
        broken(&report),
        [Name::NoPhantom, Name::Drained],
        "{report}"
    );
    let text = report.to_string();
    for word in [
        &format!("{of_u2} of u2: an order whose decision was lost with its primary"),
        "the sale is fenced",
    ] {
        assert!(text.contains(word), "{word}: {report}");
    }

    // What MySQL has is put back, and the sale goes on.
    Worker::command(&place, &settings, &["recover", SID]).unwrap();
    let mut buyers = Buyers::of(&replica, &recorder);
    buyers.buy("u3", 1, None);
    let report = at_rest(&replica);
    assert!(report.holds(), "{report}");
    let text = report.to_string();
    for word in [
        "1 reservations were told and lost with their primary",
        "1 payments or cancellations were answered and lost with their primary",
    ] {
        assert!(text.contains(word), "{word}: {report}");
    }

    // Had a replica vouched for what buyers were told, nobody would have been.
    let replicated = Setting {
        durability: Durability::Replica,
        ..setting
    };
    let seen = runtime.block_on(look(&sources(&replica), SID)).unwrap();
    let report = judge(&seen, &replicated);
    let lost = [Name::NoLoss, Name::Answers];
    assert_eq!(broken(&report), lost, "{report}");
    assert!(
        report.to_string().contains(&format!("{of_u3} of u3")),
        "{report}"
    );
    drop(worker);
}

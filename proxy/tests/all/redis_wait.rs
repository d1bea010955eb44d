//! `redis.durability = "replica"`: nobody is told that he has units before a replica knows it.

use crate::stand::{Stand, eventually, post, request};
use seckill_testbed::{Part, Place, Redis};
use std::time::{Duration, Instant};
use toml::Table;

/// What the shop proves itself with.
const KEY: &str = "0123456789abcdef0123456789abcdef";

fn start(name: &str) -> (Stand, Redis) {
    let place = Place::temporary(name).unwrap();
    let redis = Redis::start(&place).unwrap();
    let replica = Redis::start_replica(&place, &redis).unwrap();
    let key = place.path().join("key");
    std::fs::write(&key, KEY).unwrap();
    let keys = format!("keys.k1 = {{ file = {key:?} }}");
    let callback: Table = keys.parse().unwrap();
    let stand = Stand::around(place, redis, "queue", |settings| {
        settings
            .with("redis.durability", "replica")
            .with("redis.deadline_ms", 300)
            .with("shop.callback", callback.clone())
    });
    (stand, replica)
}

#[test]
fn an_acceptance_is_told_when_a_replica_has_it_and_not_before() {
    let (stand, mut replica) = start("durable");
    stand.create("1001", &["STOCK", "100"]);
    stand.create("none", &["STOCK", "0"]);
    // A replica that has just got its data says so within a second.
    eventually("a first acceptance", || {
        [200, 202].contains(&stand.buy("1001", "u1").status)
    });

    replica.freeze().unwrap();
    for attempt in 0..3 {
        let since = Instant::now();
        let answer = stand.buy("1001", "u2");
        assert_eq!(
            answer.problem(),
            (503, "unavailable".to_owned()),
            "{attempt}"
        );
        assert!(answer.retry_after_s().is_some(), "{answer:?}");
        assert!(since.elapsed() < Duration::from_secs(1));
    }
    // Redis has granted them all the same, once.
    assert_eq!(stand.info("1001", "held"), "2");
    // Who has a key is asked for alone, and is told no more.
    let headers = [("X-User-Id", "u3"), ("Idempotency-Key", "\"k3\"")];
    let keyed = request("POST", "/seckill/1001", &headers, "");
    assert_eq!(stand.client().ask(&keyed).status, 503);
    // A replica is not asked about a rejection.
    assert_eq!(stand.buy("none", "u2").status, 410);
    let log = stand.log();
    assert!(log.contains("no replica has in time"), "{log}");
    assert!(!log.contains("Redis is away"), "{log}");

    replica.thaw().unwrap();
    eventually("what the replica has by now is told", || {
        let answer = stand.buy("1001", "u2");
        answer.status == 200 && answer.text("status") == "duplicate"
    });
    assert_eq!(stand.client().ask(&keyed).status, 200);
    assert_eq!(stand.info("1001", "held"), "3");
}

#[test]
fn what_became_of_a_reservation_is_told_when_a_replica_has_it_and_not_before() {
    let (stand, mut replica) = start("durable-settled");
    stand.create("1001", &["STOCK", "100"]);
    let buy = |uid: &str| {
        let mut path = None;
        eventually("an acceptance", || {
            let answer = stand.buy("1001", uid);
            path = answer.header("location").map(str::to_owned);
            path.is_some()
        });
        path.unwrap()
    };
    let (paid, given_up, late) = (buy("u1"), buy("u2"), buy("u3"));
    let shop = format!("Bearer {KEY}");
    let ask = |method: &str, path: &str, header: (&str, &str)| {
        stand
            .client()
            .ask(&request(method, path, &[header], ""))
            .status
    };
    let pay = |path: &str| ask("POST", &format!("{path}/confirm"), ("Authorization", &shop));
    let give_up = |path: &str, uid: &str| ask("DELETE", path, ("X-User-Id", uid));
    assert_eq!(give_up(&late, "u3"), 200);

    replica.freeze().unwrap();
    for _ in 0..2 {
        assert_eq!(pay(&paid), 503);
        assert_eq!(give_up(&given_up, "u2"), 503);
        // The "no" to a payment says that it is owed back.
        assert_eq!(pay(&late), 503);
    }
    assert_eq!(stand.info("1001", "sold"), "1");
    assert_eq!(stand.info("1001", "held"), "0");
    replica.thaw().unwrap();
    eventually("what the replica has by now is told", || pay(&paid) == 200);
    eventually("and to who gave up", || give_up(&given_up, "u2") == 200);
    eventually("and to who is to have his money back", || pay(&late) == 409);
}

#[test]
fn a_crowd_waits_for_the_replica_together() {
    let (stand, replica) = start("durable-crowd");
    stand.create("1001", &["STOCK", "150"]);
    stand.create("first", &["STOCK", "1"]);
    eventually("a first acceptance", || {
        [200, 202].contains(&stand.buy("first", "u1").status)
    });
    let asked: Vec<String> = (0..200)
        .map(|buyer| post("/seckill/1001", &format!("u{buyer}")))
        .collect();
    let answers = crate::stand::crowd(&stand.proxy.address(), &asked);
    let count = |status| answers.iter().filter(|a| a.status == status).count();
    assert_eq!((count(202), count(410)), (150, 50));
    // What was told is there, now and not later.
    let mut connection = replica.connect(seckill_testbed::User::Anything).unwrap();
    let info: Vec<redis::Value> = crate::stand::query(&mut connection, &["SECKILL.INFO", "1001"]);
    assert_eq!(crate::stand::field_of(&info, "held"), "150");
    // And that did not take a command for each of them.
    let (asked, _) = stand.calls("role");
    assert!(asked < 150, "{asked}");
}

#[test]
fn a_primary_that_was_started_anew_does_not_vouch_for_what_it_said_before() {
    let (mut stand, _replica) = start("durable-restart");
    stand.create("1001", &["STOCK", "100"]);
    eventually("a first acceptance", || {
        [200, 202].contains(&stand.buy("1001", "u1").status)
    });
    stand.redis.restart().unwrap();
    eventually("as before", || stand.buy("1001", "u1").status == 200);
    eventually("and more", || {
        [200, 202].contains(&stand.buy("1001", "u2").status)
    });
}

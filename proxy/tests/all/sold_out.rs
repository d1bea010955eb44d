//! What the proxy answers without asking Redis, and how soon it stops to when that is not true any
//! more.

use crate::stand::{Client, Stand, crowd, eventually, in_ms, post, request};
use std::thread;
use std::time::{Duration, Instant};

fn told_at_the_edge(stand: &Stand, sid: &str, verdict: &str) -> u64 {
    stand.counter(&format!(
        "seckill_proxy_edge_rejections_total{{sale=\"{sid}\",verdict=\"{verdict}\"}}"
    ))
}

/// Asks as new buyers until the proxy answers by itself.
fn warm(stand: &Stand, sid: &str, verdict: &str) {
    let before = told_at_the_edge(stand, sid, verdict);
    let mut number = 0;
    eventually("the proxy remembers", || {
        number += 1;
        stand.buy(sid, &format!("warm-{number}"));
        told_at_the_edge(stand, sid, verdict) > before
    });
}

/// How long it takes from now until somebody gets a unit, with nobody else asking for it.
fn until_accepted(stand: &Stand, sid: &str) -> Duration {
    let since = Instant::now();
    let mut client = stand.client();
    for number in 0.. {
        let answer = client.ask(&post(
            &format!("/seckill/{sid}"),
            &format!("again-{number}"),
        ));
        if answer.status == 202 {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(10), "{answer:?}");
        // Not as often as it could: a connection carries so many requests and no more.
        thread::sleep(Duration::from_millis(1));
    }
    since.elapsed()
}

#[test]
fn whoever_comes_after_the_last_unit_is_turned_away_without_a_question() {
    let stand = Stand::start("edge", "queue");
    stand.create("1001", &["STOCK", "1", "HOLD", "60000"]);
    stand.create("other", &["STOCK", "0"]);
    assert_eq!(stand.buy("1001", "first").status, 202);
    let mut client = stand.client();
    for buyer in 0..2000 {
        let answer = client.ask(&post("/seckill/1001", &format!("u{buyer}")));
        assert_eq!(answer.problem(), (410, "sold_out".to_owned()));
        let retry_s = answer.retry_after_s().unwrap();
        assert!((50..=66).contains(&retry_s), "{retry_s}");
    }
    let tries: u64 = stand.info("1001", "tries").parse().unwrap();
    assert!(tries < 200, "{tries}");
    // None is lost between what Redis has counted and what the proxy has.
    let edge = told_at_the_edge(&stand, "1001", "sold_out");
    assert_eq!(edge + tries, 2001);
    assert_eq!(told_at_the_edge(&stand, "other", "sold_out"), 0);
}

#[test]
fn whatever_gives_units_back_is_noticed_at_once() {
    let stand = Stand::start_with("reopened", "queue", |settings| {
        // What is only forgotten in time would be forgotten too late.
        settings.with("redis.remember_ms", 60_000)
    });
    for word in ["restock", "cancel", "resume", "alter", "recreate"] {
        let (options, verdict): (&[&str], _) = match word {
            "resume" => (&["STOCK", "9", "PAUSED"], "paused"),
            "alter" => (&["STOCK", "9", "START", "4000000000000"], "not_started"),
            _ => (&["STOCK", "1"], "sold_out"),
        };
        stand.create(word, options);
        let first = stand.buy(word, "first");
        warm(&stand, word, verdict);
        match word {
            "restock" => stand.redis::<()>(&["SECKILL.RESTOCK", word, "1"]),
            "cancel" => stand.redis::<()>(&["SECKILL.CANCEL", word, &first.text("rid")]),
            "resume" => stand.redis::<()>(&["SECKILL.RESUME", word]),
            "alter" => stand.redis::<()>(&["SECKILL.ALTER", word, "START", "1"]),
            _ => {
                stand.redis::<()>(&["DEL", word]);
                stand.create(word, &["STOCK", "1"]);
            }
        }
        let took = until_accepted(&stand, word);
        println!("{word}: {took:?}");
        assert!(took < Duration::from_secs(1), "{word}: {took:?}");
    }
}

#[test]
fn a_pause_and_an_end_are_told_as_soon_as_they_come() {
    let stand = Stand::start_with("closed", "queue", |settings| {
        settings.with("redis.remember_ms", 60_000)
    });
    stand.create("1001", &["STOCK", "0"]);
    for (command, verdict) in [("SECKILL.PAUSE", "paused"), ("SECKILL.CLOSE", "ended")] {
        warm(&stand, "1001", "sold_out");
        stand.redis::<()>(&[command, "1001"]);
        eventually(verdict, || stand.buy("1001", "u7").problem().1 == verdict);
        warm(&stand, "1001", verdict);
        stand.redis::<()>(&["SECKILL.RESUME", "1001"]);
        if verdict == "ended" {
            break;
        }
        eventually("sold out", || {
            stand.buy("1001", "u7").problem().1 == "sold_out"
        });
    }
}

#[test]
fn a_sale_starts_on_time_and_a_lapsed_hold_is_somebody_elses() {
    let stand = Stand::start_with("on-time", "queue", |settings| {
        settings.with("redis.remember_ms", 60_000)
    });
    let wait = Duration::from_millis(1500);
    let since = Instant::now();
    stand.create("starts", &["STOCK", "1", "START", &in_ms(1500)]);
    warm(&stand, "starts", "not_started");
    let answer = stand.buy("starts", "u7");
    let left = answer.json()["starts_in_ms"].as_u64().unwrap();
    assert!(left <= 1500, "{left}");
    until_accepted(&stand, "starts");
    assert!(since.elapsed() < wait + Duration::from_secs(1));

    let since = Instant::now();
    stand.create("lapses", &["STOCK", "1", "HOLD", "1500"]);
    assert_eq!(stand.buy("lapses", "first").status, 202);
    warm(&stand, "lapses", "sold_out");
    until_accepted(&stand, "lapses");
    assert!(since.elapsed() < wait + Duration::from_secs(1));
}

#[test]
fn who_has_something_hears_of_it_when_all_is_gone() {
    let stand = Stand::start_with("holders", "queue", |settings| {
        settings.with("redis.remember_ms", 60_000)
    });
    stand.create("1001", &["STOCK", "3"]);
    let keyed = |address: &str, uid: &str, key: &str| {
        let headers = [("X-User-Id", uid), ("Idempotency-Key", key)];
        let asked = request("POST", "/seckill/1001", &headers, "");
        Client::connect(address).ask(&asked)
    };
    let address = stand.proxy.address();
    let plain = stand.buy("1001", "plain").text("rid");
    let rid = keyed(&address, "keyed", "k1").text("rid");
    let given_back = keyed(&address, "back", "k2").text("rid");
    stand.redis::<()>(&["SECKILL.CANCEL", "1001", &given_back]);
    assert_eq!(keyed(&address, "last", "k3").status, 202);
    // Until the news of these is old.
    thread::sleep(Duration::from_millis(300));
    warm(&stand, "1001", "sold_out");

    let edge = || told_at_the_edge(&stand, "1001", "sold_out");
    let before = edge();
    for _ in 0..10 {
        for (answer, rid) in [
            (stand.buy("1001", "plain"), &plain),
            (stand.buy("1001", "keyed"), &rid),
            (keyed(&address, "keyed", "k1"), &rid),
            // A key is known whatever became of it.
            (keyed(&address, "back", "k2"), &given_back),
        ] {
            assert_eq!((answer.status, &answer.text("rid")), (200, rid));
        }
        assert_eq!(keyed(&address, "nobody", "k4").status, 410);
    }
    assert_eq!(edge(), before);
    assert_eq!(stand.buy("1001", "nobody").status, 410);
    assert_eq!(edge(), before + 1);

    // A key is known to every proxy.
    let second = stand.second_proxy();
    let asked = post("/seckill/1001", "nobody");
    for _ in 0..10 {
        assert_eq!(Client::connect(&second.address()).ask(&asked).status, 410);
    }
    let answer = keyed(&second.address(), "keyed", "k1");
    assert_eq!((answer.status, answer.text("rid")), (200, rid));
}

#[test]
fn a_crowd_at_a_reopened_sale_gets_what_there_is_and_no_more() {
    let stand = Stand::start("stampede", "queue");
    stand.create("1001", &["STOCK", "0"]);
    warm(&stand, "1001", "sold_out");
    let commands = stand.calls("SECKILL.MTRY").0;
    stand.redis::<()>(&["SECKILL.RESTOCK", "1001", "100"]);
    thread::sleep(Duration::from_millis(300));
    let requests: Vec<String> = (0..200)
        .map(|buyer| post("/seckill/1001", &format!("u{buyer}")))
        .collect();
    let answers = crowd(&stand.proxy.address(), &requests);
    let count = |status| answers.iter().filter(|a| a.status == status).count();
    assert_eq!((count(202), count(410)), (100, 100));
    assert_eq!(stand.info("1001", "held"), "100");
    let commands = stand.calls("SECKILL.MTRY").0 - commands;
    assert!(commands < 150, "{commands}");
}

#[test]
fn nothing_is_remembered_across_a_gap_in_the_news() {
    let stand = Stand::start_with("gap", "queue", |settings| {
        settings.with("redis.remember_ms", 60_000)
    });
    stand.create("1001", &["STOCK", "0"]);
    for _ in 0..3 {
        warm(&stand, "1001", "sold_out");
        // In one step, so that nobody hears of the restock.
        let mut steps = redis::pipe();
        steps.atomic();
        steps.cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub");
        steps.cmd("SECKILL.RESTOCK").arg("1001").arg(1);
        let mut redis = stand
            .redis
            .connect(seckill_testbed::User::Anything)
            .unwrap();
        steps.exec(&mut redis).unwrap();
        let took = until_accepted(&stand, "1001");
        println!("after a gap: {took:?}");
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[test]
fn without_the_news_every_buyer_is_asked_for() {
    let stand = Stand::start("no-news", "queue");
    stand.create("1001", &["STOCK", "0"]);
    stand.redis::<()>(&["ACL", "SETUSER", "proxy", "resetchannels"]);
    thread::sleep(Duration::from_millis(300));
    let before: u64 = stand.info("1001", "tries").parse().unwrap();
    for buyer in 0..50 {
        assert_eq!(stand.buy("1001", &format!("u{buyer}")).status, 410);
    }
    let tries: u64 = stand.info("1001", "tries").parse().unwrap();
    assert_eq!(tries - before, 50);
    stand.redis::<()>(&["ACL", "SETUSER", "proxy", "&seckill:*"]);
    warm(&stand, "1001", "sold_out");
}

#[test]
fn the_proxy_may_listen_to_sales_and_to_nothing_else() {
    let stand = Stand::start("channels", "queue");
    let mut proxy = stand.redis.connect(seckill_testbed::User::Proxy).unwrap();
    for (command, channel) in [
        ("PSUBSCRIBE", "*"),
        ("PSUBSCRIBE", "__key*"),
        ("SUBSCRIBE", "__keyevent@0__:set"),
        ("PUBLISH", "seckill:1001"),
    ] {
        let mut asked = redis::cmd(command);
        asked.arg(channel);
        if command == "PUBLISH" {
            asked.arg("reopened");
        }
        let refused = asked.exec(&mut proxy).unwrap_err();
        assert_eq!(refused.code(), Some("NOPERM"), "{command} {channel}");
    }
}

//! Many buyers of the same instant: together to Redis, and each with his own answer back.

use crate::stand::{Stand, crowd, post, query, request};
use redis::Value;
use seckill_testbed::{Part, User};
use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

/// The reservations of a sale: whose, and for how many units.
fn owner(connection: &mut redis::Connection, sid: &str, rid: &str) -> (String, String) {
    let reply: Vec<Value> = query(connection, &["SECKILL.GET", sid, rid]);
    let field = |name| crate::stand::field_of(&reply, name);
    (field("uid"), field("qty"))
}

#[test]
fn buyers_of_the_same_instant_reach_redis_in_few_commands() {
    let stand = Stand::start("together", "queue");
    stand.create("1001", &["STOCK", "1000"]);
    let requests: Vec<String> = (0..500)
        .map(|buyer| post("/seckill/1001", &format!("u{buyer}")))
        .collect();
    for answer in crowd(&stand.proxy.address(), &requests) {
        assert_eq!(answer.status, 202);
    }
    assert_eq!(stand.info("1001", "accepted"), "500");
    let commands = stand.calls("SECKILL.MTRY").0;
    assert!(commands < 250, "{commands}");
}

#[test]
fn five_thousand_buyers_at_once_are_each_told_their_own_reservation() {
    rlimit::increase_nofile_limit(12_000).unwrap();
    let stand = Stand::start_with("swapped", "queue", |settings| {
        settings.with("redis.deadline_ms", 10_000)
    });
    stand.create("1001", &["STOCK", "9000", "LIMIT", "0"]);
    let ask = |buyer: usize| {
        let uid = format!("u{buyer}");
        let key = format!("k{buyer}");
        match buyer % 3 {
            0 => {
                let headers = [("X-User-Id", &*uid), ("Idempotency-Key", &key)];
                request("POST", "/seckill/1001", &headers, "")
            }
            1 if buyer.is_multiple_of(2) => post("/seckill/1001?qty=2", &uid),
            _ => post("/seckill/1001", &uid),
        }
    };
    let address = stand.proxy.address();
    let mut redis = stand.redis.connect(User::Anything).unwrap();
    let mut rids = HashSet::new();
    thread::scope(|scope| {
        let crowds: Vec<_> = (0..10)
            .map(|part| {
                let buyers = (part * 500..(part + 1) * 500).collect::<Vec<_>>();
                let requests: Vec<String> = buyers.iter().map(|&buyer| ask(buyer)).collect();
                let address = &address;
                (buyers, scope.spawn(move || crowd(address, &requests)))
            })
            .collect();
        for (buyers, answers) in crowds {
            for (buyer, answer) in buyers.into_iter().zip(answers.join().unwrap()) {
                assert_eq!(answer.status, 202, "{answer:?}");
                let rid = answer.text("rid");
                let qty = if buyer % 6 == 4 { "2" } else { "1" };
                let expected = (format!("u{buyer}"), qty.to_owned());
                assert_eq!(owner(&mut redis, "1001", &rid), expected);
                assert!(rids.insert(rid));
            }
        }
    });
}

#[test]
fn two_sales_do_not_mix() {
    let stand = Stand::start("mix", "queue");
    stand.create("empty", &["STOCK", "0"]);
    stand.create("full", &["STOCK", "9000"]);
    let mut redis = stand.redis.connect(User::Anything).unwrap();
    for round in 0..3 {
        let sid = |buyer: usize| {
            if buyer.is_multiple_of(2) {
                "full"
            } else {
                "empty"
            }
        };
        let requests: Vec<String> = (0..300)
            .map(|buyer| {
                post(
                    &format!("/seckill/{}", sid(buyer)),
                    &format!("{round}-{buyer}"),
                )
            })
            .collect();
        for (buyer, answer) in crowd(&stand.proxy.address(), &requests).iter().enumerate() {
            if sid(buyer) == "full" {
                assert_eq!(answer.status, 202);
                let (uid, _) = owner(&mut redis, "full", &answer.text("rid"));
                assert_eq!(uid, format!("{round}-{buyer}"));
            } else {
                assert_eq!(answer.problem(), (410, "sold_out".to_owned()));
            }
        }
    }
}

#[test]
fn an_answer_that_comes_too_late_is_given_to_nobody_else() {
    let mut stand = Stand::start_with("late", "queue", |settings| {
        settings.with("redis.deadline_ms", 100)
    });
    stand.create("1001", &["STOCK", "9000"]);
    assert_eq!(stand.buy("1001", "first").status, 202);
    let mut redis = stand.redis.connect(User::Anything).unwrap();
    let key = |buyer: usize| format!("key-{buyer}");
    let ask = |name: &str, buyer: usize| {
        let uid = format!("{name}-{buyer}");
        let key = key(buyer);
        // Half of them travel together.
        let headers = [("X-User-Id", &*uid), ("Idempotency-Key", &key)];
        let headers = if buyer.is_multiple_of(2) {
            &headers[..1]
        } else {
            &headers[..]
        };
        request("POST", "/seckill/1001", headers, "")
    };
    let mut clients: Vec<_> = (0..100).map(|_| stand.client()).collect();
    stand.redis.freeze().unwrap();
    for (buyer, client) in clients.iter_mut().enumerate() {
        client.send(&ask("late", buyer));
    }
    for client in &mut clients {
        assert_eq!(client.read().problem(), (503, "unavailable".to_owned()));
    }
    stand.redis.thaw().unwrap();
    // On the same connections, and while the late answers are coming in.
    for name in ["other", "late"] {
        for (buyer, client) in clients.iter_mut().enumerate() {
            let answer = loop {
                let answer = client.ask(&ask(name, buyer));
                if answer.status != 503 {
                    break answer;
                }
            };
            assert!([200, 202].contains(&answer.status), "{answer:?}");
            let (uid, _) = owner(&mut redis, "1001", &answer.text("rid"));
            assert_eq!(uid, format!("{name}-{buyer}"));
        }
    }
    // Each has one: nothing was granted twice.
    assert_eq!(stand.info("1001", "held"), "201");
}

#[test]
fn beyond_what_may_wait_the_answer_is_no_at_once() {
    let mut stand = Stand::start_with("full", "queue", |settings| {
        settings
            .with("redis.deadline_ms", 10_000)
            .with("redis.waiting_max", 10)
    });
    stand.create("1001", &["STOCK", "100"]);
    assert_eq!(stand.buy("1001", "first").status, 202);
    stand.redis.freeze().unwrap();
    let mut waiting: Vec<_> = (0..10).map(|_| stand.client()).collect();
    for (buyer, client) in waiting.iter_mut().enumerate() {
        client.send(&post("/seckill/1001", &format!("u{buyer}")));
    }
    thread::sleep(Duration::from_millis(500));
    let since = Instant::now();
    let answer = stand.buy("1001", "too-many");
    assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
    assert!(matches!(answer.retry_after_s(), Some(1..=2)), "{answer:?}");
    assert!(since.elapsed() < Duration::from_secs(3));
    assert_eq!(stand.counter("seckill_proxy_overloaded_total"), 1);
    stand.redis.thaw().unwrap();
    for client in &mut waiting {
        assert_eq!(client.read().status, 202);
    }
    assert_eq!(stand.buy("1001", "after").status, 202);
}

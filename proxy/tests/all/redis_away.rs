//! Redis dies, stalls, changes its role: nobody waits for it longer than he was promised.

use crate::stand::{Stand, eventually, post, request};
use seckill_testbed::{Part, Place, Redis};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};
use toml::Table;

/// What the proxy may wait for Redis, and what a loaded machine may add to it.
const PROMISE: Duration = Duration::from_millis(50 + 250);

fn start(name: &str) -> Stand {
    let stand = Stand::start_with(name, "queue", |settings| {
        settings.with("redis.deadline_ms", 50)
    });
    stand.create("1001", &["STOCK", "100"]);
    buys_again(&stand, "before");
    stand
}

fn assert_unavailable_in_time(stand: &Stand) {
    let mut client = stand.client();
    let since = Instant::now();
    let answer = client.ask(&post("/seckill/1001", "u7"));
    let elapsed = since.elapsed();
    assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
    assert!(matches!(answer.retry_after_s(), Some(1..=2)), "{answer:?}");
    assert_eq!(answer.header("connection"), Some("keep-alive"));
    assert!(elapsed < PROMISE, "{elapsed:?}");
}

fn buys_again(stand: &Stand, uid: &str) {
    eventually("Redis is used again", || {
        [200, 202].contains(&stand.buy("1001", uid).status)
    });
}

fn lines_with(stand: &Stand, text: &str) -> usize {
    let log = fs::read_to_string(stand.proxy.log()).unwrap();
    log.lines().filter(|line| line.contains(text)).count()
}

#[test]
fn a_dead_redis_is_a_quick_no_and_a_living_one_a_yes_again() {
    let mut stand = start("dead");
    stand.redis.kill().unwrap();
    assert_unavailable_in_time(&stand);

    // A flood of buyers is no flood of connections.
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = stand.client();
                for buyer in 0..500 {
                    let asked = post("/seckill/1001", &format!("u{buyer}"));
                    assert_eq!(client.ask(&asked).status, 503);
                }
            });
        }
    });
    stand.redis.restart().unwrap();
    buys_again(&stand, "after");
    // What was accepted before the end is still the same buyer's.
    assert_eq!(stand.buy("1001", "before").text("status"), "duplicate");
    let stats: String = stand.redis(&["INFO", "stats"]);
    let connections: u64 = stats
        .lines()
        .find_map(|line| line.strip_prefix("total_connections_received:"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(connections < 20, "{connections}");
    assert_eq!(lines_with(&stand, "Redis is away"), 1);
    assert!(lines_with(&stand, "Redis decides again") >= 1);
}

#[test]
fn a_stalled_redis_keeps_nobody_waiting() {
    let mut stand = start("stalled");
    stand.redis.freeze().unwrap();
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        assert_unavailable_in_time(&stand);
    }
    // By now the connection is given up, and nobody even waits for the deadline.
    let since = Instant::now();
    for _ in 0..20 {
        assert_unavailable_in_time(&stand);
    }
    assert!(since.elapsed() < Duration::from_millis(500));
    stand.redis.thaw().unwrap();
    buys_again(&stand, "after");
    // The question that was not answered in time was asked once, whatever became of it.
    let answer = stand.buy("1001", "u7");
    assert!([200, 202].contains(&answer.status), "{answer:?}");
    assert_eq!(stand.info("1001", "held"), "3");
}

#[test]
fn a_short_stall_costs_the_questions_in_it_and_not_the_connection() {
    let mut stand = start("short");
    stand.redis.freeze().unwrap();
    assert_unavailable_in_time(&stand);
    stand.redis.thaw().unwrap();
    eventually("the units that were granted unheard are found", || {
        stand.buy("1001", "u7").status == 200
    });
    assert_eq!(lines_with(&stand, "Redis is away"), 0);
}

#[test]
fn a_proxy_that_starts_before_redis_waits_for_it() {
    let mut stand = start("early");
    stand.redis.kill().unwrap();
    stand.proxy.restart().unwrap();
    assert_unavailable_in_time(&stand);
    assert_unavailable_in_time(&stand);
    stand.redis.restart().unwrap();
    buys_again(&stand, "after");
}

#[test]
fn a_redis_that_became_a_replica_is_not_asked_to_decide() {
    let stand = start("replica");
    stand.redis::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    for _ in 0..50 {
        assert_unavailable_in_time(&stand);
    }
    stand.redis::<()>(&["REPLICAOF", "NO", "ONE"]);
    // Whoever takes over as primary sells nothing until his copy has been compared with MySQL.
    eventually("Redis is asked again", || {
        stand.buy("1001", "fenced").problem() == (503, "paused".to_owned())
    });
    stand.redis::<()>(&["SECKILL.RESUME", "1001"]);
    buys_again(&stand, "after");
}

#[test]
fn a_key_that_is_no_sale_is_no_sale() {
    let stand = Stand::start("wrongtype", "queue");
    stand.redis::<()>(&["SET", "1001", "text"]);
    assert_eq!(
        stand.buy("1001", "u7").problem(),
        (404, "unknown_sale".to_owned())
    );
}

/// Refused at once, with the same words for each buyer and one line in the log for all.
fn assert_refused(stand: &Stand, line: &str) {
    for buyer in 0..50 {
        let answer = stand.buy("1001", &format!("refused-{buyer}"));
        assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
        assert!(matches!(answer.retry_after_s(), Some(1..=2)), "{answer:?}");
    }
    assert_eq!(lines_with(stand, line), 1);
}

#[test]
fn what_redis_refuses_is_told_by_its_name_once() {
    let stand = start("refuses");
    let set = |key: &str, value: &str| stand.redis::<()>(&["CONFIG", "SET", key, value]);
    // A server that is full refuses tries and nothing else.
    set("maxmemory", "1");
    assert_refused(&stand, "(OOM)");
    set("maxmemory", "0");
    buys_again(&stand, "room");

    set("min-replicas-to-write", "1");
    assert_refused(&stand, "(NOREPLICAS)");
    set("min-replicas-to-write", "0");
    buys_again(&stand, "enough");

    stand.redis::<()>(&["ACL", "SETUSER", "proxy", "-seckill.mtry"]);
    assert_refused(&stand, "(NOPERM)");
    stand.redis::<()>(&["ACL", "SETUSER", "proxy", "+seckill.mtry"]);
    buys_again(&stand, "allowed");

    stand.redis::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    let before = stand.calls("SECKILL.MTRY").1;
    assert_refused(&stand, "(READONLY)");
    // Of a replica nobody asks anything any more.
    let refused = stand.calls("SECKILL.MTRY").1 - before;
    assert!(refused <= 3, "{refused}");
    assert_eq!(lines_with(&stand, "Redis is away"), 0);
}

#[test]
fn a_redis_without_the_module_is_named_and_spared() {
    let place = Place::temporary("bare").unwrap();
    let redis = Redis::start_bare(&place).unwrap();
    let stand = Stand::around(place, redis, "queue", |settings| settings);
    assert_refused(&stand, "the module is not loaded there");
    let stats: String = stand.redis(&["INFO", "errorstats"]);
    let errors = stats
        .lines()
        .find_map(|line| line.strip_prefix("errorstat_ERR:count="));
    let errors: u64 = errors.unwrap().trim().parse().unwrap();
    // Only knocks, and not fifty buyers.
    assert!(errors < 40, "{stats}");
}

#[test]
fn a_slow_redis_is_waited_for() {
    let stand = Stand::start("slow", "queue");
    stand.create("1001", &["STOCK", "1000"]);
    thread::scope(|scope| {
        let slow = scope.spawn(|| {
            for _ in 0..10 {
                stand.redis::<()>(&["DEBUG", "SLEEP", "0.2"]);
                thread::sleep(Duration::from_millis(20));
            }
        });
        let mut buyer = 0;
        while !slow.is_finished() {
            buyer += 1;
            assert_eq!(stand.buy("1001", &format!("u{buyer}")).status, 202);
        }
    });
    assert_eq!(lines_with(&stand, "Redis is away"), 0);
}

#[test]
fn a_stalled_redis_is_found_again_when_it_goes_on() {
    let mut stand = start("found");
    stand.redis.freeze().unwrap();
    eventually("given up", || lines_with(&stand, "Redis is away") == 1);
    // Nobody waits for the deadline any more: a hundred would be five seconds.
    let since = Instant::now();
    for _ in 0..100 {
        assert_unavailable_in_time(&stand);
    }
    assert!(since.elapsed() < Duration::from_secs(3));
    stand.redis.thaw().unwrap();
    let since = Instant::now();
    buys_again(&stand, "after");
    assert!(since.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_route_that_fails_open_lets_the_shop_decide_and_says_so() {
    let shop = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = shop.local_addr().unwrap().to_string();
    let mut route = Table::new();
    for (key, value) in [
        ("path", "/seckill/{sid}"),
        ("mode", "forward"),
        ("fail", "open"),
    ] {
        route.insert(key.to_owned(), value.into());
    }
    let mut stand = Stand::start_with("open", "forward", |settings| {
        settings
            .with("redis.deadline_ms", 50)
            .with("shop.upstream", address.clone())
            .with("route", vec![route.clone()])
    });
    stand.create("1001", &["STOCK", "0"]);
    assert_eq!(stand.buy("1001", "u7").status, 410);
    stand.redis.kill().unwrap();
    let heads = thread::spawn(move || {
        let mut seen = Vec::new();
        for stream in shop.incoming().take(5) {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                head.push(byte[0]);
            }
            stream
                .write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
                .unwrap();
            seen.push(String::from_utf8(head).unwrap().to_lowercase());
        }
        seen
    });
    for _ in 0..5 {
        let headers = [("X-User-Id", "u7"), ("Seckill-Reservation", "1-1")];
        let asked = request("POST", "/seckill/1001", &headers, "");
        assert_eq!(stand.client().ask(&asked).status, 201);
    }
    for head in heads.join().unwrap() {
        for line in [
            "seckill-sale: 1001",
            "seckill-user: u7",
            "seckill-quantity: 1",
            "seckill-unreserved: 1",
        ] {
            assert!(head.contains(line), "{line}: {head}");
        }
        assert!(!head.contains("seckill-reservation"), "{head}");
    }
    assert_eq!(stand.counter("seckill_proxy_unreserved_total"), 5);
}

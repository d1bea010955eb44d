//! Redis dies, stalls, changes its role: nobody waits for it longer than he was promised.

use crate::stand::{Stand, eventually, post};
use seckill_testbed::Part;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

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
    assert_eq!(answer.retry_after_s(), Some(1));
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
    assert!(lines_with(&stand, "Redis answers") >= 1);
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

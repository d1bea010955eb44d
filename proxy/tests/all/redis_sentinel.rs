//! A primary with a replica and three sentinels: buyers are served by whoever is the primary.

use crate::stand::{Over, Stand, eventually, field_of, query};
use redis::Value;
use seckill_testbed::{Part, Place, Redis, Sentinel, Settings, User};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const NAME: &str = "seckill";

struct Watched {
    stand: Stand,
    replica: Redis,
    sentinels: Vec<Sentinel>,
}

fn start(name: &str, change: impl Fn(Settings) -> Settings) -> Watched {
    let place = Place::temporary(name).unwrap();
    let primary = Redis::start(&place).unwrap();
    let replica = Redis::start_replica(&place, &primary).unwrap();
    let sentinels: Vec<_> = (0..3)
        .map(|_| Sentinel::start(&place, NAME, &primary, 2).unwrap())
        .collect();
    eventually("the sentinels know all", || {
        sentinels.iter().all(|s| s.knows(NAME, 1, 2).unwrap())
    });
    let places: Vec<String> = sentinels.iter().map(Sentinel::address).collect();
    let url = primary.url(User::Proxy);
    let (user, _) = url.split_once('@').unwrap();
    // Where a server is, the sentinels say.
    let url = format!("{user}@nowhere.invalid:1/");
    let stand = Stand::around(place, primary, "queue", |settings| {
        change(settings)
            .with("redis.url", url.clone())
            .with("redis.sentinels", places.clone())
            .with("redis.master", NAME)
            .with("redis.deadline_ms", 300)
    });
    Watched {
        stand,
        replica,
        sentinels,
    }
}

impl Watched {
    fn on_replica<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        query(&mut self.replica.connect(User::Anything).unwrap(), words)
    }

    fn await_promotion(&self) {
        eventually("the replica is the primary", || {
            // A sentinel closes the connections of whom it promotes: then there is no answer.
            let Ok(mut connection) = self.replica.connect(User::Anything) else {
                return false;
            };
            let role = redis::cmd("ROLE").query::<Vec<Value>>(&mut connection);
            role.is_ok_and(|role| role.first() == Some(&Value::BulkString(b"master".to_vec())))
        });
    }

    /// Whoever takes over sells nothing until somebody has compared his copy.
    fn await_paused(&self) {
        eventually("the new primary is asked", || {
            let answer = self.stand.buy("1001", "fenced");
            answer.status == 503 && answer.text("code") == "paused"
        });
    }
}

#[test]
fn a_primary_that_dies_is_followed_by_the_next_and_nobody_has_two_reservations() {
    let mut watched = start("failover", |settings| {
        settings.with("redis.remember_ms", 60_000)
    });
    watched.stand.create("1001", &["STOCK", "50"]);
    let mut had: HashMap<String, String> = HashMap::new();
    for buyer in 0..20 {
        let uid = format!("u{buyer}");
        let answer = watched.stand.buy("1001", &uid);
        assert_eq!(answer.status, 202);
        had.insert(uid, answer.text("rid"));
    }
    let copied: u64 = watched.stand.redis(&["WAIT", "1", "5000"]);
    assert_eq!(copied, 1);

    watched.stand.redis.kill().unwrap();
    let answer = watched.stand.buy("1001", "meanwhile");
    assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
    watched.await_promotion();
    watched.await_paused();
    watched.on_replica::<()>(&["SECKILL.RESUME", "1001"]);
    eventually("sold again", || {
        [200, 202].contains(&watched.stand.buy("1001", "after").status)
    });
    for (uid, rid) in &had {
        let answer = watched.stand.buy("1001", uid);
        assert_eq!(answer.text("status"), "duplicate");
        assert_eq!(answer.text("rid"), *rid);
    }
    // The news come from the new primary, too.
    for buyer in 0..60 {
        watched.stand.buy("1001", &format!("late-{buyer}"));
    }
    let told = "seckill_proxy_edge_rejections_total{sale=\"1001\",verdict=\"sold_out\"}";
    eventually("sold out is remembered", || {
        assert_eq!(watched.stand.buy("1001", "nobody").status, 410);
        watched.stand.counter(told) > 0
    });
    watched.on_replica::<()>(&["SECKILL.RESTOCK", "1001", "1"]);
    eventually("news of the restock", || {
        watched.stand.buy("1001", "lucky").status == 202
    });
    let info: Vec<Value> = watched.on_replica(&["SECKILL.INFO", "1001"]);
    assert_eq!(field_of(&info, "held"), "51");
}

#[test]
fn an_old_primary_that_wakes_up_is_not_asked_again() {
    let mut watched = start("wakes", |settings| settings);
    watched.stand.create("1001", &["STOCK", "50"]);
    assert_eq!(watched.stand.buy("1001", "before").status, 202);
    watched.stand.redis.freeze().unwrap();
    watched.await_promotion();
    watched.await_paused();
    watched.on_replica::<()>(&["SECKILL.RESUME", "1001"]);
    eventually("sold again", || {
        [200, 202].contains(&watched.stand.buy("1001", "after").status)
    });
    watched.stand.redis.thaw().unwrap();
    for buyer in 0..50 {
        let answer = watched.stand.buy("1001", &format!("u{buyer}"));
        // Two of the fifty units were sold before.
        let expected = if buyer < 48 { 202 } else { 410 };
        assert_eq!(answer.status, expected, "{buyer}");
        thread::sleep(Duration::from_millis(10));
    }
    let info: Vec<Value> = watched.on_replica(&["SECKILL.INFO", "1001"]);
    assert_eq!(field_of(&info, "held"), "50");
}

#[test]
fn a_failover_that_somebody_orders_takes_back_nothing_that_a_replica_had() {
    let watched = start("ordered", |settings| {
        settings.with("redis.durability", "replica")
    });
    watched.stand.create("1001", &["STOCK", "1000000"]);
    let is_over = AtomicBool::new(false);
    let had: HashMap<String, String> = thread::scope(|scope| {
        let over = Over(&is_over);
        let buyers = scope.spawn(|| {
            let mut had = HashMap::new();
            let mut number = 0;
            while !is_over.load(Ordering::Relaxed) {
                number += 1;
                let uid = format!("u{number}");
                let answer = watched.stand.buy("1001", &uid);
                if answer.status == 202 {
                    had.insert(uid, answer.text("rid"));
                }
            }
            had
        });
        thread::sleep(Duration::from_millis(200));
        let sentinel = watched.sentinels.first().unwrap();
        let client = redis::Client::open(format!("redis://{}/", sentinel.address())).unwrap();
        let mut connection = client.get_connection().unwrap();
        query::<()>(&mut connection, &["SENTINEL", "FAILOVER", NAME]);
        watched.await_promotion();
        watched.await_paused();
        watched.on_replica::<()>(&["SECKILL.RESUME", "1001"]);
        // The old primary is a replica now, and vouches for the new one.
        eventually("sold again", || {
            [200, 202].contains(&watched.stand.buy("1001", "after").status)
        });
        drop(over);
        buyers.join().unwrap()
    });
    assert!(had.len() > 10, "{}", had.len());
    for (uid, rid) in &had {
        let again = watched.stand.buy("1001", uid);
        assert_eq!((again.status, &again.text("rid")), (200, rid));
    }
}

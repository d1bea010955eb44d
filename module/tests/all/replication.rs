//! Effects are what a replica gets: its sale is the primary's, whatever the clocks say.

use crate::common::{Client, Server, accepted, follower, skip_in};
use seckill_protocol::Verdict;
use seckill_testbed::{Part, Redis};
use std::time::{Duration, Instant};

fn with_replica(name: &str) -> (Server, Redis) {
    let server = Server::start(name);
    let replica = follower(&server.place, server.redis());
    (server, replica)
}

fn await_equal(primary: &mut Client, replica: &mut Client, sid: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let (here, there) = (primary.digest(sid), replica.digest(sid));
        if here == there {
            return;
        }
        assert!(Instant::now() < deadline, "primary {here}, replica {there}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_replica_has_the_same_sale_after_any_traffic() {
    skip_in!(Replica, Cluster: "has a primary and a replica of its own");
    let (mut server, mut replica) = with_replica("module-replica");
    let mut primary = server.client();
    let mut copy = Client::of(&replica);
    primary.text("SECKILL.CREATE s STOCK 50 LIMIT 3 HOLD 40 USERRATE 100 BURST 3");
    let mut rids = Vec::new();
    // A cheap generator: the same traffic in every run.
    let mut state = 42_u64;
    let mut random = |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % bound
    };
    for _ in 0..3000 {
        match random(10) {
            0..=5 => {
                let line = format!(
                    "s u{} QTY {} TOKEN t{}",
                    random(40),
                    1 + random(3),
                    random(50)
                );
                if let Verdict::Accepted(rid) = primary.try_(&line) {
                    rids.push(rid);
                }
            }
            6 if !rids.is_empty() => {
                let rid = rids[usize::try_from(random(rids.len() as u64)).unwrap()];
                let _ = primary.run(&format!("SECKILL.CONFIRM s {rid} LATE"));
            }
            7 if !rids.is_empty() => {
                let rid = rids[usize::try_from(random(rids.len() as u64)).unwrap()];
                let _ = primary.run(&format!("SECKILL.CANCEL s {rid}"));
            }
            8 => {
                let _ = primary.run(&format!(
                    "SECKILL.RESTOCK s {}",
                    i64::try_from(random(5)).unwrap() - 2
                ));
            }
            _ => {
                let _ = primary.run("SECKILL.EVENTS s");
            }
        }
    }
    await_equal(&mut primary, &mut copy, "s");
    assert_eq!(primary.audit("s"), copy.audit("s"));

    // The replica's own AOF has it too, and nobody else is there to ask.
    let digest = primary.digest("s");
    server.redis_mut().kill().unwrap();
    replica.kill().unwrap();
    replica.restart().unwrap();
    let mut copy = Client::of(&replica);
    assert_eq!(copy.digest("s"), digest);
    assert!(copy.audit("s").starts_with("OK "));
}

#[test]
fn a_rejection_is_not_replicated() {
    skip_in!(Replica, Cluster: "has a primary and a replica of its own");
    let (server, replica) = with_replica("module-rejections");
    let mut primary = server.client();
    let mut copy = Client::of(&replica);
    primary.text("SECKILL.CREATE s STOCK 1");
    accepted(primary.try_("s u1"));
    await_equal(&mut primary, &mut copy, "s");
    let applied = |copy: &mut Client| {
        let stats = copy.text("INFO commandstats");
        let line = stats
            .lines()
            .find(|line| line.starts_with("cmdstat_SECKILL.APPLY"));
        line.and_then(|line| line.split(['=', ',']).nth(1))
            .map(str::to_owned)
    };
    let dirty = |primary: &mut Client| {
        let info = primary.text("INFO persistence");
        let line = info
            .lines()
            .find(|line| line.starts_with("rdb_changes_since_last_save"));
        line.unwrap().to_owned()
    };
    let (applied_before, dirty_before) = (applied(&mut copy), dirty(&mut primary));
    for n in 0..1000 {
        primary.try_(&format!("s u{}", n % 7));
    }
    assert_eq!(dirty(&mut primary), dirty_before);
    accepted({
        primary.text("SECKILL.RESTOCK s 1");
        primary.try_("s v1")
    });
    await_equal(&mut primary, &mut copy, "s");
    assert_eq!(applied_before.as_deref(), Some("2"));
    assert_eq!(
        applied(&mut copy).as_deref(),
        Some("4"),
        "the restock and the acceptance"
    );
}

#[test]
fn a_replica_decides_nothing() {
    skip_in!(Replica, Cluster: "has a primary and a replica of its own");
    let (server, replica) = with_replica("module-readonly");
    let mut primary = server.client();
    let mut copy = Client::of(&replica);
    primary.text("SECKILL.CREATE s STOCK 1 HOLD 30");
    accepted(primary.try_("s u1"));
    await_equal(&mut primary, &mut copy, "s");
    assert!(copy.error("SECKILL.TRY s u2").starts_with("READONLY"));
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(
        copy.info("s", "held"),
        "1",
        "a replica releases nothing by itself"
    );
    primary.run("SECKILL.EVENTS s").unwrap();
    await_equal(&mut primary, &mut copy, "s");
    assert_eq!(copy.info("s", "held"), "0");
}

#[test]
fn a_replica_that_was_away_catches_up() {
    skip_in!(Replica, Cluster: "has a primary and a replica of its own");
    let (server, mut replica) = with_replica("module-away");
    let mut primary = server.client();
    primary.text("SECKILL.CREATE s STOCK 100");
    for round in 0..3 {
        replica.kill().unwrap();
        for n in 0..20 {
            accepted(primary.try_(&format!("s u{round}-{n}")));
        }
        replica.restart().unwrap();
        let mut copy = Client::of(&replica);
        let deadline = Instant::now() + Duration::from_secs(10);
        while copy.run("EXISTS s").unwrap() != redis::Value::Int(1) {
            assert!(
                Instant::now() < deadline,
                "the sale did not reach the replica"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        await_equal(&mut primary, &mut copy, "s");
    }
}

#[test]
fn a_promoted_replica_is_fenced_until_mysql_has_the_new_epoch() {
    skip_in!(Replica, Cluster: "has a primary and a replica of its own");
    let (mut server, replica) = with_replica("module-promotion");
    let mut primary = server.client();
    primary.text("SECKILL.CREATE s STOCK 5");
    let rid = accepted(primary.try_("s u1 TOKEN t"));
    let old: u64 = primary.info("s", "epoch").parse().unwrap();
    let mut copy = Client::of(&replica);
    await_equal(&mut primary, &mut copy, "s");
    server.redis_mut().kill().unwrap();
    copy.text("REPLICAOF NO ONE");

    assert_eq!(copy.try_("s u2"), Verdict::Paused);
    assert_eq!(copy.info("s", "state"), "fenced");
    assert_eq!(
        copy.try_("s u1 TOKEN t"),
        Verdict::Duplicate(rid.parse().unwrap()),
        "who asks again is still answered"
    );
    let new: u64 = copy.info("s", "epoch").parse().unwrap();
    assert!(new > old);
    let lines: Vec<String> = redis::from_redis_value(
        copy.run(&format!("SECKILL.EVENTS s AFTER {old} 2 FORMAT text"))
            .unwrap(),
    )
    .unwrap();
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].ends_with(&format!("epoch previous={old}-2")),
        "{lines:?}"
    );

    copy.text(&format!("SECKILL.ACK s STORED {old} 2"));
    assert_eq!(
        copy.try_("s u2"),
        Verdict::Paused,
        "MySQL has not compared yet"
    );
    copy.text(&format!("SECKILL.ACK s STORED {new} 1"));
    assert!(accepted(copy.try_("s u2")).starts_with(&format!("{new}-")));
    assert!(copy.audit("s").starts_with("OK total=5 available=3 held=2"));
}

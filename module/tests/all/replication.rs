//! Effects are what a replica gets: its sale is the primary's, whatever the clocks say.

use crate::common::{Client, accepted, await_equal, await_own_aof, skip_in, soon, with_replica};
use crate::traffic::any_traffic;
use seckill_testbed::Part;
use std::time::Duration;

#[test]
fn a_replica_has_the_same_sale_after_any_traffic() {
    skip_in!(Replica, Cluster: "has a primary and a replica of its own");
    skip_in!(Aof: "traffic.rs has the same traffic there");
    let (mut server, mut replica) = with_replica("module-replica");
    let mut primary = server.client();
    let mut copy = Client::of(&replica);
    any_traffic(&mut primary, "s", 3000);
    await_equal(&mut primary, &mut copy, "s");
    assert_eq!(primary.audit("s"), copy.audit("s"));

    // The replica's own AOF has it too, and nobody else is there to ask.
    let digest = primary.digest("s");
    await_own_aof(&mut copy);
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
fn a_full_replica_takes_every_effect_all_the_same() {
    skip_in!(Aof, Replica, Cluster: "has a primary and a replica of its own");
    let (server, mut replica) = with_replica("module-full-replica");
    let (mut primary, mut copy) = (server.client(), Client::of(&replica));
    copy.text("CONFIG SET replica-ignore-maxmemory no");
    copy.text("CONFIG SET maxmemory 1");
    any_traffic(&mut primary, "s", 300);
    await_equal(&mut primary, &mut copy, "s");
    assert!(replica.is_running());
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
        soon("the sale reaches the replica", || {
            copy.run("EXISTS s").unwrap() == redis::Value::Int(1)
        });
        await_equal(&mut primary, &mut copy, "s");
        await_own_aof(&mut copy);
    }
}

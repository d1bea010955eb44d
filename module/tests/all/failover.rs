//! A replica takes over: fenced, under new names, and the old primary comes back behind it.

use crate::common::{
    Client, Crowd, accepted, await_equal, await_own_aof, found_again, skip_in, soon, with_replica,
};
use seckill_protocol::Verdict;
use seckill_testbed::{Part, User};

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

/// What the worker does when MySQL has exactly what the new primary has.
fn lift_the_fence(client: &mut Client, sid: &str) {
    client.run(&format!("SECKILL.EVENTS {sid}")).unwrap();
    assert_eq!(client.info(sid, "state"), "fenced");
    let head = client.info(sid, "head").replace('-', " ");
    client.text(&format!("SECKILL.ACK {sid} STORED {head}"));
    assert_eq!(client.info(sid, "state"), "open");
}

#[test]
fn an_old_primary_comes_back_as_the_replica_of_the_new_one_and_takes_over_again() {
    skip_in!(Aof, Replica, Cluster: "has a primary and a replica of its own");
    let (mut server, mut replica) = with_replica("module-switch");
    let mut old = server.client();
    old.text("SECKILL.CREATE s STOCK 10");
    let kept = accepted(old.try_("s kept"));
    let mut new = Client::of(&replica);
    await_equal(&mut old, &mut new, "s");
    let first = old.info("s", "epoch").parse::<u64>().unwrap();

    // The link is cut, buyers are answered all the same, and then the machine is lost.
    replica.freeze().unwrap();
    old.text("CLIENT KILL TYPE replica");
    let lost = accepted(old.try_("s lost"));
    server.redis_mut().kill().unwrap();
    replica.thaw().unwrap();
    new.text("REPLICAOF NO ONE");
    assert_eq!(new.try_("s u1"), Verdict::Paused);
    lift_the_fence(&mut new, "s");
    let second = new.info("s", "epoch").parse::<u64>().unwrap();
    assert!(second > first);
    let sold = accepted(new.try_("s u1"));
    assert_ne!(sold, lost, "two buyers never have reservations of one name");
    assert!(
        new.error(&format!("SECKILL.GET s {lost}"))
            .starts_with("NORESERVATION")
    );

    server.redis_mut().restart().unwrap();
    server.redis().follow(&replica).unwrap();
    let mut old = server.client();
    await_equal(&mut new, &mut old, "s");
    assert!(old.error("SECKILL.TRY s u2").starts_with("READONLY"));
    assert!(
        old.error(&format!("SECKILL.GET s {lost}"))
            .starts_with("NORESERVATION")
    );
    let later = accepted(new.try_("s u2"));
    await_equal(&mut new, &mut old, "s");

    // And back, the clean way: nothing is lost, and the fence is there all the same.
    replica.kill().unwrap();
    old.text("REPLICAOF NO ONE");
    assert_eq!(old.try_("s u3"), Verdict::Paused);
    lift_the_fence(&mut old, "s");
    assert!(old.info("s", "epoch").parse::<u64>().unwrap() > second);
    for (uid, rid) in [("kept", &kept), ("u1", &sold), ("u2", &later)] {
        let found = old.try_(&format!("s {uid}"));
        assert_eq!(found, Verdict::Duplicate(rid.parse().unwrap()), "{uid}");
    }
    accepted(old.try_("s u3"));
    assert_eq!(
        old.audit("s"),
        "OK total=10 available=6 held=4 sold=0 reservations=4"
    );
}

#[test]
fn a_takeover_by_plan_in_the_middle_of_a_sale_loses_nothing() {
    skip_in!(Aof, Replica, Cluster: "has a primary and a replica of its own");
    let (server, replica) = with_replica("module-planned");
    let (mut old, mut new) = (server.client(), Client::of(&replica));
    old.text("SECKILL.CREATE s STOCK 1000000");
    let crowd = Crowd::start("u", "s", (0..4).map(|_| server.route(User::Proxy)));
    crowd.await_accepted(200);
    soon("the primary counts on its replica", || {
        let replica = old.server_info("replication", "slave0");
        replica.contains("state=online")
    });
    old.text(&format!("FAILOVER TO 127.0.0.1 {}", replica.port()));
    let told = crowd.wait();
    assert_eq!(old.server_info("replication", "role"), "slave");
    assert_eq!(new.try_("s somebody"), Verdict::Paused);
    lift_the_fence(&mut new, "s");
    found_again(&mut new, "s", &told);
    accepted(new.try_("s somebody"));
    await_equal(&mut new, &mut old, "s");
}

#[test]
fn what_a_new_primary_decides_first_is_there_after_kill_9() {
    skip_in!(Aof, Replica, Cluster: "has a primary and a replica of its own");
    for first in ["RESTOCK s 1", "CLOSE other", "EVENTS s"] {
        let (mut server, mut replica) = with_replica("module-first");
        let mut primary = server.client();
        primary.text("SECKILL.CREATE s STOCK 5");
        primary.text("SECKILL.CREATE other STOCK 5");
        accepted(primary.try_("s u1"));
        let mut copy = Client::of(&replica);
        await_equal(&mut primary, &mut copy, "s");
        await_own_aof(&mut copy);
        server.redis_mut().kill().unwrap();
        copy.text("REPLICAOF NO ONE");
        copy.text("CONFIG REWRITE");
        copy.run(&format!("SECKILL.{first}")).unwrap();
        lift_the_fence(&mut copy, "s");
        accepted(copy.try_("s u2"));
        let digest = copy.digest("s");
        replica.kill().unwrap();
        replica.restart().unwrap();
        assert_eq!(Client::of(&replica).digest("s"), digest, "{first}");
    }
}

#[test]
fn a_promoted_replica_that_is_restarted_before_anybody_asked_is_fenced_all_the_same() {
    skip_in!(Aof, Replica, Cluster: "has a primary and a replica of its own");
    let (mut server, mut replica) = with_replica("module-restarted");
    let mut primary = server.client();
    primary.text("SECKILL.CREATE s STOCK 5");
    accepted(primary.try_("s u1"));
    let mut copy = Client::of(&replica);
    await_equal(&mut primary, &mut copy, "s");
    await_own_aof(&mut copy);
    server.redis_mut().kill().unwrap();
    copy.text("REPLICAOF NO ONE");
    // From now on its configuration says that it is a primary.
    copy.text("CONFIG REWRITE");
    replica.kill().unwrap();
    replica.restart().unwrap();
    let mut copy = Client::of(&replica);
    assert_eq!(copy.server_info("replication", "role"), "master");
    assert_eq!(copy.try_("s u2"), Verdict::Paused);
    assert_eq!(copy.info("s", "state"), "fenced");
}

//! A replica catches up, in each way that Redis has for it, while the primary goes on selling.

use crate::common::{Client, Crowd, Server, await_equal, found_again, skip_in, soon, with_replica};
use seckill_protocol::Verdict;
use seckill_testbed::{Part, Redis, User};
use std::thread;
use std::time::Duration;

const BUYERS: usize = 4;

fn crowd(server: &Server, name: &str) -> Crowd {
    Crowd::start(name, "s", (0..BUYERS).map(|_| server.route(User::Proxy)))
}

/// The primary drops the connection to its replica.
fn cut_the_link(primary: &mut Client) {
    primary.run("CLIENT KILL TYPE replica").unwrap();
}

fn await_copies(primary: &mut Client, field: &str, at_least: u64) {
    soon(&format!("{at_least} {field}"), || {
        primary.server_info("stats", field).parse::<u64>().unwrap() >= at_least
    });
}

#[test]
fn a_copy_that_never_touches_a_disk_is_the_same_sale() {
    skip_in!(Aof, Replica, Cluster: "has a primary and a replica of its own");
    for (load, said) in [
        ("on-empty-db", "Loading DB in memory"),
        ("swapdb", "Swapping active DB with loaded DB"),
    ] {
        let server = Server::start("module-diskless");
        let mut primary = server.client();
        primary.text("SECKILL.CREATE s STOCK 1000000");
        let line = format!("repl-diskless-load {load}");
        let mut replica = Redis::start_with(&server.place, &[&line]).unwrap();
        let mut copy = Client::of(&replica);
        if load == "swapdb" {
            copy.text("SECKILL.CREATE old STOCK 7");
        }
        let crowd = crowd(&server, load);
        crowd.await_accepted(200);
        replica.follow(server.redis()).unwrap();
        replica.await_link().unwrap();
        crowd.await_accepted(100);
        // A second time, over what it has: who has forgotten the history has to send everything.
        primary.text("DEBUG CHANGE-REPL-ID");
        cut_the_link(&mut primary);
        await_copies(&mut primary, "sync_full", 2);
        replica.await_link().unwrap();
        crowd.await_accepted(100);
        let told = crowd.leave();
        await_equal(&mut primary, &mut copy, "s");
        assert_eq!(copy.audit("s"), primary.audit("s"));
        found_again(&mut primary, "s", &told);
        assert!(copy.error("SECKILL.INFO old").starts_with("NOSALE"));
        // What it had before goes in another thread.
        soon("the old sales are gone", || {
            copy.server_info("seckill", "seckill_sales") == "1"
        });
        let log = std::fs::read_to_string(replica.log()).unwrap();
        assert!(log.contains(said), "{load}: {log}");
        assert!(replica.is_running());
    }
}

#[test]
fn a_copy_that_is_cut_off_again_and_again_leaves_the_old_one_until_it_is_whole() {
    skip_in!(Aof, Replica, Cluster: "has a primary and a replica of its own");
    let server = Server::start("module-cut-copy");
    let mut primary = server.client();
    for n in 0..30 {
        primary.text(&format!("SECKILL.CREATE s{n} STOCK 100"));
        primary
            .run(&format!("SECKILL.MTRY s{n} u1 u2 u3 u4 u5"))
            .unwrap();
    }
    let mut replica = Redis::start_with(&server.place, &["repl-diskless-load swapdb"]).unwrap();
    let mut copy = Client::of(&replica);
    copy.text("SECKILL.CREATE old STOCK 7");
    let old = copy.digest("old");
    // Each sale takes its time, and the link never lives long enough for all of them.
    primary.text("CONFIG SET rdb-key-save-delay 20000");
    replica.follow(server.redis()).unwrap();
    for copies in 1..=3 {
        await_copies(&mut primary, "sync_full", copies);
        thread::sleep(Duration::from_millis(150));
        cut_the_link(&mut primary);
        assert_eq!(copy.digest("old"), old);
    }
    primary.text("CONFIG SET rdb-key-save-delay 0");
    replica.await_link().unwrap();
    for n in 0..30 {
        await_equal(&mut primary, &mut copy, &format!("s{n}"));
    }
    assert!(replica.is_running());
}

#[test]
fn a_link_that_was_cut_goes_on_where_it_was() {
    skip_in!(Aof, Replica, Cluster: "has a primary and a replica of its own");
    let (server, mut replica) = with_replica("module-cut-link");
    let (mut primary, mut copy) = (server.client(), Client::of(&replica));
    primary.text("SECKILL.CREATE s STOCK 1000000");
    let crowd = crowd(&server, "u");
    for cuts in 1..=5 {
        crowd.await_accepted(50);
        cut_the_link(&mut primary);
        await_copies(&mut primary, "sync_partial_ok", cuts);
    }
    crowd.await_accepted(50);
    let told = crowd.leave();
    await_equal(&mut primary, &mut copy, "s");
    found_again(&mut primary, "s", &told);
    assert_eq!(primary.server_info("stats", "sync_full"), "1");
    assert!(replica.is_running());
}

#[test]
fn a_replica_that_was_a_primary_for_a_moment_forgets_what_it_did() {
    skip_in!(Aof, Replica, Cluster: "has a primary and a replica of its own");
    let (server, mut replica) = with_replica("module-flapping");
    let (mut primary, mut copy) = (server.client(), Client::of(&replica));
    primary.text("SECKILL.CREATE s STOCK 1000000");
    let crowd = crowd(&server, "u");
    for round in 0..3 {
        crowd.await_accepted(50);
        copy.text("REPLICAOF NO ONE");
        if round > 0 {
            let asked = copy.try_("s somebody");
            assert_eq!(asked, Verdict::Paused, "it cannot know what it lacks");
        }
        crowd.await_accepted(50);
        replica.follow(server.redis()).unwrap();
        replica.await_link().unwrap();
    }
    let told = crowd.leave();
    await_equal(&mut primary, &mut copy, "s");
    assert_eq!(primary.info("s", "state"), "open");
    assert_eq!(copy.info("s", "epoch"), primary.info("s", "epoch"));
    found_again(&mut primary, "s", &told);
    assert!(replica.is_running());
}

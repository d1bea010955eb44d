//! A sale moves from server to server, alone or with its slot, and is sold on as if nothing were.

use crate::common::{Client, Crowd, Server, Told, accepted, found_again, skip_in};
use seckill_protocol::Verdict;
use seckill_testbed::{Part, Redis, User};
use std::collections::HashSet;

#[test]
fn a_sale_moves_whole_from_one_server_to_another() {
    skip_in!(Aof, Replica, Cluster: "has two servers of its own");
    let server = Server::start("module-migrate");
    let other = Redis::start(&server.place).unwrap();
    let (mut here, mut there) = (server.client(), Client::of(&other));
    here.text("SECKILL.CREATE s STOCK 5 LIMIT 2 NAME Lamp");
    let rid = accepted(here.try_("s u1 TOKEN t"));
    accepted(here.try_("s u2"));
    let digest = here.digest("s");
    let epoch = here.info("s", "epoch");

    there.text("SET s taken");
    assert!(server.redis().migrate(&["s"], &other).is_err());
    assert_eq!(here.digest("s"), digest, "it is still here");
    there.run("DEL s").unwrap();

    server.redis().migrate(&["s"], &other).unwrap();
    assert!(here.error("SECKILL.TRY s u3").starts_with("NOSALE"));
    assert_eq!(here.server_info("seckill", "seckill_sales"), "0");
    assert_eq!(there.digest("s"), digest);
    let again = there.try_("s u1 TOKEN t");
    assert_eq!(again, Verdict::Duplicate(rid.parse().unwrap()));
    assert_eq!(accepted(there.try_("s u3")), format!("{epoch}-4"));
    assert_eq!(there.text(&format!("SECKILL.CONFIRM s {rid}")), "OK");
    assert_eq!(
        there.audit("s"),
        "OK total=5 available=2 held=2 sold=1 reservations=3"
    );
}

/// Buyers buy all that there is while the sale's slot moves to each of these nodes in turn, counted
/// from the one that has it.
fn sells_out_while_its_slot_moves(name: &str, moves: &[usize]) {
    let server = Server::start(name);
    let cluster = server.cluster();
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 1000000");
    let epoch = client.info("s", "epoch");
    let slot = cluster.slot_of("s").unwrap();
    let home = cluster.owner_of(slot).unwrap();
    // The shipped users may not say ASKING.
    let crowd = Crowd::start("u", "s", (0..4).map(|_| server.route(User::Anything)));
    crowd.await_accepted(100);
    for steps in moves {
        let to = (home + steps) % cluster.nodes().len();
        let open = cluster.open_move(slot, to).unwrap();
        crowd.await_accepted(100);
        open.close().unwrap();
        crowd.await_accepted(100);
        assert_eq!(cluster.owner_of(slot).unwrap(), to);
    }
    let available: u64 = client.info("s", "available").parse().unwrap();
    client.text(&format!("SECKILL.RESTOCK s -{}", available - 1000));
    let told: Vec<Told> = crowd.wait();

    let stock = told.len();
    assert_eq!(
        client.audit("s"),
        format!("OK total={stock} available=0 held={stock} sold=0 reservations={stock}")
    );
    let rids: HashSet<_> = told.iter().map(|(_, rid)| rid.to_string()).collect();
    assert_eq!(rids.len(), stock, "each reservation is one buyer's");
    found_again(&mut client, "s", &told);
    // One life, and an event for each: it was opened, and cut down once.
    assert_eq!(client.info("s", "head"), format!("{epoch}-{}", stock + 2));
    // Where the next test expects it.
    if cluster.owner_of(slot).unwrap() != home {
        cluster.open_move(slot, home).unwrap().close().unwrap();
    }
}

#[test]
fn nothing_is_sold_twice_and_nothing_lost_while_a_slot_moves() {
    skip_in!(Plain, Aof, Replica: "needs a cluster");
    sells_out_while_its_slot_moves("module-slot", &[1]);
}

#[test]
fn nothing_is_sold_twice_and_nothing_lost_while_a_slot_moves_back_and_forth() {
    skip_in!(Plain, Aof, Replica: "needs a cluster");
    sells_out_while_its_slot_moves("module-slot-back", &[1, 0, 2, 0, 1, 0]);
}

#[test]
fn a_node_that_is_killed_comes_back_with_every_answered_acceptance() {
    skip_in!(Plain, Aof, Replica: "needs a cluster");
    let mut server = Server::start("module-node");
    server.client().text("SECKILL.CREATE s STOCK 1000000");
    let crowd = Crowd::start("u", "s", (0..4).map(|_| server.route(User::Proxy)));
    crowd.await_accepted(200);
    let cluster = server.cluster_mut();
    let owner = cluster.owner_of(cluster.slot_of("s").unwrap()).unwrap();
    let node = cluster.node_mut(owner).unwrap();
    node.kill().unwrap();
    let told = crowd.wait();
    node.restart().unwrap();
    cluster.await_agreement().unwrap();
    let mut client = server.client();
    found_again(&mut client, "s", &told);
    accepted(client.try_("s somebody"));
    assert!(client.audit("s").starts_with("OK total=1000000 "));
}

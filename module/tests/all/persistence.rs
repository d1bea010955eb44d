//! A sale stays the same sale over everything that Redis does to a key, and over kill −9.

use crate::common::{Client, Crowd, Server, Told, accepted, await_own_aof, found_again, skip_in};
use seckill_testbed::{Part, User};
use std::time::Duration;

/// A sale with some of everything in it: held, confirmed, cancelled, expired, restocked, trimmed.
fn busy_sale(client: &mut Client, sid: &str) {
    client.text(&format!(
        "SECKILL.CREATE {sid} STOCK 500 SOLD 3 LIMIT 2 HOLD 1500 NAME Lamp"
    ));
    let mut rids = Vec::new();
    for buyer in 0..20 {
        rids.push(accepted(
            client.try_(&format!("{sid} u{buyer} TOKEN t{buyer}")),
        ));
    }
    client.text(&format!("SECKILL.CONFIRM {sid} {}", rids[0]));
    client.text(&format!("SECKILL.CANCEL {sid} {}", rids[1]));
    std::thread::sleep(Duration::from_millis(1600));
    client.text(&format!("SECKILL.CONFIRM {sid} {} LATE", rids[2]));
    client.text(&format!("SECKILL.RESTOCK {sid} 10"));
    for buyer in 0..450 {
        accepted(client.try_(&format!("{sid} v{buyer}")));
    }
    let epoch = client.info(sid, "epoch");
    client.text(&format!("SECKILL.ACK {sid} RELAYED {epoch} 40"));
    client.text(&format!("SECKILL.ACK {sid} STORED {epoch} 30"));
    client.text(&format!("SECKILL.PAUSE {sid}"));
}

/// Rewrites the AOF to the end.
fn rewrite(client: &mut Client) {
    client.text("BGREWRITEAOF");
    await_own_aof(client);
    let status = client.server_info("persistence", "aof_last_bgrewrite_status");
    assert_eq!(status, "ok");
}

#[test]
fn a_sale_survives_whatever_redis_does_to_its_key() {
    skip_in!(Cluster: "a cluster has one database, and no RENAME from slot to slot");
    let server = Server::start("module-moves");
    let mut client = server.client();
    busy_sale(&mut client, "s");
    let before = client.digest("s");

    client.text("DEBUG RELOAD");
    assert_eq!(client.digest("s"), before, "saved and loaded as RDB");

    client.text("RENAME s t");
    assert_eq!(client.digest("t"), before, "renamed");
    client.text("RENAME t s");

    let dumped: Vec<u8> = client.query(redis::cmd("DUMP").arg("s"));
    let mut restore = redis::cmd("RESTORE");
    restore.arg("restored").arg(0).arg(dumped);
    client.query::<()>(&restore);
    assert_eq!(client.digest("restored"), before, "dumped and restored");

    client.text("SWAPDB 0 1");
    client.text("SELECT 1");
    assert_eq!(client.digest("s"), before, "swapped into another database");
    client.text("MOVE s 0");
    client.text("SELECT 0");
    assert_eq!(client.digest("s"), before, "moved back");
    assert!(client.audit("s").starts_with("OK total=510 "));
}

#[test]
fn a_sale_survives_the_rewriting_of_the_aof() {
    skip_in!(Cluster: "kills its server");
    for preamble in ["yes", "no"] {
        let mut server = Server::start("module-rewrite");
        let mut client = server.client();
        client.text(&format!("CONFIG SET aof-use-rdb-preamble {preamble}"));
        busy_sale(&mut client, "s");
        rewrite(&mut client);
        client.text("SECKILL.RESUME s");
        accepted(client.try_("s after"));
        let before = client.digest("s");
        server.redis_mut().kill().unwrap();
        server.redis_mut().restart().unwrap();
        let mut client = server.client();
        assert_eq!(client.digest("s"), before, "preamble {preamble}");
        assert!(client.audit("s").starts_with("OK "));
    }
}

#[test]
fn after_kill_9_every_answered_acceptance_is_there() {
    skip_in!(Aof, Cluster: "kills its server, which loads its AOF then");
    let mut server = Server::start("module-kill");
    server.client().text("SECKILL.CREATE s STOCK 100000");
    let mut told: Vec<Told> = Vec::new();
    for round in 0..3 {
        let routes = (0..4).map(|_| server.route(User::Proxy));
        let crowd = Crowd::start(&format!("r{round}"), "s", routes);
        crowd.await_accepted(500);
        server.redis_mut().kill().unwrap();
        told.extend(crowd.wait());
        server.redis_mut().restart().unwrap();
        let mut client = server.client();
        assert!(client.audit("s").starts_with("OK total=100000 "));
        found_again(&mut client, "s", &told);
    }
    assert!(told.len() >= 1500, "{}", told.len());
}

#[test]
fn after_kill_9_in_the_middle_of_a_rewrite_every_answered_acceptance_is_there() {
    skip_in!(Aof, Cluster: "kills its server, which loads its AOF then");
    skip_in!(Replica: "a copy for the replica would come before the rewrite");
    for preamble in ["yes", "no"] {
        let mut server = Server::start("module-rewrite-kill");
        let mut client = server.client();
        client.text(&format!("CONFIG SET aof-use-rdb-preamble {preamble}"));
        client.text("SECKILL.CREATE s STOCK 100000");
        for n in 0..50 {
            client.text(&format!("SECKILL.CREATE other-{n} STOCK 1"));
        }
        let mut told: Vec<Told> = Vec::new();
        for round in 0..2 {
            // Half a second for a rewrite, so that it is under way when power is lost.
            client.text("CONFIG SET rdb-key-save-delay 10000");
            let routes = (0..4).map(|_| server.route(User::Proxy));
            let crowd = Crowd::start(&format!("r{round}"), "s", routes);
            crowd.await_accepted(100);
            client.text("BGREWRITEAOF");
            crowd.await_accepted(100);
            let field = "aof_rewrite_in_progress";
            assert_eq!(client.server_info("persistence", field), "1");
            server.redis_mut().kill().unwrap();
            told.extend(crowd.wait());
            server.redis_mut().restart().unwrap();
            client = server.client();
            assert!(client.audit("s").starts_with("OK total=100000 "));
            found_again(&mut client, "s", &told);
        }
        // What was left lying about is in nobody's way.
        let digest = client.digest("s");
        rewrite(&mut client);
        server.redis_mut().kill().unwrap();
        server.redis_mut().restart().unwrap();
        assert_eq!(server.client().digest("s"), digest, "preamble {preamble}");
    }
}

#[test]
fn deleting_a_sale_and_creating_it_again_begins_a_new_epoch() {
    let server = Server::start("module-again");
    let mut client = server.client();
    let mut epochs = Vec::new();
    for _ in 0..20 {
        client.text("SECKILL.CREATE s STOCK 1");
        epochs.push(client.info("s", "epoch").parse::<u64>().unwrap());
        client.run("DEL s").unwrap();
    }
    assert!(epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
}

#[test]
fn what_was_sold_in_a_transaction_or_a_script_is_there_after_kill_9() {
    skip_in!(Cluster: "kills one server");
    let mut server = Server::start("module-transaction");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 100");
    let mut connection = server.connect_to("s");
    let mut transaction = redis::pipe();
    transaction.atomic();
    for uid in ["a", "b"] {
        transaction.cmd("SECKILL.TRY").arg("s").arg(uid);
    }
    transaction.cmd("SET").arg("{s}other").arg("x");
    let _: redis::Value = transaction.query(&mut connection).unwrap();
    let script = "for _, uid in ipairs(ARGV) do redis.call('SECKILL.TRY', KEYS[1], uid) end";
    let mut eval = redis::cmd("EVAL");
    eval.arg(script).arg(1).arg("s").arg(&["c", "d", "e"]);
    let _: redis::Value = eval.query(&mut connection).unwrap();
    accepted(client.try_("s f"));
    let before = client.digest("s");
    server.redis_mut().kill().unwrap();
    server.redis_mut().restart().unwrap();
    let mut client = server.client();
    assert_eq!(client.digest("s"), before);
    assert!(client.audit("s").starts_with("OK total=100 available=94"));
}

#[test]
fn a_server_that_would_leave_transactions_out_says_so() {
    skip_in!(Aof, Replica, Cluster: "restarts one server");
    let mut server = Server::start("module-acl-warning");
    let warns = |server: &Server| {
        let log = std::fs::read_to_string(server.redis().log()).unwrap();
        log.contains("'default' may not run SECKILL.APPLY")
    };
    server.client().text("SECKILL.CREATE s STOCK 1");
    server.redis_mut().restart().unwrap();
    assert!(!warns(&server), "not as it ships");
    server.client().text("ACL SETUSER default -@all");
    server.client().text("ACL SAVE");
    server.redis_mut().restart().unwrap();
    assert!(warns(&server));
}

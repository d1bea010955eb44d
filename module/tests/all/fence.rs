//! `seckill.fence`: when a sale that a node comes to own is fenced.

use crate::common::{Client, Server, accepted, await_equal, skip_in, with_replica};
use seckill_protocol::Verdict;
use seckill_testbed::Part;
use std::collections::HashMap;

#[test]
fn the_setting_is_one_of_three_words() {
    skip_in!(Cluster: "sets one server's configuration");
    let server = Server::start_with("module-fence-words", &["seckill.fence always"]);
    let mut client = server.client();
    let get = |client: &mut Client| {
        let reply = client.run("CONFIG GET seckill.*").unwrap();
        let settings: HashMap<String, String> = redis::from_redis_value(reply).unwrap();
        settings["seckill.fence"].clone()
    };
    assert_eq!(get(&mut client), "always", "taken from the configuration");
    for word in ["promotion", "never", "always"] {
        client.text(&format!("CONFIG SET seckill.fence {word}"));
        assert_eq!(get(&mut client), word);
    }
    let error = client.error("CONFIG SET seckill.fence sometimes");
    assert!(error.contains("promotion, always, never"), "{error}");
}

#[test]
fn with_always_a_restart_fences_until_mysql_has_compared() {
    skip_in!(Aof, Replica, Cluster: "restarts one server");
    let mut server = Server::start_with("module-fence-always", &["seckill.fence always"]);
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 5");
    let rid = accepted(client.try_("s u1 TOKEN t"));
    let (old, _) = rid.split_once('-').unwrap();
    server.redis_mut().kill().unwrap();
    server.redis_mut().restart().unwrap();
    let mut client = server.client();
    assert_eq!(client.try_("s u2"), Verdict::Paused);
    assert_eq!(
        client.try_("s u1 TOKEN t"),
        Verdict::Duplicate(rid.parse().unwrap())
    );
    let new = client.info("s", "epoch");
    assert!(new.as_str() > old);
    client.text(&format!("SECKILL.ACK s STORED {old} 2"));
    client.text(&format!("SECKILL.ACK s STORED {new} 1"));
    assert!(accepted(client.try_("s u2")).starts_with(&new));
}

#[test]
fn with_promotion_a_restart_goes_on_as_before() {
    skip_in!(Aof, Replica, Cluster: "restarts one server");
    let mut server = Server::start("module-fence-restart");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 5");
    let epoch = client.info("s", "epoch");
    server.redis_mut().kill().unwrap();
    server.redis_mut().restart().unwrap();
    let mut client = server.client();
    assert!(accepted(client.try_("s u1")).starts_with(&epoch));
}

#[test]
fn with_never_a_promoted_replica_sells_at_once_under_new_names() {
    skip_in!(Aof, Replica, Cluster: "has a primary and a replica of its own");
    let (mut server, replica) = with_replica("module-fence-never");
    let mut primary = server.client();
    primary.text("SECKILL.CREATE s STOCK 5");
    accepted(primary.try_("s u1"));
    let old = primary.info("s", "epoch");
    let mut copy = Client::of(&replica);
    await_equal(&mut primary, &mut copy, "s");
    copy.text("CONFIG SET seckill.fence never");
    server.redis_mut().kill().unwrap();
    copy.text("REPLICAOF NO ONE");
    let rid = accepted(copy.try_("s u2"));
    assert!(!rid.starts_with(&old), "{rid}");
}

#[test]
fn a_promoted_node_takes_over_every_sale_without_being_asked() {
    skip_in!(Aof, Replica, Cluster: "has a primary and a replica of its own");
    let (mut server, replica) = with_replica("module-sweep");
    let mut primary = server.client();
    let sids: Vec<String> = (0..50).map(|n| format!("sale-{n}")).collect();
    for sid in &sids {
        primary.text(&format!("SECKILL.CREATE {sid} STOCK 5"));
    }
    for n in 0..5000 {
        primary.text(&format!("SET other-{n} x"));
    }
    primary.text("SELECT 3");
    primary.text("SECKILL.CREATE elsewhere STOCK 5");
    let mut copy = Client::of(&replica);
    copy.text("SELECT 3");
    await_equal(&mut primary, &mut copy, "elsewhere");
    server.redis_mut().kill().unwrap();
    copy.text("REPLICAOF NO ONE");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let fenced = |client: &mut Client, sid: &str| {
        while client.info(sid, "state") != "fenced" {
            assert!(std::time::Instant::now() < deadline, "{sid}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    fenced(&mut copy, "elsewhere");
    copy.text("SELECT 0");
    for sid in &sids {
        fenced(&mut copy, sid);
    }
}

//! The lease by which one worker at a time relays a sale.

use crate::common::{Client, Mode, Server, await_equal, skip_in, with_replica};
use redis::Value;
use seckill_testbed::Part;
use std::thread::sleep;
use std::time::Duration;

/// Who has the lease, for how long still, and who else asks.
type Leased = (Option<String>, u64, Option<String>);

fn ask(client: &mut Client, line: &str) -> Leased {
    let reply = client.run(&format!("SECKILL.LEASE {line}")).unwrap();
    redis::from_redis_value(reply).unwrap()
}

fn holder(client: &mut Client, line: &str) -> String {
    ask(client, line).0.unwrap_or_default()
}

#[test]
fn one_worker_has_the_lease_of_a_sale_until_it_gives_it_back_or_falls_silent() {
    skip_in!(Aof: "a lease is the node's, in no copy of a sale");
    let server = Server::start("module-lease");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 1");
    assert_eq!(
        ask(&mut client, "s a 5000"),
        (Some("a".to_owned()), 5000, None)
    );
    let (holder_now, left_ms, rival) = ask(&mut client, "s b 5000");
    assert_eq!(holder_now.as_deref(), Some("a"));
    assert!((1..=5000).contains(&left_ms), "{left_ms}");
    assert_eq!(rival.as_deref(), Some("b"));
    assert_eq!(ask(&mut client, "s a 0"), (None, 0, Some("b".to_owned())));

    assert_eq!(holder(&mut client, "s b 100"), "b");
    sleep(Duration::from_millis(150));
    assert_eq!(holder(&mut client, "s a 100"), "a", "b fell silent");
    assert_eq!(client.info("s", "head"), client.info("s", "epoch") + "-1");
}

#[test]
fn a_lease_goes_with_its_sale() {
    skip_in!(Aof: "a lease is the node's, in no copy of a sale");
    let server = Server::start("module-lease-end");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 1");
    assert_eq!(holder(&mut client, "s a 60000"), "a");
    client.text("DEL s");
    assert_eq!(
        client.error("SECKILL.LEASE s a 60000"),
        "NOSALE no such sale"
    );
    client.text("SECKILL.CREATE s STOCK 1");
    assert_eq!(holder(&mut client, "s b 60000"), "b");
}

#[test]
fn a_lease_is_in_no_copy_and_free_where_a_replica_takes_over() {
    skip_in!(Replica, Cluster: "has a primary and a replica of its own");
    let (mut server, replica) = with_replica("module-lease-copy");
    let mut primary = server.client();
    primary.text("SECKILL.CREATE s STOCK 1");
    let mut copy = Client::of(&replica);
    await_equal(&mut primary, &mut copy, "s");
    let sent = |client: &mut Client| client.server_info("replication", "master_repl_offset");
    let before = sent(&mut primary);
    if Mode::now() == Mode::Plain {
        assert_eq!(holder(&mut primary, "s a 60000"), "a");
        assert_eq!(sent(&mut primary), before, "nothing was replicated");
    }
    assert!(
        copy.error("SECKILL.LEASE s b 60000")
            .starts_with("READONLY")
    );
    server.redis_mut().kill().unwrap();
    copy.text("REPLICAOF NO ONE");
    assert_eq!(holder(&mut copy, "s b 60000"), "b");
}

#[test]
fn what_is_no_lease_is_named() {
    let server = Server::start("module-lease-wrong");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 1");
    for (line, expected) in [
        (
            "s a 60001",
            "ERR ms must be an integer from 0 to 60000, got '60001'",
        ),
        (
            "s a x",
            "ERR ms must be an integer from 0 to 60000, got 'x'",
        ),
    ] {
        assert_eq!(client.error(&format!("SECKILL.LEASE {line}")), expected);
    }
    let mut nameless = redis::Cmd::new();
    nameless.arg(&["SECKILL.LEASE", "s", "", "1000"]);
    let refused: redis::RedisResult<Value> = client.send(&nameless);
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("holder must be 1 to 128 bytes"), "{text}");
}

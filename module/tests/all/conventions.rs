//! What a person who knows Redis expects of a type and its commands.

use crate::common::{Client, Server, accepted, skip_in};
use redis::{ProtocolVersion, Value};
use seckill_testbed::User;
use std::collections::HashMap;

#[test]
fn a_client_of_the_third_protocol_gets_maps_and_the_same_verdicts() {
    skip_in!(Cluster: "connects to one server");
    let server = Server::start("module-resp3");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 2 NAME Lamp");
    let rid = accepted(client.try_("s u1"));
    let url = format!("{}?protocol=resp3", server.redis().url(User::Anything));
    let info = redis::Client::open(url).unwrap();
    assert_eq!(
        info.get_connection_info().redis_settings().protocol(),
        ProtocolVersion::RESP3
    );
    let mut connection = info.get_connection().unwrap();
    let mut ask = |words: &[&str]| -> Value {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query(&mut connection).unwrap()
    };
    let Value::Map(fields) = ask(&["SECKILL.INFO", "s"]) else {
        panic!("a map")
    };
    assert!(fields.contains(&(
        Value::BulkString(b"name".into()),
        Value::BulkString(b"Lamp".into())
    )));
    assert!(matches!(ask(&["SECKILL.GET", "s", &rid]), Value::Map(_)));
    let Value::Array(his) = ask(&["SECKILL.USER", "s", "u1"]) else {
        panic!("a list of maps")
    };
    assert!(matches!(his[..], [Value::Map(_)]));
    assert_eq!(
        ask(&["SECKILL.TRY", "s", "u1"]),
        Value::Array(vec![
            Value::BulkString(b"DUPLICATE".into()),
            Value::BulkString(rid.into())
        ])
    );
    let nothing = ask(&["SECKILL.EVENTS", "s", "AFTER", "9999999999999", "1"]);
    assert_eq!(nothing, Value::Nil);
}

#[test]
fn memory_usage_says_what_the_server_counts() {
    skip_in!(Aof, Replica, Cluster: "compares two figures of one server that nothing else changes");
    let server = Server::start_with("module-memory-usage", &["appendonly no"]);
    let mut client = server.client();
    let used = |client: &mut Client| -> f64 {
        client.server_info("memory", "used_memory").parse().unwrap()
    };
    client.text("SECKILL.CREATE s STOCK 1000000");
    let mut grow = |from: u32| {
        for block in 0..100 {
            let uids: Vec<_> = (0..1000)
                .map(|n| format!("b{:012}", from + block * 1000 + n))
                .collect();
            client
                .run(&format!("SECKILL.MTRY s {}", uids.join(" ")))
                .unwrap();
        }
        let usage: f64 = client.text("MEMORY USAGE s").parse().unwrap();
        (usage, used(&mut client))
    };
    let (usage_before, used_before) = grow(0);
    let (usage_after, used_after) = grow(100_000);
    let (said, counted) = (usage_after - usage_before, used_after - used_before);
    assert!(
        (0.85..1.05).contains(&(said / counted)),
        "MEMORY USAGE grew by {said}, used_memory by {counted}"
    );
    // What is promised to whoever sizes a server.
    assert!(usage_after / 200_000.0 <= 64.0, "{usage_after}");
}

#[test]
fn a_command_says_where_its_key_is_and_what_it_does_to_it() {
    skip_in!(Cluster: "asks one server");
    let server = Server::start("module-keyspecs");
    let mut client = server.client();
    let mut flags = |name: &str| -> Vec<String> {
        let keys = client.run(&format!("COMMAND GETKEYSANDFLAGS {name} s 1-1 1 1 1"));
        let keys: Vec<(String, Vec<String>)> = redis::from_redis_value(keys.unwrap()).unwrap();
        let [(key, flags)] = &keys[..] else {
            panic!("{name}: {keys:?}")
        };
        assert_eq!(key, "s");
        flags.clone()
    };
    assert_eq!(flags("SECKILL.TRY"), ["RW", "access", "update"]);
    assert_eq!(flags("SECKILL.CREATE"), ["OW", "insert"]);
    let mut client = server.client();
    let reply = client.run("COMMAND GETKEYSANDFLAGS SECKILL.INFO s");
    let keys: Vec<(String, Vec<String>)> = redis::from_redis_value(reply.unwrap()).unwrap();
    assert_eq!(keys[0].1, ["RO", "access"]);
}

#[test]
fn commands_are_in_categories_where_the_server_has_them() {
    skip_in!(Cluster: "asks one server");
    let server = Server::start("module-categories");
    let mut client = server.client();
    client.text("ACL SETUSER writer on ~* -@all +@write");
    client.text("ACL SETUSER reader on ~* -@all +@read");
    let mut may =
        |user: &str, line: &str| client.text(&format!("ACL DRYRUN {user} {line}")) == "OK";
    // Redis 7.0 puts no command of a module into a category.
    let has_categories = may("writer", "SECKILL.TRY s u1");
    for (user, line, allowed) in [
        ("writer", "SECKILL.RESTOCK s 1", true),
        ("writer", "SECKILL.GET s 1-1", false),
        ("reader", "SECKILL.GET s 1-1", true),
        ("reader", "SECKILL.TRY s u1", false),
    ] {
        assert_eq!(may(user, line), allowed && has_categories, "{user}: {line}");
    }
    let version = client.server_info("server", "redis_version");
    assert_eq!(has_categories, !version.starts_with("7.0."), "{version}");
}

#[test]
fn watch_fails_after_an_acceptance_and_not_after_a_rejection() {
    skip_in!(Aof, Cluster: "a reload changes every key; one connection to one server");
    let server = Server::start("module-watch");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 1");
    let mut connection = server.connect_to("s");
    let mut transaction = |client: &mut Client, between: &str| -> bool {
        let watch = redis::cmd("WATCH").arg("s").exec(&mut connection);
        watch.unwrap();
        client.run(between).unwrap();
        let mut pipeline = redis::pipe();
        pipeline.atomic().cmd("PING");
        let reply: Value = pipeline.query(&mut connection).unwrap();
        reply != Value::Nil
    };
    assert!(!transaction(&mut client, "SECKILL.TRY s u1"), "it changed");
    assert!(transaction(&mut client, "SECKILL.TRY s u2"), "sold out");
    assert!(transaction(&mut client, "SECKILL.TRY s u1"), "a duplicate");
    assert!(transaction(&mut client, "SECKILL.INFO s"));
}

#[test]
fn one_server_has_many_sales_and_scan_finds_them() {
    skip_in!(Cluster: "scans one server");
    let server = Server::start("module-scan");
    let mut client = server.client();
    for n in 0..20 {
        client.text(&format!("SECKILL.CREATE sale-{n} STOCK 1"));
        client.text(&format!("SET other-{n} x"));
    }
    let mut found = Vec::new();
    let mut cursor = "0".to_owned();
    loop {
        let reply = client.run(&format!("SCAN {cursor} COUNT 7 TYPE flashsale"));
        let (next, names): (String, Vec<String>) = redis::from_redis_value(reply.unwrap()).unwrap();
        found.extend(names);
        cursor = next;
        if cursor == "0" {
            break;
        }
    }
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 20);
    let fields: HashMap<String, String> = {
        let reply = client.run("SECKILL.INFO sale-7").unwrap();
        redis::from_redis_value(reply).unwrap()
    };
    assert_eq!(fields["total"], "1");
}

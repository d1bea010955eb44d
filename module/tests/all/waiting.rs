//! A client that waits for the log.

use crate::common::{Server, accepted, skip_in};
use redis::{Connection, RedisResult, Value};
use seckill_protocol::{EventBatch, Fact};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn events(connection: &mut Connection, line: &str) -> RedisResult<Option<EventBatch>> {
    let mut command = redis::cmd("SECKILL.EVENTS");
    command.arg(line.split(' ').collect::<Vec<_>>());
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    match command.query(connection)? {
        Value::Nil => Ok(None),
        Value::BulkString(packed) => Ok(Some(EventBatch::from_packed(&packed).unwrap())),
        other => panic!("{other:?}"),
    }
}

/// Asks in a thread of its own, and returns when the server says that somebody waits.
fn wait_for(server: &Server, line: String) -> JoinHandle<RedisResult<Option<EventBatch>>> {
    let mut connection = server.connect_to("s");
    let waiter = thread::spawn(move || events(&mut connection, &line));
    let mut client = server.client();
    let deadline = Instant::now() + PATIENCE;
    while client.server_info("clients", "blocked_clients") == "0" {
        assert!(Instant::now() < deadline && !waiter.is_finished());
        thread::sleep(Duration::from_millis(5));
    }
    waiter
}

#[test]
fn who_waits_for_the_log_hears_of_the_next_event_at_once() {
    skip_in!(Aof, Cluster: "a reload ends every wait, and looks at one server's clients");
    let server = Server::start("module-wait");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 5 HOLD 0");
    let epoch = client.info("s", "epoch");
    for (line, seq) in [("s u1", 2), ("s u2", 3)] {
        let waiter = wait_for(&server, format!("s AFTER {epoch} {} BLOCK 0", seq - 1));
        let rid = accepted(client.try_(line));
        let batch = waiter.join().unwrap().unwrap().unwrap();
        assert_eq!(batch.events.len(), 1);
        assert_eq!(format!("{}-{}", batch.epoch, batch.events[0].seq), rid);
    }
    // What is there already is not waited for.
    let mut connection = server.connect_to("s");
    let all = events(&mut connection, "s BLOCK 0").unwrap().unwrap();
    assert_eq!(all.events.len(), 3);
}

#[test]
fn a_change_that_is_no_event_wakes_nobody() {
    skip_in!(Aof, Cluster: "a reload ends every wait, and looks at one server's clients");
    let server = Server::start("module-wait-on");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 5 HOLD 0");
    let epoch = client.info("s", "epoch");
    let waiter = wait_for(&server, format!("s AFTER {epoch} 1 BLOCK 0 FORMAT packed"));
    for line in ["PAUSE s", "ALTER s LIMIT 3", "RESUME s"] {
        client.text(&format!("SECKILL.{line}"));
    }
    assert!(!waiter.is_finished());
    client.text("SECKILL.CLOSE s");
    let batch = waiter.join().unwrap().unwrap().unwrap();
    assert_eq!(batch.events[0].fact, Fact::Closed);
}

#[test]
fn a_wait_ends_when_its_time_is_over_or_a_hold_lapses() {
    skip_in!(Aof, Cluster: "a reload ends every wait, and looks at one server's clients");
    let server = Server::start("module-wait-end");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 5 HOLD 300");
    let epoch = client.info("s", "epoch");
    let mut connection = server.connect_to("s");
    let none = events(&mut connection, &format!("s AFTER {epoch} 1 BLOCK 20"));
    assert_eq!(none.unwrap(), None);

    accepted(client.try_("s u1"));
    // For ever is until the hold lapses; whoever asks again then releases it.
    let line = format!("s AFTER {epoch} 2 BLOCK 0");
    let none = wait_for(&server, line.clone()).join().unwrap().unwrap();
    assert_eq!(none, None);
    let mut batch = None;
    for _ in 0..20 {
        batch = events(&mut connection, &line).unwrap();
        if batch.is_some() {
            break;
        }
    }
    let batch = batch.expect("the hold lapsed long ago");
    assert!(matches!(batch.events[0].fact, Fact::Expired { .. }));
    assert_eq!(client.info("s", "available"), "5");
}

#[test]
fn nobody_waits_in_a_transaction_or_a_script() {
    let server = Server::start("module-no-wait");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 5");
    let epoch = client.info("s", "epoch");
    let mut connection = server.connect_to("s");
    let words = ["s", "AFTER", &epoch, "1", "BLOCK", "0"];
    let mut pipeline = redis::pipe();
    pipeline.atomic().cmd("SECKILL.EVENTS").arg(&words);
    let reply: Vec<Value> = pipeline.query(&mut connection).unwrap();
    assert_eq!(reply, [Value::Nil]);
    let script = "return redis.call('SECKILL.EVENTS', KEYS[1], 'AFTER', ARGV[1], 1, 'BLOCK', 0)";
    let mut eval = redis::cmd("EVAL");
    eval.arg(script).arg(1).arg("s").arg(&epoch);
    assert_eq!(eval.query::<Value>(&mut connection).unwrap(), Value::Nil);
}

#[test]
fn who_waits_for_a_sale_that_goes_is_told() {
    skip_in!(Aof, Replica, Cluster: "a reload ends every wait, and looks at one server's clients");
    let server = Server::start("module-wait-gone");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 5 HOLD 0");
    let epoch = client.info("s", "epoch");
    let waiter = wait_for(&server, format!("s AFTER {epoch} 1 BLOCK 300"));
    client.run("DEL s").unwrap();
    // Redis 7.0 tells a module nothing of a key that goes: the time runs out, and asking again says it.
    let first = waiter.join().unwrap();
    let mut connection = server.connect_to("s");
    let again = events(&mut connection, "s").unwrap_err();
    assert_eq!(again.code(), Some("NOSALE"));
    assert!(first.is_err() || first == Ok(None), "{first:?}");

    // A sale of the same name is another one: its log begins anew, and the waiter hears of it.
    client.text("SECKILL.CREATE s STOCK 5");
    let waiter = wait_for(&server, {
        let epoch = client.info("s", "epoch");
        format!("s AFTER {epoch} 1 BLOCK 0")
    });
    client.run("DEL s").unwrap();
    client.text("SECKILL.CREATE s STOCK 6");
    accepted(client.try_("s u1"));
    let batch = waiter.join().unwrap().unwrap().unwrap();
    assert!(matches!(
        batch.events[0].fact,
        Fact::Opened { total: 6, .. }
    ));
}

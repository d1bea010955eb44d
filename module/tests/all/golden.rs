//! Files that an earlier version wrote load for ever.
//!
//! `tests/golden/` has, for each version of the encoding, an RDB file, an AOF with every kind of
//! effect, and what a server shows of them. They are never written again: a version that changes the
//! encoding adds its own, and so does one that lets it say more (1.1: late payments; 1.2: refunds put back; 1.3: a log that begins
//! anew behind MySQL's place), by running the ignored test below once.

use crate::common::{Client, Server, accepted, skip_in};
use seckill_testbed::{Clock, Part, Place, Redis, User};
use std::fs;
use std::path::{Path, PathBuf};

/// The latest; its files have all of `SALES`.
const VERSION: &str = "1.3";
const FIRST_MS: u64 = 1_763_800_000_000;
const SALES: [&str; 5] = ["sold", "lost", "{tag}empty", "unpaid", "resumed"];
const BUYERS: [&str; 6] = ["u1", "u2", "Žofie-7", "many", "late", "gone"];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

fn data(place: &Place) -> PathBuf {
    place.path().join("redis/data")
}

/// All that a client can see of the sales, but what is the node's own.
fn shown(client: &mut Client, sales: &[&str]) -> String {
    let mut text = String::new();
    let mut show = |client: &mut Client, line: &str| {
        let reply = client
            .run(line)
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        text.push_str(&format!("{line}\n{}\n\n", plain(&reply)));
    };
    for sid in sales {
        show(client, &format!("SECKILL.AUDIT {sid}"));
        for buyer in BUYERS {
            show(client, &format!("SECKILL.USER {sid} {buyer}"));
        }
        // Releases what is overdue, so it is asked last.
        show(client, &format!("SECKILL.EVENTS {sid} FORMAT text"));
        for field in [
            "state",
            "name",
            "total",
            "available",
            "held",
            "sold",
            "reservations",
            "limit",
            "start",
            "end",
            "hold",
            "rate",
            "burst",
            "user_rate",
            "user_burst",
            "epoch",
            "head",
            "relayed",
            "stored",
            "log",
        ] {
            let value = client.info(sid, field);
            show(
                client,
                &format!("ECHO {sid}.{field}={}", value.replace(' ', "_")),
            );
        }
    }
    text
}

fn plain(reply: &redis::Value) -> String {
    match reply {
        redis::Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        redis::Value::SimpleString(text) => text.clone(),
        redis::Value::Int(number) => number.to_string(),
        redis::Value::Array(lines) => lines.iter().map(line).collect::<Vec<_>>().join("\n"),
        other => format!("{other:?}"),
    }
}

/// A map, as the second protocol sends it, in one line.
fn line(reply: &redis::Value) -> String {
    match reply {
        redis::Value::Array(parts) => parts.iter().map(plain).collect::<Vec<_>>().join(" "),
        other => plain(other),
    }
}

/// Every kind of effect, entry and reservation, at instants that the clock says.
fn make_sales(client: &mut Client, clock: &Clock) {
    client.text(
        "SECKILL.CREATE sold STOCK 100000 SOLD 3 LIMIT 3 HOLD 60000 NAME Lamp \
         RATE 1000000 BURST 100000 USERRATE 1000 BURST 200",
    );
    let first = accepted(client.try_("sold u1 TOKEN token-1"));
    let second = accepted(client.try_("sold u1 QTY 2"));
    accepted(client.try_("sold Žofie-7 QTY 3 TOKEN t\u{f6}ken"));
    clock.advance_ms(5).unwrap();
    client.text(&format!("SECKILL.CONFIRM sold {first}"));
    client.text(&format!("SECKILL.CANCEL sold {second}"));
    client.text("SECKILL.ALTER sold LIMIT 0 NAME Lantern END 1763900000000");
    accepted(client.try_("sold many QTY 70000"));
    let uids: Vec<String> = (0..600).map(|n| format!("crowd-{n}")).collect();
    client
        .run(&format!("SECKILL.MTRY sold {}", uids.join(" ")))
        .unwrap();
    let late = accepted(client.try_("sold late"));
    client.text("SECKILL.CREATE unpaid STOCK 2 HOLD 60000");
    let unpaid = accepted(client.try_("unpaid late"));
    let refused = accepted(client.try_("unpaid gone"));
    clock.advance_ms(70_000).unwrap();
    let refund = client.error(&format!("SECKILL.CONFIRM unpaid {refused} REFUND"));
    assert_eq!(refund, "GONE reservation is expired");
    accepted(client.try_("unpaid u1"));
    accepted(client.try_("unpaid u2"));
    let refund = client.error(&format!("SECKILL.CONFIRM unpaid {unpaid} LATE"));
    assert_eq!(refund, "NOSTOCK 0 units available");
    client.run("SECKILL.EVENTS sold").unwrap();
    client.text(&format!("SECKILL.CONFIRM sold {late} LATE"));
    client.text("SECKILL.RESTOCK sold 5");
    client.text("SECKILL.RESTOCK sold -2");
    clock.set_ms(FIRST_MS + 40_000).unwrap();
    client.text("SECKILL.ALTER sold HOLD 0");
    accepted(client.try_("sold u2 TOKEN t2"));
    let epoch = client.info("sold", "epoch");
    client.text(&format!("SECKILL.ACK sold RELAYED {epoch} 300"));
    client.text(&format!("SECKILL.ACK sold STORED {epoch} 200"));
    client.text("SECKILL.PAUSE sold");
    client.text("SECKILL.RESUME sold");

    client.text("SECKILL.CREATE lost STOCK 0 PAUSED LIMIT 2 HOLD 900000");
    client
        .run(
            "SECKILL.RESTORE lost UNITS 50 4 \
             RESERVATION 1763700000000-2 u1 1 held 1763700000001 1763900000001 TOKEN t \
             RESERVATION 1763700000000-9 u2 70000 cancelled 1763700000001 1763700900001 \
             RESERVATION 1763700000000-3 gone 2 confirmed 1763700000001 0 \
             REFUND 1763700000000-9 JOIN 1763700000000 12",
        )
        .unwrap();

    // Somebody has lifted its fence, and it has sold since.
    client.text("SECKILL.CREATE resumed STOCK 9");
    accepted(client.try_("resumed u1"));
    client.text("SECKILL.PAUSE resumed");
    client
        .run("SECKILL.RESTORE resumed JOIN 1763700000000 12")
        .unwrap();

    client.text("SECKILL.CREATE {tag}empty STOCK 9007199254740991 LIMIT 4294967295 PAUSED");
    client.text("CONFIG SET seckill.fence always");
    client.text("DEBUG LOADAOF");
    client.text("SECKILL.RESUME sold");
    accepted(client.try_("sold u2"));
    client.text("SECKILL.CLOSE {tag}empty");
    client.text("SECKILL.RESUME lost");
    client.text("SECKILL.CANCEL lost 1763700000000-2");
    client.text("SECKILL.RESUME unpaid");
}

#[test]
#[ignore = "writes the files of a version, once"]
fn write_the_files_of_this_version() {
    let place = Place::temporary("module-golden-write").unwrap();
    let clock = Clock::new(&place).unwrap();
    clock.set_ms(FIRST_MS).unwrap();
    let lines = ["auto-aof-rewrite-percentage 0"];
    let redis = Redis::start_with_clock(&place, &lines, &clock).unwrap();
    let mut client = Client::of(&redis);
    make_sales(&mut client, &clock);
    let text = shown(&mut client, &SALES);
    client.text("SAVE");
    let folder = data(&place);
    fs::create_dir_all(golden("")).unwrap();
    fs::copy(folder.join("dump.rdb"), golden(&format!("{VERSION}.rdb"))).unwrap();
    let incremental = folder.join("appendonlydir/appendonly.aof.1.incr.aof");
    fs::copy(incremental, golden(&format!("{VERSION}.aof"))).unwrap();
    fs::write(golden(&format!("{VERSION}.txt")), text).unwrap();
}

/// A server that begins with a file of a version.
fn loaded(name: &str, version: &str, kind: &str) -> (Redis, Clock, Place) {
    let place = Place::temporary(name).unwrap();
    let clock = Clock::new(&place).unwrap();
    clock.set_ms(FIRST_MS + 40_000).unwrap();
    let appendonly = if kind == "aof" { "yes" } else { "no" };
    let lines = [&*format!("appendonly {appendonly}")];
    let mut redis = Redis::start_with_clock(&place, &lines, &clock).unwrap();
    redis.kill().unwrap();
    let folder = data(&place);
    let _ = fs::remove_dir_all(folder.join("appendonlydir"));
    let (from, to) = match kind {
        "aof" => (format!("{version}.aof"), "appendonly.aof"),
        _ => (format!("{version}.rdb"), "dump.rdb"),
    };
    fs::copy(golden(&from), folder.join(to)).unwrap();
    redis.restart().unwrap();
    (redis, clock, place)
}

#[test]
fn the_files_of_every_version_load_and_show_what_they_showed() {
    skip_in!(Aof, Replica, Cluster: "loads files into one server");
    for (version, sales) in [
        ("1", &SALES[..3]),
        ("1.1", &SALES[..4]),
        ("1.2", &SALES[..4]),
        (VERSION, &SALES),
    ] {
        let expected = fs::read_to_string(golden(&format!("{version}.txt"))).unwrap();
        for kind in ["rdb", "aof"] {
            let name = format!("module-golden-{version}-{kind}");
            let (redis, _clock, _place) = loaded(&name, version, kind);
            let mut client = Client::of(&redis);
            let found = shown(&mut client, sales);
            for (found, expected) in found.lines().zip(expected.lines()) {
                assert_eq!(found, expected, "version {version}, {kind}");
            }
            assert_eq!(found.len(), expected.len());
            // And it goes on.
            client.text("SECKILL.RESUME lost");
            if ["1.2", VERSION].contains(&version) {
                let head = client.info("lost", "head");
                let refund = client.error("SECKILL.CONFIRM lost 1763700000000-9 REFUND");
                assert_eq!(refund, "GONE reservation is cancelled");
                assert_eq!(client.info("lost", "head"), head, "it was owed already");
            }
            client.text("SECKILL.RESUME sold");
            accepted(client.try_("sold somebody"));
            accepted(client.try_("lost somebody"));
        }
    }
}

#[test]
fn a_file_of_a_later_version_is_refused_and_says_so() {
    skip_in!(Aof, Replica, Cluster: "looks at one server's log");
    let server = Server::start("module-golden-later");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 5 NAME needle");
    let dump: Vec<u8> = client.query(redis::cmd("DUMP").arg("s"));
    let mut connection = server.redis().connect(User::Anything).unwrap();
    // The first byte of the first block, which is not compressed because it is short.
    let at = dump
        .windows(3)
        .position(|bytes| bytes == [1, 2, 1])
        .unwrap();
    let mut later = dump.clone();
    later[at] = 2;
    crate::damage::seal(&mut later);
    let restore = |bytes: &[u8], connection: &mut redis::Connection| {
        let mut command = redis::cmd("RESTORE");
        command.arg("t").arg(0).arg(bytes);
        command.query::<String>(connection)
    };
    assert!(restore(&later, &mut connection).is_err());
    let log = fs::read_to_string(server.redis().log()).unwrap();
    assert!(
        log.contains("payload of version 2: this node reads version 1; load a newer module"),
        "{log}"
    );
    restore(&dump, &mut connection).unwrap();
}

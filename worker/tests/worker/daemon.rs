//! Start, stop, and what the supervisor and the configuration have to say.

use crate::page::{figure, reasons};
use crate::shop::{PATIENCE, Shop, await_true};
use seckill_testbed::{Part, User, Worker};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Instant;

/// Stops it, and makes sure that it ended by itself and said so.
fn assert_stops(shop: &Shop, mut worker: Worker) {
    worker.stop().unwrap();
    let log = shop.log_of(&worker);
    assert!(log.lines().any(|line| line.ends_with(" stopped")), "{log}");
    assert!(!log.contains("still not stopped"), "{log}");
}

fn terminate(worker: &Worker) {
    let pid = worker.pid().to_string();
    let status = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(status.success());
}

/// The code with which a command ended that fails.
fn code(ended: anyhow::Result<String>) -> i32 {
    let failed = ended.unwrap_err().to_string();
    let code = failed.split("exit status: ").nth(1).unwrap();
    let code = code.split(|c: char| !c.is_ascii_digit()).next().unwrap();
    code.parse().unwrap()
}

#[test]
fn it_stops_whatever_is_away() {
    let mut shop = Shop::open("stop-away");
    shop.sale(1001, 1000, &["--hold", "0"]);
    let started = |shop: &Shop, away: &str| {
        let worker = shop.run();
        await_true("it misses what is away", || {
            reasons(&worker).contains(&away.to_owned())
        });
        worker
    };
    let worker = shop.run();
    shop.buy(1001, 1, 100);
    shop.redis.kill().unwrap();
    assert_stops(&shop, worker);
    let worker = started(&shop, "redis");
    assert_stops(&shop, worker);
    shop.redis.restart().unwrap();
    let worker = shop.run();
    shop.await_stored(1001);
    shop.db.kill().unwrap();
    shop.buy(1001, 101, 100);
    await_true("MySQL is missed", || reasons(&worker) == ["mysql"]);
    assert_stops(&shop, worker);
    let worker = started(&shop, "mysql");
    assert_stops(&shop, worker);
    shop.db.restart().unwrap();
    let _worker = shop.run();
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

#[test]
fn it_stops_although_mysql_is_frozen_in_the_middle_of_a_batch() {
    let mut shop = Shop::open("stop-frozen");
    let worker = shop.run();
    shop.sale(1001, 1000, &["--hold", "0"]);
    shop.buy(1001, 1, 10);
    shop.await_stored(1001);
    shop.db.freeze().unwrap();
    shop.buy(1001, 11, 10);
    await_true("MySQL is missed", || reasons(&worker) == ["mysql"]);
    assert_stops(&shop, worker);
    shop.db.thaw().unwrap();
    let _worker = shop.run();
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

#[test]
fn it_stops_although_kafka_is_frozen_or_gone() {
    let Some(mut shop) = Shop::with_kafka("stop-kafka") else {
        return;
    };
    let worker = shop.run();
    shop.sale(1001, 1000, &["--hold", "0"]);
    shop.buy(1001, 1, 10);
    shop.await_stored(1001);
    shop.kafka.as_mut().unwrap().freeze().unwrap();
    shop.buy(1001, 11, 10);
    await_true("Kafka is missed", || reasons(&worker) == ["kafka"]);
    assert_stops(&shop, worker);
    shop.kafka.as_mut().unwrap().kill().unwrap();
    let worker = shop.run();
    await_true("it waits for Kafka", || {
        reasons(&worker) == ["starting", "kafka"]
    });
    assert_stops(&shop, worker);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut shop = Shop::open("stop-twice");
    let mut worker = shop.run();
    shop.sale(1001, 1000, &["--hold", "0"]);
    shop.buy(1001, 1, 10);
    shop.await_stored(1001);
    shop.db.freeze().unwrap();
    shop.buy(1001, 11, 10);
    await_true("MySQL is missed", || reasons(&worker) == ["mysql"]);
    terminate(&worker);
    await_true("it stops", || shop.log_of(&worker).contains(": stopping"));
    terminate(&worker);
    await_true("it has ended", || !worker.is_running());
    let log = shop.log_of(&worker);
    assert!(log.contains("leaving at once"), "{log}");
}

#[test]
fn the_exit_code_says_whether_starting_again_can_help() {
    let shop = Shop::empty("codes");
    assert_eq!(code(shop.chore(&["run"])), 3, "no tables");
    shop.chore(&["migrate"]).unwrap();
    assert_eq!(code(shop.chore(&["warm", "404"])), 1);
    assert_eq!(code(shop.chore(&["dance"])), 2);
    for (key, value) in [
        ("redis.colour", "red".to_owned()),
        ("mysql.url", shop.db.url().replace("seckill:", "seckill:x")),
        (
            "redis.url",
            shop.redis.url(User::Worker).replace("worker:", "worker:x"),
        ),
    ] {
        let settings = shop.settings.clone().with(key, value);
        let ended = Worker::command(&shop.place, &settings, &["run"]);
        assert_eq!(code(ended), 2, "{key}");
    }
}

#[test]
fn systemd_hears_when_it_is_ready_alive_and_about_to_stop() {
    let shop = Shop::open("systemd");
    let socket = shop.place.path().join("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    let variables = vec![
        ("NOTIFY_SOCKET", socket.into()),
        ("WATCHDOG_USEC", "600000".into()),
    ];
    let mut worker = Worker::start_with(&shop.place, &shop.settings, variables).unwrap();
    let mut heard = String::new();
    let mut hear = |expected: &str| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = heard.find(expected) {
                heard.drain(..at + expected.len());
                return;
            }
            assert!(Instant::now() < deadline, "not heard: {expected}");
            let mut bytes = [0; 4096];
            let length = systemd.recv(&mut bytes).expect(expected);
            heard.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
        }
    };
    hear("READY=1");
    hear("STATUS=relaying 0 sales, 0 events behind");
    hear("WATCHDOG=1");
    hear("WATCHDOG=1");
    worker.stop().unwrap();
    hear("STOPPING=1");
}

#[test]
fn the_log_can_be_json_and_an_alarm_is_one_line_with_its_kind_and_sale() {
    let mut shop = Shop::open("json");
    shop.settings = shop.settings.with("log.format", "json");
    shop.sale(1001, 10, &["--hold", "0"]);
    shop.query("UPDATE stock SET sale = 2 WHERE id = 1001");
    shop.buy(1001, 1, 3);
    let worker = shop.run();
    await_true("the alarm", || shop.log_of(&worker).contains("ALARM"));
    let log = shop.log_of(&worker);
    let line = log.lines().find(|line| line.contains("ALARM")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["kind"], "opened");
    assert_eq!(line["sale"], "1001");
    let message = line["message"].as_str().unwrap();
    assert!(message.starts_with("ALARM: sale 1001 stands still"));
}

#[test]
fn passwords_come_from_files_and_are_not_printed() {
    let mut shop = Shop::open("passwords");
    let password = shop.db.password().to_owned();
    let file = shop.place.path().join("password");
    std::fs::write(&file, format!("{password}\n")).unwrap();
    let file = toml::Table::from_iter([("file".to_owned(), file.display().to_string().into())]);
    let url = shop.db.url().replace(&format!(":{password}@"), "@");
    shop.settings = shop.settings.with("mysql.url", url);
    assert_eq!(code(shop.chore(&["run"])), 2, "no password");
    shop.settings = shop.settings.with("mysql.password", file);
    assert!(
        shop.chore(&["--test"])
            .unwrap()
            .ends_with("worker.toml: ok\n")
    );
    let printed = shop.chore(&["--print-config"]).unwrap();
    assert!(
        printed.contains("dead_topic = \"seckill.events.dead\""),
        "{printed}"
    );
    assert!(
        printed.contains("redis://worker:***@127.0.0.1"),
        "{printed}"
    );
    assert!(!printed.contains(&password), "{printed}");
    let worker = shop.run();
    shop.sale(1001, 10, &["--hold", "0"]);
    shop.buy(1001, 1, 3);
    shop.await_stored(1001);
    assert_eq!(figure(&worker, "orders_total"), Some(3.0));
}

#[test]
fn every_mistake_is_told_with_its_line_and_all_at_once() {
    let mut shop = Shop::empty("mistakes");
    shop.settings = shop
        .settings
        .with("log.level", "loud")
        .with("kafka.partitions", 0)
        .with("mysql.url", "mysql://127.0.0.1");
    let refusal = shop.chore(&["--test"]).unwrap_err().to_string();
    for key in ["log.level", "kafka.partitions", "mysql.url"] {
        let line = refusal.lines().find(|line| line.contains(key)).unwrap();
        let place = line.split(": ").find(|text| text.contains("worker.toml:"));
        let number = place.unwrap().rsplit(':').next().unwrap();
        assert!(number.parse::<u32>().is_ok(), "{line}");
    }
}

//! Answers that are lost, workers that slept, and a MySQL that is away for long.

use crate::shop::{Shop, await_true};
use crate::wire::Wire;
use seckill_testbed::{Part, Worker};
use std::time::{Duration, Instant};

/// A worker that speaks to MySQL through a wire.
fn wired(shop: &Shop) -> (Worker, Wire) {
    let wire = Wire::to(shop.db.port());
    let url = wire.url(&shop.db.url(), shop.db.port());
    let settings = shop.settings.clone().with("mysql.url", url);
    let worker = Worker::start(&shop.place, &settings).unwrap();
    (worker, wire)
}

#[test]
fn a_commit_whose_answer_was_lost_is_known_by_the_cursor_and_not_done_again() {
    let shop = Shop::open("lost-answer");
    let (_worker, wire) = wired(&shop);
    shop.sale(1001, 1000, &["--hold", "60000"]);
    shop.buy(1001, 1, 10);
    shop.await_stored(1001);
    for round in 1..=3 {
        wire.swallow(1);
        let rids = shop.buy(1001, round * 100, 10);
        let _: () = shop.ask(&["SECKILL.CONFIRM", "1001", &rids[0]]).unwrap();
        await_true("an answer is lost", || wire.has_swallowed());
        shop.await_stored(1001);
    }
    shop.assert_books_close(1001);
    assert_eq!(shop.books(1001).live, 40);
    let steps = shop.query("SELECT COUNT(*) FROM stock_order_event");
    assert_eq!(steps, [["3"]]);
}

#[test]
fn a_worker_that_lost_its_partition_while_asleep_writes_nothing() {
    let Some(shop) = Shop::with_kafka("asleep") else {
        return;
    };
    let (mut sleeper, wire) = wired(&shop);
    shop.sale(1001, 1000, &["--hold", "60000"]);
    shop.buy(1001, 1, 50);
    shop.await_stored(1001);
    // It has read these, and is about to write them.
    wire.hold(true);
    let rids = shop.buy(1001, 51, 50);
    let _: () = shop.ask(&["SECKILL.CONFIRM", "1001", &rids[0]]).unwrap();
    await_true("it begins a transaction", || {
        wire.holds_back(b"START TRANSACTION")
    });
    std::thread::sleep(Duration::from_millis(300));
    sleeper.freeze().unwrap();
    let other = shop.run();
    shop.await_stored(1001);
    let books = shop.books(1001);
    sleeper.thaw().unwrap();
    wire.hold(false);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(shop.books(1001), books);
    shop.buy(1001, 101, 50);
    shop.await_stored(1001);
    shop.assert_books_close(1001);
    for worker in [&sleeper, &other] {
        let log = shop.log_of(worker);
        assert!(!log.contains("ALARM"), "{log}");
    }
}

#[test]
fn a_mysql_that_is_away_for_long_costs_nothing_but_time() {
    let Some(mut shop) = Shop::with_kafka("away-long") else {
        return;
    };
    let worker = shop.run();
    shop.sale(1001, 100_000, &["--hold", "60000"]);
    shop.buy(1001, 1, 10);
    shop.await_stored(1001);
    shop.db.kill().unwrap();
    // Longer than the group lets a member be silent.
    let since = Instant::now();
    let mut buyer = 11;
    while since.elapsed() < Duration::from_secs(17) {
        shop.buy(1001, buyer, 10);
        buyer += 10;
        std::thread::sleep(Duration::from_millis(30));
    }
    let log = shop.log_of(&worker);
    assert!(log.contains("MySQL is away"), "{log}");
    assert!(log.contains("reading no further"), "{log}");
    shop.db.restart().unwrap();
    shop.await_stored(1001);
    shop.assert_books_close(1001);
    let log = shop.log_of(&worker);
    assert!(log.contains("MySQL is back"), "{log}");
    assert!(!log.contains("no longer ours"), "{log}");
    assert!(!log.contains("ALARM"), "{log}");
}

#[test]
fn a_second_worker_in_the_middle_of_a_sale_is_given_what_is_finished() {
    let Some(mut shop) = Shop::with_kafka("joins") else {
        return;
    };
    shop.settings = shop.settings.with("kafka.partitions", 4);
    shop.settings = shop.settings.with("kafka.topic", "seckill.joins");
    let first = shop.run();
    let sids: Vec<u32> = (1..=8).collect();
    for sid in &sids {
        shop.sale(*sid, 1000, &["--hold", "0"]);
    }
    let mut others = Vec::new();
    for round in 0..6 {
        for sid in &sids {
            shop.buy(*sid, 1 + round * 50, 50);
        }
        if round == 1 {
            // Else the second could be the first of the group.
            await_true("the first has them", || {
                shop.log_of(&first).contains("are ours")
            });
            others.push(shop.run());
        }
    }
    await_true("it shares", || {
        shop.log_of(&first).contains("are no longer ours")
    });
    assert!(!shop.log_of(&first).contains("under way"));
    for sid in &sids {
        shop.await_stored(*sid);
        shop.assert_books_close(*sid);
    }
}

#[test]
fn a_partition_that_went_and_came_back_while_mysql_was_away_is_read_on() {
    let Some(mut shop) = Shop::with_kafka("came-back") else {
        return;
    };
    let worker = shop.run();
    shop.sale(1001, 100_000, &["--hold", "60000"]);
    shop.buy(1001, 1, 10);
    shop.await_stored(1001);
    shop.db.freeze().unwrap();
    let mut buyer = 11;
    await_true("reading is stopped", || {
        shop.buy(1001, buyer, 10);
        buyer += 10;
        shop.log_of(&worker).contains("reading no further")
    });
    // Longer than the group lets a member be silent.
    shop.kafka.as_mut().unwrap().freeze().unwrap();
    std::thread::sleep(Duration::from_secs(8));
    shop.kafka.as_mut().unwrap().thaw().unwrap();
    await_true("the partition went and came back", || {
        let log = shop.log_of(&worker);
        let gone = log.find("no longer ours");
        gone.is_some_and(|at| log[at..].contains("partitions [0] are ours"))
    });
    shop.db.thaw().unwrap();
    shop.buy(1001, buyer, 10);
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

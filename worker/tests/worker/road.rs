//! From an acceptance to an order.

use crate::shop::{Shop, await_true};
use seckill_testbed::Part;
use std::time::{Duration, Instant};

/// Every kind of event once, and the books after it.
fn every_event_reaches_mysql(shop: &Shop) {
    let worker = shop.run();
    shop.sale(1001, 10, &["--hold", "60000"]);
    let rids = shop.buy(1001, 1, 6);
    let _: () = shop.ask(&["SECKILL.CONFIRM", "1001", &rids[0]]).unwrap();
    let _: () = shop.ask(&["SECKILL.CANCEL", "1001", &rids[1]]).unwrap();
    shop.await_stored(1001);
    // These orders are in MySQL already.
    let _: () = shop.ask(&["SECKILL.CONFIRM", "1001", &rids[2]]).unwrap();
    let _: () = shop.ask(&["SECKILL.CANCEL", "1001", &rids[3]]).unwrap();
    let _: () = shop.ask(&["SECKILL.RESTOCK", "1001", "5"]).unwrap();
    let _: () = shop.ask(&["SECKILL.CLOSE", "1001"]).unwrap();
    shop.await_stored(1001);

    shop.assert_books_close(1001);
    let books = shop.books(1001);
    assert_eq!(books.stock, (15, 4));
    assert_eq!(books.orders["confirmed"], 2);
    assert_eq!(books.orders["cancelled"], 2);
    assert_eq!(books.orders["held"], 2);
    let order = shop.query(&format!(
        "SELECT name, uid, qty, status, deadline > UNIX_TIMESTAMP() * 1000, stock_version >= 1,
           ABS(TIMESTAMPDIFF(SECOND, create_time, NOW())) < 600
         FROM stock_order WHERE sid = 1001 AND rid = '{}'",
        rids[4]
    ));
    assert_eq!(order, [["Lamp", "u5", "1", "held", "1", "1", "1"]]);
    let log = shop.log_of(&worker);
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn without_a_broker_every_event_reaches_mysql() {
    every_event_reaches_mysql(&Shop::open("road-none"));
}

#[test]
fn through_kafka_every_event_reaches_mysql() {
    if let Some(shop) = Shop::with_kafka("road-kafka") {
        every_event_reaches_mysql(&shop);
    }
}

#[test]
fn an_idle_sale_gives_overdue_holds_back_and_a_late_payment_takes_them_again() {
    let shop = Shop::open("road-late");
    let _worker = shop.run();
    shop.sale(1001, 3, &["--hold", "300"]);
    let rids = shop.buy(1001, 1, 2);
    await_true("both holds are expired in MySQL", || {
        shop.books(1001).orders.get("expired") == Some(&2)
    });
    assert_eq!(shop.books(1001).stock, (3, 0));
    let _: () = shop
        .ask(&["SECKILL.CONFIRM", "1001", &rids[0], "LATE"])
        .unwrap();
    shop.await_stored(1001);
    shop.assert_books_close(1001);
    assert_eq!(shop.books(1001).stock, (3, 1));
}

#[test]
fn a_sale_with_a_prefix_and_no_holds_is_sold_at_once() {
    let mut shop = Shop::open("road-prefix");
    shop.settings = shop.settings.with("redis.key_prefix", "sale*:");
    let _worker = shop.run();
    shop.sale(7, 5, &["--hold", "0"]);
    assert_eq!(shop.keys(), ["sale*:7"]);
    let (verdict, _): (String, String) = shop.ask(&["SECKILL.TRY", "sale*:7", "u'1\\"]).unwrap();
    assert_eq!(verdict, "ACCEPTED");
    await_true("the order is there", || shop.books(7).live == 1);
    let order = shop.query("SELECT HEX(uid), status, deadline FROM stock_order");
    assert_eq!(order, [["7527315C", "confirmed", "NULL"]]);
}

#[test]
fn many_sales_are_carried_by_one_worker() {
    let shop = Shop::open("road-many");
    let _worker = shop.run();
    let sids: Vec<u32> = (1..=40).collect();
    for sid in &sids {
        shop.stock(*sid, 20, 0);
    }
    let words: Vec<String> = sids.iter().map(u32::to_string).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    shop.chore(&[&["warm"], &words[..]].concat()).unwrap();
    for sid in &sids {
        shop.buy(*sid, 1, 15);
    }
    for sid in &sids {
        shop.await_stored(*sid);
        shop.assert_books_close(*sid);
    }
}

#[test]
fn a_stopped_worker_ends_within_seconds_and_its_successor_goes_on() {
    let shop = Shop::open("road-stop");
    let mut worker = shop.run();
    shop.sale(1001, 1000, &[]);
    shop.buy(1001, 1, 300);
    let asked = Instant::now();
    worker.stop().unwrap();
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
    shop.buy(1001, 301, 300);
    worker.restart().unwrap();
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

#[test]
fn a_sale_that_is_deleted_and_made_again_is_carried_on() {
    let shop = Shop::open("road-again");
    let _worker = shop.run();
    shop.sale(1001, 10, &["--hold", "0"]);
    shop.buy(1001, 1, 3);
    shop.await_stored(1001);
    let _: i64 = shop.ask(&["DEL", "1001"]).unwrap();
    shop.chore(&["warm", "1001", "--hold", "0"]).unwrap();
    shop.buy(1001, 1, 2);
    shop.await_stored(1001);
    assert_eq!(shop.books(1001).stock, (10, 5));
    assert_eq!(shop.books(1001).live, 5);
}

//! Kills, and what MySQL or the module say no to.

use crate::shop::{Shop, await_true};
use seckill_testbed::{Clock, Part, Redis, Settings, User, Worker};
use std::time::Duration;

/// Buys all the while; kills and restarts the worker each hundred orders.
fn books_close_after_kills(shop: &Shop) {
    let mut worker = shop.run();
    shop.sale(1001, 5000, &["--hold", "60000"]);
    for round in 0..8 {
        let rids = shop.buy(1001, round * 300 + 1, 300);
        for rid in &rids[..50] {
            let _: () = shop.ask(&["SECKILL.CANCEL", "1001", rid]).unwrap();
        }
        worker.kill().unwrap();
        worker.restart().unwrap();
    }
    shop.await_stored(1001);
    shop.assert_books_close(1001);
    assert_eq!(shop.books(1001).stock, (5000, 8 * 250));
}

#[test]
fn a_worker_killed_again_and_again_without_a_broker_loses_and_doubles_nothing() {
    books_close_after_kills(&Shop::open("kill-none"));
}

#[test]
fn a_worker_killed_again_and_again_with_kafka_loses_and_doubles_nothing() {
    if let Some(shop) = Shop::with_kafka("kill-kafka") {
        books_close_after_kills(&shop);
    }
}

/// Kafka's client library waits by the wall clock.
#[test]
fn a_worker_whose_clock_is_set_back_leaves_its_sales_to_another() {
    let Some(shop) = Shop::with_kafka("clock-back") else {
        return;
    };
    let clock = Clock::new(&shop.place).unwrap();
    let mut wrong = Worker::start(&shop.place.with_clock(&clock), &shop.settings).unwrap();
    shop.sale(1001, 100, &[]);
    shop.buy(1001, 1, 10);
    shop.await_stored(1001);
    clock.shift_ms(-3_600_000).unwrap();
    let _right = shop.run();
    await_true("it leaves", || !wrong.is_running());
    let log = std::fs::read_to_string(wrong.log()).unwrap();
    assert!(log.contains("ALARM: the clock was set back by"), "{log}");
    shop.buy(1001, 11, 10);
    shop.await_stored(1001);
    // What is only late, or ahead, is no reason.
    wrong.restart().unwrap();
    clock.shift_ms(0).unwrap();
    shop.buy(1001, 21, 10);
    shop.await_stored(1001);
    assert!(wrong.is_running());
}

#[test]
fn two_workers_carry_the_same_sale_once() {
    let shop = Shop::open("two-workers");
    let _workers = [shop.run(), shop.run()];
    shop.sale(1001, 2000, &["--hold", "0"]);
    shop.buy(1001, 1, 1500);
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

#[test]
fn a_worker_that_slept_while_another_took_over_changes_nothing_when_it_wakes() {
    let Some(shop) = Shop::with_kafka("zombie") else {
        return;
    };
    let mut workers = [shop.run(), shop.run()];
    shop.sale(1001, 5000, &["--hold", "60000"]);
    for round in 0..2 {
        for (n, sleeper) in workers.iter_mut().enumerate() {
            let first = (round * 2 + u32::try_from(n).unwrap()) * 600 + 1;
            shop.buy(1001, first, 300);
            sleeper.freeze().unwrap();
            shop.buy(1001, first + 300, 300);
            // Longer than the group waits for a member.
            std::thread::sleep(Duration::from_secs(8));
            sleeper.thaw().unwrap();
        }
    }
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

#[test]
fn servers_that_go_and_come_back_are_waited_for() {
    let Some(mut shop) = Shop::with_kafka("servers-restart") else {
        return;
    };
    let _worker = shop.run();
    shop.sale(1001, 1000, &["--hold", "0"]);
    shop.buy(1001, 1, 100);
    shop.redis.kill().unwrap();
    shop.redis.restart().unwrap();
    shop.buy(1001, 101, 100);
    shop.db.kill().unwrap();
    shop.buy(1001, 201, 100);
    shop.db.restart().unwrap();
    shop.buy(1001, 301, 100);
    shop.await_stored(1001);
    let kafka = shop.kafka.as_mut().unwrap();
    kafka.kill().unwrap();
    shop.buy(1001, 401, 100);
    shop.kafka.as_mut().unwrap().restart().unwrap();
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

/// Found by chaos: the client library went on delivering nothing after the broker was back.
#[test]
fn a_producer_that_gets_nothing_through_is_replaced() {
    let Some(mut shop) = Shop::with_kafka("stuck-producer") else {
        return;
    };
    shop.sale(1001, 20, &["--hold", "0"]);
    let worker = shop.run();
    shop.buy(1001, 1, 5);
    shop.await_stored(1001);
    shop.kafka.as_mut().unwrap().freeze().unwrap();
    shop.buy(1001, 6, 5);
    // A delivery is given up after half a minute.
    await_true("the producer is replaced", || {
        shop.log_of(&worker)
            .contains("the Kafka producer gets nothing through and is replaced")
    });
    shop.kafka.as_mut().unwrap().thaw().unwrap();
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

#[test]
fn a_frozen_database_is_given_up_and_what_it_may_have_done_is_not_done_twice() {
    let mut shop = Shop::open("frozen-db");
    let _worker = shop.run();
    shop.sale(1001, 1000, &["--hold", "0"]);
    shop.buy(1001, 1, 50);
    shop.db.freeze().unwrap();
    shop.buy(1001, 51, 50);
    std::thread::sleep(Duration::from_secs(2));
    shop.db.kill().unwrap();
    shop.db.restart().unwrap();
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

#[test]
fn what_mysql_has_no_unit_for_is_refused_and_cancelled_in_the_module() {
    let shop = Shop::open("refused");
    shop.sale(1001, 10, &["--hold", "60000"]);
    // Somebody sells past us.
    shop.query("UPDATE stock SET count = 4 WHERE id = 1001");
    shop.buy(1001, 1, 6);
    let worker = shop.run();
    await_true("two reservations are cancelled in the module", || {
        shop.info(1001)["held"] == "4"
    });
    shop.await_stored(1001);
    let books = shop.books(1001);
    assert_eq!(books.stock, (4, 4));
    assert_eq!(books.orders["held"], 4);
    assert_eq!(books.orders["refused"], 2, "the later ones");
    let refused = shop.query("SELECT uid FROM stock_order WHERE status = 'refused' ORDER BY id");
    assert_eq!(refused, [["u5"], ["u6"]]);
    await_true("nothing is left to cancel", || {
        shop.query("SELECT * FROM stock_refusal").is_empty()
    });
    assert!(shop.log_of(&worker).contains("ALARM: sale 1001: no units"));
}

#[test]
fn a_refusal_that_a_dead_worker_left_is_cancelled_by_the_next() {
    let shop = Shop::open("refused-late");
    shop.sale(1001, 10, &["--hold", "60000"]);
    let rids = shop.buy(1001, 1, 1);
    let (epoch, seq) = rids[0].split_once('-').unwrap();
    shop.query(&format!(
        "INSERT INTO stock_refusal VALUES (1001, {epoch}, {seq})"
    ));
    let _worker = shop.run();
    await_true("it is cancelled", || shop.info(1001)["held"] == "0");
}

#[test]
fn units_that_the_shop_sells_meanwhile_are_respected() {
    let shop = Shop::open("overtaken");
    let _worker = shop.run();
    shop.sale(1001, 3000, &["--hold", "0"]);
    // The tutorial's own optimistic sale, on the same row.
    let sell =
        "UPDATE stock SET sale = sale + 1, version = version + 1 WHERE id = 1001 AND sale < count";
    shop.await_stored(1001);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..30 {
                shop.query(sell);
            }
        });
        shop.buy(1001, 1, 1000);
    });
    shop.await_stored(1001);
    let books = shop.books(1001);
    assert_eq!((books.stock, books.live), ((3000, 1030), 1000));
}

#[test]
fn a_hole_stops_its_sale_with_an_alarm_and_no_other() {
    let shop = Shop::open("hole");
    for sid in [1, 2] {
        shop.sale(sid, 100, &["--hold", "0"]);
        shop.buy(sid, 1, 5);
    }
    // As after a restore of Redis: the log lacks what MySQL never got.
    let head = shop.info(1)["head"].clone();
    let (epoch, _) = head.split_once('-').unwrap();
    let _: () = shop
        .ask(&["SECKILL.ACK", "1", "STORED", epoch, "3"])
        .unwrap();
    let worker = shop.run();
    shop.await_stored(2);
    shop.assert_books_close(2);
    await_true("the alarm", || {
        shop.log_of(&worker)
            .contains("ALARM: sale 1 stands still: event")
    });
    shop.buy(2, 6, 5);
    shop.await_stored(2);
    shop.assert_books_close(2);
    assert_eq!(shop.books(1).orders.len(), 0);
    let cursor = shop.query("SELECT epoch, seq FROM stock_cursor WHERE sid = 1");
    assert_eq!(cursor, [["0", "0"]], "the cursor stays");

    // A person finds the missing events in a backup, or gives them up.
    shop.query(&format!(
        "UPDATE stock_cursor SET epoch = {epoch}, seq = 3 WHERE sid = 1"
    ));
    await_true("the sale goes on", || shop.books(1).live == 3);
}

#[test]
fn a_sale_that_began_with_other_figures_than_its_stock_row_does_not_sell() {
    let shop = Shop::open("opened");
    shop.sale(1001, 10, &["--hold", "0"]);
    shop.query("UPDATE stock SET sale = 2 WHERE id = 1001");
    shop.buy(1001, 1, 3);
    let worker = shop.run();
    await_true("the alarm says both figures", || {
        let log = shop.log_of(&worker);
        log.contains("SOLD 0") && log.contains("stock.sale is 2")
    });
    assert_eq!(shop.books(1001).live, 0);
    shop.query("UPDATE stock SET sale = 0 WHERE id = 1001");
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

#[test]
fn what_the_module_was_not_told_is_made_up_for() {
    let shop = Shop::open("stored-late");
    let mut worker = shop.run();
    shop.sale(1001, 10, &["--hold", "0"]);
    shop.buy(1001, 1, 3);
    shop.await_stored(1001);
    worker.stop().unwrap();
    // A sale without its worker's last words: the same cursor in MySQL, nothing of it in Redis.
    let mut connection = shop.redis.connect(User::Anything).unwrap();
    let (verdict, rid): (String, String) = redis::cmd("SECKILL.TRY")
        .arg("1001")
        .arg("u4")
        .query(&mut connection)
        .unwrap();
    assert_eq!(verdict, "ACCEPTED");
    let (epoch, seq) = rid.split_once('-').unwrap();
    shop.query(&format!(
        "INSERT INTO stock_order (sid, name, epoch, seq, uid, qty, status) VALUES (1001, 'Lamp', {epoch}, {seq}, 'u4', 1, 'confirmed');
         UPDATE stock SET sale = sale + 1, version = version + 1 WHERE id = 1001;
         UPDATE stock_cursor SET seq = {seq} WHERE sid = 1001"
    ));
    let _: () = shop
        .ask(&["SECKILL.ACK", "1001", "RELAYED", epoch, seq])
        .unwrap();
    worker.restart().unwrap();
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

#[test]
fn a_sale_without_a_stock_row_stands_still_until_it_has_one() {
    let shop = Shop::open("no-stock");
    let _: () = shop
        .ask(&["SECKILL.CREATE", "7", "STOCK", "5", "HOLD", "0"])
        .unwrap();
    shop.buy(7, 1, 2);
    let worker = shop.run();
    await_true("the alarm", || {
        shop.log_of(&worker)
            .contains("ALARM: sale 7 stands still: there is no stock row")
    });
    shop.stock(7, 5, 0);
    shop.await_stored(7);
    shop.assert_books_close(7);
}

/// A sale of which MySQL has three orders, and a replica that has its own copy.
fn replicated_sale(name: &str) -> (Shop, Redis) {
    let shop = Shop::open(name);
    shop.sale(1001, 10, &[]);
    let replica = Redis::start_replica(&shop.place, &shop.redis).unwrap();
    let worker = shop.run();
    shop.buy(1001, 1, 3);
    shop.await_stored(1001);
    drop(worker);
    let digest = |redis: &Redis| -> Vec<String> {
        let mut connection = redis.connect(User::Anything).unwrap();
        let mut command = redis::cmd("DEBUG");
        command.arg("DIGEST-VALUE").arg("1001");
        command.query(&mut connection).unwrap()
    };
    await_true("the replica has it", || {
        digest(&replica) == digest(&shop.redis)
    });
    (shop, replica)
}

/// Puts the replica in the place of the primary, which is gone.
fn fail_over(shop: &mut Shop, replica: Redis) {
    shop.redis.kill().unwrap();
    shop.redis = replica;
    let _: () = shop.ask(&["REPLICAOF", "NO", "ONE"]).unwrap();
    shop.settings = Settings::worker(&shop.redis, &shop.db).unwrap();
    let verdict: (String, i64) = shop.ask(&["SECKILL.TRY", "1001", "u9"]).unwrap();
    assert_eq!(verdict, ("PAUSED".to_owned(), 0), "nobody has compared yet");
}

#[test]
fn a_promoted_replica_sells_on_once_mysql_has_what_it_has() {
    let (mut shop, replica) = replicated_sale("promoted");
    fail_over(&mut shop, replica);
    let _worker = shop.run();
    await_true("the fence falls", || shop.info(1001)["state"] == "open");
    shop.buy(1001, 4, 3);
    shop.await_stored(1001);
    shop.assert_books_close(1001);
    assert_eq!(shop.books(1001).live, 6);
}

#[test]
fn a_promoted_replica_that_lacks_an_order_sells_nothing() {
    let (mut shop, mut replica) = replicated_sale("lagging");
    replica.kill().unwrap();
    let worker = shop.run();
    shop.buy(1001, 4, 1);
    shop.await_stored(1001);
    drop(worker);
    shop.redis.kill().unwrap();
    replica.restart().unwrap();
    fail_over(&mut shop, replica);
    let worker = shop.run();
    await_true("the alarm", || {
        shop.log_of(&worker)
            .contains("ALARM: sale 1001 stands still: a node took over")
    });
    assert_eq!(shop.info(1001)["state"], "fenced");
    let verdict: (String, i64) = shop.ask(&["SECKILL.TRY", "1001", "u9"]).unwrap();
    assert_eq!(verdict.0, "PAUSED");
    assert_eq!(
        shop.books(1001).live,
        4,
        "the order that only MySQL has stays"
    );
}

//! What MySQL refuses, and what that means for the others.

use crate::shop::{Shop, await_true};
use std::time::Duration;

/// MySQL takes no order of u3.
pub(crate) const NOT_U3: &str = "ALTER TABLE stock_order ADD CONSTRAINT not_u3 CHECK (uid <> 'u3')";

fn an_order_that_mysql_does_not_take_stops_nobody_else(shop: &Shop) {
    let _worker = shop.run();
    shop.sale(1001, 10, &["--hold", "60000"]);
    shop.query(NOT_U3);
    shop.buy(1001, 1, 5);
    await_true("the module has cancelled it", || {
        shop.info(1001)["held"] == "4"
    });
    shop.await_stored(1001);
    let orders = shop.query("SELECT uid FROM stock_order ORDER BY id");
    assert_eq!(orders, [["u1"], ["u2"], ["u4"], ["u5"]]);
    assert_eq!(shop.books(1001).stock, (10, 4));
    let refused = shop.query(
        "SELECT from_status, to_status, who, uid, qty, note LIKE '%not_u3%' FROM stock_order_event",
    );
    assert_eq!(refused, [["NULL", "refused", "worker", "u3", "1", "1"]]);
    await_true("nothing is left to cancel", || {
        shop.query("SELECT * FROM stock_refusal").is_empty()
    });
}

#[test]
fn without_a_broker_an_order_that_mysql_does_not_take_stops_nobody_else() {
    let shop = Shop::open("poison-none");
    an_order_that_mysql_does_not_take_stops_nobody_else(&shop);
    let refusal = shop.chore(&["dead", "list"]).unwrap_err().to_string();
    assert!(refusal.contains("stock_order_event"), "{refusal}");
}

#[test]
fn with_kafka_it_is_a_dead_letter_too_which_can_only_be_dropped() {
    let Some(shop) = Shop::with_kafka("poison-kafka") else {
        return;
    };
    an_order_that_mysql_does_not_take_stops_nobody_else(&shop);
    let list = shop.chore(&["dead", "list"]).unwrap();
    assert!(list.contains("not_u3"), "{list}");
    let replayed = shop.chore(&["dead", "replay", "0:0"]).unwrap();
    assert!(
        replayed.contains("0:0: not sent: reservation"),
        "{replayed}"
    );
    let differs = shop.chore(&["reconcile", "1001"]).unwrap_err().to_string();
    assert!(
        differs.contains("dead letters of it: 1; the first, 0:0: "),
        "{differs}"
    );
    assert!(differs.contains("dead drop <letter>"), "{differs}");
    shop.chore(&["dead", "drop", "0:0"]).unwrap();
    let clean = shop.chore(&["reconcile", "1001"]).unwrap();
    assert_eq!(clean, "1 sales, 1 clean\n");
    let list = shop.chore(&["dead", "list"]).unwrap();
    assert_eq!(list, "no dead letters in seckill.events.dead\n");
}

#[test]
fn who_pays_for_an_order_that_mysql_did_not_take_gets_his_money_back() {
    let shop = Shop::open("poison-paid");
    let _worker = shop.run();
    shop.sale(1001, 10, &["--hold", "0"]);
    shop.query(NOT_U3);
    let rid = shop.buy(1001, 3, 1).remove(0);
    shop.buy(1001, 4, 1);
    shop.await_stored(1001);
    let refunds = shop.query("SELECT rid, uid, qty, reason FROM stock_refund");
    assert_eq!(refunds, [[&*rid, "u3", "1", "no_order"]]);
    assert_eq!(shop.books(1001).live, 1);
}

#[test]
fn where_mysql_takes_no_order_at_all_nobody_is_turned_away_for_it() {
    let shop = Shop::open("poison-all");
    shop.sale(1001, 100, &["--hold", "60000"]);
    shop.query(
        "CREATE TRIGGER no_orders BEFORE INSERT ON stock_order FOR EACH ROW \
         SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not today'",
    );
    shop.buy(1001, 1, 30);
    let worker = shop.run();
    await_true("the alarm", || {
        let log = shop.log_of(&worker);
        log.contains("ALARM: sale 1001 stands still") && log.contains("not today")
    });
    assert!(shop.query("SELECT * FROM stock_order_event").is_empty());
    assert_eq!(shop.info(1001)["held"], "30");
    shop.query("DROP TRIGGER no_orders");
    shop.await_stored(1001);
    shop.assert_books_close(1001);
    assert_eq!(shop.books(1001).live, 30);
}

#[test]
fn a_table_that_was_changed_is_an_alarm_and_not_the_end() {
    let shop = Shop::open("unfit-table");
    let worker = shop.run();
    shop.sale(1001, 100, &["--hold", "60000"]);
    shop.buy(1001, 1, 5);
    shop.await_stored(1001);
    shop.query("ALTER TABLE stock_order DROP COLUMN token");
    shop.buy(1001, 6, 5);
    await_true("the alarm names the column", || {
        let log = shop.log_of(&worker);
        log.contains("ALARM: MySQL is not what it was") && log.contains("token")
    });
    shop.query("ALTER TABLE stock_order ADD COLUMN token VARCHAR(128) NULL");
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

#[test]
fn locks_deadlocks_kills_and_a_read_only_server_are_waited_out() {
    let shop = Shop::open("mysql-trouble");
    let worker = shop.run();
    shop.sale(1001, 1000, &["--hold", "60000"]);
    shop.buy(1001, 1, 20);
    shop.await_stored(1001);

    // Longer than a lock is waited for.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            shop.query(
                "START TRANSACTION; SELECT * FROM stock_cursor FOR UPDATE; SELECT SLEEP(6); COMMIT",
            );
        });
        std::thread::sleep(Duration::from_millis(500));
        shop.buy(1001, 21, 20);
    });
    shop.await_stored(1001);

    // Locks in the other order than ours.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..3 {
                // Either side may lose.
                let _ = shop.db.query(
                    "START TRANSACTION; SELECT * FROM stock WHERE id = 1001 FOR UPDATE; \
                     SELECT SLEEP(0.3); SELECT * FROM stock_cursor FOR UPDATE; COMMIT",
                );
            }
        });
        for round in 0..10 {
            shop.buy(1001, 100 + round * 5, 5);
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    shop.await_stored(1001);

    shop.query("SET GLOBAL read_only = 1");
    shop.buy(1001, 200, 20);
    await_true("it is said", || {
        shop.log_of(&worker).contains("MySQL is away")
    });
    shop.query("SET GLOBAL read_only = 0");
    shop.await_stored(1001);

    for round in 0..5 {
        shop.buy(1001, 300 + round * 20, 20);
        let ids =
            shop.query("SELECT id FROM information_schema.processlist WHERE user = 'seckill'");
        for id in ids {
            // It may have gone by itself.
            let _ = shop.db.query(&format!("KILL {}", id[0]));
        }
    }
    shop.await_stored(1001);
    shop.assert_books_close(1001);
    assert!(!shop.log_of(&worker).contains("ALARM"));
}

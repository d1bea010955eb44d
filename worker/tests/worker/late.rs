//! What is kept of an order's life, and payments that come too late.

use crate::shop::{Shop, await_true};
use seckill_testbed::Part;

/// The steps that are kept of a sale's orders, in the order of their events.
fn steps(shop: &Shop, sid: u32) -> Vec<Vec<String>> {
    shop.query(&format!(
        "SELECT rid, from_status, to_status, who FROM stock_order_event WHERE sid = {sid} \
         ORDER BY event_epoch, event_seq"
    ))
}

#[test]
fn each_step_of_an_order_is_kept_once_whatever_is_sent_again() {
    let shop = Shop::open("steps");
    let mut worker = shop.run();
    shop.sale(1001, 10, &["--hold", "60000"]);
    let rids = shop.buy(1001, 1, 3);
    shop.await_stored(1001);
    assert!(
        steps(&shop, 1001).is_empty(),
        "the orders tell how they began"
    );
    let _: () = shop.ask(&["SECKILL.CONFIRM", "1001", &rids[0]]).unwrap();
    let _: () = shop.ask(&["SECKILL.CANCEL", "1001", &rids[1]]).unwrap();
    worker.kill().unwrap();
    worker.restart().unwrap();
    shop.await_stored(1001);
    let kept = steps(&shop, 1001);
    let step = |rid: &str, from: &str, to: &str| -> Vec<String> {
        [rid, from, to, "module"].map(str::to_owned).to_vec()
    };
    assert_eq!(
        kept,
        [
            step(&rids[0], "held", "confirmed"),
            step(&rids[1], "held", "cancelled")
        ]
    );
    // The instant is the decision's, and the event is its own.
    let events = shop.query(
        "SELECT COUNT(*), MIN(at) > 1700000000000, MIN(event_seq) > MAX(seq) FROM stock_order_event",
    );
    assert_eq!(events, [["2", "1", "1"]]);
    // Two more at once find the cursor.
    let _others = [shop.run(), shop.run()];
    shop.buy(1001, 4, 1);
    shop.await_stored(1001);
    assert_eq!(steps(&shop, 1001), kept);
    shop.assert_books_close(1001);
}

/// Two buyers, one unit: the first pays when the second has it.
fn a_late_payment_finds_its_way_to_the_accountant(shop: &Shop) {
    let _worker = shop.run();
    shop.sale(1001, 1, &["--hold", "200"]);
    let late = shop.buy(1001, 1, 1).remove(0);
    await_true("the hold is expired in MySQL", || {
        shop.books(1001).orders.get("expired") == Some(&1)
    });
    let _: () = shop
        .ask(&["SECKILL.ALTER", "1001", "HOLD", "60000"])
        .unwrap();
    shop.buy(1001, 2, 1);
    for _ in 0..3 {
        let refused = shop.ask::<()>(&["SECKILL.CONFIRM", "1001", &late, "LATE"]);
        assert!(refused.is_err());
    }
    shop.await_stored(1001);
    let due =
        "SELECT rid, uid, qty, reason FROM stock_refund WHERE refunded_at IS NULL ORDER BY due_at";
    assert_eq!(shop.query(due), [[&*late, "u1", "1", "late_payment"]]);
    // MariaDB explains in columns, MySQL in a tree.
    let plan = shop.query(&format!("EXPLAIN {due}")).concat().concat();
    assert!(plan.contains("stock_refund_due"), "{plan}");
    assert_eq!(
        steps(shop, 1001).last().unwrap()[1..],
        ["expired", "expired", "module"]
    );
    shop.query("UPDATE stock_refund SET refunded_at = NOW()");
    assert!(shop.query(due).is_empty());
    shop.assert_books_close(1001);
}

#[test]
fn without_a_broker_a_late_payment_finds_its_way_to_the_accountant() {
    a_late_payment_finds_its_way_to_the_accountant(&Shop::open("late-none"));
}

#[test]
fn through_kafka_a_late_payment_finds_its_way_to_the_accountant() {
    if let Some(shop) = Shop::with_kafka("late-kafka") {
        a_late_payment_finds_its_way_to_the_accountant(&shop);
    }
}

#[test]
fn a_late_payment_that_only_mysql_has_no_unit_for_is_refunded_too() {
    let shop = Shop::open("late-mysql");
    let _worker = shop.run();
    shop.sale(1001, 2, &["--hold", "200"]);
    let late = shop.buy(1001, 1, 1).remove(0);
    await_true("the hold is expired in MySQL", || {
        shop.books(1001).orders.get("expired") == Some(&1)
    });
    // Somebody sells past us.
    shop.query("UPDATE stock SET count = 0 WHERE id = 1001");
    let _: () = shop
        .ask(&["SECKILL.CONFIRM", "1001", &late, "LATE"])
        .unwrap();
    shop.await_stored(1001);
    let refunds = shop.query("SELECT rid, uid, reason FROM stock_refund");
    assert_eq!(refunds, [[&*late, "u1", "no_units"]]);
    assert_eq!(shop.books(1001).orders["refused"], 1);
    assert_eq!(
        steps(&shop, 1001).last().unwrap()[1..],
        ["expired", "refused", "worker"]
    );
}

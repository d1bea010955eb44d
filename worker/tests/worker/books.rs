//! `status` and `reconcile`: what they see, what they mend, and what they leave alone.

use crate::shop::{Shop, await_true};
use seckill_testbed::Part;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Runs `reconcile`: what it printed, or, where anything is left, that with the code of its end.
fn reconcile(shop: &Shop, words: &[&str]) -> Result<String, String> {
    let words = [&["reconcile"], words].concat();
    shop.chore(&words).map_err(|error| error.to_string())
}

#[track_caller]
fn assert_clean(shop: &Shop) {
    let report = reconcile(shop, &[]).unwrap();
    assert!(!report.contains("sale 1001"), "{report}");
}

/// What differs is named and ends with 1; `--apply` mends it; then nothing differs any more.
#[track_caller]
fn assert_mended(shop: &Shop, named: &[&str]) {
    let before = shop.books(1001);
    let report = reconcile(shop, &["1001"]).unwrap_err();
    assert!(report.contains("exit status: 1"), "{report}");
    for part in named {
        assert!(report.contains(part), "no {part:?} in {report}");
    }
    assert_eq!(before, shop.books(1001), "looking changes nothing");
    let report = reconcile(shop, &["1001", "--apply"]).unwrap();
    for part in named {
        assert!(report.contains(part), "no {part:?} in {report}");
    }
    let report = reconcile(shop, &["1001", "--apply"]).unwrap();
    assert_eq!(report, "1 sales, 1 clean\n");
}

/// What differs is named with both sides' figures, and `--apply` leaves it alone.
#[track_caller]
fn assert_for_a_person(shop: &Shop, named: &[&str]) {
    let before = shop.books(1001);
    for words in [&["1001"][..], &["1001", "--apply"]] {
        let report = reconcile(shop, words).unwrap_err();
        assert!(report.contains("exit status: 1"), "{report}");
        assert!(report.contains("for a person"), "{report}");
        for part in named {
            assert!(report.contains(part), "no {part:?} in {report}");
        }
    }
    assert_eq!(before, shop.books(1001));
}

/// A sale with holds of which MySQL has everything.
fn stored_sale(name: &str) -> (Shop, seckill_testbed::Worker, Vec<String>) {
    let shop = Shop::open(name);
    let worker = shop.run();
    shop.sale(1001, 20, &["--hold", "600000"]);
    let rids = shop.buy(1001, 1, 6);
    shop.await_stored(1001);
    (shop, worker, rids)
}

fn of(rid: &str) -> String {
    format!("sid = 1001 AND rid = '{rid}'")
}

#[test]
fn a_deleted_order_is_written_again_as_it_was() {
    let (shop, _worker, rids) = stored_sale("books-missing");
    let columns = "uid, qty, status, deadline, create_time, token";
    let order = format!("SELECT {columns} FROM stock_order WHERE {}", of(&rids[2]));
    let before = shop.query(&order);
    shop.query(&format!("DELETE FROM stock_order WHERE {}", of(&rids[2])));
    assert_mended(&shop, &[&rids[2], "has no order: u3, 1 unit, held"]);
    assert_eq!(shop.query(&order), before);
    let kept = shop.query("SELECT from_status, to_status, who FROM stock_order_event");
    assert_eq!(kept, [["NULL", "held", "reconcile"]]);
    shop.assert_books_close(1001);
    // Its buyer may pay.
    let _: () = shop.ask(&["SECKILL.CONFIRM", "1001", &rids[2]]).unwrap();
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

#[test]
fn a_deleted_order_whose_payment_waits_lets_its_sale_go_on() {
    let (shop, mut worker, rids) = stored_sale("books-missing-halts");
    worker.stop().unwrap();
    shop.query(&format!("DELETE FROM stock_order WHERE {}", of(&rids[2])));
    let _: () = shop.ask(&["SECKILL.CONFIRM", "1001", &rids[2]]).unwrap();
    let report = reconcile(&shop, &["1001", "--apply"]).unwrap();
    assert!(report.contains(&rids[2]), "{report}");
    worker.restart().unwrap();
    shop.await_stored(1001);
    shop.assert_books_close(1001);
    assert_clean(&shop);
}

#[test]
fn too_low_a_sum_is_raised_and_too_high_a_sum_is_left_to_a_person() {
    let (shop, _worker, _) = stored_sale("books-sale");
    shop.query("UPDATE stock SET sale = sale - 2 WHERE id = 1001");
    assert_mended(&shop, &["stock.sale is 4, the orders come to 6"]);
    shop.assert_books_close(1001);
    shop.query("UPDATE stock SET sale = sale + 3 WHERE id = 1001");
    assert_for_a_person(
        &shop,
        &["stock.sale is 9, the orders come to 6", "SET sale = 6"],
    );
    // What it says to type mends it.
    let report = reconcile(&shop, &["1001"]).unwrap_err();
    let command = report.split_once("UPDATE stock SET sale").unwrap().1;
    let command = command.lines().next().unwrap();
    shop.query(&format!("UPDATE stock SET sale{command}"));
    assert_clean(&shop);
}

#[test]
fn units_that_were_sold_before_the_sale_are_no_difference() {
    let shop = Shop::open("books-sold-before");
    let _worker = shop.run();
    shop.stock(1001, 20, 5);
    shop.chore(&["warm", "1001", "--hold", "0"]).unwrap();
    shop.buy(1001, 1, 3);
    shop.await_stored(1001);
    assert_clean(&shop);
    // And so is a sale that is made again from the same row.
    let _: i64 = shop.ask(&["DEL", "1001"]).unwrap();
    shop.chore(&["warm", "1001", "--hold", "0"]).unwrap();
    shop.buy(1001, 1, 2);
    shop.await_stored(1001);
    assert_clean(&shop);
}

#[test]
fn an_order_that_lags_follows_its_reservation() {
    let (shop, _worker, rids) = stored_sale("books-status");
    let _: () = shop.ask(&["SECKILL.CONFIRM", "1001", &rids[0]]).unwrap();
    let _: () = shop.ask(&["SECKILL.CANCEL", "1001", &rids[1]]).unwrap();
    shop.await_stored(1001);
    for rid in &rids[..2] {
        let sql = format!("UPDATE stock_order SET status = 'held' WHERE {}", of(rid));
        shop.query(&sql);
    }
    assert_mended(&shop, &["from held to confirmed", "from held to cancelled"]);
    shop.assert_books_close(1001);
}

#[test]
fn an_order_that_says_more_than_its_reservation_is_for_a_person() {
    let (shop, _worker, rids) = stored_sale("books-ahead");
    let paid = format!(
        "UPDATE stock_order SET status = 'confirmed' WHERE {}",
        of(&rids[0])
    );
    shop.query(&paid);
    let confirm = format!("SECKILL.CONFIRM 1001 {}", rids[0]);
    assert_for_a_person(&shop, &["is confirmed, its reservation is held", &confirm]);
    let _: () = shop.ask(&["SECKILL.CONFIRM", "1001", &rids[0]]).unwrap();
    shop.await_stored(1001);
    assert_clean(&shop);
}

#[test]
fn another_quantity_and_an_order_without_a_decision_are_for_a_person() {
    let (shop, _worker, rids) = stored_sale("books-forged");
    shop.query(&format!(
        "UPDATE stock_order SET qty = 4 WHERE {}",
        of(&rids[1])
    ));
    assert_for_a_person(
        &shop,
        &["u2 has 1 unit in the module, u2 has 4 units in MySQL"],
    );
    shop.query(&format!(
        "UPDATE stock_order SET qty = 1 WHERE {}",
        of(&rids[1])
    ));
    assert_clean(&shop);

    // A seq that no acceptance has, and one that the module has not come to.
    let (epoch, _) = rids[0].split_once('-').unwrap();
    for seq in ["1", "900"] {
        shop.query(&format!(
            "INSERT INTO stock_order (sid, name, epoch, seq, uid, qty, status) VALUES (1001, 'Lamp', {epoch}, {seq}, 'mallory', 2, 'confirmed')"
        ));
        let named = format!("order {epoch}-{seq} (mallory, 2 units, confirmed) has no reservation");
        assert_for_a_person(&shop, &[&named, "DELETE FROM stock_order"]);
        shop.query(&format!(
            "DELETE FROM stock_order WHERE {}",
            of(&format!("{epoch}-{seq}"))
        ));
    }
    assert_clean(&shop);
}

#[test]
fn a_cursor_that_was_set_back_and_what_was_lost_with_it_come_back() {
    let (shop, mut worker, rids) = stored_sale("books-cursor");
    worker.stop().unwrap();
    // As after a restore of MySQL.
    let (epoch, seq) = rids[3].split_once('-').unwrap();
    shop.query(&format!(
        "DELETE FROM stock_order WHERE sid = 1001 AND seq > {seq};
         UPDATE stock SET sale = 4 WHERE id = 1001;
         UPDATE stock_cursor SET seq = {seq} WHERE sid = 1001"
    ));
    let cursor = format!("MySQL's cursor is {epoch}-{seq}");
    assert_mended(&shop, &[&cursor, &rids[4], &rids[5], "stock.sale is 4"]);
    worker.restart().unwrap();
    shop.buy(1001, 7, 2);
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

#[test]
fn what_the_worker_left_undone_is_done() {
    let (shop, mut worker, rids) = stored_sale("books-left");
    worker.stop().unwrap();
    // Refused in MySQL, and nobody told the module.
    let (epoch, seq) = rids[5].split_once('-').unwrap();
    shop.query(&format!(
        "UPDATE stock_order SET status = 'refused' WHERE {};
         UPDATE stock SET sale = sale - 1 WHERE id = 1001;
         INSERT INTO stock_refusal VALUES (1001, {epoch}, {seq})",
        of(&rids[5])
    ));
    let refused = format!("MySQL refused reservation {}", rids[5]);
    let report = reconcile(&shop, &["1001"]).unwrap_err();
    assert!(report.contains(&refused), "{report}");
    let report = reconcile(&shop, &["1001", "--apply"]).unwrap();
    assert!(report.contains(&refused), "{report}");
    assert_eq!(shop.info(1001)["held"], "5");
    assert_clean(&shop);
    worker.restart().unwrap();
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

#[test]
fn what_only_waits_for_a_worker_is_no_difference() {
    let (shop, mut worker, rids) = stored_sale("books-waits");
    worker.stop().unwrap();
    // Behind the worker's back, and sent again.
    let _: () = shop.ask(&["SECKILL.CANCEL", "1001", &rids[0]]).unwrap();
    let _: () = shop.ask(&["SECKILL.CONFIRM", "1001", &rids[1]]).unwrap();
    shop.buy(1001, 7, 3);
    let stored = shop.info(1001)["stored"].clone();
    let (epoch, seq) = stored.split_once('-').unwrap();
    let _: () = shop
        .ask(&["SECKILL.ACK", "1001", "RELAYED", epoch, seq])
        .unwrap();
    assert_clean(&shop);
    worker.restart().unwrap();
    shop.await_stored(1001);
    shop.assert_books_close(1001);
    assert_clean(&shop);
}

/// Buyers who buy, pay and give up all the while, and reconcile again and again.
fn nothing_differs_in_the_middle_of_a_sale(shop: &Shop) {
    let _worker = shop.run();
    shop.sale(1001, 100_000, &["--hold", "60000"]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for buyer in 0..2 {
            let done = &done;
            scope.spawn(move || {
                let mut first = buyer * 50_000 + 1;
                while !done.load(Relaxed) && first % 50_000 < 49_000 {
                    let rids = shop.buy(1001, first, 50);
                    first += 50;
                    for (n, rid) in rids.iter().enumerate() {
                        let word = match n % 3 {
                            0 => "SECKILL.CONFIRM",
                            1 => "SECKILL.CANCEL",
                            _ => continue,
                        };
                        let _: () = shop.ask(&[word, "1001", rid]).unwrap();
                    }
                }
            });
        }
        let reports: Vec<_> = (0..8).map(|_| reconcile(shop, &[])).collect();
        done.store(true, Relaxed);
        for report in reports {
            assert!(
                report.as_ref().is_ok_and(|r| r.contains("1 clean")),
                "{report:?}"
            );
        }
    });
    shop.await_stored(1001);
    shop.assert_books_close(1001);
    let report = reconcile(shop, &[]).unwrap();
    assert_eq!(report, "1 sales, 1 clean\n");
}

#[test]
fn without_a_broker_nothing_differs_in_the_middle_of_a_sale() {
    nothing_differs_in_the_middle_of_a_sale(&Shop::open("books-running"));
}

#[test]
fn with_kafka_nothing_differs_in_the_middle_of_a_sale_and_what_the_topic_lost_is_sent_again() {
    let Some(shop) = Shop::with_kafka("books-kafka") else {
        return;
    };
    nothing_differs_in_the_middle_of_a_sale(&shop);
    // The module was told that Kafka has what it does not have.
    shop.buy(1001, 99_900, 3);
    let head = shop.info(1001)["head"].clone();
    let (epoch, seq) = head.split_once('-').unwrap();
    let _: () = shop
        .ask(&["SECKILL.ACK", "1001", "RELAYED", epoch, seq])
        .unwrap();
    assert_mended(&shop, &["SECKILL.ACK RELAYED"]);
    let _worker = shop.run();
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

#[test]
fn reconcile_ends_with_two_where_it_cannot_look() {
    let (mut shop, _worker, _) = stored_sale("books-away");
    shop.db.kill().unwrap();
    let report = reconcile(&shop, &["1001"]).unwrap_err();
    assert!(report.contains("exit status: 2"), "{report}");
    assert!(report.contains("could not be looked at: MySQL"), "{report}");
    shop.db.restart().unwrap();
    shop.await_stored(1001);
    assert_clean(&shop);
}

/// The lines of `status --json`: of the servers, and of sale 1001.
fn status(shop: &Shop) -> [serde_json::Value; 2] {
    let report = shop.chore(&["status", "1001", "--json"]).unwrap();
    let lines: Vec<serde_json::Value> = report
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    lines.try_into().unwrap()
}

#[test]
fn status_shows_how_far_a_stopped_worker_is_behind() {
    let Some(shop) = Shop::with_kafka("status-lag") else {
        return;
    };
    let mut worker = shop.run();
    shop.sale(1001, 20, &["--hold", "600000"]);
    shop.buy(1001, 1, 4);
    shop.await_stored(1001);
    let [servers, sale] = status(&shop);
    for server in ["redis", "mysql", "kafka"] {
        assert_eq!(servers[server]["up"], true, "{servers}");
    }
    assert_eq!(sale["units"]["held"], 4);
    assert_eq!(sale["stock"]["sale"], 4);
    assert_eq!(sale["orders"], 4);
    assert_eq!(sale["drift"], 0);
    assert_eq!(sale["to_kafka"]["count"], 0);
    assert_eq!(sale["to_mysql"]["count"], 0);
    assert_eq!(sale["wrong"], serde_json::json!([]));

    worker.stop().unwrap();
    shop.buy(1001, 5, 3);
    let bought = std::time::Instant::now();
    std::thread::sleep(std::time::Duration::from_secs(5));
    let [_, sale] = status(&shop);
    let least_ms = 5000;
    let most_ms = u64::try_from(bought.elapsed().as_millis()).unwrap() + 1000;
    for step in ["to_kafka", "to_mysql", "without_order"] {
        assert_eq!(sale[step]["count"], 3, "{sale}");
        let ms = sale[step]["ms"].as_u64().unwrap();
        assert!((least_ms..most_ms).contains(&ms), "{step}: {sale}");
    }
    assert_eq!(sale["orders"], 4);
    assert_eq!(sale["drift"], serde_json::Value::Null);
    let text = shop.chore(&["status"]).unwrap();
    assert!(
        text.contains("stands still: nothing goes into Kafka, 3 events wait"),
        "{text}"
    );
    assert!(
        text.lines().all(|line| line.chars().count() <= 120),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "no colours into a file: {text:?}");
    worker.restart().unwrap();
    shop.await_stored(1001);
    let [_, sale] = status(&shop);
    assert_eq!(sale["wrong"], serde_json::json!([]));
}

#[test]
fn status_shows_what_is_away_and_what_drifts_and_goes_on() {
    let (mut shop, _worker, _) = stored_sale("status-away");
    shop.query("UPDATE stock SET sale = 5 WHERE id = 1001");
    let text = shop.chore(&["status", "--orders"]).unwrap();
    assert!(
        text.contains("drift: the module has 6 units taken, stock.sale is 5"),
        "{text}"
    );
    assert!(text.contains("orders: held 6 (6 units)"), "{text}");
    shop.db.kill().unwrap();
    let [servers, sale] = status(&shop);
    assert_eq!(servers["mysql"]["up"], false);
    assert_eq!(servers["redis"]["up"], true);
    assert_eq!(sale["units"]["held"], 6);
    assert_eq!(sale["stock"], serde_json::Value::Null);
    assert!(shop.chore(&["status"]).unwrap().contains("MySQL AWAY"));
    shop.db.restart().unwrap();
    shop.redis.kill().unwrap();
    await_true("MySQL is shown without Redis", || {
        let text = shop.chore(&["status"]).unwrap_or_default();
        text.contains("Redis AWAY") && text.contains("1001")
    });
    shop.redis.restart().unwrap();
}

#[test]
fn a_status_that_is_watched_goes_on_until_it_is_interrupted() {
    let (shop, _worker, _) = stored_sale("status-watched");
    let mut watching = Command::new(env!("CARGO_BIN_EXE_seckill-worker"))
        .arg("--config")
        .arg(shop.place.path().join("worker/worker.toml"))
        .args(["status", "--json", "--watch", "0.2"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Open until the end: nobody reads on is an end of its own.
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let sales: Vec<serde_json::Value> = lines
        .by_ref()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .filter(|line: &serde_json::Value| line["kind"] == "sale")
        .take(3)
        .collect();
    assert_eq!(sales[0]["rates"], serde_json::Value::Null, "one look");
    assert_eq!(sales[2]["rates"]["tries"], 0.0, "{sales:?}");
    let pid = watching.id().to_string();
    let interrupt = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(interrupt.success());
    assert!(watching.wait().unwrap().success());
}

#[test]
fn a_sale_behind_watch_is_not_taken_for_seconds() {
    let shop = Shop::empty("status-watch");
    let report = shop.chore(&["status", "--watch", "1001"]).unwrap_err();
    assert!(
        report.to_string().contains("seconds from 0.1 to 60"),
        "{report}"
    );
}

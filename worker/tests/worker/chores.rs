//! `migrate`, `warm`, and what `run` refuses to start on.

use crate::shop::Shop;
use seckill_testbed::{User, Worker};

#[test]
fn migrate_names_what_it_did_and_the_second_time_does_nothing() {
    let shop = Shop::empty("migrate-twice");
    let first = shop.chore(&["migrate"]).unwrap();
    assert!(first.contains("applied V1__create_stock\n"), "{first}");
    let second = shop.chore(&["migrate"]).unwrap();
    assert_eq!(second, "schema is up to date\n");
}

#[test]
fn migrating_two_at_once_applies_each_migration_once() {
    let shop = Shop::empty("migrate-race");
    let outputs: Vec<String> = std::thread::scope(|scope| {
        let chore = || shop.chore(&["migrate"]).unwrap();
        let both = [scope.spawn(chore), scope.spawn(chore)];
        both.map(|one| one.join().unwrap()).into()
    });
    let mut idle = 0;
    for output in &outputs {
        idle += usize::from(output == "schema is up to date\n");
    }
    assert_eq!(idle, 1, "{outputs:?}");
}

#[test]
fn a_shop_keeps_its_stock_its_orders_and_its_inserts() {
    let shop = Shop::empty("migrate-adopts");
    shop.query(
        "CREATE TABLE stock (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name VARCHAR(50) NOT NULL DEFAULT '',
           count INT NOT NULL, sale INT NOT NULL, version INT NOT NULL) DEFAULT CHARSET=utf8;
         CREATE TABLE stock_order (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, sid INT NOT NULL, name VARCHAR(30) NOT NULL DEFAULT '',
           create_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP) DEFAULT CHARSET=utf8;
         INSERT INTO stock VALUES (7, 'Lamp', 10, 2, 2);
         INSERT INTO stock_order (sid, name, create_time) VALUES (7, 'Lamp', '2018-05-01 12:00:00'), (7, 'Lamp', '2018-05-01 12:00:01')",
    );
    shop.chore(&["migrate"]).unwrap();
    shop.query("INSERT INTO stock_order (sid, name) VALUES (7, 'Lamp')");
    let orders = shop.query("SELECT qty, status, rid, uid FROM stock_order WHERE sid = 7");
    assert_eq!(orders, vec![["1", "confirmed", "NULL", "NULL"]; 3]);
    shop.query("UPDATE stock_order SET status = 'cancelled' WHERE id = 1");
    let time = shop.query("SELECT create_time FROM stock_order WHERE id = 1");
    assert_eq!(
        time,
        [["2018-05-01 12:00:00"]],
        "an update does not move it"
    );
}

#[test]
fn run_refuses_tables_it_does_not_know_and_says_what_to_do() {
    let shop = Shop::empty("unfit-schema");
    let refusal = shop.chore(&["run"]).unwrap_err().to_string();
    assert!(
        refusal.contains("run `seckill-worker migrate`"),
        "{refusal}"
    );

    shop.chore(&["migrate"]).unwrap();
    shop.query("INSERT INTO refinery_schema_history VALUES (999, 'of_tomorrow', '2030-01-01T00:00:00Z', '1')");
    let refusal = shop.chore(&["run"]).unwrap_err().to_string();
    assert!(refusal.contains("V999__of_tomorrow"), "{refusal}");
    assert!(refusal.contains("newer seckill-worker"), "{refusal}");
}

#[test]
fn a_wrong_password_is_an_error_and_not_a_wait() {
    let shop = Shop::open("wrong-password");
    let mysql = shop.db.url().replace("seckill:", "seckill:x");
    let redis = shop.redis.url(User::Worker).replace("worker:", "worker:x");
    for (key, url) in [("mysql.url", mysql), ("redis.url", redis)] {
        let settings = shop.settings.clone().with(key, url);
        let refusal = Worker::command(&shop.place, &settings, &["run"]).unwrap_err();
        assert!(format!("{refusal:#}").contains(key), "{refusal:#}");
    }
}

#[test]
fn a_bad_configuration_is_an_error_that_names_the_key() {
    let shop = Shop::empty("bad-config");
    assert!(shop.chore(&["--test"]).unwrap().ends_with(": ok\n"));
    let settings = shop.settings.clone().with("kafka.partition", 3);
    let refusal = Worker::command(&shop.place, &settings, &["--test"]).unwrap_err();
    assert!(
        format!("{refusal:#}").contains("unknown field `partition`"),
        "{refusal:#}"
    );
}

#[test]
fn warm_makes_the_sale_of_the_stock_row() {
    let shop = Shop::open("warm");
    shop.stock(1001, 10, 3);
    let output = shop
        .chore(&["warm", "1001", "--limit", "2", "--hold", "60000"])
        .unwrap();
    assert_eq!(output, "1001: created, 7 of 10 units available\n");
    let info = shop.info(1001);
    for (name, value) in [
        ("name", "Lamp"),
        ("total", "10"),
        ("sold", "3"),
        ("available", "7"),
        ("limit", "2"),
        ("hold", "60000"),
    ] {
        assert_eq!(info[name], value, "{name}");
    }
}

#[test]
fn warm_never_touches_a_sale_that_exists() {
    let shop = Shop::open("warm-twice");
    shop.sale(1001, 10, &[]);
    shop.buy(1001, 1, 4);
    let output = shop.chore(&["warm", "1001", "--limit", "9"]).unwrap();
    assert_eq!(output, "1001: exists already and is left alone\n");
    let info = shop.info(1001);
    assert_eq!((info["held"].as_str(), info["limit"].as_str()), ("4", "1"));
}

#[test]
fn warm_names_each_sale_that_it_could_not_make_and_makes_the_others() {
    let shop = Shop::open("warm-unknown");
    shop.stock(1, 5, 0);
    let output = shop.chore(&["warm", "404", "lamp", "1"]).unwrap_err();
    let output = output.to_string();
    assert!(
        output.contains("404: FAILED: there is no row with id 404"),
        "{output}"
    );
    assert!(
        output.contains("lamp: FAILED: the sale's name is no stock.id"),
        "{output}"
    );
    assert!(output.contains("1: created"), "{output}");
    assert!(output.contains("2 of 3 sales failed"), "{output}");
    assert_eq!(shop.keys(), ["1"]);
}

#[test]
fn warm_keeps_the_options_and_takes_them_again() {
    let shop = Shop::open("warm-options");
    shop.stock(1001, 10, 0);
    // A row may be there before its sale.
    shop.query("INSERT INTO stock_sale (sid, hold, rate, burst) VALUES (1001, 5000, 100, 300)");
    let options = ["warm", "1001", "--limit", "2", "--user-rate", "3"];
    let output = shop.chore(&[&options[..], &["--json"]].concat()).unwrap();
    assert_eq!(
        output,
        "{\"sid\":\"1001\",\"outcome\":\"created\",\"available\":10,\"total\":10}\n"
    );
    let first = shop.info(1001);
    let _: i64 = shop.ask(&["DEL", "1001"]).unwrap();
    shop.chore(&["warm", "1001"]).unwrap();
    let again = shop.info(1001);
    for (name, value) in [
        ("limit", "2"),
        ("hold", "5000"),
        ("rate", "100"),
        ("burst", "300"),
        ("user_rate", "3"),
        ("user_burst", "3"),
    ] {
        assert_eq!(
            (first[name].as_str(), again[name].as_str()),
            (value, value),
            "{name}"
        );
    }
}

#[test]
fn warm_finds_the_sales_that_start_soon_and_all_that_are_not_over() {
    let shop = Shop::open("warm-within");
    for sid in 1..=6 {
        shop.stock(sid, 5, 0);
    }
    shop.query(
        "SET @now = UNIX_TIMESTAMP() * 1000;
         INSERT INTO stock_sale (sid, start, end, closed) VALUES
           (1, @now + 3600000, 0, FALSE),
           (2, @now + 10800000, 0, FALSE),
           (3, @now + 1800000, 0, FALSE),
           (4, @now - 3600000, 0, FALSE),
           (5, 0, @now - 1000, FALSE)",
    );
    let output = shop.chore(&["warm", "--within", "2h"]).unwrap();
    assert_eq!(
        output,
        "3: created, 5 of 5 units available\n1: created, 5 of 5 units available\n"
    );
    assert_eq!(shop.info(3)["state"], "waiting");
    let output = shop.chore(&["warm", "--all"]).unwrap();
    assert!(
        output.starts_with("1: exists already and is left alone\n2: created"),
        "{output}"
    );
    let mut keys = shop.keys();
    keys.sort();
    assert_eq!(keys, ["1", "2", "3", "4", "6"], "5 is over");
}

#[test]
fn warm_does_not_forget_who_has_not_paid_yet() {
    let shop = Shop::open("warm-held");
    let _worker = shop.run();
    shop.sale(1001, 10, &[]);
    let rids = shop.buy(1001, 1, 1);
    shop.await_stored(1001);
    let _: i64 = shop.ask(&["DEL", "1001"]).unwrap();
    let refusal = shop.chore(&["warm", "1001"]).unwrap_err().to_string();
    let expected = format!("such as {}: `seckill-worker recover 1001`", rids[0]);
    assert!(refusal.contains(&expected), "{refusal}");
    assert!(shop.keys().is_empty());
}

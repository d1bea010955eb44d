//! What the worker says of itself, on its admin port.

use crate::page::{Page, figure, get, put, reasons};
use crate::shop::{Shop, await_true};
use seckill_testbed::{Part, Worker};

fn is_ready(worker: &Worker) -> bool {
    get(worker, "/readyz").status == 200
}

#[test]
fn it_is_ready_as_long_as_redis_and_mysql_do_what_is_asked_of_them() {
    let mut shop = Shop::open("ready");
    let worker = shop.run();
    await_true("ready", || is_ready(&worker));
    assert_eq!(reasons(&worker), [""; 0]);
    assert_eq!(figure(&worker, "up{server=\"mysql\"}"), Some(1.0));
    assert_eq!(figure(&worker, "up{server=\"kafka\"}"), None, "no broker");

    shop.redis.kill().unwrap();
    await_true("Redis is missed", || reasons(&worker) == ["redis"]);
    shop.db.kill().unwrap();
    await_true("MySQL, too", || reasons(&worker) == ["redis", "mysql"]);
    assert_eq!(figure(&worker, "up{server=\"redis\"}"), Some(0.0));
    assert_eq!(get(&worker, "/livez").status, 200);
    shop.redis.restart().unwrap();
    shop.db.restart().unwrap();
    await_true("ready again", || is_ready(&worker));

    shop.query("INSERT INTO refinery_schema_history VALUES (999, 'of_tomorrow', '2030-01-01T00:00:00Z', '1')");
    await_true("somebody migrated", || reasons(&worker) == ["schema"]);
    assert!(
        get(&worker, "/readyz")
            .body
            .contains("newer seckill-worker")
    );
}

#[test]
fn a_frozen_or_lost_broker_is_a_reason_not_to_be_ready() {
    let Some(mut shop) = Shop::with_kafka("ready-kafka") else {
        return;
    };
    let worker = shop.run();
    await_true("ready", || is_ready(&worker));
    await_true("the partition is ours", || {
        figure(&worker, "partitions") == Some(1.0)
    });
    assert!(figure(&worker, "rebalances_total") >= Some(1.0));
    shop.kafka.as_mut().unwrap().freeze().unwrap();
    await_true("Kafka is missed", || reasons(&worker) == ["kafka"]);
    shop.kafka.as_mut().unwrap().thaw().unwrap();
    await_true("ready again", || is_ready(&worker));
    shop.kafka.as_mut().unwrap().kill().unwrap();
    await_true("it is gone", || reasons(&worker) == ["kafka"]);
}

#[test]
fn a_start_that_has_to_wait_says_for_what() {
    let mut shop = Shop::open("waiting");
    shop.db.kill().unwrap();
    let worker = shop.run();
    await_true("MySQL is missed", || {
        reasons(&worker) == ["starting", "mysql"]
    });
    shop.db.restart().unwrap();
    await_true("ready", || is_ready(&worker));
}

#[test]
fn what_was_done_is_counted() {
    let shop = Shop::open("counted");
    let worker = shop.run();
    shop.sale(1001, 100, &["--hold", "0"]);
    shop.buy(1001, 1, 50);
    shop.await_stored(1001);
    for (name, value) in [
        // `opened` is the first.
        ("events_relayed_total", 51.0),
        ("events_applied_total", 51.0),
        ("orders_total", 50.0),
        ("batch_events_sum", 51.0),
        ("overtaken_total", 0.0),
        ("dead_letters_total", 0.0),
        ("sales_relayed", 1.0),
        ("sales_halted", 0.0),
        ("refusals_owed", 0.0),
    ] {
        await_true(&format!("{name} is {value}"), || {
            figure(&worker, name) == Some(value)
        });
    }
    let commits = figure(&worker, "commit_seconds_count");
    assert_eq!(figure(&worker, "order_seconds_count"), commits);
    let page = get(&worker, "/metrics").body;
    assert!(
        page.contains("seckill_worker_build_info{version="),
        "{page}"
    );
    assert!(page.contains("process_resident_memory_bytes "), "{page}");
}

#[test]
fn a_sale_that_falls_behind_says_how_far_and_since_when() {
    let mut shop = Shop::open("behind");
    let worker = shop.run();
    shop.sale(1001, 100, &["--hold", "0"]);
    shop.buy(1001, 1, 10);
    shop.await_stored(1001);
    shop.db.kill().unwrap();
    shop.buy(1001, 11, 20);
    let relay = "{sale=\"1001\",step=\"relay\"}";
    await_true("20 events are behind", || {
        figure(&worker, &format!("lag_events{relay}")) == Some(20.0)
    });
    await_true("they get older", || {
        let oldest = figure(&worker, "unordered_seconds{sale=\"1001\"}");
        oldest > Some(2.0) && figure(&worker, &format!("lag_seconds{relay}")) > Some(2.0)
    });
    assert!(figure(&worker, "retries_total{reason=\"away\"}") > Some(0.0));
    shop.db.restart().unwrap();
    await_true("nothing is behind", || {
        figure(&worker, &format!("lag_events{relay}")) == Some(0.0)
            && figure(&worker, "unordered_seconds{sale=\"1001\"}") == Some(0.0)
    });
    let _: i64 = shop.ask(&["DEL", "1001"]).unwrap();
    await_true("a sale that is gone has no figures", || {
        figure(&worker, &format!("lag_events{relay}")).is_none()
    });
}

#[test]
fn units_about_which_mysql_and_the_module_disagree_are_shown() {
    let shop = Shop::open("drift");
    let worker = shop.run();
    shop.sale(1001, 100, &["--hold", "0"]);
    shop.buy(1001, 1, 10);
    shop.await_stored(1001);
    let drift = || figure(&worker, "drift_units{sale=\"1001\"}");
    await_true("none", || drift() == Some(0.0));
    shop.query("UPDATE stock SET sale = sale + 3 WHERE id = 1001");
    await_true("three too many in MySQL", || drift() == Some(-3.0));
}

#[test]
fn an_alarm_is_counted_by_its_kind() {
    let shop = Shop::open("alarm");
    shop.sale(1001, 10, &["--hold", "0"]);
    shop.query("UPDATE stock SET sale = 2 WHERE id = 1001");
    shop.buy(1001, 1, 3);
    let worker = shop.run();
    await_true("it is counted", || {
        figure(&worker, "alarms_total{kind=\"opened\"}") >= Some(1.0)
    });
    await_true("the sale stands still", || {
        figure(&worker, "sales_halted") == Some(1.0)
    });
    shop.query("UPDATE stock SET sale = 0 WHERE id = 1001");
    await_true("it goes on", || {
        figure(&worker, "sales_halted") == Some(0.0)
    });
}

#[test]
fn the_level_of_the_log_can_be_changed_while_it_runs() {
    let shop = Shop::open("level");
    let worker = shop.run();
    let level = get(&worker, "/loglevel").body;
    assert!(level.contains("refinery_core=warn"), "{level}");
    let Page { status, body } = put(&worker, "/loglevel", "debug");
    assert_eq!((status, body.as_str()), (200, "debug\n"));
    let refused = put(&worker, "/loglevel", "loud");
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("is no level"), "{}", refused.body);
    assert_eq!(get(&worker, "/loglevel").body, "debug\n");
    assert_eq!(get(&worker, "/elsewhere").status, 404);
}

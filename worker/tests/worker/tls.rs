//! MySQL and Kafka over TLS, each with certificates that it asks for.

use crate::page::reasons;
use crate::shop::{Shop, await_true};
use seckill_testbed::{Authority, Certificate, Kafka, MariaDb, Place, Redis, Settings};
use std::path::Path;
use toml::Table;

fn file(path: &Path) -> Table {
    Table::from_iter([("file".to_owned(), path.display().to_string().into())])
}

/// What stands in `[mysql.tls]` and `[kafka.tls]`.
fn tls(authority: &Authority, own: &Certificate) -> Table {
    Table::from_iter([
        ("ca".to_owned(), file(&authority.cert()).into()),
        ("cert".to_owned(), file(&own.cert).into()),
        ("key".to_owned(), file(&own.key).into()),
    ])
}

/// A shop whose database wants TLS; so far the settings have none.
fn shop(name: &str) -> (Shop, Authority, Certificate) {
    let place = Place::temporary(name).unwrap();
    let authority = Authority::new(&place).unwrap();
    let own = authority.certify("worker").unwrap();
    let redis = Redis::start(&place).unwrap();
    let db = MariaDb::start_secured(&place, &authority).unwrap();
    let settings = Settings::worker(&redis, &db).unwrap();
    let shop = Shop {
        place,
        redis,
        db,
        kafka: None,
        settings,
    };
    (shop, authority, own)
}

#[test]
fn orders_reach_a_database_that_wants_tls_and_a_certificate() {
    let (mut shop, authority, own) = shop("mysql-tls");
    shop.chore(&["migrate"]).unwrap_err();
    let other = Authority::new(&shop.place).unwrap();
    let plain = shop.settings.clone();
    shop.settings = plain.clone().with("mysql.tls", tls(&other, &own));
    let refusal = shop.chore(&["migrate"]).unwrap_err().to_string();
    assert!(refusal.contains("invalid peer certificate"), "{refusal}");
    shop.settings = plain.with("mysql.tls", tls(&authority, &own));
    shop.chore(&["migrate"]).unwrap();
    let _worker = shop.run();
    shop.sale(1001, 100, &["--hold", "0"]);
    shop.buy(1001, 1, 20);
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

#[test]
fn certificates_that_are_none_are_noticed_by_a_test_of_the_configuration() {
    let (mut shop, authority, own) = shop("tls-check");
    let settings = shop.settings.clone();
    let other = authority.certify("other").unwrap();
    let mixed = Certificate {
        cert: own.cert,
        key: other.key,
    };
    shop.settings = settings.with("kafka.tls", tls(&authority, &mixed));
    let refusal = shop.chore(&["--test"]).unwrap_err().to_string();
    assert!(
        refusal.contains("kafka.tls.key: not the key of cert"),
        "{refusal}"
    );
}

#[test]
fn orders_pass_through_a_broker_that_wants_tls_a_certificate_and_a_password() {
    if !Kafka::or_skip("kafka-tls") {
        return;
    }
    let mut shop = Shop::open("kafka-tls");
    let authority = Authority::new(&shop.place).unwrap();
    let own = authority.certify("worker").unwrap();
    let kafka = Kafka::start_secured(&shop.place, &authority).unwrap();
    let (brokers, password) = kafka.secure_brokers().unwrap();
    let secret = shop.place.path().join("kafka-password");
    std::fs::write(&secret, "wrong").unwrap();
    shop.settings = shop
        .settings
        .clone()
        .with("broker", "kafka")
        .with("kafka.brokers", brokers)
        .with("kafka.partitions", 1)
        .with("kafka.tls", tls(&authority, &own))
        .with("kafka.sasl.mechanism", "SCRAM-SHA-512")
        .with("kafka.sasl.user", "worker")
        .with("kafka.sasl.password", file(&secret));
    shop.sale(1001, 100, &["--hold", "0"]);
    let worker = shop.run();
    await_true("the password is wrong", || {
        shop.log_of(&worker).contains("uthentication failed")
    });
    await_true("and Kafka is missed", || {
        reasons(&worker) == ["starting", "kafka"]
    });
    drop(worker);

    std::fs::write(&secret, password).unwrap();
    let _worker = shop.run();
    shop.buy(1001, 1, 20);
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

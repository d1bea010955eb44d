//! TLS between the proxy and Redis: each proves who it is, and buyers notice nothing.

use crate::process::proxy;
use crate::stand::{Stand, eventually};
use seckill_testbed::{Authority, Certificate, Place, Redis, Settings, User};
use std::fs;
use std::path::Path;
use toml::Table;

fn file(path: &Path) -> Table {
    let path = path.to_str().unwrap().to_owned();
    Table::from_iter([("file".to_owned(), path.into())])
}

fn with_tls(settings: Settings, redis_url: &str, ca: &Path, own: &Certificate) -> Settings {
    settings
        .with("redis.url", redis_url)
        .with("redis.tls.ca", file(ca))
        .with("redis.tls.cert", file(&own.cert))
        .with("redis.tls.key", file(&own.key))
}

#[test]
fn decisions_and_news_come_over_tls_from_a_redis_that_proves_itself() {
    let place = Place::temporary("tls").unwrap();
    let authority = Authority::new(&place).unwrap();
    let redis = Redis::start_with_tls(&place, &authority).unwrap();
    let own = authority.certify("proxy").unwrap();
    let url = redis.tls_url(User::Proxy).unwrap();
    let stand = Stand::around(place, redis, "queue", |settings| {
        with_tls(settings, &url, &authority.cert(), &own).with("redis.remember_ms", 60_000)
    });
    stand.create("1001", &["STOCK", "1"]);
    assert_eq!(stand.buy("1001", "u1").status, 202);
    eventually("sold out, and remembered", || {
        assert_eq!(stand.buy("1001", "u2").status, 410);
        stand.counter("seckill_proxy_edge_rejections_total{sale=\"1001\",verdict=\"sold_out\"}") > 0
    });
    stand.redis::<()>(&["SECKILL.RESTOCK", "1001", "1"]);
    eventually("news of the restock", || {
        stand.buy("1001", "u3").status == 202
    });
}

#[test]
fn a_redis_that_another_authority_vouches_for_is_not_asked() {
    let place = Place::temporary("mitm").unwrap();
    let authority = Authority::new(&place).unwrap();
    let other = Authority::new(&place).unwrap();
    let redis = Redis::start_with_tls(&place, &authority).unwrap();
    let own = authority.certify("proxy").unwrap();
    let url = redis.tls_url(User::Proxy).unwrap();
    let stand = Stand::around(place, redis, "queue", |settings| {
        with_tls(settings, &url, &other.cert(), &own)
    });
    stand.create("1001", &["STOCK", "1"]);
    assert_eq!(stand.buy("1001", "u1").status, 503);
    assert!(stand.log().contains("certificate"), "{}", stand.log());
    assert_eq!(stand.info("1001", "held"), "0");
}

#[test]
fn a_user_with_a_wrong_password_is_told_so_in_the_log() {
    let place = Place::temporary("password").unwrap();
    let authority = Authority::new(&place).unwrap();
    let redis = Redis::start_with_tls(&place, &authority).unwrap();
    let own = authority.certify("proxy").unwrap();
    let url = redis.tls_url(User::Proxy).unwrap();
    let (_, host) = url.split_once('@').unwrap();
    let url = format!("rediss://proxy:guessed@{host}");
    let stand = Stand::around(place, redis, "queue", |settings| {
        with_tls(settings, &url, &authority.cert(), &own)
    });
    stand.create("1001", &["STOCK", "1"]);
    assert_eq!(stand.buy("1001", "u1").status, 503);
    let log = stand.log();
    assert!(log.contains("(NOAUTH)"), "{log}");
    assert!(!log.contains("guessed"), "{log}");
}

#[test]
fn a_check_names_the_certificate_that_is_wrong() {
    let place = Place::temporary("certificates").unwrap();
    let folder = place.path();
    let authority = Authority::new(&place).unwrap();
    let ca = authority.cert();
    let [one, other] = ["one", "other"].map(|name| authority.certify(name).unwrap());
    let empty = folder.join("empty");
    fs::write(&empty, "").unwrap();
    let shipped = include_str!("../../../conf/proxy.toml");
    let check = |tls: &[(&str, &Path)]| {
        let lines: String = tls
            .iter()
            .map(|(key, path)| format!("{key} = {{ file = {path:?} }}\n"))
            .collect();
        let secure = shipped.replace("redis://", "rediss://");
        let config = secure.replace("[shop]\n", &format!("[redis.tls]\n{lines}[shop]\n"));
        let output = proxy(folder, &config, &["--test"]);
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(check(&[]), "");
    let good = [("ca", &*ca), ("cert", &*one.cert), ("key", &*one.key)];
    assert_eq!(check(&good), "");
    for (tls, expected) in [
        (
            &[("ca", Path::new("/nowhere"))][..],
            "redis.tls.ca: cannot read /nowhere",
        ),
        (&[("ca", &*empty)], "redis.tls.ca: expected a certificate"),
        (&[("ca", &*one.key)], "redis.tls.ca: expected a certificate"),
        (&[("cert", &*one.cert)], "redis.tls.key: missing"),
        (&[("key", &*one.key)], "redis.tls.cert: missing"),
        (
            &[("cert", &*one.cert), ("key", &*empty)],
            "redis.tls.key: expected a private key",
        ),
        (
            &[("cert", &*one.cert), ("key", &*other.key)],
            "redis.tls.key: not the key of cert",
        ),
    ] {
        let said = check(tls);
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

//! Where requests come from: what the shop is told of it, and how often one may come.

use crate::stand::{Stand, request};
use serde_json::json;

fn strangers() -> Vec<String> {
    vec!["192.0.2.0/24".to_owned()]
}

#[test]
fn the_shop_learns_who_asks_from_gateways_and_not_from_clients() {
    let stand = Stand::start("introduced", "queue");
    let headers = [
        ("X-Forwarded-For", "198.51.100.7"),
        ("X-Forwarded-Proto", "https"),
        ("X-Real-IP", "198.51.100.7"),
    ];
    let seen = || {
        let answer = stand.client().ask(&request("GET", "/echo", &headers, ""));
        answer.json()["headers"].clone()
    };
    // The tests are a gateway to this proxy.
    let told = seen();
    assert_eq!(told["x-forwarded-for"], json!(["198.51.100.7, 127.0.0.1"]));
    assert_eq!(told["x-forwarded-proto"], json!(["https"]));
    assert_eq!(told["x-forwarded-host"], json!(["shop.test"]));

    stand.renew(|s| s.with("client.trusted_proxies", strangers()));
    crate::stand::eventually("not believed", || {
        seen()["x-forwarded-for"] == json!(["127.0.0.1"])
    });
    let told = seen();
    assert_eq!(told["x-forwarded-proto"], json!(["http"]));
    assert!(told.get("x-real-ip").is_none(), "{told}");
}

#[test]
fn one_address_that_asks_too_often_is_told_so_and_others_are_served() {
    let stand = Stand::start_with("limited", "queue", |s| {
        s.with("client.rate", 1)
            .with("client.burst", 3)
            .with("rate_limit_headers", true)
    });
    stand.create("1001", &["STOCK", "100"]);
    let buy = |address: Option<&str>, uid: &str| {
        let mut headers = vec![("X-User-Id", uid)];
        headers.extend(address.map(|address| ("X-Forwarded-For", address)));
        let asked = request("POST", "/seckill/1001", &headers, "");
        stand.client().ask(&asked)
    };
    let one = Some("198.51.100.7");
    // Whoever he says he is: a robot has many names.
    let answers: Vec<_> = (0..8).map(|n| buy(one, &format!("u{n}"))).collect();
    let limited = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(limited.problem(), (429, "client_limited".to_owned()));
    assert_eq!(
        limited.header("ratelimit-policy"),
        Some("\"client\";q=3;w=3")
    );
    assert_eq!(limited.header("ratelimit"), Some("\"client\";r=0;t=1"));
    assert!(limited.retry_after_s().unwrap() >= 1);
    assert_eq!(buy(Some("198.51.100.8"), "other").status, 202);
    // A gateway that does not say for whom it asks is not one client.
    for n in 0..8 {
        assert_eq!(buy(None, &format!("unknown{n}")).status, 202);
    }
}

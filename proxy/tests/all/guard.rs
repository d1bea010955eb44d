//! What does not get past the proxy, and what does.

use crate::stand::{Stand, request};
use serde_json::{Value, json};
use toml::Table;

#[test]
fn the_shop_gets_everything_else_unchanged() {
    let stand = Stand::start("else", "queue");
    let headers = [
        ("X-User-Id", "u7"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("Cookie", "a=b"),
    ];
    let mut client = stand.client();
    for method in ["GET", "PUT", "PATCH", "DELETE", "POST"] {
        let seen = client
            .ask(&request(method, "/echo?a=%2F&b=//", &headers, "some text"))
            .json();
        assert_eq!(seen["method"], method);
        assert_eq!(seen["path"], "/echo?a=%2F&b=//");
        assert_eq!(seen["headers"]["x-user-id"], json!(["u7"]));
        assert_eq!(seen["headers"]["x-http-method-override"], json!(["DELETE"]));
        assert_eq!(seen["headers"]["host"], json!(["shop.test"]));
        assert_eq!(seen["headers"]["content-length"], json!(["9"]));
    }
    let page = client.ask(&request("GET", "/seckill/1001", &[], ""));
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Sale 1001"), "{page:?}");
}

#[test]
fn no_header_of_ours_comes_from_outside_on_any_road() {
    let elsewhere = Stand::start("forged", "queue");
    // The shop's page that shows a request's headers, as a guarded path.
    let guarded = Stand::start_with("guarded", "forward", |settings| {
        let route: Table = "path = '/{sid}'\nmode = 'forward'".parse().unwrap();
        settings.with("route", vec![route])
    });
    guarded.create("echo", &["STOCK", "1000", "LIMIT", "0"]);
    for name in [
        "Seckill-User",
        "seckill-reservation",
        "SECKILL-SALE",
        "Seckill_User",
        "SECKILL_RESERVATION",
        "Seckill.User",
        "Seckill-Timestamp",
        "Seckill-Signature",
        "SECKILL_SIGNATURE",
        "seckill_Timestamp",
        "Seckill.Signature",
        "Seckill-Whatever",
    ] {
        for connection in ["keep-alive".to_owned(), format!("keep-alive, {name}")] {
            let headers = [
                ("X-User-Id", "u7"),
                (name, "forged"),
                (name, "again"),
                ("Connection", &*connection),
                ("X-Kept", "yes"),
            ];
            for (stand, method, told) in [
                (&elsewhere, "GET", &[][..]),
                (&elsewhere, "POST", &[]),
                (&guarded, "GET", &[]),
                (
                    &guarded,
                    "POST",
                    &["quantity", "reservation", "sale", "user"],
                ),
            ] {
                let asked = request(method, "/echo", &headers, "");
                let seen = stand.client().ask(&asked).json()["headers"].clone();
                assert_eq!(seen["x-kept"], json!(["yes"]), "{name}");
                assert!(!seen.to_string().contains("forged"), "{name}: {seen}");
                let Value::Object(seen) = seen else {
                    panic!("{seen}")
                };
                let mut ours: Vec<_> = seen.keys().filter(|k| k.starts_with("seckill")).collect();
                ours.sort();
                let told: Vec<_> = told.iter().map(|word| format!("seckill-{word}")).collect();
                assert_eq!(ours, told.iter().collect::<Vec<_>>(), "{method} {name}");
            }
        }
    }
}

#[test]
fn the_buy_has_one_spelling() {
    let stand = Stand::start("spelling", "forward");
    stand.create("1001", &["STOCK", "10"]);
    for path in [
        "/SECKILL/1001",
        "/Seckill/1001",
        "/seckill/1001/",
        "//seckill/1001",
        "/seckill//1001",
        "/./seckill/1001",
        "/seckill/./1001",
        "/x/../seckill/1001",
        "/x/%2e%2e/seckill/1001",
        "/x/..;/seckill/1001",
        "/%73eckill/1001",
        "/%2573eckill/1001",
        "/seckill%2f1001",
        "/seckill%5C1001",
        "/seckill;v=1/1001",
        "/seckill/%31001",
        "/seckill/1001;v=1",
        "/seckill/1001%00",
        "http://shop.test/Seckill/1001",
    ] {
        let asked = request("POST", path, &[("X-User-Id", "u7")], "");
        let answer = stand.client().ask(&asked);
        let (status, code) = answer.problem();
        assert_eq!(status, 400, "{path}");
        assert!(
            ["bad_request", "bad_sale"].contains(&&*code),
            "{path}: {code}"
        );
    }
    assert_eq!(stand.info("1001", "tries"), "0");
    assert_eq!(stand.orders(), json!({}));
    // An absolute target is the same path.
    let asked = request(
        "POST",
        "http://shop.test/seckill/1001",
        &[("X-User-Id", "u7")],
        "",
    );
    assert_eq!(stand.client().ask(&asked).status, 201);
    assert_eq!(stand.info("1001", "held"), "1");
}

#[test]
fn the_buy_has_one_method() {
    let stand = Stand::start("method", "forward");
    stand.create("1001", &["STOCK", "10"]);
    for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "post", "BUY"] {
        let asked = request(method, "/seckill/1001", &[("X-User-Id", "u7")], "");
        let answer = stand.client().ask(&asked);
        assert_eq!(answer.problem(), (405, "method_not_allowed".to_owned()));
        assert_eq!(answer.header("allow"), Some("GET, HEAD, POST"));
    }
    for name in [
        "X-HTTP-Method-Override",
        "X-Method-Override",
        "X-HTTP-Method",
        "X_HTTP_METHOD_OVERRIDE",
    ] {
        for method in ["GET", "POST"] {
            let headers = [("X-User-Id", "u7"), (name, "POST")];
            let asked = request(method, "/seckill/1001", &headers, "");
            assert_eq!(
                stand.client().ask(&asked).problem(),
                (400, "bad_request".to_owned()),
                "{method} {name}"
            );
        }
    }
    assert_eq!(stand.info("1001", "tries"), "0");
    assert_eq!(stand.orders(), json!({}));
}

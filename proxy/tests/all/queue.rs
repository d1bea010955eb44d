//! Mode `queue`: what a buyer gets for every verdict and every mistake.

use crate::stand::{Stand, get, post, request};
use std::io::Read;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

fn now_ms() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis()
}

#[test]
fn a_buyer_gets_a_reservation_and_can_watch_it() {
    let stand = Stand::start("watch", "queue");
    stand.create("1001", &["STOCK", "10"]);

    let bought = stand.buy("1001", "u7");
    assert_eq!(bought.status, 202);
    assert_eq!(bought.header("content-type"), Some("application/json"));
    assert_eq!(bought.header("cache-control"), Some("no-store"));
    assert_eq!(bought.text("sid"), "1001");
    assert_eq!(bought.text("status"), "queued");
    let rid = bought.text("rid");
    let location = bought.header("location").unwrap().to_owned();
    assert_eq!(location, format!("/seckill/1001/reservations/{rid}"));

    let again = stand.buy("1001", "u7");
    assert_eq!(again.status, 200);
    assert_eq!(again.text("status"), "duplicate");
    assert_eq!(again.text("rid"), rid);

    let watch = || stand.client().ask(&get(&location, "u7"));
    let view = watch();
    assert_eq!(view.status, 200);
    assert_eq!(view.text("status"), "queued");
    assert_eq!(view.json()["qty"], 1);
    assert!(u128::from(view.json()["deadline"].as_u64().unwrap()) > now_ms());

    let (epoch, seq) = rid.split_once('-').unwrap();
    for cursor in ["RELAYED", "STORED"] {
        stand.redis::<()>(&["SECKILL.ACK", "1001", cursor, epoch, seq]);
    }
    assert_eq!(watch().text("status"), "ordered");
    stand.redis::<()>(&["SECKILL.CONFIRM", "1001", &rid]);
    assert_eq!(watch().text("status"), "confirmed");

    let rid = stand.buy("1001", "u8").text("rid");
    stand.redis::<()>(&["SECKILL.CANCEL", "1001", &rid]);
    let path = format!("/seckill/1001/reservations/{rid}");
    let view = stand.client().ask(&get(&path, "u8"));
    assert_eq!(view.text("status"), "cancelled");
    let headers = [("X-User-Id", "u8"), ("Connection", "close")];
    let mut client = stand.client();
    client.send(&request("HEAD", &path, &headers, ""));
    let mut answer = String::new();
    client.stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn a_reservation_is_its_owners_business() {
    let stand = Stand::start("owner", "queue");
    stand.create("1001", &["STOCK", "10"]);
    let rid = stand.buy("1001", "u7").text("rid");
    let ask = |rid: &str, uid: &str| {
        let path = format!("/seckill/1001/reservations/{rid}");
        stand.client().ask(&get(&path, uid)).problem()
    };
    let unknown = (404, "unknown_reservation".to_owned());
    assert_eq!(ask(&rid, "u8"), unknown);
    assert_eq!(ask("1-1", "u7"), unknown);
    assert_eq!(ask("nonsense", "u7"), unknown);
    assert_eq!(ask(&rid, ""), (401, "no_buyer".to_owned()));
    let path = format!("/seckill/999/reservations/{rid}");
    assert_eq!(
        stand.client().ask(&get(&path, "u7")).problem(),
        (404, "unknown_sale".to_owned())
    );
    let path = format!("/seckill/1001/reservations/{rid}");
    let refused = stand.client().ask(&post(&path, "u7"));
    assert_eq!(refused.problem(), (405, "method_not_allowed".to_owned()));
    assert_eq!(refused.header("allow"), Some("GET, HEAD, DELETE"));
}

#[test]
fn every_verdict_has_its_status() {
    let stand = Stand::start("verdicts", "queue");
    let in_a_minute = (now_ms() + 60_000).to_string();
    let long_ago = (now_ms() - 60_000).to_string();
    let before = (now_ms() - 120_000).to_string();
    stand.create("empty", &["STOCK", "0"]);
    stand.create("held", &["STOCK", "1", "HOLD", "60000"]);
    stand.create("later", &["STOCK", "1", "START", &in_a_minute]);
    stand.create("over", &["STOCK", "1", "START", &before, "END", &long_ago]);
    stand.create("closed", &["STOCK", "1"]);
    stand.redis::<()>(&["SECKILL.CLOSE", "closed"]);
    stand.create("paused", &["STOCK", "1", "PAUSED"]);
    stand.create("slow", &["STOCK", "9", "RATE", "1", "BURST", "1"]);
    assert_eq!(stand.buy("held", "first").status, 202);
    assert_eq!(stand.buy("slow", "first").status, 202);

    for (sid, status, code, retry_s) in [
        ("empty", 410, "sold_out", None),
        ("held", 410, "sold_out", Some(55..=66)),
        ("later", 403, "not_started", Some(55..=60)),
        ("over", 410, "ended", None),
        ("closed", 410, "ended", None),
        ("paused", 503, "paused", Some(5..=6)),
        ("slow", 429, "limited", Some(1..=2)),
        ("nowhere", 404, "unknown_sale", None),
    ] {
        let answer = stand.buy(sid, "u7");
        assert_eq!(answer.problem(), (status, code.to_owned()), "{sid}");
        match (answer.retry_after_s(), retry_s) {
            (None, None) => {}
            (Some(s), Some(expected)) => assert!(expected.contains(&s), "{sid}: {s}"),
            (got, expected) => panic!("{sid}: Retry-After {got:?}, expected {expected:?}"),
        }
        if sid == "later" {
            let wait = answer.json()["starts_in_ms"].as_u64().unwrap();
            assert!((50_000..=60_000).contains(&wait), "{wait}");
        }
    }
}

#[test]
fn a_mistake_is_told_by_its_code_and_costs_nothing() {
    let stand = Stand::start("mistakes", "queue");
    stand.create("1001", &["STOCK", "10", "LIMIT", "3"]);
    let long_key = "k".repeat(129);
    let long_uid = "u".repeat(129);
    let body = "x".repeat(8193);
    let buyer = ("X-User-Id", "u7");
    for (path, headers, body, status, code) in [
        ("/seckill/1001", vec![], "", 401, "no_buyer"),
        (
            "/seckill/1001",
            vec![("X-User-Id", "")],
            "",
            401,
            "no_buyer",
        ),
        (
            "/seckill/1001",
            vec![("X-User-Id", &*long_uid)],
            "",
            400,
            "bad_buyer",
        ),
        ("/seckill/1001", vec![buyer, buyer], "", 400, "bad_buyer"),
        (
            "/seckill/1001",
            vec![buyer, ("x-user-id", "u8")],
            "",
            400,
            "bad_buyer",
        ),
        ("/seckill/a.b", vec![buyer], "", 400, "bad_sale"),
        ("/seckill/", vec![buyer], "", 400, "bad_sale"),
        ("/seckill/1001?qty=0", vec![buyer], "", 400, "bad_quantity"),
        ("/seckill/1001?qty=x", vec![buyer], "", 400, "bad_quantity"),
        (
            "/seckill/1001?qty=1&qty=1",
            vec![buyer],
            "",
            400,
            "bad_quantity",
        ),
        ("/seckill/1001?qty=4", vec![buyer], "", 400, "bad_quantity"),
        (
            "/seckill/1001?qty=4294967296",
            vec![buyer],
            "",
            400,
            "bad_quantity",
        ),
        (
            "/seckill/1001",
            vec![buyer, ("Idempotency-Key", &*long_key)],
            "",
            400,
            "bad_idempotency_key",
        ),
        (
            "/seckill/1001",
            vec![buyer, ("Idempotency-Key", "a b")],
            "",
            400,
            "bad_idempotency_key",
        ),
        ("/seckill/1001", vec![buyer], &body, 413, "body_too_large"),
        ("/seckill/unknown", vec![buyer], "", 404, "unknown_sale"),
    ] {
        let asked = request("POST", path, &headers, body);
        assert_eq!(
            stand.client().ask(&asked).problem(),
            (status, code.to_owned()),
            "{path} {headers:?}"
        );
    }
    assert_eq!(stand.info("1001", "available"), "10");
}

#[test]
fn a_key_names_a_purchase_and_qty_its_size() {
    let stand = Stand::start("keys", "queue");
    stand.create("1001", &["STOCK", "10", "LIMIT", "0"]);
    let buy = |key: &str, query: &str| {
        let path = format!("/seckill/1001{query}");
        let headers = [("X-User-Id", "u7"), ("Idempotency-Key", key)];
        stand.client().ask(&request("POST", &path, &headers, ""))
    };
    let first = buy("a", "?qty=3");
    assert_eq!(first.status, 202);
    let again = buy("a", "?qty=3");
    assert_eq!(again.status, 200);
    assert_eq!(again.text("rid"), first.text("rid"));
    assert_eq!(buy("b", "").status, 202);
    assert_eq!(stand.info("1001", "held"), "4");
}

#[test]
fn a_buyer_is_named_by_trusted_peers_only() {
    let stand = Stand::start_with("trust", "queue", |settings| {
        settings.with("buyer.trusted_peers", vec!["10.0.0.0/8"])
    });
    stand.create("1001", &["STOCK", "10"]);
    assert_eq!(
        stand.buy("1001", "u7").problem(),
        (401, "no_buyer".to_owned())
    );
    assert_eq!(stand.info("1001", "tries"), "0");
}

#[test]
fn there_are_never_more_acceptances_than_units() {
    let stand = Stand::start("crowd", "queue");
    stand.create("1001", &["STOCK", "50"]);
    let accepted: usize = thread::scope(|scope| {
        let crowds: Vec<_> = (0..8)
            .map(|crowd| {
                let stand = &stand;
                scope.spawn(move || {
                    let mut client = stand.client();
                    (0..100)
                        .filter(|buyer| {
                            let uid = format!("u{crowd}-{buyer}");
                            client.ask(&post("/seckill/1001", &uid)).status == 202
                        })
                        .count()
                })
            })
            .collect();
        crowds.into_iter().map(|crowd| crowd.join().unwrap()).sum()
    });
    assert_eq!(accepted, 50);
    assert_eq!(stand.info("1001", "held"), "50");
}

#[test]
fn the_prefix_of_the_keys_is_the_proxys_own_affair() {
    let stand = Stand::start_with("prefix", "queue", |settings| {
        settings.with("redis.key_prefix", "{eu}:")
    });
    stand.create("{eu}:1001", &["STOCK", "10"]);
    let bought = stand.buy("1001", "u7");
    assert_eq!(bought.status, 202);
    assert_eq!(bought.text("sid"), "1001");
    assert_eq!(stand.info("{eu}:1001", "held"), "1");
}

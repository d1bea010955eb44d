//! Reservations that are given up by their owners, and paid for or given up by the word of the shop.

use crate::stand::{Stand, eventually, post, request};
use seckill_testbed::Place;
use std::fs;
use toml::Table;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const OTHER_KEY: &str = "fedcba9876543210fedcba9876543210";

fn stand(name: &str, mode: &str) -> Stand {
    stand_with(name, mode, "")
}

fn stand_with(name: &str, mode: &str, lines: &str) -> Stand {
    let keys = Place::temporary("callback").unwrap();
    let path = keys.path().join("key");
    fs::write(&path, format!("{KEY}\n")).unwrap();
    let table = format!("keys.k1 = {{ file = {path:?} }}\n{lines}");
    let table: Table = table.parse().unwrap();
    let stand = Stand::start_with(name, mode, |s| s.with("shop.callback", table.clone()));
    stand.create("1001", &["STOCK", "10"]);
    stand
}

fn status(stand: &Stand, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let answer = stand.client().ask(&request(method, path, headers, ""));
    if answer.status == 200 {
        (200, answer.text("status"))
    } else {
        answer.problem()
    }
}

fn word(status: u16, word: &str) -> (u16, String) {
    (status, word.to_owned())
}

#[test]
fn an_owner_gives_a_reservation_up_and_somebody_else_gets_the_unit() {
    let stand = stand("give-up", "queue");
    stand.create("1", &["STOCK", "1"]);
    let bought = stand.buy("1", "u7");
    let path = bought.header("location").unwrap().to_owned();
    let delete = |uid: &str| status(&stand, "DELETE", &path, &[("X-User-Id", uid)]);
    assert_eq!(delete("u8"), word(404, "unknown_reservation"));
    assert_eq!(status(&stand, "DELETE", &path, &[]), word(401, "no_buyer"));
    assert_eq!(stand.info("1", "held"), "1");
    for _ in 0..2 {
        assert_eq!(delete("u7"), word(200, "cancelled"));
    }
    assert_eq!(stand.info("1", "available"), "1");
    // The proxy hears of it, if it had told buyers that all was gone.
    eventually("sold again", || stand.buy("1", "u9").status == 202);
}

#[test]
fn the_shop_says_what_is_paid_for_and_nobody_else_does() {
    let stand = stand("paid", "queue");
    let path = stand.buy("1001", "u7");
    let path = path.header("location").unwrap().to_owned();
    let confirm = format!("{path}/confirm");
    let key = format!("Bearer {KEY}");
    let wrong = format!("Bearer {OTHER_KEY}");
    for headers in [
        &[][..],
        &[("X-User-Id", "u7")],
        &[("Authorization", KEY)],
        &[("Authorization", wrong.as_str())],
        &[
            ("Authorization", key.as_str()),
            ("Authorization", key.as_str()),
        ],
    ] {
        let answer = status(&stand, "POST", &confirm, headers);
        assert_eq!(answer, word(401, "not_the_shop"), "{headers:?}");
    }
    let shop = [("Authorization", key.as_str())];
    assert_eq!(status(&stand, "GET", &confirm, &shop).0, 405);
    assert_eq!(stand.info("1001", "sold"), "0");
    for _ in 0..2 {
        assert_eq!(
            status(&stand, "POST", &confirm, &shop),
            word(200, "confirmed")
        );
    }
    assert_eq!(stand.info("1001", "sold"), "1");

    // What is sold is not given up, neither by its owner nor by the shop.
    for headers in [&[("X-User-Id", "u7")][..], &shop] {
        let answer = stand.client().ask(&request("DELETE", &path, headers, ""));
        assert_eq!(answer.problem(), word(409, "wrong_state"));
        assert_eq!(answer.text("reservation"), "confirmed");
    }
    let unknown = "/seckill/1001/reservations/1-1/confirm";
    let answer = status(&stand, "POST", unknown, &shop);
    assert_eq!(answer, word(404, "unknown_reservation"));

    let other = stand.buy("1001", "u8");
    let other = other.header("location").unwrap();
    assert_eq!(
        status(&stand, "DELETE", other, &shop),
        word(200, "cancelled")
    );
    let late = status(&stand, "POST", &format!("{other}/confirm"), &shop);
    assert_eq!(late, word(409, "wrong_state"));
}

#[test]
fn while_a_sale_is_fenced_the_shop_and_the_buyer_are_to_ask_again() {
    let stand = stand("fenced", "queue");
    let path = stand.buy("1001", "u7");
    let path = path.header("location").unwrap().to_owned();
    let _: String = stand.redis(&["SECKILL.PAUSE", "1001"]);
    let _: redis::Value = stand.redis(&["SECKILL.RESTORE", "1001", "EPOCH", "0"]);
    assert_eq!(stand.info("1001", "state"), "fenced");
    let shop = format!("Bearer {KEY}");
    let pay = || {
        let headers = [("Authorization", shop.as_str())];
        let confirm = request("POST", &format!("{path}/confirm"), &headers, "");
        stand.client().ask(&confirm)
    };
    let answer = pay();
    assert_eq!(answer.problem(), word(503, "unavailable"));
    assert!(answer.retry_after_s().is_some(), "{answer:?}");
    let owner = [("X-User-Id", "u7")];
    assert_eq!(status(&stand, "DELETE", &path, &owner).0, 503);
    // It may be among what the copy lacks.
    let lost = "/seckill/1001/reservations/1-1";
    assert_eq!(status(&stand, "GET", lost, &owner), word(503, "paused"));
    let _: String = stand.redis(&["SECKILL.RESUME", "1001"]);
    assert_eq!(pay().status, 200);
    let unknown = word(404, "unknown_reservation");
    assert_eq!(status(&stand, "GET", lost, &owner), unknown);
}

#[test]
fn a_late_payment_follows_the_policy_and_is_told_apart_for_the_refund() {
    let key = format!("Bearer {KEY}");
    let shop = [("Authorization", key.as_str())];
    for (policy, units, answer) in [
        ("take", "2", word(200, "confirmed")),
        ("take", "1", word(409, "wrong_state")),
        ("refuse", "2", word(409, "wrong_state")),
    ] {
        let line = format!("late_payment = {policy:?}");
        let stand = stand_with(&format!("late-{policy}-{units}"), "queue", &line);
        stand.create("1", &["STOCK", units, "HOLD", "1"]);
        let path = stand.buy("1", "u7").header("location").unwrap().to_owned();
        let available = |units: &str| stand.info("1", "available") == units;
        eventually("it has lapsed", || {
            let _: redis::Value = stand.redis(&["SECKILL.EVENTS", "1"]);
            available(units)
        });
        let _: String = stand.redis(&["SECKILL.ALTER", "1", "HOLD", "60000"]);
        stand.buy("1", "u8");
        for _ in 0..2 {
            let confirm = format!("{path}/confirm");
            assert_eq!(status(&stand, "POST", &confirm, &shop), answer, "{policy}");
        }
        let log: Vec<String> = stand.redis(&["SECKILL.EVENTS", "1", "FORMAT", "text"]);
        let refunds = log
            .iter()
            .filter(|line| line.contains("late_payment"))
            .count();
        assert_eq!(refunds, usize::from(answer.0 == 409), "{log:?}");
    }
}

#[test]
fn a_reservation_that_is_with_the_shop_is_not_given_up_meanwhile() {
    let stand = stand("busy", "forward confirm");
    let mut buyer = stand.client();
    buyer.send(&post("/seckill/1001?delay_ms=1000", "u7"));
    eventually("accepted", || stand.info("1001", "held") == "1");
    let all: Vec<Vec<redis::Value>> = stand.redis(&["SECKILL.USER", "1001", "u7"]);
    let rid = crate::stand::field_of(&all[0], "rid");
    let path = format!("/seckill/1001/reservations/{rid}");
    let delete = || status(&stand, "DELETE", &path, &[("X-User-Id", "u7")]);
    assert_eq!(delete(), word(409, "in_progress"));
    assert_eq!(buyer.read().status, 201);
    assert_eq!(delete(), word(409, "wrong_state"));
}

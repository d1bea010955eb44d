//! What everybody sees of a sale, without trying to buy.

use crate::stand::{Stand, crowd, eventually, in_ms, post, request};
use seckill_testbed::Part;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A stand whose route tells how many units there are, or does not say whether it does.
fn stand(name: &str, shows_units: bool) -> Stand {
    let route = r#"{ path = "/seckill/{sid}", mode = "queue", show_units = true }"#;
    let route: toml::Value = route.parse().unwrap();
    Stand::start_with(name, "queue", |settings| match shows_units {
        true => settings.with("route", vec![route.clone()]),
        false => settings,
    })
}

fn look(sid: &str) -> String {
    request("GET", &format!("/seckill/{sid}/state"), &[], "")
}

/// How the sale stands, without its clock.
fn seen(stand: &Stand, sid: &str) -> (Value, Option<u64>) {
    let answer = stand.client().ask(&look(sid));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut seen = answer.json();
    let clock = seen.as_object_mut().unwrap().remove("starts_in_ms");
    (seen, clock.and_then(|ms| ms.as_u64()))
}

#[test]
fn whoever_looks_sees_when_it_starts_and_not_how_much_there_is() {
    let stand = stand("waiting", false);
    stand.create(
        "1001",
        &["STOCK", "3", "NAME", "Brass lamp", "START", &in_ms(60_000)],
    );
    let (sale, clock) = seen(&stand, "1001");
    let expected = json!({ "sid": "1001", "name": "Brass lamp", "state": "waiting" });
    assert_eq!(sale, expected);
    assert!((50_000..=60_000).contains(&clock.unwrap()), "{clock:?}");
    stand.create("1002", &["STOCK", "3", "END", &in_ms(60_000)]);
    let (sale, clock) = seen(&stand, "1002");
    assert_eq!((&sale["state"], clock), (&json!("open"), None));
    let end = sale["ends_in_ms"].as_u64().unwrap();
    assert!((50_000..=60_000).contains(&end), "{end}");
    assert_eq!(sale.get("units"), None);
}

#[test]
fn the_start_is_seen_when_it_comes() {
    let stand = stand("start", false);
    stand.create("1001", &["STOCK", "3", "START", &in_ms(3_000)]);
    let (_, clock) = seen(&stand, "1001");
    std::thread::sleep(Duration::from_millis(clock.unwrap() + 5));
    let (sale, clock) = seen(&stand, "1001");
    assert_eq!((&sale["state"], clock), (&json!("open"), None));
}

#[test]
fn where_the_shop_wants_it_units_are_told_by_what_they_are() {
    let stand = stand("units", true);
    stand.create("1001", &["STOCK", "3", "LIMIT", "0"]);
    let rid = stand.buy("1001", "u1").text("rid");
    stand.buy("1001", "u2");
    stand.redis::<()>(&["SECKILL.CONFIRM", "1001", &rid]);
    let expected = json!({ "sid": "1001", "state": "open",
        "units": { "available": 1, "held": 1, "sold": 1 } });
    assert_eq!(seen(&stand, "1001").0, expected);
    // Nobody is shown for longer than a second what is not so any more.
    stand.buy("1001", "u3");
    std::thread::sleep(Duration::from_millis(1_000));
    let expected = json!({ "sid": "1001", "state": "soldout",
        "units": { "available": 0, "held": 2, "sold": 1 } });
    assert_eq!(seen(&stand, "1001").0, expected);
}

#[test]
fn a_crowd_that_looks_is_one_question_a_second() {
    let stand = stand("crowd", false);
    stand.create("1001", &["STOCK", "3"]);
    let looks: Vec<String> = ["1001", "nothing"]
        .repeat(200)
        .into_iter()
        .map(look)
        .collect();
    let since = Instant::now();
    let answers = crowd(&stand.proxy.address(), &looks);
    let seconds = since.elapsed().as_secs();
    let told = |status| answers.iter().filter(move |answer| answer.status == status);
    assert_eq!((told(200).count(), told(404).count()), (200, 200));
    let (asked, _) = stand.calls("seckill.info");
    // Of what is no sale nothing is kept, so that nobody can fill the memory.
    assert!(asked <= 200 + seconds + 1, "{asked} in {seconds} s");
    let counted = r#"seckill_proxy_requests_total{code="state",route="/seckill/{sid}"}"#;
    assert_eq!(stand.counter(counted), 200);
}

#[test]
fn nobody_changes_anything_there_and_nothing_is_made_up() {
    let mut stand = stand("reading", false);
    stand.create("1001", &["STOCK", "3"]);
    let mut client = stand.client();
    let ask = |method| request(method, "/seckill/1001/state", &[("X-User-Id", "u1")], "");
    for method in ["POST", "PUT", "DELETE"] {
        let answer = client.ask(&ask(method));
        assert_eq!(answer.problem(), (405, "method_not_allowed".to_owned()));
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
    assert_eq!(stand.info("1001", "tries"), "0");
    let spelled = client.ask(&request("GET", "/seckill/1001/STATE", &[], ""));
    assert_eq!(spelled.problem().0, 400);
    stand.redis.kill().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let answer = stand.client().ask(&look("1001"));
    assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
}

#[test]
fn those_who_look_do_not_take_the_places_of_those_who_buy() {
    let mut stand = Stand::start_with("places", "queue", |settings| {
        settings
            .with("redis.waiting_max", 50)
            .with("redis.deadline_ms", 10_000)
    });
    stand.create("1001", &["STOCK", "3"]);
    eventually("it is connected", || stand.buy("1001", "u0").status < 300);
    stand.redis.freeze().unwrap();
    let mut lookers: Vec<_> = (0..200).map(|_| stand.client()).collect();
    for (number, looker) in lookers.iter_mut().enumerate() {
        looker.send(&look(&format!("made-up-{number}")));
    }
    let refused = r#"seckill_proxy_requests_total{code="unavailable",route="/seckill/{sid}"}"#;
    eventually("most are told to come again", || {
        stand.counter(refused) == 200 - 64
    });
    let mut buyer = stand.client();
    buyer.send(&post("/seckill/1001", "u1"));
    std::thread::sleep(Duration::from_millis(100));
    stand.redis.thaw().unwrap();
    assert_eq!(buyer.read().status, 202);
}

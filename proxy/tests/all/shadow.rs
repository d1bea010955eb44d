//! Mode `shadow`: the shop serves as before, and the counters say what would have become of it; and
//! the statuses that a route can change.

use crate::stand::{Stand, eventually, post, request};
use seckill_testbed::Part;
use toml::Table;

#[test]
fn a_shadow_route_turns_nobody_away_and_counts_whom_it_would_have() {
    // The shop's page that serves everybody.
    let route: Table = "path = '/{sid}'\nmode = 'shadow'".parse().unwrap();
    let mut stand = Stand::start_with("shadow", "shadow", |s| s.with("route", vec![route.clone()]));
    stand.create("echo", &["STOCK", "1"]);
    let count =
        |code: &str| stand.counter(&format!("seckill_proxy_shadow_total{{code=\"{code}\"}}"));
    let mut client = stand.client();
    // The shop does not wait for what is counted.
    for (uid, code) in [("u1", "accepted"), ("u2", "sold_out"), ("u1", "duplicate")] {
        let answer = client.ask(&post("/echo", uid));
        assert_eq!(answer.status, 200, "the shop's own answer: {answer:?}");
        eventually(code, || count(code) == 1);
    }
    let long = "x".repeat(9000);
    // What a guarded route would refuse goes to the shop, too.
    for asked in [
        request("POST", "/echo", &[], ""),
        request("POST", "/echo?qty=none", &[("X-User-Id", "u3")], ""),
        request("POST", "/echo", &[("X-User-Id", "u3")], &long),
    ] {
        assert_eq!(client.ask(&asked).status, 200);
    }
    eventually("mistakes", || {
        ["no_buyer", "bad_quantity", "body_too_large"].map(count) == [1, 1, 1]
    });
    assert_eq!(stand.info("echo", "held"), "1");

    stand.redis.kill().unwrap();
    assert_eq!(client.ask(&post("/echo", "u4")).status, 200);
}

#[test]
fn a_route_can_say_its_rejections_with_other_statuses() {
    let route =
        "path = '/seckill/{sid}'\nmode = 'queue'\nstatus = { sold_out = 429, paused = 423 }";
    let route: Table = route.parse().unwrap();
    let stand = Stand::start_with("statuses", "queue", |s| {
        s.with("route", vec![route.clone()])
    });
    stand.create("1001", &["STOCK", "0"]);
    stand.create("1002", &["STOCK", "9", "PAUSED"]);
    // Asked of Redis, and remembered.
    for uid in ["u1", "u2"] {
        assert_eq!(
            stand.buy("1001", uid).problem(),
            (429, "sold_out".to_owned())
        );
        assert_eq!(stand.buy("1002", uid).problem(), (423, "paused".to_owned()));
    }
    assert_eq!(
        stand.buy("none", "u1").problem(),
        (404, "unknown_sale".to_owned())
    );
}

//! What the proxy says of itself, on the address that is not for buyers.

use crate::process::signal;
use crate::stand::{Client, Response, Stand, eventually, get, post, request};
use seckill_testbed::Part;
use serde_json::Value;
use std::collections::BTreeSet;

/// The codes of the reasons for which no buyer should be sent here.
fn reasons(answer: &Response) -> Vec<String> {
    let page = answer.json();
    assert_eq!(page["ready"], answer.status == 200, "{page}");
    let reasons = page["reasons"].as_array().unwrap().iter();
    reasons
        .map(|reason| {
            assert!(reason["detail"].is_string());
            reason["code"].as_str().unwrap().to_owned()
        })
        .collect()
}

fn is_ready(stand: &Stand) -> bool {
    stand.admin("/readyz").status == 200
}

fn requests(stand: &Stand, route: &str, code: &str) -> u64 {
    stand.counter(&format!(
        "seckill_proxy_requests_total{{code=\"{code}\",route=\"{route}\"}}"
    ))
}

fn ask(stand: &Stand, method: &str, path: &str, body: &str) -> Response {
    Client::connect(&stand.proxy.admin_address()).ask(&request(method, path, &[], body))
}

/// What `/sales` says of one.
fn sale(stand: &Stand, sid: &str) -> Value {
    let page = stand.admin("/sales").json();
    let sales = page["sales"].as_array().unwrap();
    let sale = sales.iter().find(|sale| sale["sid"] == sid);
    sale.cloned().unwrap_or_default()
}

#[test]
fn it_is_ready_as_long_as_redis_decides_and_the_shop_can_be_reached() {
    let mut stand = Stand::start_with("ready", "queue", |settings| {
        settings
            .with("shop.health.path", "/orders")
            .with("shop.health.every_ms", 500)
            .with("shop.health.timeout_ms", 500)
            .with("shop.health.fall", 1)
            .with("shop.health.rise", 1)
    });
    eventually("ready", || is_ready(&stand));
    assert_eq!(reasons(&stand.admin("/readyz")), [""; 0]);

    stand.redis.kill().unwrap();
    eventually("Redis is missed", || !is_ready(&stand));
    assert_eq!(reasons(&stand.admin("/readyz")), ["redis"]);
    stand.shop.kill().unwrap();
    eventually("the shop is missed, too", || {
        reasons(&stand.admin("/readyz")) == ["redis", "shop"]
    });
    assert_eq!(stand.admin("/livez").status, 200);
    stand.redis.restart().unwrap();
    stand.shop.restart().unwrap();
    eventually("ready again", || is_ready(&stand));

    stand.redis::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    eventually("a replica decides nothing", || !is_ready(&stand));
    eventually("and says so", || {
        stand.admin("/readyz").body.contains("READONLY")
    });
}

#[test]
fn while_it_drains_it_lives_and_sends_buyers_elsewhere() {
    let mut stand = Stand::start("draining", "forward confirm");
    stand.create("1001", &["STOCK", "10"]);
    eventually("ready", || is_ready(&stand));
    let mut client = stand.client();
    client.send(&post("/seckill/1001?delay_ms=1000", "u7"));
    eventually("accepted", || stand.info("1001", "held") == "1");
    signal(&stand, "-TERM");
    eventually("draining", || !is_ready(&stand));
    assert_eq!(reasons(&stand.admin("/readyz")), ["draining"]);
    assert_eq!(stand.admin("/livez").status, 200);
    assert_eq!(client.read().status, 201);
    eventually("the end", || !stand.proxy.is_running());
}

#[test]
fn a_request_is_counted_once_by_its_route_and_what_it_came_to() {
    let stand = Stand::start("counted", "queue");
    stand.create("1001", &["STOCK", "1"]);
    let route = "/seckill/{sid}";
    let accepted = stand.buy("1001", "u1");
    assert_eq!(accepted.status, 202);
    assert_eq!(stand.buy("1001", "u1").status, 200);
    let rid = accepted.text("rid");
    let mut client = stand.client();
    let looked = get(&format!("/seckill/1001/reservations/{rid}"), "u1");
    assert_eq!(client.ask(&looked).status, 200);
    for buyer in 0..20 {
        let asked = post("/seckill/1001", &format!("none-{buyer}"));
        assert_eq!(client.ask(&asked).status, 410);
    }
    assert_eq!(client.ask(&get("/orders?x=1", "u1")).status, 200);
    assert_eq!(client.ask(&get("/seckill/1001", "u1")).status, 200);
    assert_eq!(client.ask(&post("/SECKILL/1001", "u1")).status, 400);
    for number in 0..30 {
        stand.buy(&format!("none-{number}"), "u1");
    }
    for (route, code, times) in [
        (route, "accepted", 1),
        (route, "duplicate", 1),
        (route, "reservation", 1),
        (route, "sold_out", 20),
        (route, "unknown_sale", 30),
        (route, "passed", 1),
        ("other", "passed", 1),
        ("other", "bad_request", 1),
    ] {
        eventually(code, || requests(&stand, route, code) == times);
    }
    // What a client sends is never a label.
    let page = stand.admin("/metrics").body;
    for sent in ["/orders", "SECKILL", "none-", &rid] {
        assert!(!page.contains(sent), "{sent}: {page}");
    }
}

#[test]
fn a_shop_that_fails_is_told_from_one_that_answers() {
    let mut stand = Stand::start("fails", "forward confirm");
    stand.create("1001", &["STOCK", "5"]);
    assert_eq!(stand.buy("1001", "u1").status, 201);
    stand.shop.kill().unwrap();
    assert_eq!(stand.buy("1001", "u2").status, 502);
    let route = "/seckill/{sid}";
    eventually("accepted", || requests(&stand, route, "accepted") == 1);
    eventually("failed", || {
        requests(&stand, route, "shop_unavailable") == 1
    });
    assert_eq!(stand.counter("seckill_proxy_shop_seconds_count"), 1);
}

#[test]
fn the_page_of_metrics_tells_each_familys_kind_and_has_all_of_them() {
    let stand = Stand::start("page", "queue");
    stand.create("1001", &["STOCK", "5"]);
    assert_eq!(stand.buy("1001", "u1").status, 202);
    let page = stand.admin("/metrics");
    let content_type = page.header("content-type").unwrap();
    assert!(content_type.starts_with("text/plain; version=0.0.4"));
    let named = |sign: &str| -> BTreeSet<&str> {
        let lines = page.body.lines().filter_map(|line| line.strip_prefix(sign));
        lines.map(|line| line.split(' ').next().unwrap()).collect()
    };
    let kinds = named("# TYPE ");
    assert_eq!(kinds, named("# HELP "));
    for name in [
        "requests_total",
        "overloaded_total",
        "unreserved_total",
        "redis_seconds",
        "shop_seconds",
        "convoy_tries",
        "breaker_open",
        "breaker_openings_total",
        "questions_waiting",
        "news_up",
        "connections",
        "config_reloads_total",
        "access_log_dropped_total",
        "build_info",
    ] {
        assert!(
            kinds.contains(format!("seckill_proxy_{name}").as_str()),
            "{name}"
        );
    }
    assert!(kinds.contains("process_resident_memory_bytes"));
    assert!(page.body.contains("seckill_proxy_build_info{version=\""));
}

#[test]
fn waits_and_connections_can_be_watched() {
    let mut stand = Stand::start("watched", "queue");
    stand.create("1001", &["STOCK", "100"]);
    let clients: Vec<Client> = (0..7)
        .map(|number| {
            let mut client = stand.client();
            let asked = post("/seckill/1001", &format!("u{number}"));
            assert_eq!(client.ask(&asked).status, 202);
            client
        })
        .collect();
    let counter = |name: &str| stand.counter(&format!("seckill_proxy_{name}"));
    assert_eq!(counter("connections"), 7);
    drop(clients);
    eventually("they are gone", || counter("connections") == 0);
    assert_eq!(counter("convoy_tries_sum"), 7);
    assert_eq!(counter("convoy_tries_count"), 7);
    assert!(counter("redis_seconds_count") >= 7);
    assert_eq!(counter("questions_waiting"), 0);
    assert_eq!(counter("breaker_open"), 0);
    eventually("news", || counter("news_up") == 1);

    let openings = counter("breaker_openings_total");
    stand.redis.kill().unwrap();
    let counter = |name: &str| stand.counter(&format!("seckill_proxy_{name}"));
    eventually("the breaker is open", || counter("breaker_open") == 1);
    assert_eq!(counter("breaker_openings_total"), openings + 1);
    eventually("no news", || counter("news_up") == 0);
}

#[test]
fn a_configuration_that_is_read_again_is_counted_by_whether_it_is_in_force() {
    let stand = Stand::start("reloads", "queue");
    let reloads = |result: &str| {
        stand.counter(&format!(
            "seckill_proxy_config_reloads_total{{result=\"{result}\"}}"
        ))
    };
    stand.renew(|settings| settings);
    eventually("in force", || reloads("ok") == 1);
    stand.renew(|settings| settings.with("shop.upstream", "nowhere"));
    eventually("refused", || reloads("failed") == 1);
    assert_eq!(reloads("ok"), 1);
}

#[test]
fn a_sale_shows_what_is_remembered_of_it_and_who_was_turned_away() {
    let stand = Stand::start_with("sales", "queue", |settings| {
        settings.with("redis.remember_ms", 60_000)
    });
    stand.create("1001", &["STOCK", "2"]);
    stand.create("open", &["STOCK", "2"]);
    assert_eq!(stand.buy("1001", "u1").status, 202);
    assert_eq!(stand.buy("1001", "u2").status, 202);
    assert_eq!(stand.buy("open", "u1").status, 202);
    eventually("it is remembered", || {
        stand.buy("1001", "late");
        !sale(&stand, "1001")["remembered"].is_null()
    });
    let before = sale(&stand, "1001")["rejections"]["sold_out"]
        .as_u64()
        .unwrap();
    for buyer in 0..10 {
        assert_eq!(stand.buy("1001", &format!("none-{buyer}")).status, 410);
    }
    let sold_out = sale(&stand, "1001");
    assert_eq!(sold_out["remembered"]["verdict"], "sold_out");
    let left = sold_out["remembered"]["for_ms"].as_u64().unwrap();
    assert!((30_000..=60_000).contains(&left), "{sold_out}");
    assert_eq!(sold_out["rejections"]["sold_out"], before + 10);
    assert_eq!(sold_out["rejections"]["ended"], 0);
    assert_eq!(sold_out["holders"], 2);
    assert_eq!(sold_out["waiting"], 0);
    let open = sale(&stand, "open");
    assert!(open["remembered"].is_null());
    assert_eq!(open["holders"], 1);

    stand.redis::<()>(&["SECKILL.RESTOCK", "1001", "5"]);
    eventually("it is forgotten", || {
        sale(&stand, "1001")["remembered"].is_null()
    });
}

#[test]
fn the_logs_level_can_be_changed_while_buyers_buy() {
    let stand = Stand::start("level", "queue");
    let level = stand.admin("/loglevel");
    assert!(level.body.contains("info"), "{level:?}");

    for (bad, named) in [
        ("debugg", "debugg"),
        ("info,seckill_proxy=loud", "seckill_proxy=loud"),
        ("", "\\\"\\\""),
    ] {
        let refused = ask(&stand, "PUT", "/loglevel", bad);
        assert_eq!(refused.json()["status"], 400, "{refused:?}");
        assert!(refused.body.contains(named), "{refused:?}");
        assert_eq!(stand.admin("/loglevel").body, level.body);
    }
    let long = "x".repeat(100_000);
    assert_eq!(ask(&stand, "PUT", "/loglevel", &long).status, 400);

    let read = || stand.log().matches("was read again").count();
    let renewed = || stand.counter("seckill_proxy_config_reloads_total{result=\"ok\"}");
    let set = ask(&stand, "PUT", "/loglevel", "warn,seckill_proxy=error");
    assert_eq!(set.status, 200);
    assert!(set.body.contains("seckill_proxy=error"), "{set:?}");
    stand.renew(|settings| settings);
    eventually("in force", || renewed() == 1);
    assert_eq!(read(), 0);
    assert_eq!(ask(&stand, "PUT", "/loglevel", "info\n").status, 200);
    stand.renew(|settings| settings);
    eventually("told again", || read() == 1);

    // What pingora says comes by another way.
    assert!(!stand.log().contains("DEBUG"));
    assert_eq!(ask(&stand, "PUT", "/loglevel", "debug").status, 200);
    eventually("pingora is heard", || {
        stand.client().ask(&get("/orders", ""));
        stand.log().contains("pingora")
    });
}

#[test]
fn what_is_no_page_is_a_problem_and_no_method_but_its_own_is_taken() {
    let stand = Stand::start("pages", "queue");
    for path in ["/", "/metrics/", "/seckill/1001", "/config"] {
        let answer = stand.admin(path);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(answer.json()["status"], 404, "{path}");
    }
    for path in ["/livez", "/readyz", "/metrics", "/sales", "/loglevel"] {
        let answer = ask(&stand, "POST", path, "info");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(answer.json()["status"], 405, "{path}");
        assert!(answer.header("allow").unwrap().contains("GET"), "{path}");
    }
    // It is not among the buyers' pages.
    let shops = stand.client().ask(&get("/metrics", ""));
    assert!(!shops.body.contains("seckill_proxy"));
}

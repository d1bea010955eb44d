//! The shop's addresses: which of them is asked, which is left out, and what is tried again.

use crate::stand::{Client, Stand, crowd, eventually, get, post, request};
use crate::stub::Stub;
use seckill_testbed::{Part, Place, SampleShop};
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::slice;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};
use toml::Table;

const LEFT_OUT: &str = "does not answer there";
const BACK: &str = "can be reached there again";

fn shops(count: usize) -> Vec<SampleShop> {
    let place = Place::temporary("shops").unwrap();
    let start = |_| SampleShop::start(&place).unwrap();
    (0..count).map(start).collect()
}

/// `[shop]` with these addresses.
fn table(addresses: &[String], more: &str) -> Table {
    format!("upstreams = {addresses:?}\n{more}")
        .parse()
        .unwrap()
}

fn stand(name: &str, mode: &str, addresses: &[String], more: &str) -> Stand {
    Stand::start_with(name, mode, |settings| {
        settings.with("shop", table(addresses, more))
    })
}

fn addresses(shops: &[SampleShop]) -> Vec<String> {
    shops.iter().map(SampleShop::address).collect()
}

/// An address where nobody listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Which instance answers, and how often, if somebody asks so many times.
fn answering(stand: &Stand, times: usize) -> BTreeMap<String, usize> {
    let mut client = stand.client();
    let mut counts = BTreeMap::new();
    for _ in 0..times {
        let answer = client.ask(&get("/echo", ""));
        assert_eq!(answer.status, 200, "{answer:?}");
        *counts.entry(answer.text("address")).or_default() += 1;
    }
    counts
}

fn lines(stand: &Stand, text: &str) -> usize {
    stand.log().lines().filter(|l| l.contains(text)).count()
}

fn tell_health(shop: &SampleShop, status: u16) {
    let path = format!("/health?answer={status}");
    let answer = Client::connect(&shop.address()).ask(&request("POST", &path, &[], ""));
    assert_eq!(answer.status, 200);
}

/// The units that are held, sold and left.
fn units(stand: &Stand) -> String {
    let units = ["held", "sold", "available"].map(|field| stand.info("1001", field));
    units.join(" ")
}

#[test]
fn every_instance_gets_its_share() {
    let shops = shops(3);
    let stand = stand("turns", "queue", &addresses(&shops), "");
    let counts = answering(&stand, 9);
    assert_eq!(counts.len(), 3);
    assert!(counts.values().all(|&count| count == 3), "{counts:?}");
}

#[test]
fn a_client_is_always_served_by_the_same_instance_if_wanted() {
    let shops = shops(3);
    let more = "balance = \"client\"";
    let stand = stand("client", "queue", &addresses(&shops), more);
    let mut used = BTreeSet::new();
    for client in 0..40 {
        let address = format!("203.0.113.{client}");
        let asked = request("GET", "/echo", &[("X-Forwarded-For", &address)], "");
        // Each time over another connection.
        let answering = [(); 2].map(|()| stand.client().ask(&asked).text("address"));
        assert!(
            answering.iter().all(|a| *a == answering[0]),
            "{answering:?}"
        );
        used.extend(answering);
    }
    assert_eq!(used.len(), 3);
}

#[test]
fn an_instance_that_is_busy_gets_less_if_wanted() {
    let slow = Stub::start(|visit| {
        while let Some(head) = visit.head() {
            if head.contains("/slow") {
                visit.hang();
            }
            visit.answer("204 No Content");
        }
    });
    let shops = shops(1);
    let both = [slow.address.clone(), shops[0].address()];
    let more = "balance = \"least_requests\"";
    let stand = stand("least", "queue", &both, more);
    let mut waiting = Vec::new();
    eventually("the slow instance is busy", || {
        let mut client = stand.client();
        client.send(&get("/slow", ""));
        waiting.push(client);
        thread::sleep(Duration::from_millis(50));
        slow.count("GET /slow") == 1
    });
    assert_eq!(answering(&stand, 10), [(both[1].clone(), 10)].into());
}

#[test]
fn a_purchase_goes_to_another_instance_if_one_cannot_be_reached() {
    let shops = shops(1);
    let both = [nowhere(), shops[0].address()];
    let stand = stand("another", "forward confirm", &both, "");
    stand.create("1001", &["STOCK", "20"]);
    for buyer in 0..10 {
        assert_eq!(stand.buy("1001", &format!("u{buyer}")).status, 201);
    }
    assert_eq!(stand.info("1001", "sold"), "10");
    let orders = Client::connect(&shops[0].address()).ask(&get("/orders", ""));
    let orders = orders.json();
    let orders = orders.as_object().unwrap();
    assert_eq!(orders.len(), 10);
    assert!(orders.values().all(|seen| *seen == 1), "{orders:?}");
    assert_eq!(lines(&stand, LEFT_OUT), 1, "{}", stand.log());
}

#[test]
fn an_instance_that_was_gone_is_asked_again_when_it_is_back() {
    let mut shops = shops(2);
    let stand = stand("back", "queue", &addresses(&shops), "");
    shops[0].kill().unwrap();
    assert_eq!(answering(&stand, 10).len(), 1);
    assert_eq!(lines(&stand, LEFT_OUT), 1, "{}", stand.log());
    // Also when the first trials fail.
    thread::sleep(Duration::from_millis(1500));
    shops[0].restart().unwrap();
    eventually("it is asked again", || answering(&stand, 2).len() == 2);
    assert_eq!(lines(&stand, LEFT_OUT), 1, "{}", stand.log());
    assert_eq!(lines(&stand, BACK), 1, "{}", stand.log());
}

#[test]
fn where_all_instances_look_down_all_are_asked() {
    let mut shops = shops(2);
    let stand = stand("panic", "queue", &addresses(&shops), "");
    for shop in &mut shops {
        shop.kill().unwrap();
    }
    for _ in 0..5 {
        let answer = stand.client().ask(&get("/echo", ""));
        assert_eq!(answer.problem(), (502, "shop_unavailable".to_owned()));
    }
    assert_eq!(lines(&stand, LEFT_OUT), 2, "{}", stand.log());
    shops[1].restart().unwrap();
    // At once, not when somebody has tried.
    assert_eq!(stand.client().ask(&get("/echo", "")).status, 200);
}

#[test]
fn an_instance_that_fails_its_checks_is_left_out_until_it_passes_them() {
    let shops = shops(2);
    let health = "[health]\npath = \"/health\"\nevery_ms = 100\nfall = 2\nrise = 2";
    let stand = stand("checks", "queue", &addresses(&shops), health);
    assert_eq!(answering(&stand, 4).len(), 2);
    tell_health(&shops[0], 503);
    eventually("told", || lines(&stand, "fails its checks there") == 1);
    assert_eq!(answering(&stand, 4), [(shops[1].address(), 4)].into());
    assert!(stand.log().contains("/health answers 503"));

    // Both down is as good as both up.
    tell_health(&shops[1], 500);
    eventually("told", || lines(&stand, "fails its checks there") == 2);
    assert_eq!(answering(&stand, 4).len(), 2);

    tell_health(&shops[0], 302);
    eventually("told", || {
        lines(&stand, "passes its checks there again") == 1
    });
    assert_eq!(answering(&stand, 4), [(shops[0].address(), 4)].into());
}

#[test]
fn an_instance_that_hangs_is_found_out_by_its_checks_and_not_by_buyers() {
    let mut shops = shops(2);
    let health = "[health]\npath = \"/health\"\nevery_ms = 200\ntimeout_ms = 200\nfall = 2";
    let stand = stand("hangs", "queue", &addresses(&shops), health);
    shops[0].freeze().unwrap();
    eventually("told", || lines(&stand, "fails its checks there") == 1);
    assert_eq!(answering(&stand, 6), [(shops[1].address(), 6)].into());
    shops[0].thaw().unwrap();
    eventually("it is asked again", || answering(&stand, 2).len() == 2);
}

#[test]
fn sighup_changes_the_instances_and_forgets_nothing_about_those_that_stay() {
    let mut shops = shops(3);
    let all = addresses(&shops);
    let stand = stand("renew-shop", "queue", &all[..2], "");
    shops[0].kill().unwrap();
    assert_eq!(answering(&stand, 8).len(), 1);
    assert_eq!(lines(&stand, LEFT_OUT), 1);
    stand.renew(|settings| settings.with("shop", table(&all, "")));
    eventually("read again", || lines(&stand, "was read again") == 1);
    let counts = answering(&stand, 8);
    assert_eq!(counts.len(), 2, "{counts:?}");
    assert!(counts.contains_key(&all[2]), "{counts:?}");
    assert_eq!(lines(&stand, LEFT_OUT), 1, "{}", stand.log());
    stand.renew(|settings| settings.with("shop", table(&all[1..2], "")));
    eventually("read again", || lines(&stand, "was read again") == 2);
    assert_eq!(answering(&stand, 4), [(all[1].clone(), 4)].into());
}

/// Answers once on each connection, says that it keeps it, and closes it when it is used again.
fn forgetful() -> Stub {
    Stub::start(|visit| {
        if visit.head().is_some() {
            visit.answer("200 OK");
            visit.head();
        }
    })
}

#[test]
fn what_harms_nobody_is_repeated_when_a_kept_connection_was_closed() {
    let shop = forgetful();
    let stand = Stand::start_with("kept-shop", "forward confirm", |settings| {
        settings.with("shop.upstream", shop.address.clone())
    });
    stand.create("1001", &["STOCK", "20"]);
    let mut client = stand.client();
    for asked in 1..=10 {
        assert_eq!(client.ask(&get("/page", "")).status, 200, "{asked}");
    }
    // Every other one came over a connection that the shop then closed.
    assert!(shop.count("GET") > 10, "{}", shop.count("GET"));
    let put = request("PUT", "/page", &[], "a few words");
    for asked in 1..=4 {
        assert_eq!(client.ask(&put).status, 200, "{asked}");
    }
    for buyer in 0..10 {
        assert_eq!(client.ask(&get("/page", "")).status, 200);
        let bought = client.ask(&post("/seckill/1001", &format!("u{buyer}")));
        assert_eq!(bought.status, 200);
        assert_eq!(shop.count("POST"), buyer + 1);
    }
    assert_eq!(lines(&stand, LEFT_OUT), 0, "{}", stand.log());
}

#[test]
fn a_repetition_does_not_meet_another_closed_connection() {
    let all_here = Arc::new(Barrier::new(5));
    let shop = Stub::start(move |visit| {
        if let Some(head) = visit.head() {
            if head.contains("/together") {
                all_here.wait();
            }
            visit.answer("200 OK");
            visit.head();
        }
    });
    let stand = Stand::start_with("many-kept", "queue", |settings| {
        settings.with("shop.upstream", shop.address.clone())
    });
    let together = vec![get("/together", ""); 5];
    for answer in crowd(&stand.proxy.address(), &together) {
        assert_eq!(answer.status, 200);
    }
    let sent = shop.count("GET");
    assert_eq!(stand.client().ask(&get("/page", "")).status, 200);
    assert_eq!(shop.count("GET"), sent + 2);
}

#[test]
fn a_purchase_that_was_sent_is_not_sent_again_to_anybody() {
    let dying = || {
        Stub::start(|visit| {
            visit.head();
        })
    };
    let instances = [dying(), dying(), dying()];
    let all: Vec<String> = instances.iter().map(|i| i.address.clone()).collect();
    let stand = stand("dies", "forward confirm", &all, "");
    stand.create("1001", &["STOCK", "20"]);
    let answer = stand.buy("1001", "u7");
    assert_eq!(answer.problem(), (502, "shop_unavailable".to_owned()));
    let sent = |beginning| instances.iter().map(|i| i.count(beginning)).sum::<usize>();
    assert_eq!(sent("POST"), 1);
    assert_eq!(units(&stand), "1 0 19");
    // Nor is anything else: over a new connection this is no accident.
    assert_eq!(stand.client().ask(&get("/page", "")).status, 502);
    assert_eq!(sent("GET"), 1);
}

#[test]
fn an_instance_that_accepts_and_hangs_up_is_left_out() {
    let dying = Stub::start(|visit| {
        visit.head();
    });
    let shops = shops(1);
    let both = [dying.address.clone(), shops[0].address()];
    let stand = stand("hangs-up", "queue", &both, "");
    let mut failed = 0;
    eventually("left out", || {
        failed += usize::from(stand.client().ask(&get("/echo", "")).status == 502);
        lines(&stand, LEFT_OUT) == 1
    });
    assert_eq!(failed, 3);
    assert_eq!(answering(&stand, 4), [(both[1].clone(), 4)].into());
}

#[test]
fn a_shop_is_waited_for_as_long_as_configured() {
    let shop = Stub::start(|visit| {
        visit.head();
        visit.hang();
    });
    let more = "read_ms = 300";
    let stand = stand("patience", "queue", slice::from_ref(&shop.address), more);
    let since = Instant::now();
    let answer = stand.client().ask(&get("/", ""));
    assert_eq!(answer.problem(), (504, "shop_unavailable".to_owned()));
    assert!(since.elapsed() >= Duration::from_millis(290));
}

/// A forwarding stand before a shop that answers so, if at all, whose route says what follows.
fn after(name: &str, answer: Option<&'static str>, policies: &str) -> (Stand, Stub) {
    let shop = Stub::start(move |visit| {
        visit.head();
        match answer {
            Some(status) => visit.answer(status),
            None => visit.hang(),
        }
    });
    let route = format!("path = \"/seckill/{{sid}}\"\nmode = \"forward\"\n{policies}");
    let route: Table = route.parse().unwrap();
    let table = table(slice::from_ref(&shop.address), "read_ms = 300");
    let stand = Stand::start_with(name, "forward", |settings| {
        let settings = settings.with("shop", table.clone());
        settings.with("route", vec![route.clone()])
    });
    stand.create("1001", &["STOCK", "10"]);
    (stand, shop)
}

#[test]
fn a_route_says_what_becomes_of_units_that_were_not_sold() {
    for (answer, policies, status, state) in [
        (
            Some("409 Conflict"),
            "on_client_error = \"keep\"",
            409,
            "1 0 9",
        ),
        (
            Some("500 Oops"),
            "on_server_error = \"cancel\"",
            500,
            "0 0 10",
        ),
        (None, "on_timeout = \"cancel\"", 504, "0 0 10"),
        (None, "on_server_error = \"cancel\"", 504, "1 0 9"),
    ] {
        let (stand, _shop) = after("policies", answer, policies);
        assert_eq!(stand.buy("1001", "u7").status, status, "{policies}");
        assert_eq!(units(&stand), state, "{policies}");
    }
}

#[test]
fn only_the_request_that_made_a_reservation_gives_it_up() {
    let all = "on_client_error = \"keep\"\non_server_error = \"cancel\"\non_timeout = \"cancel\"";
    let (stand, _shop) = after("repetition", Some("409 Conflict"), all);
    assert_eq!(stand.buy("1001", "u7").status, 409);
    let hanging = Stub::start(|visit| {
        visit.head();
        visit.hang();
    });
    let route = format!("path = \"/seckill/{{sid}}\"\nmode = \"forward\"\n{all}");
    let route: Table = route.parse().unwrap();
    stand.renew(|settings| {
        let settings = settings.with("route", vec![route]);
        settings.with(
            "shop",
            table(slice::from_ref(&hanging.address), "read_ms = 300"),
        )
    });
    eventually("read again", || lines(&stand, "was read again") == 1);
    // Whether the first has been sold to him after all, nobody knows.
    assert_eq!(stand.buy("1001", "u7").status, 504);
    assert_eq!(units(&stand), "1 0 9");
}

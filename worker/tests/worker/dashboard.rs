//! The dashboard: who may see it, what it shows, and what people do there.

use crate::page::get;
use crate::screen::{Screen, TOKEN, with_token};
use crate::shop::{Shop, await_true};
use redis::Commands;
use seckill_testbed::{Part, Proxy, Settings, User};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;

#[test]
fn without_a_token_it_shows_nothing_but_how_to_configure_one() {
    let shop = Shop::open("dashboard-off");
    let worker = shop.run();
    let screen = Screen::of(&worker);
    assert_eq!(screen.ask("GET", "/", &[], "").status, 200);
    let session = screen.get("session").json();
    assert_eq!(session, json!({ "configured": false, "name": null }));
    for path in ["now", "sales/1001", "stock", "audit"] {
        assert_eq!(screen.get(path).status, 404, "{path}");
    }
    assert_eq!(screen.login("Alice", "").status, 404);
    assert_eq!(get(&worker, "/livez").status, 200);
    assert_eq!(get(&worker, "/metrics").status, 200);
}

#[test]
fn nobody_sees_or_does_anything_without_the_token_or_from_elsewhere() {
    let shop = Shop::open("dashboard-login");
    shop.sale(1001, 10, &[]);
    let worker = shop.run_with(&with_token(&shop));
    let nobody = Screen::of(&worker);
    let actions = ["sales/1001/act", "sales/1001/search", "reconcile"];
    for path in ["now", "sales/1001", "sales/1001/funnel", "stock", "audit"] {
        assert_eq!(nobody.get(path).status, 401, "{path}");
    }
    for path in actions {
        assert_eq!(
            nobody.post(path, "{\"do\":\"close\"}").status,
            401,
            "{path}"
        );
    }

    let entered = nobody.login("Alice", TOKEN);
    let cookie = &entered.headers["set-cookie"];
    for part in [
        "; HttpOnly",
        "; SameSite=Strict",
        "; Path=/",
        "; Max-Age=43200",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let alice = Screen::open(&worker);
    assert_eq!(alice.get("session").json()["name"], "Alice");
    let json = ("content-type", "application/json");
    let mark = ("seckill-dashboard", "1");
    for (headers, status) in [
        (&[json][..], 403),
        (&[json, mark, ("origin", "https://evil.example")], 403),
        (&[json, mark, ("sec-fetch-site", "cross-site")], 403),
        (&[mark, ("content-type", "text/plain")], 415),
    ] {
        for path in actions {
            let path = format!("/api/{path}");
            let refused = alice.ask("POST", &path, headers, "{\"do\":\"close\"}");
            assert_eq!(refused.status, status, "{path} {headers:?}");
        }
    }
    assert_eq!(shop.info(1001)["state"], "open");
    assert_eq!(shop.query("SELECT COUNT(*) FROM stock_audit"), [["0"]]);

    let bob = Screen::open(&worker);
    assert_eq!(bob.post("logout", "{}").status, 200);
    assert_eq!(
        bob.get("now").status,
        401,
        "a cookie that was taken back opens nothing"
    );
    assert_eq!(alice.ask("POST", "/api/logout", &[json], "{}").status, 403);
    assert_eq!(alice.get("now").status, 200);
    let forged = Screen {
        cookie: alice
            .cookie
            .map(|cookie| cookie[..cookie.len() - 1].to_owned()),
        ..nobody
    };
    assert_eq!(forged.get("now").status, 401);
}

#[test]
fn wrong_tokens_are_refused_and_after_some_of_them_every_try() {
    let shop = Shop::open("dashboard-guess");
    let worker = shop.run_with(&with_token(&shop));
    let screen = Screen::of(&worker);
    let mut tries = 0;
    let refused = loop {
        let refused = screen.login("Mallory", "0123456789abcdef0123456789abcdeF");
        if refused.status != 401 {
            break refused;
        }
        tries += 1;
        assert!(tries < 100, "nobody stops him");
    };
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.headers["retry-after"].parse().unwrap();
    assert!((1..=11).contains(&wait), "{wait}");
    assert_eq!(
        screen.login("Alice", TOKEN).status,
        429,
        "a guess is none less"
    );
    let log = shop.log_of(&worker);
    assert!(log.contains("refused a wrong token"), "{log}");
    assert!(!log.contains(TOKEN) && !log.contains("abcdeF"), "{log}");
}

#[test]
fn every_answer_has_the_headers_that_keep_a_browser_safe() {
    let shop = Shop::open("dashboard-headers");
    let worker = shop.run_with(&with_token(&shop));
    let screen = Screen::open(&worker);
    for path in [
        "/",
        "/main.js",
        "/style.css",
        "/icon.svg",
        "/api/now",
        "/api/session",
    ] {
        let answer = screen.ask("GET", path, &[], "");
        assert_eq!(answer.status, 200, "{path}");
        let header = |name: &str| answer.headers[name].as_str();
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cache-control"), "no-store");
    }
    let nobody = Screen::of(&worker);
    assert_eq!(nobody.get("now").headers["cache-control"], "no-store");
}

#[test]
fn the_figures_come_compressed_to_whoever_can_read_that() {
    let shop = Shop::open("dashboard-small");
    shop.sale(1001, 10, &[]);
    let worker = shop.run_with(&with_token(&shop));
    let screen = Screen::open(&worker);
    let encoding = |wanted: &[(&str, &str)]| {
        let answer = screen.ask("GET", "/api/now", wanted, "");
        answer.headers.get("content-encoding").cloned()
    };
    let gzip = [("accept-encoding", "gzip, deflate, br")];
    assert_eq!(encoding(&gzip).as_deref(), Some("gzip"));
    assert_eq!(encoding(&[]), None);
}

#[test]
fn a_sale_is_shown_with_its_tries_its_orders_and_each_of_its_buyers() {
    let mut shop = Shop::open("dashboard-shows");
    shop.sale(1001, 3, &["--hold", "600000"]);
    let worker = shop.run_with(&with_token(&shop));
    let screen = Screen::open(&worker);
    let rids = shop.buy(1001, 1, 3);
    let mut proxy = shop.redis.connect(User::Proxy).unwrap();
    for uid in ["u1", "u8", "u9"] {
        let _: (String, redis::Value) = redis::cmd("SECKILL.TRY")
            .arg("1001")
            .arg(uid)
            .query(&mut proxy)
            .unwrap();
    }
    redis::cmd("SECKILL.CONFIRM")
        .arg("1001")
        .arg(&rids[0])
        .exec(&mut proxy)
        .unwrap();
    shop.await_stored(1001);
    await_true("it is seen", || screen.sale("1001")["orders"] == 3);
    let sale = screen.sale("1001");
    assert_eq!(sale["state"], "soldout");
    assert_eq!(
        sale["units"],
        json!({ "total": 3, "available": 0, "held": 2, "sold": 1 })
    );
    let tries = &sale["tries"];
    assert_eq!(
        (&tries["accepted"], &tries["duplicate"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(tries["soldout"], 2);
    assert_eq!(sale["options"]["hold_ms"], 600_000);
    assert_eq!(sale["wrong"], json!([]));
    await_true("nothing drifts", || screen.sale("1001")["drift"] == 0);
    let points = screen.get("sales/1001").json();
    let (first, last) = (
        &points["points"][0],
        points["points"].as_array().unwrap().last(),
    );
    assert_eq!(
        first.as_array().unwrap().len(),
        points["columns"].as_array().unwrap().len()
    );
    let at = last.unwrap()[0].as_u64().unwrap();
    let later = screen.get(&format!("sales/1001?since={at}")).json();
    assert!(later["points"].as_array().unwrap().len() < 5, "{later}");

    let orders = screen.get("sales/1001/funnel").json()["orders"].clone();
    assert_eq!(orders, json!({ "confirmed": 1, "held": 2 }));
    let search = |text: &str| {
        let found = screen.post("sales/1001/search", &json!({ "text": text }).to_string());
        assert_eq!(found.status, 200, "{found:?}");
        found.json()
    };
    for text in ["u1", &rids[0]] {
        let found = &search(text)["reservations"];
        assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
        let found = &found[0];
        assert_eq!(
            (&found["rid"], &found["uid"]),
            (&json!(rids[0]), &json!("u1"))
        );
        assert_eq!(found["module"]["state"], "confirmed");
        assert_eq!(found["order"]["status"], "confirmed");
        let step = &found["steps"][0];
        assert_eq!(
            (&step["from"], &step["to"]),
            (&json!("held"), &json!("confirmed"))
        );
        assert_eq!(step["who"], "module");
    }
    assert_eq!(search("nobody")["reservations"], json!([]));
    assert_eq!(search("1-1")["reservations"], json!([]));

    shop.redis.kill().unwrap();
    await_true("Redis is missed", || {
        screen.get("now").json()["redis"]["up"] == false
    });
    shop.redis.restart().unwrap();
    await_true("Redis is back", || {
        screen.get("now").json()["redis"]["up"] == true
    });
}

#[test]
fn what_somebody_does_is_done_and_stands_in_the_audit_log() {
    let mut shop = Shop::open("dashboard-acts");
    shop.stock(1001, 10, 0);
    let worker = shop.run_with(&with_token(&shop));
    let screen = Screen::open(&worker);
    assert_eq!(screen.get("stock").json()[0]["id"], 1001);
    let did = |body: &str| {
        let done = screen.act("1001", body);
        assert_eq!(done.status, 200, "{body}: {done:?}");
        assert_eq!(done.json()["audited"], true);
    };
    did("{\"do\":\"warm\",\"limit\":2,\"hold_ms\":60000}");
    let info = shop.info(1001);
    assert_eq!(
        (info["limit"].as_str(), info["hold"].as_str()),
        ("2", "60000")
    );
    did("{\"do\":\"pause\"}");
    assert_eq!(shop.info(1001)["state"], "paused");
    did("{\"do\":\"resume\"}");
    assert_eq!(shop.info(1001)["state"], "open");
    did("{\"do\":\"restock\",\"delta\":5}");
    assert_eq!(shop.info(1001)["total"], "15");
    let refused = screen.act("1001", "{\"do\":\"restock\",\"delta\":-16}");
    assert_eq!(refused.status, 409, "{refused:?}");
    assert_eq!(
        screen.act("1001", "{\"do\":\"warm\"}").status,
        409,
        "it is there"
    );
    assert_eq!(screen.act("404", "{\"do\":\"pause\"}").status, 409);

    shop.await_stored(1001);
    shop.query("UPDATE stock SET sale = 1 WHERE id = 1001");
    let compare = |apply: bool| {
        let body = json!({ "sid": "1001", "apply": apply }).to_string();
        let compared = screen.post("reconcile", &body);
        assert_eq!(compared.status, 200, "{compared:?}");
        compared.json()
    };
    let plan = compare(false);
    assert_eq!(
        (&plan["code"], &plan["lines"][0]["kind"]),
        (&json!(1), &json!("difference"))
    );
    let applied = compare(true);
    assert_eq!(
        applied["lines"].as_array().unwrap().last().unwrap()["kind"],
        "summary"
    );
    did("{\"do\":\"close\"}");
    assert_eq!(shop.info(1001)["state"], "closed");

    let lines = screen.get("sales/1001/audit").json();
    let lines: Vec<(&str, &str, bool)> = lines
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap();
            assert_eq!(text("peer"), "127.0.0.1");
            (text("who"), text("what"), line["done"].as_bool().unwrap())
        })
        .collect();
    let expected = [
        ("warm --limit 2 --hold 60000", true),
        ("pause", true),
        ("resume", true),
        ("restock +5", true),
        ("restock -16", false),
        ("warm", false),
        ("reconcile plan", true),
        ("reconcile apply", true),
        ("close", true),
    ];
    assert_eq!(lines, expected.map(|(what, done)| ("Alice", what, done)));
    assert_eq!(
        screen.get("audit").json().as_array().unwrap().len(),
        expected.len() + 1
    );

    // Whoever has to stop a sale does not wait for MySQL.
    shop.stock(1002, 10, 0);
    assert_eq!(screen.act("1002", "{\"do\":\"warm\"}").status, 200);
    shop.db.kill().unwrap();
    let done = screen.act("1002", "{\"do\":\"pause\"}");
    assert_eq!((done.status, &done.json()["audited"]), (200, &json!(false)));
    assert_eq!(shop.info(1002)["state"], "paused");
    let log = shop.log_of(&worker);
    assert!(
        log.contains("pause: asked for") && log.contains("pause: done"),
        "{log}"
    );
}

#[test]
fn garbage_is_refused_and_nothing_falls_over() {
    let shop = Shop::open("dashboard-garbage");
    shop.sale(1001, 10, &[]);
    let worker = shop.run_with(&with_token(&shop));
    let screen = Screen::open(&worker);
    for body in [
        "",
        "{",
        "null",
        "[]",
        "{\"do\":\"explode\"}",
        "{\"do\":\"pause\",\"also\":1}",
        "{\"do\":\"restock\"}",
        "{\"do\":\"restock\",\"delta\":1.5}",
        "{\"do\":\"restock\",\"delta\":99999999999999999999}",
        "{\"do\":\"warm\",\"limit\":-1}",
        "{\"do\":\"warm\",\"stock\":1}",
    ] {
        assert_eq!(screen.act("1001", body).status, 400, "{body}");
    }
    let deep = "[".repeat(16_000);
    assert_eq!(screen.act("1001", &deep).status, 400);
    let long = format!("{{\"do\":\"{}\"}}", "x".repeat(20_000));
    assert_eq!(screen.act("1001", &long).status, 413);
    for sid in ["%00", "%0d%0aDEL", &"9".repeat(300)] {
        assert_eq!(screen.act(sid, "{\"do\":\"pause\"}").status, 400, "{sid}");
    }
    assert_eq!(screen.act("%ff", "{\"do\":\"pause\"}").status, 400);
    for text in ["", "\u{1}", &"x".repeat(129)] {
        let asked = json!({ "text": text }).to_string();
        assert_eq!(
            screen.post("sales/1001/search", &asked).status,
            400,
            "{text:?}"
        );
    }
    for text in ["' OR 1=1 -- ", "<script>", "99999999999999999999-1", "0-0"] {
        let asked = json!({ "text": text }).to_string();
        let found = screen.post("sales/1001/search", &asked);
        assert_eq!(found.json()["reservations"], json!([]), "{text}: {found:?}");
    }
    for query in [
        "?since=",
        "?since=-1",
        "?since=x",
        "?&&=",
        "?since=99999999999999999999",
    ] {
        assert_eq!(
            screen.get(&format!("sales/1001{query}")).status,
            200,
            "{query}"
        );
    }
    for name in ["", " ", &"x".repeat(65), "a\u{7f}b"] {
        assert_eq!(screen.login(name, TOKEN).status, 400, "{name:?}");
    }
    for path in [
        "/../etc/passwd",
        "/%2e%2e/main.js",
        "/api",
        "/api/",
        "/assets/",
    ] {
        assert_eq!(screen.ask("GET", path, &[], "").status, 404, "{path}");
    }
    assert_eq!(screen.ask("POST", "/", &[], "").status, 405);
    for bytes in [
        &b"\0\x01\x02\xff"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/login HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(&screen.address).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(shop.info(1001)["state"], "open");
    assert_eq!(get(&worker, "/livez").status, 200);
    let log = shop.log_of(&worker);
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn the_proxies_are_asked_how_they_are_and_whom_they_turned_away() {
    let shop = Shop::open("dashboard-proxies");
    shop.sale(1001, 1, &[]);
    let mut proxy = Proxy::start(&shop.place, &Settings::proxy(&shop.redis).unwrap()).unwrap();
    let settings = with_token(&shop).with("admin.proxies", vec![proxy.admin_address()]);
    let worker = shop.run_with(&settings);
    let screen = Screen::open(&worker);
    let shop_window = Screen {
        address: proxy.address(),
        cookie: None,
    };
    for buyer in 0..20 {
        let buyer = format!("u{buyer}");
        shop_window.ask("POST", "/seckill/1001", &[("x-user-id", &buyer)], "");
    }
    await_true("all of them are counted", || {
        let tries = screen.sale("1001")["tries"].clone();
        (&tries["accepted"], &tries["soldout"]) == (&json!(1), &json!(19))
    });
    let sale = screen.sale("1001");
    assert!(sale["at_the_edge"]["soldout"].as_u64() > Some(0), "{sale}");
    // There is no shop behind it.
    let now = screen.get("now").json();
    assert_eq!(now["proxies"][0]["address"], proxy.admin_address());
    proxy.kill().unwrap();
    await_true("it is missed", || {
        let proxy = screen.get("now").json()["proxies"][0].clone();
        proxy["up"] == false && proxy["reason"].is_string()
    });
    let mut connection = shop.redis.connect(User::Anything).unwrap();
    let keys: Vec<String> = connection.keys("*").unwrap();
    assert_eq!(keys, ["1001"], "looking leaves nothing behind");
}

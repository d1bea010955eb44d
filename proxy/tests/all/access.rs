//! What the proxy writes about the requests that it has answered.

use crate::process::signal;
use crate::stand::{Client, Stand, eventually, get, post, request};
use seckill_testbed::{Part, Place, Settings};
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A folder for the log, and the log in it.
fn log(name: &str) -> (Place, PathBuf) {
    let place = Place::temporary(name).unwrap();
    let path = place.path().join("access.log");
    (place, path)
}

fn with_log(settings: Settings, path: &Path, rejections: f64) -> Settings {
    settings
        .with("access_log.file", path.to_str().unwrap())
        .with("access_log.rejections", rejections)
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
    let lines = complete.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

/// The log, when it has so many lines.
fn with_lines(path: &Path, number: usize) -> Vec<Value> {
    eventually("the lines are written", || lines(path).len() >= number);
    let lines = lines(path);
    assert_eq!(lines.len(), number, "{lines:?}");
    lines
}

#[test]
fn a_request_has_a_line_that_says_what_became_of_it_and_gives_nothing_away() {
    let (_place, path) = log("line");
    let stand = Stand::start_with("line-stand", "forward confirm", |s| with_log(s, &path, 1.0));
    stand.create("1001", &["STOCK", "1"]);
    let secrets = [
        ("X-User-Id", "buyer-7"),
        ("Authorization", "Bearer hunter2"),
        ("Cookie", "session=hunter2"),
        ("Idempotency-Key", "hunter2"),
    ];
    let mut client = stand.client();
    let target = "/seckill/1001?qty=1&token=hunter2";
    let bought = client.ask(&request("POST", target, &secrets, "card=hunter2"));
    assert_eq!(bought.status, 201);
    let mut client = stand.client();
    assert_eq!(client.ask(&post("/seckill/1001", "u8")).status, 410);
    let page = client.ask(&request("GET", "/orders?password=hunter2", &secrets, ""));
    assert_eq!(page.status, 200);

    let lines = with_lines(&path, 3);
    let [bought, rejected, passed] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    assert_eq!(bought["client"], "127.0.0.1");
    assert_eq!(bought["method"], "POST");
    assert_eq!(bought["route"], "/seckill/{sid}");
    assert_eq!(bought["sid"], "1001");
    assert_eq!(bought["code"], "accepted");
    assert_eq!(bought["status"], 201);
    let rid = bought["rid"].as_str().unwrap();
    assert_eq!(stand.reservation("1001", rid, "state"), "confirmed");
    assert_eq!(bought["http"], "1.1");
    assert_eq!(bought["reused"], false);
    let ms = |name: &str| bought[name].as_f64().unwrap();
    assert!(ms("redis_ms") > 0.0 && ms("shop_ms") > 0.0, "{bought}");
    assert!(ms("duration_ms") >= ms("shop_ms"), "{bought}");
    let ts = bought["ts"].as_str().unwrap();
    assert!(
        ts.len() == 24 && ts.ends_with('Z') && ts.contains('.'),
        "{ts}"
    );

    assert_eq!(rejected["code"], "sold_out");
    assert_eq!(rejected["status"], 410);
    assert_eq!(rejected.get("rid"), None);
    assert_eq!(rejected.get("shop_ms"), None);
    assert_eq!(passed["code"], "passed");
    assert_eq!(passed["route"], "/orders");
    assert_eq!(passed["bytes"], page.body.len());
    assert_eq!(passed["reused"], true);
    assert_eq!(passed.get("redis_ms"), None);

    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    assert!(!text.contains("buyer-7"), "{text}");
}

#[test]
fn rejections_have_a_line_by_their_share_and_the_rest_always() {
    let (_place, path) = log("share");
    let stand = Stand::start_with("share-stand", "queue", |s| with_log(s, &path, 0.0));
    stand.create("1001", &["STOCK", "2"]);
    assert_eq!(stand.buy("1001", "u1").status, 202);
    let mut client = stand.client();
    for buyer in 0..200 {
        let asked = post("/seckill/1001?qty=2", &format!("none-{buyer}"));
        client.ask(&asked);
    }
    assert_eq!(stand.buy("1001", "u2").status, 202);
    assert_eq!(stand.buy("1001", "u2").status, 200);
    let lines = with_lines(&path, 3);
    let codes: Vec<&str> = lines.iter().map(|l| l["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["accepted", "accepted", "duplicate"]);
}

#[test]
fn who_buys_is_written_only_where_it_is_wanted() {
    let (_place, path) = log("buyers");
    let stand = Stand::start_with("buyers-stand", "queue", |s| {
        with_log(s, &path, 1.0).with("access_log.buyers", true)
    });
    stand.create("1001", &["STOCK", "2"]);
    assert_eq!(stand.buy("1001", "buyer-7").status, 202);
    assert_eq!(with_lines(&path, 1)[0]["uid"], "buyer-7");

    stand.renew(|s| s.with("access_log.buyers", false));
    eventually("in force", || stand.log().contains("was read again"));
    assert_eq!(stand.buy("1001", "buyer-8").status, 202);
    assert_eq!(with_lines(&path, 2)[1].get("uid"), None);
}

#[test]
fn a_file_that_was_moved_away_is_begun_anew_at_sighup() {
    let (_place, path) = log("rotate");
    let stand = Stand::start_with("rotate-stand", "queue", |s| with_log(s, &path, 1.0));
    stand.create("1001", &["STOCK", "9"]);
    let renewals = || stand.log().matches("was read again").count();
    let moved = path.with_extension("1");
    assert_eq!(stand.buy("1001", "u1").status, 202);
    with_lines(&path, 1);
    fs::rename(&path, &moved).unwrap();
    assert_eq!(stand.buy("1001", "u2").status, 202);
    with_lines(&moved, 2);
    signal(&stand, "-HUP");
    eventually("read again", || renewals() == 1);
    assert_eq!(stand.buy("1001", "u3").status, 202);
    with_lines(&path, 1);
    with_lines(&moved, 2);

    // A mistake in the configuration is no reason to write into a file that is gone.
    let moved = path.with_extension("2");
    fs::rename(&path, &moved).unwrap();
    stand.renew(|s| with_log(s, &path, 1.0).with("shop.upstream", "nowhere"));
    eventually("begun anew", || path.exists());
    assert_eq!(stand.buy("1001", "u4").status, 202);
    with_lines(&path, 1);

    // It can go elsewhere.
    let other = path.with_extension("other");
    stand.renew(|s| with_log(s, &other, 1.0));
    eventually("read again", || renewals() == 2);
    assert_eq!(stand.buy("1001", "u5").status, 202);
    with_lines(&other, 1);
    with_lines(&path, 1);
}

#[test]
fn what_clients_send_does_not_break_a_line() {
    let (_place, path) = log("hostile");
    let stand = Stand::start_with("hostile-stand", "queue", |s| with_log(s, &path, 1.0));
    let hostile = [
        "GET /a\"b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\\u0000{} HTTP/1.1\r\nHost: a\r\n\r\n",
        "B\"N /x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /%0a%22 HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /seckill/\"}{ HTTP/1.1\r\nHost: a\r\nX-User-Id: \"\r\n\r\n",
        "GET /ž HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for head in hostile {
        let mut client = stand.client();
        client.send(head);
        client.send("GET /\n");
    }
    let long = format!("/{}", "x".repeat(5_000));
    assert_eq!(stand.client().ask(&get(&long, "")).status, 404);
    let is_last = |line: &Value| line["route"].as_str().is_some_and(|r| r.len() == 1024);
    // Reading them parses each.
    eventually("all are lines", || lines(&path).iter().any(is_last));
    assert!(lines(&path).len() > 3, "{:?}", lines(&path));
}

#[test]
fn a_log_that_nobody_takes_holds_up_no_buyer_and_not_the_end() {
    let (_place, path) = log("stuck");
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    // Somebody has it open, and does not read.
    let reader = OpenOptions::new().read(true).write(true).open(&path);
    let reader = reader.unwrap();
    let mut stand = Stand::start_with("stuck-stand", "queue", |s| with_log(s, &path, 1.0));
    stand.create("1001", &["STOCK", "0"]);
    for group in 0..3 {
        let mut client: Client = stand.client();
        for buyer in 0..4_000 {
            let asked = post("/seckill/1001", &format!("u{group}-{buyer}"));
            assert_eq!(client.ask(&asked).status, 410);
        }
    }
    let dropped = stand.counter("seckill_proxy_access_log_dropped_total");
    assert!(dropped > 1000, "{dropped}");
    let since = Instant::now();
    signal(&stand, "-TERM");
    eventually("the end", || !stand.proxy.is_running());
    assert!(since.elapsed() < Duration::from_secs(8));
    drop(reader);
}

#[test]
fn what_was_answered_is_written_before_the_end() {
    let (_place, path) = log("last");
    let mut stand = Stand::start_with("last-stand", "queue", |s| with_log(s, &path, 1.0));
    stand.create("1001", &["STOCK", "0"]);
    let mut client = stand.client();
    for buyer in 0..500 {
        client.ask(&post("/seckill/1001", &format!("u{buyer}")));
    }
    signal(&stand, "-INT");
    eventually("the end", || !stand.proxy.is_running());
    assert_eq!(lines(&path).len(), 500);
}

#[test]
fn the_log_can_go_to_stdout() {
    let stand = Stand::start_with("stdout", "queue", |s| with_log(s, Path::new("stdout"), 1.0));
    stand.create("1001", &["STOCK", "1"]);
    assert_eq!(stand.buy("1001", "u1").status, 202);
    eventually("the line", || stand.log().contains("\"code\":\"accepted\""));
}

//! What happens to connections.

use crate::stand::{Client, Stand, get, post, request};
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

const BODY: &str = r#"{"from":"the page"}x"#;

fn post_with_body(path: &str, uid: &str) -> String {
    request("POST", path, &[("X-User-Id", uid)], BODY)
}

fn chunked(path: &str, length: usize) -> String {
    let headers = [("X-User-Id", "u7"), ("Transfer-Encoding", "chunked")];
    let chunk = "x".repeat(length);
    let head = request("POST", path, &headers, "");
    format!("{head}{length:x}\r\n{chunk}\r\n0\r\n\r\n")
}

#[test]
fn whoever_is_turned_away_keeps_the_connection() {
    let stand = Stand::start("kept", "queue");
    stand.create("empty", &["STOCK", "0"]);
    stand.create("full", &["STOCK", "9"]);
    let mut client = stand.client();
    for (path, uid, status) in [
        ("/seckill/empty", "u7", 410),
        ("/seckill/empty", "u7", 410),
        ("/seckill/full", "u7", 202),
        ("/seckill/full", "u7", 200),
        ("/seckill/nowhere", "u7", 404),
        ("/seckill/full?qty=0", "u7", 400),
        ("/seckill/full", "", 401),
        ("/SECKILL/full", "u7", 400),
    ] {
        let answer = client.ask(&post_with_body(path, uid));
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("connection"), Some("keep-alive"), "{path}");
    }
    assert!(!client.is_closed());
    // A body that comes after the head, and one in chunks.
    let asked = post_with_body("/seckill/empty", "u7");
    let (head, body) = asked.split_at(asked.len() - BODY.len());
    client.send(head);
    thread::sleep(Duration::from_millis(100));
    client.send(body);
    assert_eq!(client.read().status, 410);
    // What goes to the shop on the same connection.
    assert_eq!(client.ask(&get("/echo", "")).status, 200);
    assert_eq!(client.ask(&post("/seckill/empty", "u7")).status, 410);
}

#[test]
fn a_body_that_is_too_long_to_be_a_buy_costs_the_connection() {
    let stand = Stand::start("long", "queue");
    stand.create("1001", &["STOCK", "9"]);
    let mut client = stand.client();
    let long = "x".repeat(8193);
    let asked = request("POST", "/seckill/1001", &[("X-User-Id", "u7")], &long);
    assert_eq!(client.ask(&asked).problem().0, 413);
    assert!(client.is_closed());

    let mut client = stand.client();
    let answer = client.ask(&chunked("/seckill/1001", 20_000));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn a_body_that_never_comes_costs_the_connection_and_not_the_answer() {
    let stand = Stand::start("never", "queue");
    stand.create("1001", &["STOCK", "9"]);
    let mut client = stand.client();
    let asked = post_with_body("/seckill/1001", "u7");
    client.send(&asked[..asked.len() - 5]);
    let since = Instant::now();
    let answer = client.read();
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(since.elapsed() < Duration::from_secs(4));
    assert!(client.is_closed());

    // Nobody is told to go ahead with a body that nobody needs.
    let mut client = stand.client();
    let headers = [
        ("X-User-Id", "u8"),
        ("Expect", "100-continue"),
        ("Content-Length", "20"),
    ];
    let answer = client.ask(&request("POST", "/seckill/1001", &headers, ""));
    assert_eq!(answer.status, 202);
    assert!(client.is_closed());
}

#[test]
fn a_length_that_can_be_read_two_ways_ends_the_connection() {
    let stand = Stand::start("ambiguous", "queue");
    stand.create("1001", &["STOCK", "0"]);
    let mut client = stand.client();
    client.send(
        "POST /seckill/1001 HTTP/1.1\r\nHost: a\r\nX-User-Id: u7\r\nContent-Length: 4\r\n\
         Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    );
    let answer = client.read();
    assert_eq!(answer.status, 410);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed());

    let mut client = stand.client();
    client.send(
        "POST /seckill/1001 HTTP/1.1\r\nHost: a\r\nX-User-Id: u7\r\nContent-Length: 4\r\n\
         Content-Length: 5\r\n\r\n",
    );
    assert_eq!(client.read().status, 400);
    assert!(client.is_closed());
}

/// Found by the attack: each went on to the shop as it was, or kept its connection.
#[test]
fn a_head_that_says_nothing_clear_is_refused_and_ends_the_connection() {
    let stand = Stand::start("doubtful", "queue");
    stand.create("1001", &["STOCK", "9"]);
    for path in ["/echo", "/seckill/1001", "/SECKILL/1001"] {
        for head in [
            format!("POST {path} HTTP/1.1\r\nX-User-Id: u7\r\n\r\n"),
            format!("POST {path} HTTP/1.1\r\nHost: a\r\nHost: b\r\nX-User-Id: u7\r\n\r\n"),
            format!("POST {path} x HTTP/1.1\r\nHost: a\r\nX-User-Id: u7\r\n\r\n"),
            format!("POST {path}?\u{f} HTTP/1.1\r\nHost: a\r\nX-User-Id: u7\r\n\r\n"),
            framed(path, "Content-Length: 0, 0\r\n"),
            framed(path, "Content-Length: 0\r\nContent-Length: 0\r\n"),
            framed(path, "Transfer-Encoding: chunked, chunked\r\n"),
            framed(
                path,
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            ),
            framed(path, "Transfer-Encoding: gzip, chunked\r\n"),
        ] {
            let mut client = stand.client();
            client.send(&head);
            let answer = client.read();
            assert_eq!(answer.status, 400, "{head:?}");
            assert_eq!(answer.header("connection"), Some("close"), "{head:?}");
            assert!(client.is_closed_within(Duration::from_secs(5)), "{head:?}");
        }
    }
    assert_eq!(stand.info("1001", "tries"), "0");
}

fn framed(path: &str, fields: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nX-User-Id: u7\r\n{fields}\r\n")
}

/// Found by the attack: what could not be read as a chunk was thrown away, and what came after it was
/// taken for the next request, although it was still the body of this one.
#[test]
fn nothing_follows_a_body_in_chunks() {
    let stand = Stand::start("chunks", "queue");
    stand.create("empty", &["STOCK", "0"]);
    stand.create("full", &["STOCK", "9"]);
    for path in ["/seckill/empty", "/SECKILL/empty", "/echo"] {
        for chunks in [
            "0\r\n\r\n",
            "3\nabc\r\n0\r\n\r\n",
            "0\n\n",
            "GET / HTTP/1.1\r\n",
            "\r\n",
            "3;a\nbcd\r\n",
        ] {
            let mut client = stand.client();
            client.send(&(framed(path, "Transfer-Encoding: chunked\r\n") + chunks));
            thread::sleep(Duration::from_millis(50));
            // Whether this is still taken is the system's business.
            let _ = client
                .stream
                .write_all(post("/seckill/full", "u7").as_bytes());
            let mut heard = Vec::new();
            // That it is reset is a way to close, too.
            let _ = client.stream.read_to_end(&mut heard);
            let heard = String::from_utf8_lossy(&heard);
            assert!(
                heard.matches("HTTP/1.1 ").count() <= 1,
                "{path} {chunks:?}: {heard}"
            );
        }
    }
    assert_eq!(stand.info("full", "tries"), "0");
}

/// Found by the attack: the shop got a request of HTTP/1.1 without one.
#[test]
fn a_request_of_http_1_0_has_a_host_for_the_shop() {
    let stand = Stand::start("host", "queue");
    let mut client = stand.client();
    client.send("GET /echo HTTP/1.0\r\n\r\n");
    let answer = client.read();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["headers"]["host"], serde_json::json!([""]));
}

#[test]
fn a_client_that_wants_to_close_is_let_go() {
    let stand = Stand::start("close", "queue");
    stand.create("1001", &["STOCK", "0"]);
    let mut client = stand.client();
    let headers = [("X-User-Id", "u7"), ("Connection", "close")];
    let answer = client.ask(&request("POST", "/seckill/1001", &headers, BODY));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed());

    let mut client = stand.client();
    client.send("POST /seckill/1001 HTTP/1.0\r\nX-User-Id: u7\r\n\r\n");
    assert_eq!(client.read().status, 410);
    assert!(client.is_closed());
}

#[test]
fn a_head_that_is_too_long_or_too_slow_is_turned_away() {
    let stand = Stand::start("head", "queue");
    stand.create("1001", &["STOCK", "0"]);
    let mut client = stand.client();
    let long = "x".repeat(17 * 1024);
    let answer = client.ask(&request("GET", "/", &[("Cookie", &long)], ""));
    assert_eq!(answer.problem(), (431, "head_too_large".to_owned()));
    assert!(client.is_closed());
    let counted = r#"seckill_proxy_requests_total{code="head_too_large",route="other"}"#;
    assert_eq!(stand.counter(counted), 1);

    let mut client = stand.client();
    client.send(&request("HEAD", "/", &[("Cookie", &long)], ""));
    let mut answer = String::new();
    client.stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "no body: {answer}");

    // A byte now and then, none of them late by itself; the second time on a used connection.
    let address = stand.proxy.address();
    thread::scope(|scope| {
        for used in [false, true] {
            let address = &address;
            scope.spawn(move || {
                let mut client = Client::connect(address);
                if used {
                    assert_eq!(client.ask(&post("/seckill/1001", "u7")).status, 410);
                }
                let since = Instant::now();
                let mut drips = client.stream.try_clone().unwrap();
                let dripping = thread::spawn(move || {
                    let head = b"GET / HTTP/1.1\r\nX: ".iter().chain([b'x'; 1000].iter());
                    for byte in head {
                        if drips.write_all(&[*byte]).is_err() {
                            break;
                        }
                        thread::sleep(Duration::from_millis(200));
                    }
                });
                assert_eq!(client.read().problem(), (408, "head_too_slow".to_owned()));
                let elapsed = since.elapsed();
                assert!(elapsed > Duration::from_secs(9), "{elapsed:?}");
                assert!(elapsed < Duration::from_secs(12), "{elapsed:?}");
                drop(client);
                dripping.join().unwrap();
            });
        }
    });
}

#[test]
fn a_head_in_pieces_is_a_head() {
    let stand = Stand::start("pieces", "queue");
    stand.create("1001", &["STOCK", "0"]);
    let mut client = stand.client();
    for piece in post_with_body("/seckill/1001", "u7").as_bytes().chunks(7) {
        client.stream.write_all(piece).unwrap();
        thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(client.read().status, 410);
    assert_eq!(client.ask(&post("/seckill/1001", "u7")).status, 410);
}

//! How much one client may ask for.

use crate::stand::{Client, Stand, eventually, get, post, request};
use seckill_testbed::Settings;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

fn stand(name: &str, change: impl Fn(Settings) -> Settings) -> Stand {
    let stand = Stand::start_with(name, "queue", change);
    stand.create("1001", &["STOCK", "0"]);
    stand
}

/// A shop that reads a body to its end before it answers: where it listens. It ends with the program.
fn reading_shop() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || read_and_answer(stream.unwrap()));
        }
    });
    address
}

fn read_and_answer(mut stream: TcpStream) {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let Ok(length @ 1..) = stream.read(&mut buffer) else {
            return;
        };
        read.extend(&buffer[..length]);
        let text = String::from_utf8_lossy(&read).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let announced = head.split("content-length: ").nth(1);
        let announced = announced.map(|rest| rest.lines().next().unwrap().parse::<usize>());
        let is_all = match announced {
            Some(length) => body.len() >= length.unwrap(),
            None => body.ends_with("0\r\n\r\n"),
        };
        if is_all {
            // Whether it arrives is the test's business.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            read.clear();
        }
    }
}

/// Sends a byte every 50 ms for as long as anybody reads them.
fn drip(client: &Client) {
    let mut stream = client.stream.try_clone().unwrap();
    thread::spawn(move || {
        for _ in 0..400 {
            if stream.write_all(b"x").is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
    });
}

fn problem(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[test]
fn a_head_has_a_size_a_number_of_headers_and_a_length_of_its_first_line() {
    let stand = stand("limits-head", |s| {
        s.with("limits.head_bytes", 2000)
            .with("limits.head_count", 20)
            .with("limits.uri_bytes", 500)
    });
    let path = |length: usize| format!("/echo?{}", "x".repeat(length - 6));
    let headers = |count: usize| {
        let lines: String = (1..count).map(|at| format!("X-{at}: 1\r\n")).collect();
        format!("GET /echo HTTP/1.1\r\nHost: shop.test\r\n{lines}\r\n")
    };
    // What just fits, goes; and what does not costs the connection.
    let mut client = stand.client();
    assert_eq!(client.ask(&get(&path(500), "")).status, 200);
    assert_eq!(client.ask(&headers(20)).status, 200);
    for (asked, expected) in [
        (get(&path(501), ""), problem(414, "uri_too_long")),
        (headers(21), problem(431, "head_too_large")),
        (
            request("GET", "/", &[("Cookie", &"x".repeat(2000))], ""),
            problem(431, "head_too_large"),
        ),
        // Without an end.
        (
            format!("GET /{}", "x".repeat(3000)),
            problem(414, "uri_too_long"),
        ),
        (
            format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(3000)),
            problem(431, "head_too_large"),
        ),
    ] {
        let mut client = stand.client();
        assert_eq!(client.ask(&get("/echo", "")).status, 200);
        let answer = client.ask(&asked);
        assert_eq!(answer.problem(), expected, "{asked}");
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(client.is_closed(), "{asked}");
    }
}

#[test]
fn a_body_for_the_shop_has_a_size() {
    let stand = stand("limits-body", |s| {
        s.with("limits.body_bytes", 10_000)
            .with("shop.upstream", reading_shop())
    });
    let mut client = stand.client();
    let fits = "x".repeat(10_000);
    assert_eq!(
        client.ask(&request("POST", "/echo", &[], &fits)).status,
        200
    );
    let long = "x".repeat(10_001);
    let answer = client.ask(&request("POST", "/echo", &[], &long));
    assert_eq!(answer.problem(), problem(413, "body_too_large"));
    assert!(client.is_closed());

    let chunks = |count: usize| {
        let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1000));
        let headers = [("Transfer-Encoding", "chunked")];
        let head = request("POST", "/echo", &headers, "");
        format!("{head}{}0\r\n\r\n", chunk.repeat(count))
    };
    assert_eq!(stand.client().ask(&chunks(10)).status, 200);
    let mut client = stand.client();
    let answer = client.ask(&chunks(11));
    assert_eq!(answer.problem(), problem(413, "body_too_large"));
    assert!(client.is_closed());
}

#[test]
fn a_body_that_holds_a_connection_is_cut_off() {
    let stand = stand("limits-slow", |s| {
        s.with("limits.body_ms", 1000)
            .with("limits.body_rate", 1000)
            .with("shop.upstream", reading_shop())
    });
    let head = "POST /echo HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 9000\r\n\r\n";
    for drips in [false, true] {
        let mut client = stand.client();
        client.send(head);
        let since = Instant::now();
        if drips {
            drip(&client);
        }
        let answer = client.read();
        assert_eq!(answer.problem(), problem(408, "body_too_slow"));
        let elapsed = since.elapsed();
        assert!((900..4000).contains(&elapsed.as_millis()), "{elapsed:?}");
        assert!(client.is_closed());
    }
    // One that arrives may take longer than that.
    let mut client = stand.client();
    client.send(head);
    for _ in 0..18 {
        client.send(&"x".repeat(500));
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(client.read().status, 200);
}

#[test]
fn what_drips_and_is_no_body_is_cut_off_when_the_shops_time_is_over() {
    let stand = stand("limits-extension", |s| {
        s.with("limits.body_ms", 1000)
            .with("limits.body_rate", 1000)
            .with("shop.read_ms", 2000)
            .with("shop.upstream", reading_shop())
    });
    let headers = [("Transfer-Encoding", "chunked")];
    for unfinished in ["5;a=", "0\r\nX-Any: "] {
        let mut client = stand.client();
        let head = request("POST", "/echo", &headers, "");
        client.send(&format!("{head}{unfinished}"));
        drip(&client);
        assert_eq!(
            client.read().problem(),
            problem(408, "body_too_slow"),
            "{unfinished}"
        );
        assert!(client.is_closed());
    }
}

#[test]
fn an_address_has_so_many_connections_unless_it_is_a_gateways() {
    let stand = stand("limits-address", |s| {
        s.with("limits.connections_per_address", 3)
            .with("buyer.trusted_peers", vec!["10.0.0.0/8"])
    });
    // The program that started the proxy has connected to it, and has gone.
    thread::sleep(Duration::from_millis(200));
    let served = |client: &mut Client| client.ask(&get("/echo", "")).status == 200;
    let mut clients: Vec<Client> = (0..3).map(|_| stand.client()).collect();
    assert!(clients.iter_mut().all(served));
    assert!(stand.client().is_closed());
    eventually("it is told", || {
        stand.log().contains("a connection too many")
    });

    clients.pop();
    thread::sleep(Duration::from_millis(200));
    clients.push(stand.client());
    assert!(clients.iter_mut().all(served));

    stand.renew(|s| {
        s.with("limits.connections_per_address", 3)
            .with("limits.unlimited", vec!["127.0.0.0/8"])
    });
    eventually("read again", || stand.log().contains("was read again"));
    clients.extend((0..3).map(|_| stand.client()));
    assert!(clients.iter_mut().all(served));

    stand.renew(|s| s.with("buyer.trusted_peers", vec!["127.0.0.1/32"]));
    eventually("read again", || {
        stand.log().matches("was read again").count() == 2
    });
    clients.extend((0..3).map(|_| stand.client()));
    assert!(clients.iter_mut().all(served));
}

#[test]
fn there_is_room_for_so_many() {
    let stand = stand("limits-room", |s| s.with("limits.connections", 3));
    thread::sleep(Duration::from_millis(200));
    let served = |client: &mut Client| client.ask(&get("/echo", "")).status == 200;
    let mut clients: Vec<Client> = (0..3).map(|_| stand.client()).collect();
    assert!(clients.iter_mut().all(served));
    assert!(stand.client().is_closed());
    assert!(clients.iter_mut().all(served));
}

#[test]
fn a_connection_rests_for_a_while_and_carries_so_many_requests() {
    let stand = stand("limits-kept", |s| {
        s.with("limits.keepalive_ms", 1000)
            .with("limits.requests_per_connection", 3)
    });
    let mut client = stand.client();
    for last in [false, false, true] {
        let answer = client.ask(&post("/seckill/1001", "u7"));
        assert_eq!(answer.status, 410);
        let expected = if last { "close" } else { "keep-alive" };
        assert_eq!(answer.header("connection"), Some(expected));
    }
    assert!(client.is_closed());

    let mut client = stand.client();
    assert_eq!(client.ask(&post("/seckill/1001", "u7")).status, 410);
    let since = Instant::now();
    assert!(client.is_closed_within(Duration::from_secs(5)));
    let elapsed = since.elapsed();
    assert!((900..3000).contains(&elapsed.as_millis()), "{elapsed:?}");
}

#[test]
fn what_the_shop_answers_closes_too_where_its_length_can_be_read_two_ways() {
    let stand = stand("limits-lengths", |s| s);
    let mut client = stand.client();
    client.send(
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\
         Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    );
    let answer = client.read();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed());
}

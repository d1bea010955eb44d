//! What passes through while it is being made: nothing that is not guarded waits in the proxy.

use crate::stand::{Client, Stand, get, request};
use crate::stub::Stub;
use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

const UPGRADE: &str = "Host: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn before(name: &str, mode: &str, shop: &Stub) -> Stand {
    Stand::start_with(name, mode, |settings| {
        settings.with("shop.upstream", shop.address.clone())
    })
}

/// A shop that accepts what a WebSocket begins with, and returns every byte after that.
fn echoing() -> Stub {
    Stub::start(|visit| {
        let Some(head) = visit.head() else { return };
        if !head.to_lowercase().contains("upgrade: websocket") {
            return visit.answer("200 OK");
        }
        visit.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        );
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = visit.stream.read(&mut buffer) {
            let _ = visit.stream.write_all(&buffer[..length]);
        }
    })
}

fn read_exactly(client: &mut Client, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    client.stream.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_websocket_passes_in_both_directions_until_it_is_closed() {
    let shop = echoing();
    let stand = before("websocket", "queue", &shop);
    let mut client = stand.client();
    let answer = client.ask(&format!("GET /live HTTP/1.1\r\n{UPGRADE}"));
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(
        answer.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    for frame in [
        &b"\x81\x85\0\0\0\0hello"[..],
        &[0x82; 3000],
        b"\x88\x80\0\0\0\0",
    ] {
        client.stream.write_all(frame).unwrap();
        assert_eq!(read_exactly(&mut client, frame.len()), frame);
    }
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(client.is_closed());
}

#[test]
fn a_websocket_lives_however_quickly_the_shop_agrees_to_it() {
    // Quicker than any shop: it agrees before it is asked.
    let shop = Stub::start(|visit| {
        visit.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        );
        visit.head();
        let mut buffer = [0; 64];
        while let Ok(length @ 1..) = visit.stream.read(&mut buffer) {
            let _ = visit.stream.write_all(&buffer[..length]);
        }
    });
    let stand = before("websocket-quick", "queue", &shop);
    for round in 0..50 {
        let mut client = stand.client();
        let answer = client.ask(&format!("GET /live HTTP/1.1\r\n{UPGRADE}"));
        assert_eq!(answer.status, 101);
        client.stream.write_all(b"\x81\x85\0\0\0\0hello").unwrap();
        let mut frame = [0; 11];
        let echoed = client.stream.read_exact(&mut frame);
        assert!(echoed.is_ok(), "round {round}: {echoed:?}");
    }
}

#[test]
fn nothing_guarded_becomes_a_websocket() {
    let shop = echoing();
    let stand = before("no-websocket", "forward confirm", &shop);
    stand.create("1001", &["STOCK", "10"]);
    for method in ["POST", "GET"] {
        let mut client = stand.client();
        let head = format!("{method} /seckill/1001 HTTP/1.1\r\nX-User-Id: u7\r\n{UPGRADE}");
        let answer = client.ask(&head);
        assert_eq!(
            answer.problem(),
            (400, "bad_request".to_owned()),
            "{method}"
        );
    }
    assert_eq!(stand.info("1001", "available"), "10");
    assert_eq!(shop.count(""), 0);
    // What some clients ask for everywhere is not answered and not passed on.
    let headers = [
        ("X-User-Id", "u7"),
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
    ];
    let answer = stand
        .client()
        .ask(&request("POST", "/seckill/1001", &headers, ""));
    assert_eq!(answer.status, 200);
    assert_eq!(stand.info("1001", "sold"), "1");
}

/// A stub's way to wait for the test, and the other way round.
fn signal<T: Send + 'static>() -> (Sender<T>, Mutex<Receiver<T>>) {
    let (sender, receiver) = channel();
    (sender, Mutex::new(receiver))
}

#[test]
fn an_answer_arrives_while_the_shop_is_still_making_it() {
    let (go_on, wait) = signal::<()>();
    let shop = Stub::start(move |visit| {
        visit.head();
        visit.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst\n\r\n");
        wait.lock().unwrap().recv().unwrap();
        visit.send("5\r\nlast\n\r\n0\r\n\r\n");
    });
    let stand = before("slow-answer", "queue", &shop);
    let mut client = stand.client();
    client.send(&get("/feed", ""));
    let mut text = String::new();
    while !text.contains("first\n") {
        let mut buffer = [0; 4096];
        let length = client.stream.read(&mut buffer).unwrap();
        assert!(length > 0, "{text}");
        text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    // The shop has not written this yet; had the proxy waited for it, we would wait here, too.
    assert!(!text.contains("last"));
    go_on.send(()).unwrap();
    while !text.contains("last\n\r\n0\r\n\r\n") {
        let mut buffer = [0; 4096];
        let length = client.stream.read(&mut buffer).unwrap();
        assert!(length > 0, "{text}");
        text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
}

#[test]
fn an_upload_reaches_the_shop_while_the_client_is_still_sending_it() {
    const HALF: usize = 8 << 20;
    let (half_way, wait) = signal::<()>();
    let shop = Stub::start(move |visit| {
        visit.head();
        let mut received = 0;
        let mut buffer = vec![0; 1 << 16];
        while received < 2 * HALF {
            let length = visit.stream.read(&mut buffer).unwrap();
            assert!(length > 0, "after {received}");
            let before = received;
            received += length;
            if before < HALF && received >= HALF {
                half_way.send(()).unwrap();
            }
        }
        visit.answer("201 Created");
    });
    let stand = before("upload", "queue", &shop);
    let mut client = stand.client();
    let length = (2 * HALF).to_string();
    client.send(&request(
        "POST",
        "/files",
        &[("Content-Length", &length)],
        "",
    ));
    let half = vec![b'x'; HALF];
    client.stream.write_all(&half).unwrap();
    let limit = std::time::Duration::from_secs(15);
    wait.lock().unwrap().recv_timeout(limit).unwrap();
    client.stream.write_all(&half).unwrap();
    assert_eq!(client.read().status, 201);
}

//! Pages are passed on without pingora's sessions, and nobody can tell, neither a client nor the shop.

use crate::process::signal;
use crate::stand::{Stand, eventually, get, request};
use crate::stub::Stub;
use seckill_testbed::Part;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

fn before(name: &str, shop: &Stub, settings: &[(&str, i64)]) -> Stand {
    Stand::start_with(name, "queue", |all| {
        let all = all.with("shop.upstream", shop.address.clone());
        let with =
            |all: seckill_testbed::Settings, (key, value): &(&str, i64)| all.with(key, *value);
        settings.iter().fold(all, with)
    })
}

/// More headers than are looked at before pingora has a request.
fn for_pingora(request: &str) -> String {
    let (line, rest) = request.split_once("\r\n").unwrap();
    let more: String = (0..49).map(|n| format!("X-{n}: y\r\n")).collect();
    format!("{line}\r\n{more}{rest}")
}

/// What a client sees: the answers before it, its first line, its headers without their order and
/// the time of day, its body, and whether all of that was there.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    interim: Vec<String>,
    status: String,
    headers: BTreeSet<String>,
    body: Vec<u8>,
    is_whole: bool,
}

/// Reads one answer, to its end or that of the connection.
struct Reader {
    stream: TcpStream,
    unread: Vec<u8>,
    is_over: bool,
}

impl Reader {
    fn ask(address: &str, request: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        Self {
            stream,
            unread: Vec::new(),
            is_over: false,
        }
    }

    fn more(&mut self) {
        let mut buffer = [0; 1 << 16];
        let length = self.stream.read(&mut buffer).unwrap_or(0);
        self.is_over |= length == 0;
        self.unread.extend(&buffer[..length]);
    }

    /// Up to and with this.
    fn until(&mut self, end: &[u8]) -> Option<String> {
        loop {
            let found = self.unread.windows(end.len()).position(|w| w == end);
            if let Some(at) = found {
                let bytes = self.unread.drain(..at + end.len()).collect();
                return Some(String::from_utf8(bytes).unwrap());
            }
            if self.is_over {
                return None;
            }
            self.more();
        }
    }

    fn exactly(&mut self, length: usize, into: &mut Vec<u8>) -> bool {
        while self.unread.len() < length && !self.is_over {
            self.more();
        }
        let length_here = length.min(self.unread.len());
        into.extend(self.unread.drain(..length_here));
        length_here == length
    }

    fn seen(&mut self, method: &str) -> Seen {
        let mut interim = Vec::new();
        let head = loop {
            let head = self.until(b"\r\n\r\n").unwrap_or_default();
            if !head.starts_with("HTTP/1.1 1") || head.starts_with("HTTP/1.1 101") {
                break head;
            }
            interim.push(head.to_ascii_lowercase());
        };
        let mut lines = head.lines();
        let status = lines.next().unwrap_or_default().to_owned();
        let headers: BTreeSet<String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| format!("{}: {value}", name.to_ascii_lowercase()))
            .filter(|line| !line.starts_with("date: "))
            .collect();
        let mut body = Vec::new();
        let length = headers
            .iter()
            .find_map(|l| l.strip_prefix("content-length: "));
        let has_body = method != "HEAD" && !status.contains(" 204") && !status.contains(" 304");
        let is_whole = if status.is_empty() {
            false
        } else if !has_body {
            true
        } else if headers.contains("transfer-encoding: chunked") {
            self.chunks(&mut body)
        } else {
            self.exactly(
                length.map_or(0, |length| length.parse().unwrap()),
                &mut body,
            )
        };
        Seen {
            interim,
            status,
            headers,
            body,
            is_whole,
        }
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> bool {
        loop {
            let Some(size) = self.until(b"\r\n") else {
                return false;
            };
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            if !self.exactly(size, body) || self.until(b"\r\n").is_none() {
                return false;
            }
            if size == 0 {
                return true;
            }
        }
    }
}

/// What a shop could say, and whether it closes after that.
fn answers() -> Vec<(String, bool)> {
    let mut all = Vec::new();
    let mut add = |text: String, closes: bool| all.push((text, closes));
    for head in [
        "200 OK\r\nContent-Length: 5\r\n",
        "200 \r\nContent-Length: 5\r\n",
        "200 In Ordnung\r\nCONTENT-LENGTH: 5\r\n",
        "404 Not Found\r\nContent-Length: 5\r\nX-A: b\r\nX-a: c\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n",
        "500 Oops\r\nContent-Length: 5\r\nConnection: close\r\nDate: yesterday\r\n",
        "200 OK\r\nContent-Length: 5\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive\r\n",
        "200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n",
        "200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
        "200 OK\r\nContent-Length: +5\r\n",
        "200 OK\r\nContent-Length: 3\r\n",
        "200 OK\r\nContent-Length: 5\r\nX Y: z\r\n",
        "200 OK\r\nContent-Length: 5\r\n folded\r\n",
        "2000 OK\r\nContent-Length: 5\r\n",
        "099 OK\r\nContent-Length: 5\r\n",
        "101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n",
    ] {
        add(format!("HTTP/1.1 {head}\r\nabcde"), false);
    }
    add(
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
        false,
    );
    add("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), false);
    add(
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n".to_owned(),
        false,
    );
    add(
        "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n".to_owned(),
        false,
    );
    // In chunks.
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";
    for body in [
        "5\r\nabcde\r\n0\r\n\r\n",
        "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        "0\r\n\r\n",
        "5;a=b\r\nabcde\r\n0\r\nX-Sum: 1\r\n\r\n",
    ] {
        add(format!("{chunked}\r\n{body}"), false);
    }
    add(
        format!("{chunked}Content-Length: 5\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"),
        false,
    );
    add(format!("{chunked}\r\n5\r\nabc"), true);
    add(format!("{chunked}\r\n5\r\nabcde\r\n"), true);
    // Something before it.
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
    add(
        format!("{hints}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde"),
        false,
    );
    add(
        format!("HTTP/1.1 100 Continue\r\n\r\n{hints}HTTP/1.1 204 No\r\n\r\n"),
        false,
    );
    // With the connection's end.
    add("HTTP/1.1 200 OK\r\n\r\nabcde".to_owned(), true);
    add(
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_owned(),
        true,
    );
    add("HTTP/1.0 200 OK\r\n\r\nabcde".to_owned(), true);
    add(
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabcde".to_owned(),
        true,
    );
    add("HTTP/1.1 200 OK\r\nContent-Le".to_owned(), true);
    add(String::new(), true);
    add("SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(), true);
    // Long.
    let long = "0123456789abcdef".repeat(20_000);
    add(
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{long}",
            long.len()
        ),
        false,
    );
    add(
        format!("{chunked}\r\n{:x}\r\n{long}\r\n0\r\n\r\n", long.len()),
        false,
    );
    add(format!("HTTP/1.1 200 OK\r\n\r\n{long}"), true);
    let many: String = (0..120).map(|n| format!("X-{n}: y\r\n")).collect();
    add(
        format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 5\r\n\r\nabcde"),
        false,
    );
    add(
        format!(
            "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 5\r\n\r\nabcde",
            &long[..90_000]
        ),
        false,
    );
    all
}

/// What is left of it if only its head was asked for.
fn head_of(answer: &str) -> &str {
    let mut end = 0;
    for head in answer.split_inclusive("\r\n\r\n") {
        end += head.len();
        if !head.starts_with("HTTP/1.1 1") {
            break;
        }
    }
    &answer[..end]
}

#[test]
fn whatever_the_shop_answers_is_passed_on_as_pingora_would() {
    let all = answers();
    let texts = all.clone();
    let shop = Stub::start(move |visit| {
        while let Some(head) = visit.head() {
            let at = head.split(['/', ' ']).nth(2).unwrap();
            let (text, closes) = &texts[at.parse::<usize>().unwrap()];
            visit.send(if head.starts_with("HEAD") {
                head_of(text)
            } else {
                text
            });
            if *closes {
                return;
            }
        }
    });
    let stand = before("pages", &shop, &[]);
    let address = stand.proxy.address();
    for method in ["GET", "HEAD"] {
        for (at, (text, _)) in all.iter().enumerate() {
            let asked = request(method, &format!("/{at}"), &[], "");
            let [own, pingoras] = [asked.clone(), for_pingora(&asked)]
                .map(|asked| Reader::ask(&address, &asked).seen(method));
            let start: String = text.chars().take(90).collect();
            // The version is that of the connection, not the shop's. A client whose shop has failed is
            // told so on a connection that he may keep, and not when all others come again.
            let but = |mut seen: Seen| {
                seen.status = seen.status.replace("HTTP/1.0", "HTTP/1.1");
                if seen.status.contains(" 502") {
                    let may_differ = ["connection: ", "retry-after: "];
                    seen.headers
                        .retain(|line| may_differ.iter().all(|name| !line.starts_with(name)));
                }
                seen
            };
            assert_eq!(but(own), but(pingoras), "{method} {at}: {start:?}");
        }
    }
}

#[test]
fn the_shop_is_asked_as_pingora_would() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    let shop = Stub::start(move |visit| {
        while let Some(head) = visit.head() {
            seen.lock().unwrap().push(head);
            visit.answer("200 OK");
        }
    });
    let stand = before("questions", &shop, &[]);
    let lines = |head: &str| -> BTreeSet<String> {
        let own = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            format!("{name}: {value}")
        };
        let is_ours = |line: &&str| !line.starts_with("X-") || !line.ends_with(": y");
        head.lines().filter(is_ours).map(own).collect()
    };
    for headers in [
        &[][..],
        &[("Connection", "keep-alive"), ("Keep-Alive", "timeout=5")],
        &[
            ("Accept", "*/*"),
            ("ACCEPT-language", "de"),
            ("Cookie", "a=b"),
            ("Cookie", "c=d"),
        ],
        &[
            ("Seckill-User", "u9"),
            ("seckill_reservation", "7-1"),
            ("SECKILL-SALE", "1001"),
        ],
        &[
            ("X-Forwarded-For", "192.0.2.1"),
            ("x_forwarded_for", "192.0.2.2"),
        ],
        &[
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "evil.test"),
            ("Forwarded", "for=1"),
        ],
        &[
            ("TE", "trailers"),
            ("Trailer", "X"),
            ("Proxy-Authorization", "x"),
            ("HTTP2-Settings", "x"),
        ],
        &[
            ("Range", "bytes=0-1"),
            ("If-None-Match", "\"a\""),
            ("X-Real-IP", "192.0.2.1"),
        ],
        &[
            ("X-User-Id", "u7"),
            ("Authorization", "Bearer x.y.z"),
            ("X-Latin", "\u{e9}"),
        ],
    ] {
        for method in ["GET", "HEAD"] {
            let asked = request(method, "/a/b.html?q=%C3%A9&r=a+b", headers, "");
            for asked in [asked.clone(), for_pingora(&asked)] {
                let seen = Reader::ask(&stand.proxy.address(), &asked).seen(method);
                assert!(seen.is_whole, "{seen:?}");
            }
            let heads: Vec<String> = heads.lock().unwrap().drain(..).collect();
            assert_eq!(lines(&heads[0]), lines(&heads[1]), "{headers:?}");
        }
    }
}

#[test]
fn pages_share_the_connections_that_were_kept_until_those_rest_too_long() {
    let (opened, open) = [(); 2].map(|()| Arc::new(AtomicUsize::new(0))).into();
    let (counted, present) = (Arc::clone(&opened), Arc::clone(&open));
    let shop = Stub::start(move |visit| {
        counted.fetch_add(1, Ordering::Relaxed);
        present.fetch_add(1, Ordering::Relaxed);
        while visit.head().is_some() {
            visit.answer("200 OK");
        }
        present.fetch_sub(1, Ordering::Relaxed);
    });
    let stand = before("kept-pages", &shop, &[("shop.idle_ms", 500)]);
    for _ in 0..5 {
        let mut client = stand.client();
        for _ in 0..5 {
            assert_eq!(client.ask(&get("/", "")).status, 200);
        }
    }
    assert_eq!(shop.count("GET"), 25);
    assert_eq!(opened.load(Ordering::Relaxed), 1);
    eventually("closed", || open.load(Ordering::Relaxed) == 0);
    assert_eq!(stand.client().ask(&get("/", "")).status, 200);
    assert_eq!(opened.load(Ordering::Relaxed), 2);
}

#[test]
fn a_connection_on_which_the_shop_said_too_much_is_not_used_again() {
    let opened = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&opened);
    let shop = Stub::start(move |visit| {
        counted.fetch_add(1, Ordering::Relaxed);
        while visit.head().is_some() {
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage, and more");
        }
    });
    let stand = before("too-much", &shop, &[]);
    let mut client = stand.client();
    for _ in 0..3 {
        assert_eq!(client.ask(&get("/", "")).body, "page");
    }
    assert_eq!(opened.load(Ordering::Relaxed), 3);
}

#[test]
fn a_shop_need_not_think_for_somebody_who_has_hung_up() {
    let (hung_up, told) = channel();
    let hung_up = Mutex::new(hung_up);
    let shop = Stub::start(move |visit| {
        let Some(head) = visit.head() else { return };
        if head.contains("/begun") {
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
        }
        visit.hang();
        hung_up.lock().unwrap().send(()).unwrap();
    });
    let stand = before("hung-up", &shop, &[]);
    for path in ["/thinking", "/begun"] {
        let mut client = Reader::ask(&stand.proxy.address(), &get(path, ""));
        if path == "/begun" {
            assert!(client.until(b"abc").is_some());
        }
        eventually("asked", || shop.count(&format!("GET {path}")) == 1);
        let since = Instant::now();
        drop(client);
        told.recv_timeout(PATIENCE).unwrap();
        assert!(since.elapsed() < Duration::from_secs(5), "{path}");
    }
}

#[test]
fn what_is_asked_while_the_shop_thinks_is_answered_after_it() {
    let shop = Stub::start(move |visit| {
        while let Some(head) = visit.head() {
            if head.contains("/slow") {
                std::thread::sleep(Duration::from_millis(400));
            }
            let path = head.split(' ').nth(1).unwrap();
            visit.send(&format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}",
                path.len()
            ));
        }
    });
    let stand = before("ahead", &shop, &[]);
    let mut client = Reader::ask(&stand.proxy.address(), &get("/slow", ""));
    let next = get("/next", "") + &get("/and-next", "");
    let cut = get("/next", "").len() - 7;
    for part in [&next[..cut], &next[cut..cut + 7]] {
        std::thread::sleep(Duration::from_millis(100));
        client.stream.write_all(part.as_bytes()).unwrap();
    }
    for path in ["/slow", "/next"] {
        let seen = client.seen("GET");
        assert_eq!(String::from_utf8(seen.body).unwrap(), path);
    }
    client
        .stream
        .write_all(&next.as_bytes()[cut + 7..])
        .unwrap();
    assert_eq!(client.seen("GET").body, b"/and-next");
}

#[test]
fn what_is_asked_while_the_shop_answers_oddly_is_not_lost_without_a_word() {
    let shop = Stub::start(move |visit| {
        while visit.head().is_some() {
            std::thread::sleep(Duration::from_millis(300));
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let stand = before("odd-ahead", &shop, &[]);
    let mut client = Reader::ask(&stand.proxy.address(), &get("/slow", ""));
    std::thread::sleep(Duration::from_millis(100));
    client
        .stream
        .write_all(get("/next", "").as_bytes())
        .unwrap();
    assert!(client.seen("GET").is_whole);
    // Pingora answers no more than the first, and closes.
    let since = Instant::now();
    let next = client.seen("GET");
    assert!(next.is_whole || client.is_over, "{next:?}");
    assert!(since.elapsed() < PATIENCE / 2);
}

#[test]
fn a_page_on_its_way_arrives_before_the_process_ends_also_with_one_thread() {
    for threads in [1, 2] {
        let shop = Stub::start(move |visit| {
            while visit.head().is_some() {
                visit.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
                std::thread::sleep(Duration::from_millis(700));
                visit.send("page");
            }
        });
        let mut stand = before("last-page", &shop, &[("threads", threads)]);
        let address = stand.proxy.address();
        let mut client = Reader::ask(&address, &get("/slow", ""));
        eventually("asked", || shop.count("GET") == 1);
        signal(&stand, "-TERM");
        let seen = client.seen("GET");
        assert!(seen.is_whole && seen.body == b"page", "{seen:?}");
        client.more();
        assert!(client.is_over);
        eventually("the end", || !stand.proxy.is_running());
    }
}

#[test]
fn a_page_that_breaks_off_ends_the_connection_and_is_not_asked_for_again() {
    let shop = Stub::start(|visit| {
        visit.head();
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    });
    let stand = before("broken-page", &shop, &[]);
    let mut client = Reader::ask(&stand.proxy.address(), &get("/", ""));
    let seen = client.seen("GET");
    assert!(!seen.is_whole && client.is_over, "{seen:?}");
    assert_eq!(seen.body, b"abc");
    assert_eq!(shop.count("GET"), 1);
    assert_eq!(stand.log().matches("the shop does not answer").count(), 1);
}

#[test]
fn a_client_who_does_not_read_does_not_fill_the_proxy() {
    const MOST: usize = 64 << 20;
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let shop = Stub::start(move |visit| {
        visit.head();
        visit.send(&format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {MOST}\r\n\r\n"
        ));
        let part = [b'x'; 1 << 16];
        while visit.stream.write_all(&part).is_ok() {
            counted.fetch_add(part.len(), Ordering::Relaxed);
        }
    });
    let stand = before("unread", &shop, &[]);
    let client = Reader::ask(&stand.proxy.address(), &get("/", ""));
    let mut before = usize::MAX;
    eventually("the shop waits", || {
        std::thread::sleep(Duration::from_millis(300));
        let now = sent.load(Ordering::Relaxed);
        let is_still = now > 0 && now == before;
        before = now;
        is_still
    });
    // Not more than the machine's own buffers.
    assert!(before < MOST / 2, "{before}");
    drop(client);
}

//! Plain buys are answered without pingora's session, and nobody can tell: what is sent twice, once
//! so that pingora has it, is answered twice the same.

use crate::stand::{Stand, post};
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Longer than the proxy waits for the rest of a body.
const PATIENCE: Duration = Duration::from_secs(4);

/// Connections at the same time.
const AT_ONCE: usize = 240;

const MUTANTS: usize = 480;

/// What a client sees of a request, and of a plain one after it on the same connection.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    answers: Vec<Answer>,
    is_closed: bool,
}

/// One answer: its first line, its headers without their order and the time of day, its body.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: String,
    headers: BTreeSet<String>,
    body: Vec<u8>,
}

#[test]
fn a_plain_buy_is_answered_as_if_pingora_had_it() {
    for mode in ["queue", "forward"] {
        let stand = stand("twins", mode);
        compare(&stand, &odd_requests());
    }
}

#[test]
fn whatever_is_done_to_a_buy_makes_no_difference_to_who_reads_it() {
    let stand = stand("mutants", "queue");
    let mut random = fastrand::Rng::with_seed(7);
    let originals = odd_requests();
    let mutants: Vec<Vec<u8>> = (0..MUTANTS)
        .map(|_| {
            let mut request = random.choice(&originals).unwrap().clone();
            for _ in 0..random.usize(1..=3) {
                mutate(&mut request, &mut random);
            }
            request
        })
        .collect();
    compare(&stand, &mutants);
}

/// A sale of which the proxy knows that it is sold out.
fn stand(name: &str, mode: &str) -> Stand {
    let stand = Stand::start_with(name, mode, |settings| {
        settings.with("redis.remember_ms", 60_000)
    });
    stand.create("empty", &["STOCK", "0"]);
    assert_eq!(stand.buy("empty", "u1").status, 410);
    stand
}

fn compare(stand: &Stand, requests: &[Vec<u8>]) {
    let address = stand.proxy.address();
    for some in requests.chunks(AT_ONCE / 2) {
        let twins = some.iter().flat_map(|r| [r.clone(), for_pingora(r)]);
        let seen = ask_all(&address, &twins.collect::<Vec<_>>());
        for (request, twins) in some.iter().zip(seen.chunks(2)) {
            assert_eq!(twins[0], twins[1], "{}", request.escape_ascii());
        }
    }
}

/// The same request with more headers than the fast reader looks at.
fn for_pingora(request: &[u8]) -> Vec<u8> {
    let start = request.iter().position(|b| !matches!(b, b'\r' | b'\n'));
    let line = start.and_then(|start| {
        let length = request[start..].iter().position(|&b| b == b'\n')?;
        Some(start + length + 1)
    });
    let Some(line) = line else {
        return request.to_owned();
    };
    let (line, rest) = request.split_at(line);
    let more: String = (0..49).map(|n| format!("X-{n}: y\r\n")).collect();
    [line, more.as_bytes(), rest].concat()
}

/// Sends each on a connection of its own, and when it was answered, a plain buy behind it.
fn ask_all(address: &str, requests: &[Vec<u8>]) -> Vec<Seen> {
    let mut connections: Vec<Connection> = requests
        .iter()
        .map(|request| Connection::open(address, request))
        .collect();
    listen(&mut connections, PATIENCE, |c| c.read.answers().len() == 1);
    for connection in &mut connections {
        connection.send(post("/seckill/empty", "u8").as_bytes());
    }
    listen(&mut connections, PATIENCE, |c| c.read.answers().len() == 2);
    // Who is going to close has done so by now, or does at once.
    listen(&mut connections, Duration::from_millis(300), |_| false);
    connections.into_iter().map(Connection::seen).collect()
}

/// Reads from all until each has what it waits for, or is closed.
fn listen(connections: &mut [Connection], limit: Duration, is_done: fn(&Connection) -> bool) {
    let since = Instant::now();
    while since.elapsed() < limit {
        let mut is_over = true;
        for connection in &mut *connections {
            connection.more();
            is_over &= connection.is_closed || is_done(connection);
        }
        if is_over {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

struct Connection {
    stream: TcpStream,
    read: Bytes,
    is_closed: bool,
}

struct Bytes(Vec<u8>);

impl Connection {
    fn open(address: &str, request: &[u8]) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut connection = Self {
            stream,
            read: Bytes(Vec::new()),
            is_closed: false,
        };
        connection.send(request);
        connection.stream.set_nonblocking(true).unwrap();
        connection
    }

    fn send(&mut self, bytes: &[u8]) {
        // A closed connection shows when it is read.
        let _ = self.stream.write_all(bytes);
    }

    /// Reads what is there.
    fn more(&mut self) {
        let mut buffer = [0; 4096];
        while !self.is_closed {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.is_closed = true,
                Ok(length) => self.read.0.extend(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.is_closed = true,
            }
        }
    }

    fn seen(self) -> Seen {
        Seen {
            answers: self.read.answers(),
            is_closed: self.is_closed,
        }
    }
}

impl Bytes {
    /// The answers that are there entirely.
    fn answers(&self) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut rest = &self.0[..];
        while let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&rest[..end]).into_owned();
            let mut lines = head.lines();
            let status = lines.next().unwrap().to_owned();
            let headers: BTreeSet<String> = lines
                .map(|line| {
                    let (name, value) = line.split_once(": ").unwrap();
                    format!("{}: {value}", name.to_ascii_lowercase())
                })
                .filter(|line| !line.starts_with("date: "))
                .collect();
            let length = headers
                .iter()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            let Some(body) = rest.get(end + 4..end + 4 + length) else {
                break;
            };
            rest = &rest[end + 4 + length..];
            answers.push(Answer {
                status,
                headers,
                body: body.to_vec(),
            });
        }
        answers
    }
}

const PATH: &str = "/seckill/empty";

/// Requests that are plain, and such as look it.
fn odd_requests() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    let mut add = |text: String| all.push(text.into_bytes());
    let usual = "Host: shop.test\r\nX-User-Id: u7\r\n";

    for line in [
        "POST /seckill/empty HTTP/1.1",
        "POST /seckill/empty HTTP/1.0",
        "POST /seckill/empty HTTP/1.2",
        "POST /seckill/empty HTTP/2.0",
        "POST /seckill/empty",
        "POST  /seckill/empty HTTP/1.1",
        "POST /seckill/empty  HTTP/1.1",
        "POST /seckill/empty HTTP/1.1 ",
        "POST\t/seckill/empty HTTP/1.1",
        " POST /seckill/empty HTTP/1.1",
        "\r\nPOST /seckill/empty HTTP/1.1",
        "\nPOST /seckill/empty HTTP/1.1",
        "post /seckill/empty HTTP/1.1",
        "PUT /seckill/empty HTTP/1.1",
        "DELETE /seckill/empty HTTP/1.1",
        "GET /seckill/empty HTTP/1.1",
        "HEAD /nothing HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "POSTER /seckill/empty HTTP/1.1",
        "POST /seckill/nowhere HTTP/1.1",
        "POST /seckill/ HTTP/1.1",
        "POST /seckill HTTP/1.1",
        "POST /seckill/empty/ HTTP/1.1",
        "POST /seckill//empty HTTP/1.1",
        "POST //seckill/empty HTTP/1.1",
        "POST /./seckill/empty HTTP/1.1",
        "POST /x/../seckill/empty HTTP/1.1",
        "POST /SECKILL/empty HTTP/1.1",
        "POST /%73eckill/empty HTTP/1.1",
        "POST /seckill/em%70ty HTTP/1.1",
        "POST /seckill/empty;a=b HTTP/1.1",
        "POST /seckill/empty#top HTTP/1.1",
        "POST /seckill/empty?#top HTTP/1.1",
        "POST /seckill/empty? HTTP/1.1",
        "POST /seckill/empty?qty HTTP/1.1",
        "POST /seckill/empty?qty=0 HTTP/1.1",
        "POST /seckill/empty?qty=1 HTTP/1.1",
        "POST /seckill/empty?qty=1&qty=2 HTTP/1.1",
        "POST /seckill/empty?qty=99 HTTP/1.1",
        "POST /seckill/empty?a=%20 HTTP/1.1",
        "POST /seckill/empty?a?b HTTP/1.1",
        "POST /seckill/empty?a b HTTP/1.1",
        "POST /seckill/em pty HTTP/1.1",
        "POST /seckill/~empty HTTP/1.1",
        "POST /seckill/empty.html HTTP/1.1",
        "POST /seckill/empty/reservations/7-1 HTTP/1.1",
        "POST /seckill/empty/reservations/7-1/confirm HTTP/1.1",
        "POST http://shop.test/seckill/empty HTTP/1.1",
        "POST http://other.test/seckill/empty HTTP/1.1",
        "POST seckill/empty HTTP/1.1",
        "POST /nothing HTTP/1.1",
        "POST /seckill/\u{17c}ofie HTTP/1.1",
    ] {
        add(format!("{line}\r\n{usual}\r\n"));
    }
    add(format!(
        "POST {PATH} HTTP/1.1\n{}\n",
        usual.replace('\r', "")
    ));
    add(format!("POST {PATH} HTTP/1.1\r\n{usual}\n"));
    add(format!("POST {PATH} HTTP/1.1\r\r\n{usual}\r\n"));

    for hosts in [
        "",
        "Host:\r\n",
        "Host: \r\n",
        "host: a\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nhost: b\r\n",
        "Host: user@shop.test\r\n",
        "Host: a b\r\n",
        "Host : a\r\n",
        "Host: a\r\nX-Forwarded-Host: b\r\n",
    ] {
        add(format!(
            "POST {PATH} HTTP/1.1\r\n{hosts}X-User-Id: u7\r\n\r\n"
        ));
    }
    for buyers in [
        "",
        "X-User-Id: \r\n",
        "X-User-Id:u7\r\n",
        "X-User-Id:  u7  \r\n",
        "X-User-Id:\tu7\t\r\n",
        "x-user-id: u7\r\n",
        "X-USER-ID: u7\r\n",
        "X_User_Id: u7\r\n",
        "X-User-Id: u7\r\nX_User_Id: u8\r\n",
        "X-User-Id: u7\r\nX-User-Id: u7\r\n",
        "X-User-Id: u7\r\nx-user-id: u8\r\n",
        "X-User-Id: \u{17d}ofie\r\n",
        "X-User-Id: u\u{7f}\r\n",
        "X-User-Id: u\u{1}\r\n",
        "X-User-Id: u7, u8\r\n",
        "X-User-Id u7\r\n",
        "X-User-Id : u7\r\n",
        "X-User-Id: u7\r\n u8\r\n",
        ": u7\r\n",
        "X-User-Id: u7\r\n\u{17c}: y\r\n",
        "X-User-Id: u7\r\nX(Y: z\r\n",
        "X-User-Id: u7\r\nCookie: a=b\r\nCookie: c=d\r\n",
        "X-User-Id: u7\r\nAuthorization: Bearer x.y.z\r\n",
    ] {
        add(format!("POST {PATH} HTTP/1.1\r\nHost: a\r\n{buyers}\r\n"));
    }
    add(format!(
        "POST {PATH} HTTP/1.1\r\nHost: a\r\nX-User-Id: {}\r\n\r\n",
        "x".repeat(129)
    ));
    for headers in [
        "Connection: keep-alive\r\n",
        "Connection: Keep-Alive\r\n",
        "Connection: close\r\n",
        "Connection: CLOSE\r\n",
        "Connection: keep-alive, close\r\n",
        "Connection: close, keep-alive\r\n",
        "Connection: x-user-id\r\n",
        "Connection:\r\n",
        "Connection: keep-alive\r\nConnection: close\r\n",
        "Connection: close\r\nConnection: keep-alive\r\n",
        "Connection: keep-alive\r\nKeep-Alive: timeout=1\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\n",
        "Upgrade: h2c\r\n",
        "Proxy-Connection: close\r\n",
        "Expect: 100-continue\r\n",
        "Expect: 100-continue\r\nContent-Length: 4\r\n",
        "Idempotency-Key: 4f-1\r\n",
        "Idempotency-Key: a\r\nIdempotency-Key: a\r\n",
        "Idempotency-Key: \r\n",
        "X-HTTP-Method-Override: GET\r\n",
        "X_Http_Method: PUT\r\n",
        "Origin: https://evil.test\r\n",
        "TE: trailers\r\n",
        "Trailer: X\r\n",
        "Content-Length: 0\r\n",
        "Content-Length: 00\r\n",
        "Content-Length: +0\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: \r\n",
        "Content-Length: 0, 0\r\n",
        "Content-Length: 0\r\nContent-Length: 0\r\n",
        "Content-Length: 0\r\nContent-Length: 1\r\n",
        "Content-Length: 0x0\r\n",
        "Content-Length: 8193\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length : 0\r\n",
        "Content_Length: 4\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Transfer-Encoding:\u{b}chunked\r\n",
        "Seckill-User: u9\r\n",
        "Range: bytes=0-1\r\n",
        "If-None-Match: *\r\n",
    ] {
        add(format!("POST {PATH} HTTP/1.1\r\n{usual}{headers}\r\n"));
    }
    for (length, body) in [
        ("4", "abcd"),
        ("4", "abc"),
        ("4", "abcde"),
        ("04", "abcd"),
        ("0", "abcd"),
        ("4, 4", "abcd"),
        ("4", "\r\n\r\n"),
        ("4", "\r\n\r\nPOST"),
    ] {
        add(format!(
            "POST {PATH} HTTP/1.1\r\n{usual}Content-Length: {length}\r\n\r\n{body}"
        ));
    }
    for length in [2000, 4096, 8192, 8193] {
        let body = "x".repeat(length);
        add(format!(
            "POST {PATH} HTTP/1.1\r\n{usual}Content-Length: {length}\r\n\r\n{body}"
        ));
    }
    let plain = format!("POST {PATH} HTTP/1.1\r\n{usual}\r\n");
    add(format!("{plain}{plain}"));
    add(format!("{plain}\r\n"));
    add(format!("{plain}GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"));
    add(format!(
        "POST {PATH} HTTP/1.1\r\n{usual}Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"
    ));
    add(plain[..plain.len() - 2].to_owned());
    // A page, asked for as oddly, but not with a body that is still on its way when the shop answers.
    let pages: Vec<Vec<u8>> = all
        .iter()
        .filter(|request| request.starts_with(b"POST ") && request.len() < 1000)
        .map(|request| [b"GET ", &request[5..]].concat())
        .collect();
    all.extend(pages);
    all
}

/// Changes one thing.
fn mutate(request: &mut Vec<u8>, random: &mut fastrand::Rng) {
    const SIGNS: &[u8] = b"\0\t\r\n \"#%&+,-./:;<=?@[\\]_{|}~\x7f\x80\xff09AZaz";
    const LINES: [&str; 10] = [
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close\r\n",
        "Host: b\r\n",
        "X-User-Id: u9\r\n",
        "Expect: 100-continue\r\n",
        "Upgrade: x\r\n",
        " folded\r\n",
        "X-Any: thing\r\n",
        "\r\n",
    ];
    let at = random.usize(0..=request.len());
    let sign = *random.choice(SIGNS).unwrap();
    match random.u8(0..6) {
        0 => request.insert(at, sign),
        1 if at < request.len() => request[at] = sign,
        2 if at < request.len() => drop(request.remove(at)),
        3 if at < request.len() => request[at] ^= 0x20,
        4 => {
            let starts: Vec<usize> = (0..request.len())
                .filter(|&n| request[n] == b'\n')
                .collect();
            if let Some(&start) = random.choice(&starts) {
                let line = random.choice(&LINES).unwrap().bytes();
                request.splice(start + 1..start + 1, line);
            }
        }
        _ => request.truncate(at.max(1)),
    }
}

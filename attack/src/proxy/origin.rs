//! A shop that writes down every request that the proxy sends, and reads strictly.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::strict::{self, Body, Request};

/// Longer than the proxy takes for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// More than any head that the proxy lets through.
const HEAD_BYTES_MAX: usize = 128 * 1024;

/// What somebody who does not read has to read.
const BIG_BYTES: usize = 32 * 1024 * 1024;

/// A request, or what came instead of one.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The request, if its head could be read.
    pub(crate) request: Option<Request>,
    pub(crate) body: Vec<u8>,
    /// Whether the body came to its end.
    pub(crate) is_whole: bool,
    /// What is wrong with it.
    pub(crate) problem: Option<String>,
    /// The beginning of it as it came.
    pub(crate) raw: Vec<u8>,
}

/// Listens, and tells `seen` of every request. It ends with the program. Returns its address.
pub(crate) fn open(seen: &Sender<Seen>) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let seen = seen.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = seen.clone();
            // Whoever does not get a thread is closed.
            drop(
                thread::Builder::new()
                    .stack_size(256 * 1024)
                    .spawn(move || serve(stream, &seen)),
            );
        }
    });
    Ok(address)
}

fn serve(mut stream: TcpStream, seen: &Sender<Seen>) {
    if stream.set_read_timeout(Some(PATIENCE)).is_err() || stream.set_nodelay(true).is_err() {
        return;
    }
    let mut buffer = Vec::new();
    while let Some(one) = next(&mut stream, &mut buffer) {
        let answer = one.request.as_ref().filter(|_| one.is_whole).map(answer);
        // The judge is gone: it is over.
        if seen.send(one).is_err() {
            return;
        }
        let Some(answer) = answer else { return };
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}

/// The next request; nothing if the proxy has closed between two.
fn next(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Seen> {
    let head_end = loop {
        if let Some(end) = strict::head_end(buffer) {
            break end;
        }
        if buffer.len() > HEAD_BYTES_MAX {
            return Some(bad(buffer, "a head without an end".into()));
        }
        if !more(stream, buffer) {
            return (!buffer.is_empty()).then(|| bad(buffer, "half a head".into()));
        }
    };
    let raw = buffer.get(..head_end).unwrap_or_default().to_vec();
    let request = match strict::request(&raw) {
        Ok(request) => request,
        Err(problem) => return Some(bad(buffer, problem)),
    };
    buffer.drain(..head_end);
    let expects = request
        .head
        .values("expect")
        .any(|value| value.eq_ignore_ascii_case(b"100-continue"));
    if expects && buffer.is_empty() && stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_err() {
        return None;
    }
    loop {
        match strict::body(buffer, request.framing) {
            Err(problem) => return Some(bad(&[raw.as_slice(), buffer].concat(), problem)),
            Ok(Body::Whole(body, length)) => {
                buffer.drain(..length);
                return Some(Seen {
                    request: Some(request),
                    body,
                    is_whole: true,
                    problem: None,
                    raw,
                });
            }
            Ok(Body::Part(body)) => {
                if !more(stream, buffer) {
                    return Some(Seen {
                        request: Some(request),
                        body,
                        is_whole: false,
                        problem: None,
                        raw,
                    });
                }
            }
        }
    }
}

fn bad(bytes: &[u8], problem: String) -> Seen {
    Seen {
        request: None,
        body: Vec::new(),
        is_whole: false,
        problem: Some(problem),
        raw: bytes
            .get(..bytes.len().min(8192))
            .unwrap_or_default()
            .to_vec(),
    }
}

fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
    let mut part = [0; 16 * 1024];
    let length = stream.read(&mut part).unwrap_or(0);
    buffer.extend_from_slice(part.get(..length).unwrap_or_default());
    length > 0
}

/// Says what was asked for, so that a client can tell whose answer he got.
fn answer(request: &Request) -> Vec<u8> {
    let target = String::from_utf8_lossy(&request.target);
    if target.starts_with("/big") {
        let mut answer =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {BIG_BYTES}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + BIG_BYTES, b'x');
        return answer;
    }
    let body = format!("asked for {target}\n");
    let form = request.target.iter().map(|b| u32::from(*b)).sum::<u32>() % 4;
    let (fields, body) = match form {
        0 => (
            "Transfer-Encoding: chunked\r\n".into(),
            format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
        ),
        1 => (
            format!("Content-Length: {}\r\nConnection: close\r\n", body.len()),
            body,
        ),
        _ => (format!("Content-Length: {}\r\n", body.len()), body),
    };
    let body = if request.method == b"HEAD" {
        String::new()
    } else {
        body
    };
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{fields}\r\n{body}").into_bytes()
}

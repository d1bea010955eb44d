//! Honest buyers beside the attack, who are served whatever happens.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::case::Attacker;
use super::client::{is_timeout, open};
use crate::plan::Finding;

const RULE: &str = "honest buyers are served meanwhile";

/// Longer than anybody waits on a machine that is busy being attacked.
const PATIENCE: Duration = Duration::from_secs(30);

/// How an error ends that says that the proxy closed without a word.
const CLOSED: &str = "not answered at all";

const PAUSE: Duration = Duration::from_millis(40);

/// Buys and looks at pages until it is over, over new connections and a kept one. Who is told to try
/// again (503) does so, for as long as anybody would. Returns how many were served.
pub(crate) fn sing(address: &str, over: &AtomicBool) -> Result<u64, Finding> {
    let mut kept: Option<TcpStream> = None;
    let (mut turns, mut served) = (0_u64, 0_u64);
    let mut last = Instant::now();
    while !over.load(Ordering::Relaxed) {
        turns += 1;
        match serve(address, &format!("canary-{turns}"), kept.take()) {
            Ok(page) => {
                served += 1;
                last = Instant::now();
                // Some connections are as old as the attack, and some are not.
                kept = (!served.is_multiple_of(50)).then_some(page);
            }
            Err(error) if error.contains("503 Service") && last.elapsed() < PATIENCE => {}
            Err(error) => return Err(Finding::new(RULE, format!("buyer {turns}: {error}"))),
        }
        std::thread::sleep(PAUSE);
    }
    Ok(served)
}

/// One buyer buys twice and looks at a page, over a kept connection if there is one. Returns that one.
fn serve(address: &str, uid: &str, kept: Option<TcpStream>) -> Result<TcpStream, String> {
    let connect = || open(Attacker::BehindGateway, address).map_err(|error| error.to_string());
    let buy = |path: &str, ends: &str| {
        format!("POST {path}?m={uid} HTTP/1.1\r\nHost: shop.test\r\nX-User-Id: {uid}\r\n{ends}\r\n")
    };
    let mut fresh = connect()?;
    ask(&mut fresh, &buy("/queue/canary", ""), "202", "queued")?;
    let last = buy("/forward/canary-2", "Connection: close\r\n");
    ask(&mut fresh, &last, "200", uid)?;
    let get = format!("GET /page?m={uid} HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    if let Some(mut page) = kept {
        match ask(&mut page, &get, "200", uid) {
            Ok(()) => return Ok(page),
            // One that has rested for too long is closed, and a browser asks over a new one.
            Err(error) if error.ends_with(CLOSED) => {}
            Err(error) => return Err(error),
        }
    }
    let mut page = connect()?;
    ask(&mut page, &get, "200", uid)?;
    Ok(page)
}

/// Asks, and reads until the answer has what it is to have.
fn ask(stream: &mut TcpStream, request: &str, status: &str, part: &str) -> Result<(), String> {
    if let Err(error) = stream.write_all(request.as_bytes()) {
        return Err(format!("{error}: {request:?} is {CLOSED}"));
    }
    let since = Instant::now();
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&heard);
        if is_whole(&text) {
            let is_it = text.starts_with(&format!("HTTP/1.1 {status} ")) && text.contains(part);
            return if is_it {
                Ok(())
            } else {
                Err(format!("the answer to {request:?} is {text:?}"))
            };
        }
        if since.elapsed() > PATIENCE {
            return Err(format!("no answer to {request:?} but {text:?}"));
        }
        match stream.read(&mut buffer) {
            Ok(0) if heard.is_empty() => return Err(format!("{request:?} is {CLOSED}")),
            Ok(0) => return Err(format!("closed after {text:?} to {request:?}")),
            Ok(length) => heard.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if is_timeout(error.kind()) => {}
            Err(error) if heard.is_empty() => {
                return Err(format!("{error}: {request:?} is {CLOSED}"));
            }
            Err(error) => return Err(format!("{error} after {request:?}")),
        }
    }
}

/// Chunks have their last one; anything else is in one write, or short.
fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let head = head.to_lowercase();
    let length = head
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.lines().next());
    match length.and_then(|digits| digits.trim().parse().ok()) {
        Some(length) => body.len() >= length,
        None => body.ends_with("0\r\n\r\n"),
    }
}

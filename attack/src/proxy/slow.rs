//! Clients who hold a connection and do as little as they can with it: each is cut off by some limit.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::case::Attacker;
use super::client::{self, is_timeout};
use super::tls::{Tls, Wire};
use crate::plan::Finding;

const RULE: &str = "whoever holds a connection and does nothing with it is cut off";

/// How far beyond its limit a connection may live on a busy machine.
const SLACK: Duration = Duration::from_secs(30);

/// Between two bytes.
const PAUSE: Duration = Duration::from_millis(100);

/// How a connection is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Plain,
    /// The secure door's address, without a handshake.
    Bare,
    Tls1,
    Tls2,
}

/// Somebody who does not get on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sloth {
    pub(crate) name: &'static str,
    door: Door,
    first: &'static [u8],
    /// What comes after that, again and again; nothing: silence.
    drip: &'static [u8],
    /// Whether he takes what he is sent.
    reads: bool,
    limit_s: u64,
}

const HEAD: &[u8] = b"POST /page HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 100000\r\n\r\n";
const CHUNKED: &[u8] =
    b"POST /page HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n";
const EXTENSION: &[u8] =
    b"POST /page HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n5;a=";
const TRAILER: &[u8] =
    b"POST /page HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Any: ";
const BUY: &[u8] = b"POST /queue/empty HTTP/1.1\r\nHost: shop.test\r\nX-User-Id: slow\r\nContent-Length: 100\r\n\r\n";
const BIG: &[u8] = b"GET /big HTTP/1.1\r\nHost: shop.test\r\n\r\n";
const H2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The same, and a head that goes on in a frame that never comes: `:method: GET`.
const H2_HALF: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x01\0\0\0\x01\x82";
const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0abcdefgh";

const fn sloth(name: &'static str, door: Door, first: &'static [u8], drip: &'static [u8]) -> Sloth {
    Sloth {
        name,
        door,
        first,
        drip,
        reads: true,
        limit_s: 3,
    }
}

/// Of each kind one. The limits are those that the stand sets.
pub(crate) const SLOTHS: [Sloth; 17] = [
    sloth("says nothing", Door::Plain, b"", b""),
    sloth("says half a line", Door::Plain, b"GET / HT", b""),
    sloth(
        "never ends a head",
        Door::Plain,
        b"GET / HTTP/1.1\r\n",
        b"X",
    ),
    sloth("sends empty lines", Door::Plain, b"\r\n", b"\r\n"),
    sloth("never sends a body", Door::Plain, HEAD, b""),
    sloth("drips a body", Door::Plain, HEAD, b"x"),
    sloth("never sends a chunk", Door::Plain, CHUNKED, b""),
    sloth("drips chunks", Door::Plain, CHUNKED, b"1\r\nx\r\n"),
    // As long as the shop has to answer.
    Sloth {
        limit_s: 31,
        ..sloth("drips a chunk's extension", Door::Plain, EXTENSION, b"x")
    },
    Sloth {
        limit_s: 31,
        ..sloth("drips a trailer", Door::Plain, TRAILER, b"x")
    },
    sloth("never sends a buy's body", Door::Plain, BUY, b""),
    sloth("never begins a handshake", Door::Bare, b"", b""),
    sloth(
        "never ends a handshake",
        Door::Bare,
        b"\x16\x03\x01\x02\0\x01",
        b"",
    ),
    sloth("says nothing in private", Door::Tls1, b"", b""),
    sloth("says nothing in HTTP/2", Door::Tls2, b"", b""),
    sloth("rests in HTTP/2", Door::Tls2, H2, b""),
    sloth("never ends a head in HTTP/2", Door::Tls2, H2_HALF, b""),
];

/// Kinds that outlast a short attack.
pub(crate) const LONG_SLOTHS: [Sloth; 2] = [
    Sloth {
        reads: false,
        limit_s: 62,
        ..sloth("does not read", Door::Plain, BIG, b"")
    },
    // HTTP/2 has no limit for somebody who gives signs of life; what he costs is counted.
    Sloth {
        limit_s: 3600,
        ..sloth("knocks in HTTP/2", Door::Tls2, H2, PING)
    },
];

// === impl Sloth ===

impl Sloth {
    /// Holds one connection after the other until it is over. Returns how many were cut off.
    pub(crate) fn hold(&self, address: &str, tls: &Tls, over: &AtomicBool) -> Result<u64, Finding> {
        let mut cut = 0;
        while !over.load(Ordering::Relaxed) {
            // A door that does not open is none that is held.
            let Ok(mut wire) = self.open(address, tls) else {
                std::thread::sleep(PAUSE);
                continue;
            };
            if self.is_cut(&mut *wire, over)? {
                cut += 1;
            }
        }
        Ok(cut)
    }

    fn open(&self, address: &str, tls: &Tls) -> anyhow::Result<Box<dyn Wire>> {
        let from = Attacker::BehindGateway;
        let mut wire: Box<dyn Wire> = match self.door {
            Door::Plain => Box::new(client::open(from, address)?),
            Door::Bare => Box::new(client::open(from, &tls.address)?),
            Door::Tls1 => Box::new(tls.open(from, &[b"http/1.1"])?),
            Door::Tls2 => Box::new(tls.open(from, &[b"h2"])?),
        };
        wire.write_all(self.first)?;
        wire.flush()?;
        Ok(wire)
    }

    /// Holds a connection; `false`: it was over before.
    fn is_cut(&self, wire: &mut dyn Wire, over: &AtomicBool) -> Result<bool, Finding> {
        let since = Instant::now();
        let limit = Duration::from_secs(self.limit_s) + SLACK;
        let mut buffer = [0; 4096];
        loop {
            if self.reads {
                match wire.read(&mut buffer) {
                    Ok(0) => return Ok(true),
                    Ok(_) => {}
                    Err(error) if is_timeout(error.kind()) => {}
                    Err(_) => return Ok(true),
                }
            }
            let drip = if self.reads { self.drip } else { b"\r\n" };
            if !drip.is_empty() && wire.write_all(drip).and_then(|()| wire.flush()).is_err() {
                return Ok(true);
            }
            if over.load(Ordering::Relaxed) {
                return Ok(false);
            }
            if since.elapsed() > limit {
                let evidence = format!("one who {} is still here after {limit:?}", self.name);
                let mut finding = Finding::new(RULE, evidence);
                finding.bytes = [self.first, self.drip].concat();
                return Err(finding);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

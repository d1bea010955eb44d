//! Attacks in HTTP/2: frames by hand, so that they can say what no library would.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use anyhow::Result;
use fastrand::Rng;

use super::case::{Attacker, mark};
use super::client::is_timeout;
use super::strict::Request;
use super::tls::Tls;
use crate::bytes::mutate;
use crate::plan::{Finding, Plan};

/// The cases of HTTP/2 are numbered from here.
const FIRST: u64 = 1 << 40;

/// What stands in everything that is hidden in something else.
const HIDDEN: &str = "zhidden";

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// How long answers are listened to.
const PATIENCE: Duration = Duration::from_millis(800);

/// A field of a head.
type Field = (String, String);

/// Makes the frames of a case.
struct Maker {
    number: u64,
    stream: u32,
    random: Rng,
}

/// The number of the case in HTTP/2 that comes at this place.
pub(crate) const fn number(place: u64) -> u64 {
    FIRST + place
}

/// Whether a case is one in HTTP/2.
pub(crate) const fn is_ours(number: u64) -> bool {
    number >= FIRST
}

/// All that a case sends.
pub(crate) fn bytes(plan: &Plan, number: u64) -> Vec<u8> {
    let mut maker = Maker {
        number,
        stream: 1,
        random: plan.random(number),
    };
    let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    match maker.random.u32(..10) {
        0..6 => {
            for _ in 0..maker.random.usize(1..6) {
                bytes.extend(maker.request());
            }
        }
        6 => bytes.extend(maker.flood()),
        7 => {
            for _ in 0..maker.random.usize(1..30) {
                bytes.extend(maker.any_frame());
            }
        }
        _ => {
            for _ in 0..maker.random.usize(1..4) {
                bytes.extend(maker.request());
            }
            for _ in 0..maker.random.usize(1..6) {
                mutate(&mut bytes, &mut maker.random);
            }
        }
    }
    bytes
}

/// Performs a case. What comes back has to be frames.
pub(crate) fn perform(plan: &Plan, number: u64, tls: &Tls) -> Result<Result<(), Finding>> {
    let mut stream = tls.open(Attacker::BehindGateway, &[b"h2"])?;
    let sent = bytes(plan, number);
    let mut heard = Vec::new();
    if stream
        .write_all(&sent)
        .and_then(|()| stream.flush())
        .is_ok()
    {
        let since = Instant::now();
        let mut part = [0; 16 * 1024];
        while since.elapsed() < PATIENCE {
            match stream.read(&mut part) {
                Ok(0) => break,
                Ok(length) => heard.extend_from_slice(part.get(..length).unwrap_or_default()),
                Err(error) if is_timeout(error.kind()) => {}
                Err(_) => break,
            }
        }
    }
    Ok(frames(&heard).map_err(|evidence| {
        Finding::new("a client of HTTP/2 gets frames", evidence).of(number, sent)
    }))
}

/// Judges a request at the shop.
pub(crate) fn see(request: &Request) -> Result<(), String> {
    let hidden = HIDDEN.as_bytes();
    let line = &request.head.line;
    if line.windows(hidden.len()).any(|window| window == hidden) {
        return Err("what was hidden in another request is one of its own".into());
    }
    Ok(())
}

/// Whether bytes are frames, the last one maybe cut off.
fn frames(mut bytes: &[u8]) -> Result<(), String> {
    while let Some((head, rest)) = bytes.split_first_chunk::<9>() {
        let [a, b, c, kind, ..] = *head;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        if kind > 9 || length > 16_384 {
            return Err(format!("a frame of kind {kind} and {length} bytes"));
        }
        bytes = rest.get(length..).unwrap_or_default();
    }
    Ok(())
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    let [_, a, b, c] = length;
    let mut frame = vec![a, b, c, kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Fields as literals that nobody has to remember.
fn encode(fields: &[Field]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            length(text.len(), &mut block);
            block.extend(text.as_bytes());
        }
    }
    block
}

/// A number with a prefix of seven bits.
fn length(mut number: usize, block: &mut Vec<u8>) {
    if number < 127 {
        block.push(u8::try_from(number).unwrap_or(0));
        return;
    }
    block.push(127);
    number -= 127;
    while number >= 128 {
        block.push(u8::try_from(number % 128).unwrap_or(0) | 128);
        number /= 128;
    }
    block.push(u8::try_from(number).unwrap_or(0));
}

// === impl Maker ===

impl Maker {
    fn pick<'w>(&mut self, words: &[&'w str]) -> &'w str {
        self.random.choice(words).copied().unwrap_or_default()
    }

    fn head(&mut self) -> Vec<Field> {
        let mark = mark(self.number, u64::from(self.stream));
        let method = self.pick(&["GET", "POST", "POST"]);
        let path = self.pick(&[
            "/page",
            "/forward/open",
            "/queue/open",
            "/queue/empty",
            "/QUEUE/open",
        ]);
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            field(":method", method),
            field(":scheme", "https"),
            field(":authority", "shop.test"),
            field(":path", &format!("{path}?m={mark}")),
            field("x-user-id", &mark),
        ]
    }

    /// One request, and what could become another one behind a server of HTTP/1.1.
    fn request(&mut self) -> Vec<u8> {
        let stream = self.stream;
        self.stream += 2;
        let mut fields = self.head();
        let hidden = format!("GET /page?m={HIDDEN} HTTP/1.1\r\nHost: a\r\n\r\n");
        let sign = self.pick(&["\r\n", "\n", "\r", "\0", " ", "\t", "\u{7f}", "\u{e9}", ":"]);
        let at = self.random.usize(..fields.len());
        match self.random.u32(..12) {
            0 => {
                if let Some((_, value)) = fields.get_mut(at) {
                    value.push_str(&format!("{sign}{hidden}"));
                }
            }
            1 => {
                if let Some((_, value)) = fields.get_mut(at) {
                    value.push_str(&format!(" HTTP/1.1\r\nHost: a\r\n\r\n{hidden}"));
                }
            }
            2 => fields.push((format!("x{sign}seckill-user"), "forged".into())),
            3 => fields.push(("x-any".into(), format!("a{sign}seckill-user: forged"))),
            4 => {
                let name = self.pick(&super::words::OURS);
                let name = name.replace('-', self.pick(&["-", "_", "."]));
                fields.push((name.to_ascii_lowercase(), "forged".into()));
            }
            5 => {
                let (name, value) = self
                    .random
                    .choice([
                        ("transfer-encoding", "chunked"),
                        ("connection", "close"),
                        ("connection", "seckill-user"),
                        ("upgrade", "websocket"),
                        ("keep-alive", "timeout=9"),
                        ("proxy-connection", "close"),
                        ("te", "gzip"),
                        ("content-length", "0"),
                        ("content-length", "3"),
                        ("content-length", "-1"),
                        ("content-length", "99999999999999999999"),
                        ("host", "evil.test"),
                        ("X-Upper", "a"),
                        ("", "a"),
                        (":unknown", "a"),
                        ("expect", "100-continue"),
                    ])
                    .unwrap_or_default();
                fields.push((name.into(), value.into()));
            }
            6 => {
                let again = fields.get(at).cloned();
                fields.extend(again);
            }
            7 => drop(fields.remove(at)),
            8 => self.random.shuffle(&mut fields),
            9 => fields
                .extend((0..self.random.usize(50..2000)).map(|n| (format!("x-{n}"), "y".into()))),
            _ => {}
        }
        let block = encode(&fields);
        let body = match self.random.u32(..4) {
            0 => hidden.clone().into_bytes(),
            1 => format!("0\r\n\r\n{hidden}").into_bytes(),
            _ => Vec::new(),
        };
        let ends = if body.is_empty() { END_STREAM } else { 0 };
        let mut frames = Vec::new();
        let mut parts = block.chunks(16_000).peekable();
        let mut kind = HEADERS;
        while let Some(part) = parts.next() {
            let last = if parts.peek().is_none() {
                END_HEADERS
            } else {
                0
            };
            let ends = if kind == HEADERS { ends } else { 0 };
            frames.extend(frame(kind, last | ends, stream, part));
            kind = CONTINUATION;
        }
        if !body.is_empty() {
            if self.random.bool() {
                frames.extend(frame(DATA, END_STREAM, stream, &body));
            } else {
                frames.extend(frame(DATA, 0, stream, &body));
                let trailer = self.pick(&[
                    "content-length",
                    "seckill-user",
                    ":path",
                    "transfer-encoding",
                    "x-any",
                ]);
                let trailer = encode(&[(trailer.into(), "forged".into())]);
                frames.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &trailer));
            }
        }
        frames
    }

    fn any_frame(&mut self) -> Vec<u8> {
        let length = self.random.usize(..40);
        let payload: Vec<u8> = (0..length).map(|_| self.random.u8(..)).collect();
        let stream = self.random.u32(..9);
        frame(self.random.u8(..12), self.random.u8(..), stream, &payload)
    }

    /// Much that costs the sender little.
    fn flood(&mut self) -> Vec<u8> {
        let mut frames = Vec::new();
        match self.random.u32(..6) {
            0 => {
                for _ in 0..600 {
                    let block = encode(&self.head());
                    frames.extend(frame(
                        HEADERS,
                        END_HEADERS | END_STREAM,
                        self.stream,
                        &block,
                    ));
                    frames.extend(frame(RST_STREAM, 0, self.stream, &[0, 0, 0, 8]));
                    self.stream += 2;
                }
            }
            1 => frames.extend(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]).repeat(2000)),
            2 => frames.extend(frame(PING, 0, 0, &[7; 8]).repeat(2000)),
            3 => {
                let block = encode(&self.head());
                frames.extend(frame(HEADERS, 0, 1, &block));
                let more = encode(&[("x-any".into(), "y".repeat(16_000))]);
                frames.extend(frame(CONTINUATION, 0, 1, &more).repeat(60));
            }
            4 => {
                let block = encode(&self.head());
                frames.extend(frame(HEADERS, END_HEADERS, 1, &block));
                frames.extend(frame(DATA, 0, 1, &[]).repeat(3000));
            }
            _ => frames.extend(frame(WINDOW_UPDATE, 0, 0, &[0x7f, 255, 255, 255]).repeat(3)),
        }
        frames
    }
}

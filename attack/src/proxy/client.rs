//! The attacking side of a connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use super::case::{Attacker, Case, Then};
use super::reading::Reading;
use super::strict::{self, Body, Framing};

/// How long an answer is waited for that may never come.
const ANSWER_PATIENCE: Duration = Duration::from_millis(700);

/// How long the end is waited for when nothing more is sent: longer than every limit of the proxy's.
const END_PATIENCE: Duration = Duration::from_secs(6);

/// How long one look takes.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// What came back.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) bytes: Vec<u8>,
    /// Whether the proxy has closed.
    pub(crate) is_closed: bool,
}

/// The answers in what came back.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// The statuses of those that came to their end, without interim ones.
    pub(crate) statuses: Vec<u16>,
    /// The status of one that was cut off.
    pub(crate) cut_off: Option<u16>,
}

/// Connects from an address that the proxy believes as a gateway's, or from another one.
pub(crate) fn open(attacker: Attacker, address: &str) -> Result<TcpStream> {
    let from: SocketAddr = match attacker {
        Attacker::BehindGateway => "127.0.0.1:0".parse()?,
        Attacker::Stranger => "127.0.0.2:0".parse()?,
    };
    let to: SocketAddr = address.parse()?;
    let descriptor = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&descriptor, &from)?;
    connect(&descriptor, &to)?;
    let stream = TcpStream::from(descriptor);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LOOK))?;
    stream.set_write_timeout(Some(END_PATIENCE))?;
    Ok(stream)
}

/// Sends a case and listens to its end. That the proxy closes or resets is an answer, too.
pub(crate) fn perform(case: &Case, reading: &Reading, address: &str) -> Result<Heard> {
    let mut stream = open(case.attacker, address)?;
    let mut heard = Heard {
        bytes: Vec::new(),
        is_closed: false,
    };
    for piece in &case.pieces {
        let before = heard.finals(reading);
        if stream.write_all(&piece.bytes).is_err() {
            break;
        }
        match piece.then {
            Then::Nothing => {}
            Then::PauseMs(ms) => std::thread::sleep(Duration::from_millis(ms)),
            Then::Answer => heard.listen(&mut stream, ANSWER_PATIENCE, |heard| {
                heard.finals(reading) > before
            }),
        }
        if heard.is_closed {
            break;
        }
    }
    heard.listen(&mut stream, Duration::from_millis(50), |_| false);
    // Nothing more comes: who waits for more need not wait for his limits.
    drop(stream.shutdown(Shutdown::Write));
    heard.listen(&mut stream, END_PATIENCE, |_| false);
    Ok(heard)
}

// === impl Heard ===

impl Heard {
    fn listen(
        &mut self,
        stream: &mut TcpStream,
        patience: Duration,
        is_enough: impl Fn(&Self) -> bool,
    ) {
        let since = Instant::now();
        let mut part = [0; 16 * 1024];
        while !self.is_closed && since.elapsed() < patience && !is_enough(self) {
            match stream.read(&mut part) {
                Ok(0) => self.is_closed = true,
                Ok(length) => self
                    .bytes
                    .extend_from_slice(part.get(..length).unwrap_or_default()),
                Err(error) if is_timeout(error.kind()) => {}
                Err(_) => self.is_closed = true,
            }
        }
    }

    fn finals(&self, reading: &Reading) -> usize {
        self.answers(reading)
            .map_or(0, |answers| answers.statuses.len())
    }

    /// What came back, as answers to what was asked.
    pub(crate) fn answers(&self, reading: &Reading) -> Result<Answers, String> {
        let mut answers = Answers::default();
        let mut rest = self.bytes.as_slice();
        while !rest.is_empty() {
            let Some(end) = strict::head_end(rest) else {
                let starts = b"HTTP/1.1 ".iter().zip(rest).all(|(a, b)| a == b);
                return if starts {
                    Ok(answers)
                } else {
                    Err("no answer".into())
                };
            };
            let (head, after) = rest.split_at(end);
            let response = strict::response(head)?;
            rest = after;
            if response.status < 200 {
                continue;
            }
            let asked = reading.asked.get(answers.statuses.len());
            let method = asked.map_or(&b""[..], |asked| asked.method.as_slice());
            let framing = strict::response_framing(&response, method)?;
            if framing == Framing::UntilClosed {
                answers.statuses.push(response.status);
                return Ok(answers);
            }
            match strict::body(rest, framing)? {
                Body::Whole(_, length) => {
                    answers.statuses.push(response.status);
                    rest = rest.get(length..).unwrap_or_default();
                }
                Body::Part(_) => {
                    answers.cut_off = Some(response.status);
                    return Ok(answers);
                }
            }
        }
        Ok(answers)
    }
}

pub(super) fn is_timeout(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

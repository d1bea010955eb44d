//! One attack on a connection, made anew from its seed and number whenever it is needed.

use fastrand::Rng;

use super::words;
use crate::bytes::mutate;
use crate::plan::Plan;

/// Who attacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attacker {
    /// Behind a gateway whose word on the buyer is believed, and which passes on whatever it gets.
    BehindGateway,
    /// Anybody.
    Stranger,
}

/// What is waited for before more is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Answer,
    PauseMs(u64),
    Nothing,
}

/// Bytes that are sent at once.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
}

/// One connection's attack.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) attacker: Attacker,
    pub(crate) pieces: Vec<Piece>,
}

/// Makes the parts of a case.
struct Maker {
    number: u64,
    place: u64,
    random: Rng,
}

/// What stands in everything that a case sends: whose it is. A mutant of it is none.
pub(crate) fn mark(case: u64, place: u64) -> String {
    format!("zq{case}.{place}.{}q", check(case, place))
}

fn check(case: u64, place: u64) -> u64 {
    case.wrapping_mul(31)
        .wrapping_add(place)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        >> 40
}

/// The cases whose marks are in some bytes.
pub(crate) fn marked(bytes: &[u8]) -> Vec<u64> {
    let mut cases = Vec::new();
    let mut rest = bytes;
    while let Some(at) = crate::bytes::find(rest, b"zq") {
        rest = rest.get(at + 2..).unwrap_or_default();
        let end = rest.iter().position(|b| !b.is_ascii_digit() && *b != b'.');
        let (inside, after) = rest.split_at(end.unwrap_or(rest.len()));
        let numbers: Vec<u64> = inside
            .split(|&b| b == b'.')
            .filter_map(|digits| str::from_utf8(digits).ok()?.parse().ok())
            .collect();
        if let [case, place, sum] = numbers.as_slice()
            && after.starts_with(b"q")
            && check(*case, *place) == *sum
        {
            cases.push(*case);
        }
    }
    cases
}

// === impl Case ===

impl Case {
    /// The case of this number.
    pub(crate) fn new(plan: &Plan, number: u64) -> Self {
        let mut maker = Maker {
            number,
            place: 0,
            random: plan.random(number),
        };
        let attacker = if maker.one_in(4) {
            Attacker::Stranger
        } else {
            Attacker::BehindGateway
        };
        let mut pieces = match maker.random.u32(..100) {
            0..40 => maker.pair(),
            40..60 => maker.odd_head(),
            60..72 => maker.forgery(),
            72..80 => maker.pipeline(),
            80..85 => maker.too_much(),
            85..90 => maker.expectation(),
            90..96 => maker.slow(),
            _ => maker.noise(),
        };
        if maker.one_in(3) {
            let count = pieces.len();
            if let Some(piece) = pieces.get_mut(maker.random.usize(..count)) {
                for _ in 0..maker.random.usize(1..=4) {
                    mutate(&mut piece.bytes, &mut maker.random);
                }
            }
        }
        Self { attacker, pieces }
    }

    /// All that is sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.pieces
            .iter()
            .flat_map(|piece| piece.bytes.clone())
            .collect()
    }
}

// === impl Maker ===

impl Maker {
    fn one_in(&mut self, times: u32) -> bool {
        self.random.u32(..times) == 0
    }

    fn pick<'w>(&mut self, words: &[&'w str]) -> &'w str {
        self.random.choice(words).copied().unwrap_or_default()
    }

    fn mark(&mut self) -> String {
        self.place += 1;
        mark(self.number, self.place)
    }

    fn target(&mut self) -> String {
        let mark = self.mark();
        let path = self.pick(&words::PATHS);
        format!("{path}?m={mark}")
    }

    /// The line and the fields that make a request one of this case.
    fn line(&mut self, method: &str) -> String {
        let target = self.target();
        let buyer = self.mark();
        format!("{method} {target} HTTP/1.1\r\nHost: shop.test\r\nX-User-Id: {buyer}\r\n")
    }

    fn plain(&mut self) -> Vec<u8> {
        let method = self.pick(&["GET", "POST", "POST"]);
        (self.line(method) + "\r\n").into_bytes()
    }

    /// A request behind which others hide.
    fn pair(&mut self) -> Vec<Piece> {
        let mut hidden = self.plain();
        if self.one_in(3) {
            // What follows is swallowed as a field of the hidden one.
            hidden.truncate(hidden.len().saturating_sub(2));
            hidden.extend(b"X-Swallow: ");
        }
        let method = self.pick(&["POST", "POST", "POST", "GET", "PUT", "HEAD", "OPTIONS"]);
        let mut head = self.line(method).into_bytes();
        let body = self.body(&hidden);
        let mut fields = Vec::new();
        let length = match self.random.u32(..5) {
            0 => 0,
            1 => body.len().saturating_sub(hidden.len()),
            2 => self.random.usize(..=body.len() + 3),
            _ => body.len(),
        };
        if self.random.bool() {
            fields.push(self.length(length));
        }
        if fields.is_empty() || self.one_in(3) {
            fields.push(self.coding());
        }
        if self.one_in(6) {
            fields.push(self.length(body.len()));
        }
        self.random.shuffle(&mut fields);
        for field in fields {
            head.extend(field);
        }
        head.extend(b"\r\n");
        let follower = Piece {
            bytes: self.plain(),
            then: Then::Answer,
        };
        let mut pieces = if self.one_in(3) {
            vec![
                Piece {
                    bytes: head,
                    then: Then::PauseMs(20),
                },
                Piece {
                    bytes: body,
                    then: Then::Answer,
                },
            ]
        } else {
            let bytes = [head, body].concat();
            let then = if self.one_in(4) {
                Then::Nothing
            } else {
                Then::Answer
            };
            vec![Piece { bytes, then }]
        };
        pieces.push(follower);
        pieces
    }

    fn length(&mut self, length: usize) -> Vec<u8> {
        let form = self.pick(&words::LENGTHS);
        let other = self.random.usize(..40).to_string();
        let text = form.replace('N', &length.to_string()).replace('M', &other);
        text.replace('H', &format!("{length:x}")).into_bytes()
    }

    fn coding(&mut self) -> Vec<u8> {
        if self.one_in(3) {
            return b"Transfer-Encoding: chunked\r\n".to_vec();
        }
        self.pick(&words::CODINGS).as_bytes().to_vec()
    }

    /// A body that is chunks, or could be taken for some, with something hidden in it or behind it.
    fn body(&mut self, hidden: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        for _ in 0..self.random.usize(..3) {
            let data = "d".repeat(self.random.usize(1..20));
            self.chunk(data.as_bytes(), &mut body);
        }
        match self.random.u32(..4) {
            0 => body.extend(hidden),
            1 => self.chunk(hidden, &mut body),
            _ => {}
        }
        if !self.one_in(5) {
            let last = self.pick(&words::LAST_CHUNKS);
            let mark = self.mark();
            body.extend(last.replace("MARK", &mark).into_bytes());
        }
        if self.random.bool() {
            body.extend(hidden);
        }
        body
    }

    fn chunk(&mut self, data: &[u8], body: &mut Vec<u8>) {
        let form = if self.random.bool() {
            "H\r\n"
        } else {
            self.pick(&words::CHUNK_LINES)
        };
        let line = form
            .replace('H', &format!("{:x}", data.len()))
            .replace('O', &format!("1{:016x}", data.len()));
        body.extend(line.into_bytes());
        body.extend(data);
        let end = if self.one_in(6) {
            self.pick(&["", "\n", "\r", "xx", "\r\n\r\n"])
        } else {
            "\r\n"
        };
        body.extend(end.as_bytes());
    }

    /// A head that is unusual.
    fn odd_head(&mut self) -> Vec<Piece> {
        let target = self.target();
        let buyer = self.mark();
        let line = self.pick(&words::LINES).replace("TARGET", &target);
        let mut text = line;
        if !self.one_in(6) {
            text.push_str("Host: shop.test\r\n");
        }
        text.push_str(&format!("X-User-Id: {buyer}\r\n"));
        for _ in 0..self.random.usize(..3) {
            let mark = self.mark();
            text.push_str(&self.pick(&words::FIELDS).replace("MARK", &mark));
        }
        text.push_str("\r\n");
        if self.one_in(8) {
            text = text.replace("\r\n", self.pick(&["\n", "\r", "\r\r\n", "\n\r"]));
        }
        self.and_a_plain_one(text.into_bytes())
    }

    /// Says what only the proxy may say.
    fn forgery(&mut self) -> Vec<Piece> {
        let method = self.pick(&["POST", "POST", "GET", "DELETE"]);
        let mut text = self.line(method);
        for _ in 0..self.random.usize(1..5) {
            let name = self.pick(&words::OURS);
            let sign = self.pick(&["-", "-", "_", ".", "+", "!", "~"]);
            let mut name = name.replace('-', sign);
            match self.random.u32(..4) {
                0 => name.make_ascii_lowercase(),
                1 => name.make_ascii_uppercase(),
                _ => {}
            }
            text.push_str(&format!("{name}: forged\r\n"));
            if self.one_in(3) {
                text.push_str(&format!("Connection: keep-alive, {name}\r\n"));
            }
        }
        if self.one_in(4) {
            text.push_str("Transfer-Encoding: chunked\r\nTrailer: Seckill-User\r\n\r\n");
            text.push_str("1\r\na\r\n0\r\nSeckill-User: forged\r\n");
        }
        text.push_str("\r\n");
        self.and_a_plain_one(text.into_bytes())
    }

    /// One message, and behind its answer one that nobody could object to.
    fn and_a_plain_one(&mut self, bytes: Vec<u8>) -> Vec<Piece> {
        let and = [bytes, self.plain()];
        let pieces = and.into_iter().map(|bytes| Piece {
            bytes,
            then: Then::Answer,
        });
        pieces.collect()
    }

    fn pipeline(&mut self) -> Vec<Piece> {
        let count = self.random.usize(2..12);
        let bytes = (0..count).flat_map(|_| self.plain()).collect();
        vec![Piece {
            bytes,
            then: Then::Answer,
        }]
    }

    /// Beyond a limit.
    fn too_much(&mut self) -> Vec<Piece> {
        let long = self.random.usize(7_000..70_000);
        let mut text = self.line("POST");
        match self.random.u32(..6) {
            0 => {
                let target = self.target();
                text = format!(
                    "GET {target}&{} HTTP/1.1\r\nHost: a\r\n\r\n",
                    "x".repeat(long)
                );
            }
            1 => text.push_str(&format!("X-Long: {}\r\n\r\n", "x".repeat(long))),
            2 => text.push_str(&format!("{}: x\r\n\r\n", "x".repeat(long))),
            3 => text.push_str(&("X: y\r\n".repeat(self.random.usize(90..400)) + "\r\n")),
            4 => {
                let length = long * 8;
                text.push_str(&format!("Content-Length: {length}\r\n\r\n"));
                text.push_str(&"x".repeat(length));
            }
            _ => {
                text.push_str("Transfer-Encoding: chunked\r\n\r\n");
                let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
                text.push_str(&chunk.repeat(long / 100));
                text.push_str("0\r\n\r\n");
            }
        }
        vec![Piece {
            bytes: text.into_bytes(),
            then: Then::Answer,
        }]
    }

    /// What asks for another protocol, or for leave to go on.
    fn expectation(&mut self) -> Vec<Piece> {
        let method = self.pick(&["GET", "POST", "CONNECT", "PRI"]);
        let field = self.pick(&words::EXPECTATIONS);
        let hidden = self.plain();
        let text = format!("{}{field}\r\n", self.line(method));
        vec![
            Piece {
                bytes: text.into_bytes(),
                then: Then::Answer,
            },
            Piece {
                bytes: hidden,
                then: Then::Answer,
            },
        ]
    }

    /// A few bytes at a time.
    fn slow(&mut self) -> Vec<Piece> {
        let whole = match self.pair().into_iter().next() {
            Some(piece) => piece.bytes,
            None => self.plain(),
        };
        let size = whole.len() / self.random.usize(4..30) + 1;
        let ms = self.random.u64(1..40);
        whole
            .chunks(size)
            .map(|part| Piece {
                bytes: part.to_vec(),
                then: Then::PauseMs(ms),
            })
            .collect()
    }

    /// No HTTP/1.1 at all.
    fn noise(&mut self) -> Vec<Piece> {
        let mut bytes = match self.random.u32(..4) {
            0 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
            // The beginning of a handshake.
            1 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
            2 => b"*3\r\n$11\r\nSECKILL.TRY\r\n$4\r\nopen\r\n".to_vec(),
            _ => Vec::new(),
        };
        let count = self.random.usize(..3000);
        bytes.extend((0..count).map(|_| self.random.u8(..)));
        vec![Piece {
            bytes,
            then: Then::Answer,
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_case_can_be_made_again_and_is_no_other_one() {
        let plan = Plan {
            seed: 7,
            time: Duration::ZERO,
            case: None,
        };
        let bytes = |number| Case::new(&plan, number).bytes();
        assert_eq!(bytes(3), bytes(3));
        assert_ne!(bytes(3), bytes(4));
    }

    #[test]
    fn marks_are_found_again() {
        let text = format!("a{}b{}zq7.q zq.1q zq8", mark(12, 3), mark(4, 0));
        let other = mark(12, 3).replace("zq12", "zq13");
        assert!(marked(other.as_bytes()).is_empty());
        assert_eq!(marked(text.as_bytes()), [12, 4]);
    }
}

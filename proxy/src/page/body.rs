//! The body of the shop's answer: where it ends, and how the client gets it.
//!
//! Chunks are taken apart and put together anew. What else may stand between them, extensions and
//! trailers, is read by some and not by others, and nobody needs it.

use crate::page::answer::Framing;
use bytes::{Buf, BytesMut};
use memchr::memchr;
use pingora_core::{BError, Error, ErrorType};
use std::io::Write;

/// The longest line with a chunk's size, and all that may follow the last chunk.
const LINE_BYTES_MAX: usize = 4 * 1024;
const TRAILER_BYTES_MAX: usize = 16 * 1024;

/// What is still to come of a body.
#[derive(Debug)]
pub(super) enum Body {
    /// So many bytes.
    Length(u64),
    /// What comes next of a body in chunks.
    Chunks(Next),
    /// All until the connection ends.
    UntilClose,
    /// Nothing.
    Over,
}

/// What comes next of a body in chunks.
#[derive(Debug)]
pub(super) enum Next {
    Size,
    /// So many bytes of a chunk.
    Data(u64),
    /// The end of its line.
    DataEnd,
    /// What follows the last chunk, of which so much was read.
    Trailers(usize),
    Nothing,
}

/// A body that is none.
#[derive(Debug)]
pub(super) struct Malformed;

impl From<Malformed> for BError {
    fn from(_: Malformed) -> Self {
        Error::explain(ErrorType::InvalidHTTPHeader, "chunks that are none").into_up()
    }
}

// === impl Body ===

impl Body {
    /// All of one that ends like this.
    pub(super) const fn new(framing: Framing) -> Self {
        match framing {
            Framing::Length(0) => Self::Over,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunks => Self::Chunks(Next::Size),
            Framing::Close => Self::UntilClose,
        }
    }

    /// Whether all of it was passed on.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    /// Moves what has arrived of it to `out`, as the client gets it. Returns how many bytes of it
    /// that were.
    ///
    /// # Errors
    /// [`Malformed`]
    pub(super) fn pass(
        &mut self,
        arrived: &mut BytesMut,
        out: &mut Vec<u8>,
    ) -> Result<usize, Malformed> {
        match self {
            Self::Over => Ok(0),
            Self::Length(left) => {
                let part = take(left, arrived, out);
                if *left == 0 {
                    *self = Self::Over;
                }
                Ok(part)
            }
            Self::UntilClose => {
                chunk(arrived, out);
                let part = arrived.len();
                arrived.clear();
                Ok(part)
            }
            Self::Chunks(next) => {
                let mut part = Vec::with_capacity(arrived.len());
                next.read(arrived, &mut part)?;
                chunk(&part, out);
                if matches!(next, Next::Nothing) {
                    *self = Self::Over;
                    out.extend_from_slice(b"0\r\n\r\n");
                }
                Ok(part.len())
            }
        }
    }

    /// The shop has closed.
    ///
    /// # Errors
    /// That was not the end.
    pub(super) fn close(&mut self, out: &mut Vec<u8>) -> Result<(), ()> {
        if !matches!(self, Self::UntilClose) {
            return Err(());
        }
        *self = Self::Over;
        out.extend_from_slice(b"0\r\n\r\n");
        Ok(())
    }
}

/// Moves so much.
fn take(left: &mut u64, arrived: &mut BytesMut, out: &mut Vec<u8>) -> usize {
    let part = arrived
        .len()
        .min(usize::try_from(*left).unwrap_or(usize::MAX));
    out.extend_from_slice(arrived.get(..part).unwrap_or_default());
    arrived.advance(part);
    *left = left.saturating_sub(u64::try_from(part).unwrap_or(u64::MAX));
    part
}

/// Writes a chunk, unless it were the last.
fn chunk(part: &[u8], out: &mut Vec<u8>) {
    if part.is_empty() {
        return;
    }
    // A Vec takes everything.
    let _ = write!(out, "{:x}\r\n", part.len());
    out.extend_from_slice(part);
    out.extend_from_slice(b"\r\n");
}

// === impl Next ===

impl Next {
    /// Takes chunks apart, as far as they have arrived.
    fn read(&mut self, arrived: &mut BytesMut, part: &mut Vec<u8>) -> Result<(), Malformed> {
        loop {
            *self = match self {
                // The parser takes no digit at all for a zero.
                Self::Size if arrived.first().is_some_and(|b| !b.is_ascii_hexdigit()) => {
                    return Err(Malformed);
                }
                Self::Size => match httparse::parse_chunk_size(arrived) {
                    Ok(httparse::Status::Complete((line, size))) => {
                        arrived.advance(line);
                        if size == 0 {
                            Self::Trailers(0)
                        } else {
                            Self::Data(size)
                        }
                    }
                    Ok(httparse::Status::Partial) if arrived.len() <= LINE_BYTES_MAX => {
                        return Ok(());
                    }
                    _ => return Err(Malformed),
                },
                Self::Data(left) => {
                    take(left, arrived, part);
                    if *left > 0 {
                        return Ok(());
                    }
                    Self::DataEnd
                }
                Self::DataEnd => match &**arrived {
                    [b'\r', b'\n', ..] => {
                        arrived.advance(2);
                        Self::Size
                    }
                    [] | [b'\r'] => return Ok(()),
                    _ => return Err(Malformed),
                },
                Self::Trailers(seen) => {
                    let Some(end) = memchr(b'\n', arrived) else {
                        if seen.saturating_add(arrived.len()) > TRAILER_BYTES_MAX {
                            return Err(Malformed);
                        }
                        return Ok(());
                    };
                    let is_last = matches!(arrived.get(..end), Some([] | [b'\r']));
                    let seen = seen.saturating_add(end);
                    arrived.advance(end.saturating_add(1));
                    if is_last {
                        Self::Nothing
                    } else if seen > TRAILER_BYTES_MAX {
                        return Err(Malformed);
                    } else {
                        Self::Trailers(seen)
                    }
                }
                Self::Nothing => return Ok(()),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the client gets of what arrives, in pieces of so many bytes, and what is left over.
    fn passed(
        framing: Framing,
        text: &str,
        piece: usize,
    ) -> Result<(String, bool, usize), Malformed> {
        let mut body = Body::new(framing);
        let mut arrived = BytesMut::new();
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(piece) {
            arrived.extend_from_slice(piece);
            body.pass(&mut arrived, &mut out)?;
        }
        let text = String::from_utf8(out).unwrap();
        Ok((text, body.is_over(), arrived.len()))
    }

    /// The bytes of a body, of which the client got chunks.
    fn joined(text: &str) -> String {
        let mut joined = String::new();
        let mut rest = text;
        while let Some((size, after)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).unwrap();
            joined.push_str(&after[..size]);
            rest = &after[size + 2..];
        }
        joined
    }

    #[test]
    fn a_length_is_so_many_bytes_and_no_more() {
        for piece in [1, 2, 100] {
            let (text, is_over, left) = passed(Framing::Length(5), "abcdefg", piece).unwrap();
            assert_eq!((text.as_str(), is_over, left), ("abcde", true, 2));
            let (text, is_over, _) = passed(Framing::Length(5), "abcd", piece).unwrap();
            assert_eq!((text.as_str(), is_over), ("abcd", false));
        }
        assert!(Body::new(Framing::Length(0)).is_over());
    }

    #[test]
    fn chunks_are_put_together_anew_however_they_come() {
        let text = "3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n";
        for piece in 1..=text.len() {
            let (text, is_over, left) = passed(Framing::Chunks, text, piece).unwrap();
            assert!(is_over && left == 0, "{piece}");
            assert!(text.ends_with("\r\n0\r\n\r\n"), "{piece}: {text:?}");
            assert_eq!(joined(&text), "abc0123456789", "{piece}");
        }
        let (text, is_over, left) =
            passed(Framing::Chunks, "1\r\na\r\n0\r\n\r\nmore", 100).unwrap();
        assert_eq!(
            (text.as_str(), is_over, left),
            ("1\r\na\r\n0\r\n\r\n", true, 4)
        );
    }

    #[test]
    fn what_is_no_chunk_is_not_passed_on() {
        let long = "1".repeat(LINE_BYTES_MAX + 1);
        let trailers = format!("0\r\n{}", "X: y\r\n".repeat(TRAILER_BYTES_MAX / 4));
        let endless = format!("0\r\n{}", "x".repeat(TRAILER_BYTES_MAX + 1));
        for text in [
            "x\r\n",
            "-1\r\na",
            "1\r\nabc",
            "1\r\na\rb",
            "\r\n",
            "fffffffffffffffff\r\n",
            &long,
            &trailers,
            &endless,
        ] {
            for piece in [1, text.len()] {
                assert!(passed(Framing::Chunks, text, piece).is_err(), "{text:?}");
            }
        }
    }

    #[test]
    fn what_ends_with_the_connection_becomes_chunks() {
        let mut body = Body::new(Framing::Close);
        let mut out = Vec::new();
        body.pass(&mut "abc"[..].into(), &mut out).unwrap();
        body.pass(&mut BytesMut::new(), &mut out).unwrap();
        assert!(!body.is_over());
        body.close(&mut out).unwrap();
        assert!(body.is_over());
        assert_eq!(out, b"3\r\nabc\r\n0\r\n\r\n");
        assert!(Body::new(Framing::Chunks).close(&mut Vec::new()).is_err());
    }
}

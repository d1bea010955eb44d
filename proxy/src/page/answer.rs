//! The head of the shop's answer: read, and written as the client gets it.

use http::{Method, StatusCode};
use pingora_core::protocols::http::date;
use std::mem::MaybeUninit;

/// More headers than shops send.
const HEADERS_MAX: usize = 96;

/// What there is of a head.
pub(super) enum Progress {
    /// Not all of it.
    Partial,
    /// All of something that comes before the answer, and how long it is.
    Interim(usize),
    /// All of the answer's, and how long it is.
    Head(Head, usize),
    /// Something that could be read in more ways than one.
    Unusual,
}

/// A head.
pub(super) struct Head {
    pub(super) status: StatusCode,
    /// Where the body ends.
    pub(super) framing: Framing,
    /// Whether the shop goes on with the connection.
    pub(super) may_be_kept: bool,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// After the last of its chunks.
    Chunks,
    /// With the connection.
    Close,
}

/// What the headers say of the message and its connection.
#[derive(Default)]
struct Said {
    length: Option<u64>,
    in_chunks: bool,
    closes: bool,
}

/// Reads what has arrived of an answer to this method, and adds its head to `out`.
pub(super) fn read(arrived: &[u8], method: &Method, out: &mut Vec<u8>) -> Progress {
    let mut fields = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        arrived,
        &mut fields,
    );
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Progress::Partial,
        Err(_) => return Progress::Unusual,
    };
    write(&response, length, method, out).unwrap_or_else(|| {
        out.clear();
        Progress::Unusual
    })
}

fn write(
    response: &httparse::Response<'_, '_>,
    length: usize,
    method: &Method,
    out: &mut Vec<u8>,
) -> Option<Progress> {
    let status = StatusCode::from_u16(response.code?).ok()?;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return None;
    }
    let is_interim = status.is_informational();
    for word in [
        "HTTP/1.1 ",
        status.as_str(),
        " ",
        response.reason.unwrap_or_default(),
    ] {
        out.extend_from_slice(word.as_bytes());
    }
    let mut line = |name: &str, value: &[u8]| {
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
    };
    let mut said = Said::default();
    for field in &*response.headers {
        if said.hear(field.name, field.value)? || is_interim {
            line(field.name, field.value);
        }
    }
    if is_interim {
        out.extend_from_slice(b"\r\n\r\n");
        return Some(Progress::Interim(length));
    }
    let is_bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let framing = match (said.length, said.in_chunks) {
        (Some(_), true) => return None,
        (_, true) if is_bodiless || response.version == Some(0) => return None,
        _ if is_bodiless || *method == Method::HEAD => Framing::Length(0),
        (Some(length), false) => Framing::Length(length),
        (None, true) => Framing::Chunks,
        (None, false) => {
            // So that the client's connection need not end as well.
            line("Transfer-Encoding", b"chunked");
            Framing::Close
        }
    };
    line("Date", date::get_cached_date().as_bytes());
    line("Connection", b"keep-alive");
    out.extend_from_slice(b"\r\n\r\n");
    let head = Head {
        status,
        framing,
        may_be_kept: response.version == Some(1) && !said.closes && framing != Framing::Close,
    };
    Some(Progress::Head(head, length))
}

// === impl Said ===

impl Said {
    /// Takes in one header. Returns whether the client gets it, too; `None` if it could be read in
    /// more ways than one.
    fn hear(&mut self, name: &str, value: &[u8]) -> Option<bool> {
        // Nearly none has one of these lengths.
        match name.len() {
            4 if name.eq_ignore_ascii_case("date") => return Some(false),
            10 if name.eq_ignore_ascii_case("connection") => {
                self.closes |= !value.eq_ignore_ascii_case(b"keep-alive");
                return Some(false);
            }
            14 if name.eq_ignore_ascii_case("content-length") => {
                let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
                let digits = std::str::from_utf8(value).ok().filter(|_| is_number)?;
                if self.length.replace(digits.parse().ok()?).is_some() {
                    return None;
                }
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                if self.in_chunks || !value.eq_ignore_ascii_case(b"chunked") {
                    return None;
                }
                self.in_chunks = true;
            }
            _ => {}
        }
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The framing, whether the connection may be kept, and what the client gets, but for the date.
    fn head(text: &str, method: &Method) -> Option<(Framing, bool, String)> {
        let mut out = Vec::new();
        let Progress::Head(head, length) = read(text.as_bytes(), method, &mut out) else {
            assert!(out.is_empty(), "{text}");
            return None;
        };
        assert_eq!(text.len(), length);
        let text = String::from_utf8(out).unwrap();
        let (before, after) = text.split_once("\r\nDate: ").unwrap();
        let (_, after) = after.split_once("\r\n").unwrap();
        assert_eq!(after, "Connection: keep-alive\r\n\r\n");
        Some((head.framing, head.may_be_kept, before.to_owned()))
    }

    #[test]
    fn where_a_body_ends_is_said_in_one_of_four_ways() {
        for (line, more, framing, is_kept) in [
            (
                "1.1 200 OK",
                "Content-Length: 5\r\n",
                Framing::Length(5),
                true,
            ),
            (
                "1.1 200 OK",
                "content-length: 0\r\n",
                Framing::Length(0),
                true,
            ),
            (
                "1.1 404 No",
                "Transfer-Encoding: Chunked\r\n",
                Framing::Chunks,
                true,
            ),
            ("1.1 204 No", "", Framing::Length(0), true),
            (
                "1.1 304 No",
                "Content-Length: 5\r\n",
                Framing::Length(0),
                true,
            ),
            ("1.1 200 OK", "", Framing::Close, false),
            ("1.0 200 OK", "", Framing::Close, false),
            (
                "1.0 200 OK",
                "Content-Length: 5\r\n",
                Framing::Length(5),
                false,
            ),
            (
                "1.1 200 OK",
                "Content-Length: 5\r\nConnection: close\r\n",
                Framing::Length(5),
                false,
            ),
            (
                "1.1 200 OK",
                "Content-Length: 5\r\nConnection: Keep-Alive\r\n",
                Framing::Length(5),
                true,
            ),
        ] {
            let text = format!("HTTP/{line}\r\n{more}\r\n");
            let (found, may_be_kept, _) = head(&text, &Method::GET).unwrap();
            assert_eq!((found, may_be_kept), (framing, is_kept), "{text}");
        }
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(head(text, &Method::HEAD).unwrap().0, Framing::Length(0));
    }

    #[test]
    fn what_could_be_read_in_more_ways_than_one_is_not_read_here() {
        for (line, more) in [
            ("1.1 200 OK", "Content-Length: 5\r\nContent-Length: 5\r\n"),
            ("1.1 200 OK", "Content-Length: 5, 5\r\n"),
            ("1.1 200 OK", "Content-Length: +5\r\n"),
            ("1.1 200 OK", "Content-Length:\r\n"),
            ("1.1 200 OK", "Content-Length: 99999999999999999999\r\n"),
            (
                "1.1 200 OK",
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            ),
            ("1.1 200 OK", "Transfer-Encoding: gzip, chunked\r\n"),
            ("1.1 200 OK", "Transfer-Encoding: identity\r\n"),
            (
                "1.1 200 OK",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            ),
            ("1.0 200 OK", "Transfer-Encoding: chunked\r\n"),
            ("1.1 204 No", "Transfer-Encoding: chunked\r\n"),
            ("1.1 101 Switching", "Upgrade: websocket\r\n"),
            ("1.1 99 Early", ""),
            ("2.0 200 OK", ""),
            ("1.1 200 OK", " folded\r\n"),
            ("1.1 200 OK", "X Y: z\r\n"),
        ] {
            let text = format!("HTTP/{line}\r\n{more}\r\n");
            let progress = read(text.as_bytes(), &Method::GET, &mut Vec::new());
            assert!(matches!(progress, Progress::Unusual), "{text}");
        }
        let many = "X: y\r\n".repeat(HEADERS_MAX + 1);
        let text = format!("HTTP/1.1 200 OK\r\n{many}\r\n");
        assert!(head(&text, &Method::GET).is_none());
    }

    #[test]
    fn a_client_gets_the_head_as_the_shop_wrote_it_but_for_what_is_of_the_connection() {
        let text = "HTTP/1.1 404 Nicht hier\r\nDATE: then\r\nX-Any: \u{17c}\r\nSet-Cookie: a=b\r\n\
                    Connection: close\r\nset-cookie: c=d\r\nContent-Length: 0\r\n\r\n";
        let (_, _, told) = head(text, &Method::GET).unwrap();
        assert_eq!(
            told,
            "HTTP/1.1 404 Nicht hier\r\nX-Any: \u{17c}\r\nSet-Cookie: a=b\r\nset-cookie: c=d\r\n\
             Content-Length: 0"
        );
        let text = "HTTP/1.0 200 OK\r\nServer: old\r\n\r\n";
        let (_, _, told) = head(text, &Method::GET).unwrap();
        assert_eq!(
            told,
            "HTTP/1.1 200 OK\r\nServer: old\r\nTransfer-Encoding: chunked"
        );
    }

    #[test]
    fn what_comes_before_an_answer_is_none() {
        let mut out = Vec::new();
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n";
        let text = format!("{interim}HTTP/1.1 200 OK\r\n");
        let progress = read(text.as_bytes(), &Method::GET, &mut out);
        assert!(matches!(progress, Progress::Interim(length) if length == interim.len()));
        assert_eq!(out, interim.as_bytes());
        for partial in [
            "",
            "HTTP",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n",
        ] {
            let progress = read(partial.as_bytes(), &Method::GET, &mut Vec::new());
            assert!(matches!(progress, Progress::Partial), "{partial}");
        }
    }
}

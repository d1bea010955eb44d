//! Requests as nearly all of them look, decided before pingora has made a session of them.
//!
//! While a sale is sold out, a session is most of what turning somebody away costs, and two are most
//! of what a page of the shop's costs. So what is plain beyond doubt is read here, with pingora's own
//! parser, and decided at the same desk. What is unusual in any way, wrong, or not here entirely goes
//! to pingora as it came: this file refuses nothing and forgives nothing, it only looks away.

use crate::body::BODY_BYTES_MAX;
use crate::caller::{Caller, Got};
use crate::desk::{Asked, Decision, Desk};
use crate::fields::Fields;
use crate::ledger::{Exchange, Ledger, Notes};
use crate::limits::Limits;
use crate::page::Errand;
use crate::site::Site;
use http::{Method, Version};
use std::mem::{MaybeUninit, replace};
use std::sync::Arc;

/// More headers than browsers send.
const HEADERS_MAX: usize = 48;

/// Answers plain buys, and passes plain pages on.
pub(crate) struct Fast {
    desk: Arc<Desk>,
    ledger: Arc<Ledger>,
}

/// What became of a plain request.
pub(crate) enum Served {
    /// It was answered, and the client may ask again.
    Answered,
    /// The client could not be answered.
    Gone,
    /// It was decided, and pingora goes on with it.
    Decided(Box<Decided>),
}

/// What was decided, for a request that pingora goes on with.
pub(crate) struct Decided {
    /// What was in force then.
    pub(crate) site: Arc<Site>,
    pub(crate) decision: Decision,
    pub(crate) notes: Notes,
}

/// A buy or a page, beyond doubt.
#[derive(Debug)]
pub(crate) struct Plain<'b> {
    method: Method,
    target: &'b str,
    path: &'b str,
    query: Option<&'b str>,
    headers: Fields<'b>,
    head_length: usize,
}

/// What the headers say about the message and its connection.
#[derive(Default)]
struct Framing {
    has_host: bool,
    has_connection: bool,
    body_length: Option<usize>,
}

// === impl Fast ===

impl Fast {
    /// Decides at `desk`, and enters in `ledger` what it has answered.
    pub(crate) const fn new(desk: Arc<Desk>, ledger: Arc<Ledger>) -> Self {
        Self { desk, ledger }
    }

    /// Serves a plain request by what `site` says.
    pub(crate) async fn serve(
        &self,
        site: &Arc<Site>,
        plain: &Plain<'_>,
        caller: &mut Caller,
        is_reused: bool,
    ) -> Served {
        let mut notes = Notes::new();
        notes.reused = is_reused;
        let asked = Asked {
            method: &plain.method,
            path: plain.path,
            query: plain.query,
            headers: &plain.headers,
            peer: caller.peer,
        };
        let got = match self.desk.decide(site, &asked, &mut notes).await {
            // Whoever asks for a head takes what follows one for something else.
            Decision::Answer(answer) if plain.method != Method::HEAD => {
                Ok(caller.answer(answer, notes.began()).await)
            }
            Decision::Pass if plain.is_page() && site.shop.is_plain() => {
                // In a place of its own: a buy need not have room for it.
                let got = Box::pin(self.fetch(site, plain, caller, &mut notes)).await;
                got.ok_or(Decision::Pass)
            }
            decision => Err(decision),
        };
        let got = match got {
            Ok(got) => got,
            Err(decision) => {
                return Served::Decided(Box::new(Decided {
                    site: Arc::clone(site),
                    decision,
                    notes,
                }));
            }
        };
        let exchange = Exchange {
            peer: asked.peer,
            method: asked.method,
            path: asked.path,
            headers: asked.headers,
            version: Version::HTTP_11,
            status: got.status,
            bytes: got.bytes,
        };
        self.ledger.enter(site, &notes, &exchange);
        if got.is_whole {
            Served::Answered
        } else {
            Served::Gone
        }
    }

    /// Has a page fetched, unless that is for pingora to do.
    async fn fetch(
        &self,
        site: &Site,
        plain: &Plain<'_>,
        caller: &mut Caller,
        notes: &mut Notes,
    ) -> Option<Got> {
        let (clients, headers) = (&site.clients, &plain.headers);
        let errand = Errand {
            shop: &site.shop,
            counters: self.ledger.counters(),
            notes,
            plain,
            introduction: clients.introduction(caller.peer, caller.scheme, headers),
            client: clients.address(caller.peer, headers).or(caller.peer),
        };
        errand.run(caller).await
    }
}

// === impl Plain ===

impl<'b> Plain<'b> {
    /// Reads what has arrived of a request, if that is a buy or a page that nobody could read
    /// differently, and nothing else.
    pub(crate) fn read(arrived: &'b [u8]) -> Option<Self> {
        let method = if arrived.starts_with(b"POST /") {
            Method::POST
        } else if arrived.starts_with(b"GET /") {
            Method::GET
        } else if arrived.starts_with(b"HEAD /") {
            Method::HEAD
        } else {
            return None;
        };
        let mut fields = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut []);
        let Ok(httparse::Status::Complete(head_length)) =
            request.parse_with_uninit_headers(arrived, &mut fields)
        else {
            return None;
        };
        let (Some(word), Some(1), Some(target)) = (request.method, request.version, request.path)
        else {
            return None;
        };
        let is_page = method != Method::POST;
        let (path, query) = split(target, is_page)?;
        let mut framing = Framing::default();
        for field in &*request.headers {
            framing.read(field.name, field.value)?;
        }
        // Not less, and nothing behind it.
        let length = head_length.checked_add(framing.body_length.unwrap_or(0))?;
        let is_plain = word == method.as_str()
            && framing.has_host
            && arrived.len() == length
            && !(is_page && framing.body_length.is_some());
        is_plain.then(|| Self {
            method,
            target,
            path,
            query,
            headers: Fields::new(request.headers),
            head_length,
        })
    }

    /// Whether its target and its headers are no more than they may be, of what else
    /// [`Limits::check_head`] looks at.
    pub(crate) const fn is_within(&self, limits: &Limits) -> bool {
        self.target.len() <= limits.uri_bytes && self.headers.len() <= limits.head_count
    }

    /// Whether it is no buy.
    fn is_page(&self) -> bool {
        self.method != Method::POST
    }

    /// How it is asked for.
    pub(crate) const fn method(&self) -> &Method {
        &self.method
    }

    /// Its path and query, as they came.
    pub(crate) const fn target(&self) -> &str {
        self.target
    }

    /// Its headers.
    pub(crate) const fn headers(&self) -> &Fields<'b> {
        &self.headers
    }

    /// How long its head was.
    pub(crate) const fn head_length(&self) -> usize {
        self.head_length
    }
}

/// The path and the query of a target, if nobody could read them differently. What else may stand
/// in either is the shop's business, where it is asked for a page.
fn split(target: &str, is_page: bool) -> Option<(&str, Option<&str>)> {
    let bytes = target.as_bytes();
    let mut before = 0;
    let end = bytes.iter().position(|&byte| {
        let is_plain =
            is_unreserved(byte) || byte == b'/' && before != b'/' || is_page && is_of_pages(byte);
        before = byte;
        !is_plain
    });
    let Some(end) = end else {
        return Some((target, None));
    };
    let path = target.get(..end)?;
    let query = target.get(end..)?.strip_prefix('?')?;
    let is_usual = |byte| {
        is_unreserved(byte)
            || matches!(byte, b'=' | b'&')
            || is_page && (is_of_pages(byte) || matches!(byte, b'/' | b'?'))
    };
    query.bytes().all(is_usual).then_some((path, Some(query)))
}

/// What no server reads in its own way.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}

/// What else may stand in a segment of a path, by RFC 3986. The desk reads it as it came, as it does
/// of pingora.
const fn is_of_pages(byte: u8) -> bool {
    matches!(
        byte,
        b'%' | b'!'
            | b'$'
            | b'&'
            | b'\''
            | b'('
            | b')'
            | b'*'
            | b'+'
            | b','
            | b';'
            | b'='
            | b':'
            | b'@'
    )
}

// === impl Framing ===

impl Framing {
    /// Takes in one header; `None` unless everything that it says about the message and its
    /// connection is as usual, and said once. Other headers the desk itself counts.
    fn read(&mut self, name: &str, value: &[u8]) -> Option<()> {
        let is = |own: &str| name.eq_ignore_ascii_case(own);
        // Nearly none has one of these lengths.
        let is_usual = match name.len() {
            4 if is("host") => !replace(&mut self.has_host, true) && !value.contains(&b'@'),
            6 if is("expect") => false,
            7 if is("upgrade") => false,
            10 if is("connection") => {
                !replace(&mut self.has_connection, true)
                    && value.eq_ignore_ascii_case(b"keep-alive")
            }
            14 if is("content-length") => self.body_length.replace(body_length(value)?).is_none(),
            17 if is("transfer-encoding") => false,
            _ => true,
        };
        is_usual.then_some(())
    }
}

/// A length that the proxy itself would read to its end.
fn body_length(value: &[u8]) -> Option<usize> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length: usize = std::str::from_utf8(value).ok()?.parse().ok()?;
    (u64::try_from(length).ok()? <= BODY_BYTES_MAX).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buy(line: &str, more: &str) -> String {
        format!("{line}\r\nHost: shop.test\r\nX-User-Id: u7\r\n{more}\r\n")
    }

    const LINE: &str = "POST /seckill/1001 HTTP/1.1";

    #[test]
    fn what_browsers_and_gateways_send_is_plain() {
        for more in [
            "",
            "Connection: keep-alive\r\n",
            "Content-Length: 0\r\n",
            "Idempotency-Key: 4f-1\r\nCookie: a=b\r\nCookie: c=d\r\n",
            "Origin: https://shop.test\r\nAccept: */*\r\nTE: trailers\r\n",
        ] {
            let request = buy(LINE, more);
            let plain = Plain::read(request.as_bytes()).unwrap();
            assert_eq!((plain.path, plain.query), ("/seckill/1001", None), "{more}");
            assert_eq!(plain.headers.first("x-user-id"), Some(&b"u7"[..]));
        }
        let request = buy("POST /a-b_c.d~e/1?qty=2&x=y HTTP/1.1", "");
        let plain = Plain::read(request.as_bytes()).unwrap();
        assert_eq!(plain.query, Some("qty=2&x=y"));
        let with_body = buy(LINE, "Content-Length: 4\r\n") + "abcd";
        assert!(Plain::read(with_body.as_bytes()).is_some());
    }

    #[test]
    fn a_page_may_be_asked_for_with_more_but_has_no_body() {
        for method in ["GET", "HEAD"] {
            let line = format!(
                "{method} /a;v=1/%C3%A9@b:c,d/e.html?q=%C3%A9+x&to=/c;d,e:f@g!h*(i)$'?j HTTP/1.1"
            );
            let request = buy(&line, "Accept: */*\r\nACCEPT: text/html\r\n");
            let plain = Plain::read(request.as_bytes()).unwrap();
            assert!(plain.is_page());
            assert_eq!(plain.method().as_str(), method);
            assert!(plain.target().ends_with("$'?j"));
            let names: Vec<&str> = plain.headers().iter().map(|own| own.name).collect();
            assert_eq!(names, ["Host", "X-User-Id", "Accept", "ACCEPT"]);
            for more in ["Content-Length: 0\r\n", "Content-Length: 4\r\n"] {
                let request = buy(&format!("{method} / HTTP/1.1"), more);
                assert!(Plain::read(request.as_bytes()).is_none());
            }
            for path in [
                "//a", "/a//b", "/a|b", "/a\\b", "/a#b", "/a?b#c", "/a?b|c", "/a?b\\c", "/a?b\"c",
            ] {
                let request = buy(&format!("{method} {path} HTTP/1.1"), "");
                assert!(Plain::read(request.as_bytes()).is_none(), "{path}");
            }
        }
    }

    #[test]
    fn whatever_could_be_read_differently_is_not() {
        for line in [
            "PUT /seckill/1001 HTTP/1.1",
            "GETS /seckill/1001 HTTP/1.1",
            "GET  /seckill/1001 HTTP/1.1",
            "POST /seckill/1001 HTTP/1.0",
            "POST  /seckill/1001 HTTP/1.1",
            "POST //seckill/1001 HTTP/1.1",
            "POST /seckill/%31001 HTTP/1.1",
            "POST /seckill/1001;a HTTP/1.1",
            "POST /seckill/1001#a HTTP/1.1",
            "POST /seckill/1001?a?b HTTP/1.1",
            "POST /seckill/1001?a=%20 HTTP/1.1",
            "POST http://shop.test/seckill/1001 HTTP/1.1",
            "\r\nPOST /seckill/1001 HTTP/1.1",
        ] {
            assert!(Plain::read(buy(line, "").as_bytes()).is_none(), "{line}");
        }
        for more in [
            "Host: other.test\r\n",
            "Connection: close\r\n",
            "Connection: keep-alive, x\r\n",
            "Connection: keep-alive\r\nConnection: close\r\n",
            "Content-Length: 1\r\n",
            "Content-Length: +0\r\n",
            "Content-Length: 0, 0\r\n",
            "Content-Length: 0\r\nContent-Length: 0\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Expect: 100-continue\r\n",
            "Upgrade: websocket\r\n",
            " folded\r\n",
            "X Y: z\r\n",
        ] {
            assert!(Plain::read(buy(LINE, more).as_bytes()).is_none(), "{more}");
        }
        let request = buy(LINE, "");
        let more_behind = request.clone() + "POST";
        assert!(Plain::read(more_behind.as_bytes()).is_none());
        assert!(Plain::read(&request.as_bytes()[..request.len() - 2]).is_none());
        let too_many = buy(LINE, &"X: y\r\n".repeat(HEADERS_MAX));
        assert!(Plain::read(too_many.as_bytes()).is_none());
        for hosts in ["", "Host: user@shop.test\r\n"] {
            let request = format!("{LINE}\r\n{hosts}X-User-Id: u7\r\n\r\n");
            assert!(Plain::read(request.as_bytes()).is_none(), "{hosts}");
        }
    }
}

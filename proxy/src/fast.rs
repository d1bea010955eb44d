//! Buys as nearly all of them look, decided before pingora has made a session of them.
//!
//! While a sale is sold out, a session is most of what turning somebody away costs. So what is plain
//! beyond doubt is read here, with pingora's own parser, and decided at the same desk. What is
//! unusual in any way, wrong, or not here entirely goes to pingora as it came: this file refuses
//! nothing and forgives nothing, it only looks away.

use crate::answer::Answer;
use crate::body::BODY_BYTES_MAX;
use crate::desk::{Asked, Decision, Desk};
use crate::ledger::{Exchange, Ledger, Notes};
use crate::proxy::WRITE_TIMEOUT;
use crate::site::Site;
use futures_util::poll;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use pingora_core::protocols::Stream;
use std::io;
use std::mem::{MaybeUninit, replace};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// More headers than browsers send.
const HEADERS_MAX: usize = 48;

/// Answers plain buys.
pub(crate) struct Fast {
    desk: Arc<Desk>,
    ledger: Arc<Ledger>,
}

/// What became of a plain buy.
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

/// A buy beyond doubt.
#[derive(Debug)]
pub(crate) struct Plain<'b> {
    path: &'b str,
    query: Option<&'b str>,
    headers: HeaderMap,
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

    /// Serves a plain buy by what `site` says.
    pub(crate) async fn serve(
        &self,
        site: &Arc<Site>,
        plain: Plain<'_>,
        stream: &mut Stream,
        peer: Option<IpAddr>,
        is_reused: bool,
    ) -> Served {
        let mut notes = Notes::new();
        notes.reused = is_reused;
        let asked = Asked {
            method: &Method::POST,
            path: plain.path,
            query: plain.query,
            headers: &plain.headers,
            peer,
        };
        let answer = match self.desk.decide(site, &asked, &mut notes).await {
            Decision::Answer(answer) => answer,
            decision => {
                return Served::Decided(Box::new(Decided {
                    site: Arc::clone(site),
                    decision,
                    notes,
                }));
            }
        };
        let status = answer.status();
        let length = answer.body_length();
        let is_sent = send(answer, stream).await;
        let exchange = Exchange {
            peer,
            method: asked.method,
            path: asked.path,
            headers: asked.headers,
            version: Version::HTTP_11,
            status: is_sent.then_some(status),
            bytes: if is_sent { length } else { 0 },
        };
        self.ledger.enter(site, &notes, &exchange);
        if is_sent {
            Served::Answered
        } else {
            Served::Gone
        }
    }
}

/// Writes an answer to somebody who may ask again on the same connection. Returns whether it could
/// be written in time.
async fn send(answer: Answer, stream: &mut Stream) -> bool {
    let bytes = answer.bytes();
    let mut write = pin!(async {
        stream.write_all(&bytes).await?;
        stream.flush().await
    });
    // Nearly always there is room, and no clock is needed.
    let written: Poll<io::Result<()>> = poll!(&mut write);
    match written {
        Poll::Ready(written) => written.is_ok(),
        Poll::Pending => matches!(timeout(WRITE_TIMEOUT, write).await, Ok(Ok(()))),
    }
}

// === impl Plain ===

impl<'b> Plain<'b> {
    /// Reads what has arrived of a request, if that is a buy that nobody could read differently, and
    /// nothing else.
    pub(crate) fn read(arrived: &'b [u8]) -> Option<Self> {
        if !arrived.starts_with(b"POST /") {
            return None;
        }
        let mut fields = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut []);
        let Ok(httparse::Status::Complete(head_length)) =
            request.parse_with_uninit_headers(arrived, &mut fields)
        else {
            return None;
        };
        let (Some("POST"), Some(1), Some(target)) = (request.method, request.version, request.path)
        else {
            return None;
        };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let is_plain = path.bytes().all(|b| is_unreserved(b) || b == b'/')
            && !path.contains("//")
            && query.is_none_or(|query| {
                query
                    .bytes()
                    .all(|b| is_unreserved(b) || matches!(b, b'=' | b'&'))
            });
        if !is_plain {
            return None;
        }
        let mut headers = HeaderMap::with_capacity(request.headers.len());
        let mut framing = Framing::default();
        for field in &*request.headers {
            let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
            let value = HeaderValue::from_bytes(field.value).ok()?;
            framing.read(&name, &value)?;
            headers.append(name, value);
        }
        // Not less, and nothing behind it.
        let length = head_length.checked_add(framing.body_length.unwrap_or(0))?;
        (framing.has_host && arrived.len() == length).then_some(Self {
            path,
            query,
            headers,
        })
    }
}

/// What no server reads in its own way.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}

// === impl Framing ===

impl Framing {
    /// Takes in one header; `None` unless everything that it says about the message and its
    /// connection is as usual, and said once. Other headers the desk itself counts.
    fn read(&mut self, name: &HeaderName, value: &HeaderValue) -> Option<()> {
        let is_usual = if name == HOST {
            !replace(&mut self.has_host, true) && !value.as_bytes().contains(&b'@')
        } else if name == CONNECTION {
            !replace(&mut self.has_connection, true)
                && value.as_bytes().eq_ignore_ascii_case(b"keep-alive")
        } else if name == CONTENT_LENGTH {
            self.body_length.replace(body_length(value)?).is_none()
        } else {
            ![TRANSFER_ENCODING, EXPECT, UPGRADE].contains(name)
        };
        is_usual.then_some(())
    }
}

/// A length that the proxy itself would read to its end.
fn body_length(value: &HeaderValue) -> Option<usize> {
    let digits = value.to_str().ok()?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let length: usize = digits.parse().ok()?;
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
            assert_eq!(plain.headers["x-user-id"], "u7");
        }
        let request = buy("POST /a-b_c.d~e/1?qty=2&x=y HTTP/1.1", "");
        let plain = Plain::read(request.as_bytes()).unwrap();
        assert_eq!(plain.query, Some("qty=2&x=y"));
        let with_body = buy(LINE, "Content-Length: 4\r\n") + "abcd";
        assert!(Plain::read(with_body.as_bytes()).is_some());
    }

    #[test]
    fn whatever_could_be_read_differently_is_not() {
        for line in [
            "GET /seckill/1001 HTTP/1.1",
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

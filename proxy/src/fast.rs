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
use crate::site::{Current, Site};
use futures_util::poll;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use pingora_core::protocols::Stream;
use std::io;
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
    site: Current,
    desk: Arc<Desk>,
    ledger: Arc<Ledger>,
}

/// What became of what has arrived.
pub(crate) enum Served {
    /// It was answered, and the client may ask again.
    Answered,
    /// The client could not be answered.
    Gone,
    /// It was decided, and pingora goes on with it.
    Decided(Box<Decided>),
    /// It is pingora's.
    Untouched,
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
struct Plain<'b> {
    path: &'b str,
    query: Option<&'b str>,
    headers: HeaderMap,
}

// === impl Fast ===

impl Fast {
    /// Decides by what `site` says, at `desk`, and enters in `ledger` what it has answered.
    pub(crate) const fn new(site: Current, desk: Arc<Desk>, ledger: Arc<Ledger>) -> Self {
        Self { site, desk, ledger }
    }

    /// Serves what has arrived of a request, if that is a plain buy and nothing else.
    pub(crate) async fn serve(
        &self,
        arrived: &[u8],
        stream: &mut Stream,
        peer: Option<IpAddr>,
        is_reused: bool,
    ) -> Served {
        let Some(plain) = plain(arrived) else {
            return Served::Untouched;
        };
        let site = self.site.load_full();
        let mut notes = Notes::new();
        notes.reused = is_reused;
        let asked = Asked {
            method: &Method::POST,
            path: plain.path,
            query: plain.query,
            headers: &plain.headers,
            peer,
        };
        let answer = match self.desk.decide(&site, &asked, &mut notes).await {
            Decision::Answer(answer) => answer,
            decision => {
                return Served::Decided(Box::new(Decided {
                    site,
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
        self.ledger.enter(&site, &notes, &exchange);
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

/// Reads a buy that nobody could read differently.
fn plain(arrived: &[u8]) -> Option<Plain<'_>> {
    if !arrived.starts_with(b"POST /") {
        return None;
    }
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    let Ok(httparse::Status::Complete(head_length)) = request.parse(arrived) else {
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
    for field in &*request.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(field.value).ok()?;
        if headers.append(name, value) && !may_be_repeated(field.name) {
            return None;
        }
    }
    let body_length = framing(&headers)?;
    // Not less, and nothing behind it.
    (arrived.len() == head_length.checked_add(body_length)?).then_some(Plain {
        path,
        query,
        headers,
    })
}

/// What no server reads in its own way.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}

/// Headers that the desk itself counts.
fn may_be_repeated(name: &str) -> bool {
    ![HOST, CONNECTION, CONTENT_LENGTH]
        .iter()
        .any(|once| name.eq_ignore_ascii_case(once.as_str()))
}

/// The length of the body, if everything about the message and its connection is as usual.
fn framing(headers: &HeaderMap) -> Option<usize> {
    if [TRANSFER_ENCODING, EXPECT, UPGRADE]
        .iter()
        .any(|name| headers.contains_key(name))
    {
        return None;
    }
    if headers.get(HOST)?.as_bytes().contains(&b'@') {
        return None;
    }
    let is_kept = headers
        .get(CONNECTION)
        .is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"keep-alive"));
    if !is_kept {
        return None;
    }
    let Some(length) = headers.get(CONTENT_LENGTH) else {
        return Some(0);
    };
    let digits = length.to_str().ok()?;
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
            let plain = plain(request.as_bytes()).unwrap();
            assert_eq!((plain.path, plain.query), ("/seckill/1001", None), "{more}");
            assert_eq!(plain.headers["x-user-id"], "u7");
        }
        let request = buy("POST /a-b_c.d~e/1?qty=2&x=y HTTP/1.1", "");
        let plain = plain(request.as_bytes()).unwrap();
        assert_eq!(plain.query, Some("qty=2&x=y"));
        let with_body = buy(LINE, "Content-Length: 4\r\n") + "abcd";
        assert!(super::plain(with_body.as_bytes()).is_some());
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
            assert!(plain(buy(line, "").as_bytes()).is_none(), "{line}");
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
            assert!(plain(buy(LINE, more).as_bytes()).is_none(), "{more}");
        }
        let request = buy(LINE, "");
        let more_behind = request.clone() + "POST";
        assert!(plain(more_behind.as_bytes()).is_none());
        assert!(plain(&request.as_bytes()[..request.len() - 2]).is_none());
        let too_many = buy(LINE, &"X: y\r\n".repeat(HEADERS_MAX));
        assert!(plain(too_many.as_bytes()).is_none());
        for hosts in ["", "Host: user@shop.test\r\n"] {
            let request = format!("{LINE}\r\n{hosts}X-User-Id: u7\r\n\r\n");
            assert!(plain(request.as_bytes()).is_none(), "{hosts}");
        }
    }
}

//! Reads one answer off a connection, of a shop or of the proxy.

use anyhow::{Context, Result, bail, ensure};
use seckill_protocol::ReservationId;
use serde::Deserialize;
use std::time::Duration;

/// More headers than any of the servers sends.
const HEADERS_MAX: usize = 32;

/// What a buyer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// He has a unit.
    Yes(Promise),
    SoldOut,
    Limited,
    /// Somebody was faster: he may ask again.
    Conflict,
    /// A 5xx: nobody can say.
    Failed,
}

/// What he was told that he has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// This order.
    Order(u64),
    /// The order of this reservation.
    Reservation(ReservationId),
    /// Some order.
    Some,
}

#[derive(Deserialize)]
struct Body {
    order: Option<u64>,
    rid: Option<ReservationId>,
}

/// An answer, as it came off a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) answer: Answer,
    /// How long the buyer is asked to wait before he asks again (`Retry-After`).
    pub(crate) retry_after: Duration,
    /// How many bytes it took.
    pub(crate) end: usize,
}

/// The answer at the beginning of `bytes`, if all of it is there.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<Told>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes)? else {
        return Ok(None);
    };
    let number = |name: &str| -> Result<Option<u32>> {
        let mut headers = response.headers.iter();
        let found = headers.find(|header| header.name.eq_ignore_ascii_case(name));
        let text = found.map(|header| std::str::from_utf8(header.value));
        Ok(text
            .transpose()?
            .map(|text| text.trim().parse())
            .transpose()?)
    };
    let length = number("content-length")?.context("an answer without Content-Length")?;
    let length = usize::try_from(length)?;
    let retry_after = number("retry-after")?.unwrap_or_default();
    let end = head + length;
    let Some(body) = bytes.get(head..end) else {
        return Ok(None);
    };
    let answer = match response.code.unwrap_or_default() {
        200..=202 => Answer::Yes(promise(body)?),
        409 => Answer::Conflict,
        410 => Answer::SoldOut,
        429 => Answer::Limited,
        500..=599 => Answer::Failed,
        code => bail!("status {code}: {}", String::from_utf8_lossy(body)),
    };
    Ok(Some(Told {
        answer,
        retry_after: Duration::from_secs(retry_after.into()),
        end,
    }))
}

fn promise(body: &[u8]) -> Result<Promise> {
    let said: Body = serde_json::from_slice(body)?;
    Ok(match (said.order, said.rid) {
        (Some(order), _) => Promise::Order(order),
        (None, Some(rid)) => Promise::Reservation(rid),
        (None, None) => Promise::Some,
    })
}

/// Makes sure that nothing is left of an answer: nobody asks twice before he is answered.
pub(crate) fn nothing_behind(bytes: &[u8], end: usize) -> Result<()> {
    ensure!(bytes.len() == end, "bytes behind an answer");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(status: &str, body: &str) -> Answer {
        let text = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let told = read(text.as_bytes()).unwrap().unwrap();
        assert_eq!(told.end, text.len());
        assert_eq!(read(&text.as_bytes()[..told.end - 1]).unwrap(), None);
        assert_eq!(told.retry_after, Duration::ZERO);
        told.answer
    }

    #[test]
    fn what_shops_and_the_proxy_say_is_understood() {
        let rid = ReservationId::new(1_763_800_000_000, 42);
        assert_eq!(
            one("201 Created", r#"{"order":7}"#),
            Answer::Yes(Promise::Order(7))
        );
        assert_eq!(
            one("202 Accepted", r#"{"status":"queued"}"#),
            Answer::Yes(Promise::Some)
        );
        let body = format!(r#"{{"sid":"1001","rid":"{rid}","status":"queued"}}"#);
        assert_eq!(
            one("202 Accepted", &body),
            Answer::Yes(Promise::Reservation(rid))
        );
        assert_eq!(one("410 Gone", "{}"), Answer::SoldOut);
        assert_eq!(one("409 Conflict", "{}"), Answer::Conflict);
        assert_eq!(one("429 Too Many Requests", "{}"), Answer::Limited);
        assert_eq!(one("503 Service Unavailable", "{}"), Answer::Failed);
    }

    #[test]
    fn when_to_come_again_is_understood() {
        let text = b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n";
        let told = read(text).unwrap().unwrap();
        assert_eq!(told.answer, Answer::Failed);
        assert_eq!(told.retry_after, Duration::from_secs(2));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        assert!(read(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").is_err());
        assert!(read(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(read(b"SSH-2.0-OpenSSH\r\n").is_err());
    }
}

//! How much one client may ask for: sizes, times and connections.

use crate::body;
use crate::config::{Mistakes, within};
use crate::fields::Fields;
use crate::networks::Networks;
use crate::problem::Problem;
use http::Uri;
use memchr::{memchr, memchr_iter};
use pingora_http::RequestHeader;
use serde::Deserialize;
#[cfg(test)]
use serde::Serialize;
use std::net::IpAddr;
use std::time::Duration;

/// `[limits]`. What each key means stands in conf/proxy.toml.
#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize))]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsTable {
    pub(crate) head_bytes: u64,
    pub(crate) head_count: u64,
    pub(crate) head_ms: u64,
    pub(crate) uri_bytes: u64,
    pub(crate) body_bytes: u64,
    pub(crate) body_ms: u64,
    pub(crate) body_rate: u64,
    pub(crate) keepalive_ms: u64,
    pub(crate) requests_per_connection: u64,
    pub(crate) connections: u64,
    pub(crate) connections_per_address: u64,
    pub(crate) unlimited: Vec<String>,
}

impl Default for LimitsTable {
    fn default() -> Self {
        Self {
            head_bytes: 16 * 1024,
            head_count: 100,
            head_ms: 10_000,
            uri_bytes: 8 * 1024,
            body_bytes: 16 * 1024 * 1024,
            body_ms: 20_000,
            body_rate: 512,
            keepalive_ms: 60_000,
            requests_per_connection: 10_000,
            connections: 50_000,
            connections_per_address: 10_000,
            unlimited: Vec::new(),
        }
    }
}

/// How much one client may ask for, checked.
pub(crate) struct Limits {
    /// The longest head, request line included.
    pub(crate) head_bytes: usize,
    /// The most headers.
    pub(crate) head_count: usize,
    /// From the first byte of a head to its last.
    pub(crate) head: Duration,
    /// The longest request target.
    pub(crate) uri_bytes: usize,
    /// The longest body of a request that the shop answers.
    pub(crate) body_bytes: u64,
    /// How long a body may bring nothing.
    pub(crate) body: Duration,
    /// How many bytes a second a body has to bring on the whole, after that time; 0: any number.
    body_rate: u64,
    /// How long a connection may rest between two requests.
    pub(crate) keepalive: Duration,
    /// After so many requests a connection closes.
    pub(crate) requests_per_connection: u64,
    /// The most connections.
    pub(crate) connections: usize,
    /// The most connections from one address.
    pub(crate) connections_per_address: usize,
    unlimited: Networks,
}

// === impl Limits ===

impl Limits {
    /// Checks the table.
    pub(crate) fn new(table: &LimitsTable, mistakes: &mut Mistakes) -> Option<Self> {
        let mut within = |key: &str, number: u64, min: u64, max: u64| {
            mistakes.note(within(&format!("limits.{key}"), number, min..=max, ""))
        };
        let head_bytes = within("head_bytes", table.head_bytes, 1024, 65_536);
        // Pingora's parser takes no more than 256.
        let head_count = within("head_count", table.head_count, 10, 250);
        let head_ms = within("head_ms", table.head_ms, 100, 120_000);
        let uri_bytes = within("uri_bytes", table.uri_bytes, 64, table.head_bytes);
        let body_bytes = within("body_bytes", table.body_bytes, 0, 1 << 40);
        let body_ms = within("body_ms", table.body_ms, 100, 600_000);
        let body_rate = within("body_rate", table.body_rate, 0, 1 << 20);
        let keepalive_ms = within("keepalive_ms", table.keepalive_ms, 100, 3_600_000);
        let requests = within(
            "requests_per_connection",
            table.requests_per_connection,
            1,
            1 << 40,
        );
        let connections = within("connections", table.connections, 1, 10_000_000);
        let per_address = within(
            "connections_per_address",
            table.connections_per_address,
            1,
            10_000_000,
        );
        let unlimited = Networks::new("limits.unlimited", &table.unlimited, mistakes);
        Some(Self {
            head_bytes: usize::try_from(head_bytes?).ok()?,
            head_count: usize::try_from(head_count?).ok()?,
            head: Duration::from_millis(head_ms?),
            uri_bytes: usize::try_from(uri_bytes?).ok()?,
            body_bytes: body_bytes?,
            body: Duration::from_millis(body_ms?),
            body_rate: body_rate?,
            keepalive: Duration::from_millis(keepalive_ms?),
            requests_per_connection: requests?,
            connections: usize::try_from(connections?).ok()?,
            connections_per_address: usize::try_from(per_address?).ok()?,
            unlimited,
        })
    }

    /// Whether an address may open as many connections as it likes.
    pub(crate) fn is_unlimited(&self, address: IpAddr) -> bool {
        self.unlimited.contains(address)
    }

    /// What is wrong with a head as it came, from its first line to the empty one.
    ///
    /// # Errors
    /// [`Problem::UriTooLong`], [`Problem::HeadTooLong`], or [`Problem::BadRequest`] for a first line
    /// of other than three words: who stands before us may have taken another part of it for the path.
    pub(crate) fn check_head(&self, head: &[u8]) -> Result<(), Problem> {
        let start = head.iter().position(|b| !matches!(b, b'\r' | b'\n'));
        let head = head.get(start.unwrap_or(0)..).unwrap_or_default();
        if head.len() > self.uri_bytes {
            let mut words = head.split(|&b| matches!(b, b' ' | b'\r' | b'\n'));
            if words.nth(1).is_some_and(|uri| uri.len() > self.uri_bytes) {
                return Err(Problem::UriTooLong);
            }
        }
        // Besides the headers, the request line and an empty one.
        let lines = memchr_iter(b'\n', head).count();
        if lines > self.head_count.saturating_add(2) {
            return Err(Problem::HeadTooLong);
        }
        if is_three_words(head) {
            Ok(())
        } else {
            Err(Problem::BadRequest)
        }
    }

    /// The same of a head that has come in frames.
    ///
    /// # Errors
    /// [`Problem::UriTooLong`] or [`Problem::HeadTooLong`].
    pub(crate) fn check_frames(&self, head: &RequestHeader) -> Result<(), Problem> {
        if uri_bytes(&head.uri) > self.uri_bytes {
            return Err(Problem::UriTooLong);
        }
        let bytes = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            name.as_str().len().saturating_add(value.len())
        };
        let length: usize = head.headers.iter().map(bytes).sum();
        if head.headers.len() > self.head_count || length > self.head_bytes {
            return Err(Problem::HeadTooLong);
        }
        Ok(())
    }

    /// Whether the request announces a longer body than the shop is to get.
    pub(crate) fn is_announced_too_long(&self, headers: &Fields<'_>) -> bool {
        body::is_announced_above(headers, self.body_bytes)
    }

    /// Whether a body that has brought so many bytes in this time is one that holds a connection
    /// rather than one that arrives.
    pub(crate) fn is_too_slow(&self, bytes: u64, elapsed: Duration) -> bool {
        let rest = elapsed.saturating_sub(self.body);
        let wanted = u128::from(self.body_rate).saturating_mul(rest.as_millis()) / 1000;
        u128::from(bytes) < wanted
    }
}

/// Whether the first line has two blanks and no control characters.
fn is_three_words(head: &[u8]) -> bool {
    let end = memchr(b'\n', head).unwrap_or(head.len());
    let mut line = head.get(..end).unwrap_or_default();
    line = line.strip_suffix(b"\r").unwrap_or(line);
    let blanks = line.iter().filter(|&&b| b == b' ').count();
    blanks == 2 && !line.iter().any(u8::is_ascii_control)
}

fn uri_bytes(uri: &Uri) -> usize {
    uri.path_and_query()
        .map_or(0, |target| target.as_str().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::CONTENT_LENGTH;
    use http::{HeaderMap, HeaderValue};

    fn limits(change: impl FnOnce(&mut LimitsTable)) -> Limits {
        let mut table = LimitsTable::default();
        change(&mut table);
        Limits::new(&table, &mut Mistakes::default()).unwrap()
    }

    #[test]
    fn a_head_has_a_number_of_lines_and_a_target_of_some_length() {
        let limits = limits(|table| {
            table.head_count = 10;
            table.uri_bytes = 64;
        });
        let head = |headers: usize, target: usize| {
            let lines = "A: b\r\n".repeat(headers);
            format!("GET {} HTTP/1.1\r\n{lines}\r\n", "/".repeat(target))
        };
        let check = |head: &str| limits.check_head(head.as_bytes());
        assert_eq!(check(&head(10, 64)), Ok(()));
        assert_eq!(check(&format!("\r\n\r\n{}", head(10, 64))), Ok(()));
        assert_eq!(check(&head(11, 1)), Err(Problem::HeadTooLong));
        assert_eq!(check(&head(0, 65)), Err(Problem::UriTooLong));
        for line in [
            "GET",
            "GET /",
            "GET / x HTTP/1.1",
            "GET /\u{f} HTTP/1.1",
            "GET\t/ HTTP/1.1",
        ] {
            let head = format!("{line}\r\n\r\n");
            assert_eq!(check(&head), Err(Problem::BadRequest), "{line:?}");
        }
        assert_eq!(check(&head(10, 1).replace('\r', "")), Ok(()));
        assert_eq!(
            check(&head(11, 1).replace('\r', "")),
            Err(Problem::HeadTooLong)
        );
    }

    #[test]
    fn a_body_may_be_as_long_as_it_may_be() {
        let limits = limits(|table| table.body_bytes = 100);
        for (value, too_long) in [
            ("100", false),
            ("101", true),
            ("5, 5", false),
            ("99999999999999999999", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static(value));
            assert_eq!(
                limits.is_announced_too_long(&Fields::from(&headers)),
                too_long,
                "{value}"
            );
        }
        assert!(!limits.is_announced_too_long(&Fields::from(&HeaderMap::new())));
    }

    #[test]
    fn a_body_has_to_bring_something_after_its_time() {
        let limits = limits(|table| {
            table.body_ms = 1000;
            table.body_rate = 100;
        });
        let after = Duration::from_millis;
        assert!(!limits.is_too_slow(0, after(1000)));
        assert!(limits.is_too_slow(99, after(2000)));
        assert!(!limits.is_too_slow(100, after(2000)));
        assert!(limits.is_too_slow(100, after(3000)));
    }
}

//! The body of a buy, which nobody needs.
//!
//! An answer that is written before the request's body has been read closes the connection, and
//! then every rejected buyer with a 20-byte form comes back through a new handshake. So a small
//! body is read and thrown away first.

use crate::fields::Fields;
use http::header::EXPECT;
use pingora_proxy::Session;
use std::time::Duration;

/// The longest body of a buy.
pub(crate) const BODY_BYTES_MAX: u64 = 8 * 1024;

/// A body that does not arrive in this time costs its sender the connection.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether the request announces a longer body than a buy may have.
pub(crate) fn is_too_large(headers: &Fields<'_>) -> bool {
    is_announced_above(headers, BODY_BYTES_MAX)
}

/// Whether the request announces a longer body than this.
pub(crate) fn is_announced_above(headers: &Fields<'_>, bytes_max: u64) -> bool {
    headers.first("content-length").is_some_and(|value| {
        // Pingora has checked that a list such as `5, 5` repeats one number.
        let first = value.split(|&b| b == b',').next();
        let length: Option<u64> = first
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| digits.trim().parse().ok());
        length.is_none_or(|length| length > bytes_max)
    })
}

/// Reads a small body to its end. After any other the connection closes with the answer.
pub(crate) async fn drain(session: &mut Session) {
    let headers = &session.req_header().headers;
    let has_long_body = is_too_large(&Fields::from(headers));
    // Who expects a 100 sends the body only then; better he never does.
    if has_long_body || headers.contains_key(EXPECT) {
        return;
    }
    let read = async {
        let mut length: u64 = 0;
        while length <= BODY_BYTES_MAX && !session.is_body_done() {
            match session.read_request_body().await {
                Ok(Some(bytes)) => {
                    length = length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                }
                // Broken or finished: pingora knows which, and keeps or closes accordingly.
                Ok(None) | Err(_) => break,
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, read).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::CONTENT_LENGTH;
    use http::{HeaderMap, HeaderValue};

    #[test]
    fn a_body_is_small_up_to_8_kib() {
        for (value, too_large) in [
            ("0", false),
            ("20", false),
            ("5, 5", false),
            ("8192", false),
            ("8193", true),
            ("99999999999999999999", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static(value));
            assert_eq!(is_too_large(&Fields::from(&headers)), too_large, "{value}");
        }
        assert!(!is_too_large(&Fields::from(&HeaderMap::new())));
    }
}

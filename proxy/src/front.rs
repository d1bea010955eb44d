//! What happens on a connection before there is a request: waiting for its head, but not for ever.
//!
//! Pingora limits each single read of a head and not the whole, so that a client who sends one
//! byte a minute holds a connection for days. Here the head is read with one deadline and one size,
//! and then given to pingora as if it had just arrived.

use crate::counters::{Counters, Present};
use crate::proxy::{KEEPALIVE_S, Proxy};
use async_trait::async_trait;
use bytes::BytesMut;
use pingora_core::apps::{HttpServerApp, ServerApp};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::ShutdownWatch;
use pingora_proxy::HttpProxy;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// From the first byte of a head to its last.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest head, request line included.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What fits most heads.
const HEAD_BYTES_USUAL: usize = 2 * 1024;

/// How long, and how much, is still read from somebody who was turned away in the middle of his
/// head: closing at once could destroy the answer on its way.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: u64 = 64 * 1024;

/// The proxy, behind a doorman.
pub(crate) struct Front {
    proxy: Arc<HttpProxy<Proxy>>,
    counters: Arc<Counters>,
}

enum Head {
    /// All of it, and perhaps the beginning of a body.
    Complete(BytesMut),
    /// Nobody wants anything any more.
    Closed,
    /// Not all of it in time.
    TooSlow,
    /// More of it than there should be.
    TooLong,
}

// === impl Front ===

impl Front {
    /// Stands before `proxy`.
    pub(crate) fn new(proxy: HttpProxy<Proxy>, counters: Arc<Counters>) -> Self {
        Self {
            proxy: Arc::new(proxy),
            counters,
        }
    }
}

#[async_trait]
impl ServerApp for Front {
    async fn process_new(
        self: &Arc<Self>,
        mut stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let _present = Present::new(&self.counters.connections);
        let mut settings = None;
        let mut closing = shutdown.clone();
        loop {
            let head = tokio::select! {
                head = read_head(&mut stream) => head,
                // Between two requests the connection can go; pingora lets those under way finish.
                _ = closing.wait_for(|closing| *closing) => return None,
            };
            let head = match head {
                Head::Complete(head) => head,
                Head::Closed => return None,
                Head::TooSlow => {
                    turn_away(stream, "408 Request Timeout").await;
                    return None;
                }
                Head::TooLong => {
                    turn_away(stream, "431 Request Header Fields Too Large").await;
                    return None;
                }
            };
            let mut session = ServerSession::new_http1(stream);
            if let Some(settings) = settings.take() {
                let settings: pingora_core::apps::HttpPersistentSettings = settings;
                settings.apply_to_session(&mut session);
            }
            session.set_keepalive(Some(KEEPALIVE_S));
            session.set_pipelined_prefix(head);
            (stream, settings) = self
                .proxy
                .process_new_http(session, shutdown)
                .await?
                .consume();
        }
    }

    async fn cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}

async fn read_head(stream: &mut Stream) -> Head {
    let mut head = BytesMut::with_capacity(HEAD_BYTES_USUAL);
    let first = timeout(Duration::from_secs(KEEPALIVE_S), stream.read_buf(&mut head));
    match first.await {
        Ok(Ok(length)) if length > 0 => {}
        _ => return Head::Closed,
    }
    let rest = async {
        let mut searched = 0;
        loop {
            let length = end(&head, searched);
            if length.unwrap_or(head.len()) > HEAD_BYTES_MAX {
                return Head::TooLong;
            }
            if length.is_some() {
                return Head::Complete(head);
            }
            searched = head.len();
            match stream.read_buf(&mut head).await {
                Ok(length) if length > 0 => {}
                _ => return Head::Closed,
            }
        }
    };
    timeout(HEAD_TIMEOUT, rest).await.unwrap_or(Head::TooSlow)
}

/// Where a head ends, if it does: after an empty line after something, as pingora's parser sees it,
/// which skips empty lines in front and takes a bare LF for a line's end. `searched` bytes were
/// looked at before.
fn end(head: &[u8], searched: usize) -> Option<usize> {
    let start = head.iter().position(|b| !matches!(b, b'\r' | b'\n'))?;
    // The sign to look for has up to three bytes, of which two may have been there.
    let from = start.max(searched.saturating_sub(2));
    let tail = head.get(from..)?;
    tail.iter().enumerate().find_map(|(at, _)| {
        let sign = match tail.get(at..)? {
            [b'\n', b'\r', b'\n', ..] => 3,
            [b'\n', b'\n', ..] => 2,
            _ => return None,
        };
        Some(from + at + sign)
    })
}

async fn turn_away(mut stream: Stream, status: &str) {
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let goodbye = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES_MAX), &mut tokio::io::sink()).await
    };
    // Whether it arrives is the client's business.
    let _ = timeout(LINGER_TIMEOUT, goodbye).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_its_first_empty_line() {
        for (head, length) in [
            ("", None),
            ("\r\n\r\n", None),
            ("GET / HTTP/1.1\r\n", None),
            ("GET / HTTP/1.1\r\nHost: a\r\n", None),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Some(27)),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\nbody\r\n\r\n", Some(27)),
            ("\r\nGET / HTTP/1.1\r\n\r\n", Some(20)),
            ("GET / HTTP/1.1\n\n", Some(16)),
        ] {
            assert_eq!(end(head.as_bytes(), 0), length, "{head:?}");
        }
    }

    #[test]
    fn a_head_that_comes_in_pieces_ends_at_the_same_byte() {
        let head = b"\r\nPOST /seckill/1 HTTP/1.1\r\nHost: a\r\n\r\n";
        for cut in 1..head.len() {
            assert_eq!(end(&head[..cut], 0), None, "{cut}");
            assert_eq!(end(head, cut), Some(head.len()), "{cut}");
        }
    }
}

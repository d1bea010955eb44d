//! What happens on a connection before there is a request: whether there is room for it, how it is
//! encrypted, and waiting for a head, but not for ever.
//!
//! Pingora limits each single read of a head and not the whole, so that a client who sends one
//! byte a minute holds a connection for days. Here the head is read with one deadline and one size,
//! and then given to pingora as if it had just arrived.

use crate::answer::PROBLEM_JSON;
use crate::caller::Caller;
use crate::closing::Closing;
use crate::counters::{Counters, Present};
use crate::fast::{Fast, Plain, Served};
use crate::guests::Guests;
use crate::limits::Limits;
use crate::preface::Prefaced;
use crate::problem::Problem;
use crate::proxy::{KEEPALIVE_S, Predecessor, Proxy};
use crate::rest::Rest;
use crate::site::{Current, Site};
use crate::throttle::Throttle;
use crate::timer::Timer;
use crate::tls::Tls;
use async_trait::async_trait;
use bytes::BytesMut;
use memchr::memchr;
use pingora_core::apps::{HttpPersistentSettings, HttpServerApp, ServerApp};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::{ALPN, Stream};
use pingora_core::server::ShutdownWatch;
use pingora_proxy::HttpProxy;
use std::mem::take;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tracing::warn;

/// How long, and how much, is still read from somebody who was turned away in the middle of his
/// head: closing at once could destroy the answer on its way.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: u64 = 64 * 1024;

/// The proxy, behind a doorman.
pub(crate) struct Front {
    house: Arc<House>,
    /// How the connections of this door are encrypted, if they are.
    tls: Option<Arc<Tls>>,
}

/// What all doors lead to.
pub(crate) struct House {
    /// What is answered without the next.
    pub(crate) fast: Fast,
    /// What is behind them.
    pub(crate) proxy: Arc<HttpProxy<Proxy>>,
    /// What is in force.
    pub(crate) site: Current,
    /// Who is inside.
    pub(crate) guests: Arc<Guests>,
    /// What is counted.
    pub(crate) counters: Arc<Counters>,
    /// When it closes.
    pub(crate) closing: Arc<Closing>,
    /// Keeps the log readable when it is full.
    pub(crate) full: Throttle,
}

enum Head {
    /// All of it, so many bytes, and perhaps the beginning of a body.
    Complete(BytesMut, usize),
    /// Nobody wants anything any more.
    Closed,
    /// Not one to be served, as far as it has come.
    Refused(Problem, BytesMut),
}

// === impl Front ===

impl Front {
    /// A door of `house`.
    pub(crate) const fn new(house: Arc<House>, tls: Option<Arc<Tls>>) -> Self {
        Self { house, tls }
    }
}

#[async_trait]
impl ServerApp for Front {
    async fn process_new(
        self: &Arc<Self>,
        mut stream: Stream,
        closing: &ShutdownWatch,
    ) -> Option<Stream> {
        let site = self.house.site.load_full();
        let counted = peer(&stream).filter(|&address| !is_unlimited(&site, address));
        let Some(_guest) = self.house.guests.admit(counted, &site.limits) else {
            self.house.tell_of_crowd(counted);
            return None;
        };
        let _present = Present::new(&self.house.counters.connections);
        if let Some(tls) = &self.tls {
            stream = Box::pin(tls.accept(stream)).await?;
        }
        if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
            let stream = Box::new(Prefaced::new(stream, site.limits.head));
            return Box::pin(self.house.proxy.process_new(stream, closing)).await;
        }
        drop(site);
        self.house.serve(stream, closing).await;
        None
    }

    async fn cleanup(&self) {
        self.house.proxy.http_cleanup().await;
    }
}

/// Who has connected.
fn peer(stream: &Stream) -> Option<IpAddr> {
    let digest = stream.get_socket_digest()?;
    Some(digest.peer_addr()?.as_inet()?.ip().to_canonical())
}

/// Behind a gateway there are many buyers.
fn is_unlimited(site: &Site, address: IpAddr) -> bool {
    site.limits.is_unlimited(address) || site.clients.is_gateway(address)
}

// === impl House ===

impl House {
    /// Serves one request of HTTP/1.1 after the other.
    async fn serve(&self, stream: Stream, closing: &ShutdownWatch) {
        let mut settings: Option<HttpPersistentSettings> = None;
        let mut served: u64 = 0;
        let is_tls = stream.get_ssl_digest().is_some();
        let mut caller = Caller {
            peer: peer(&stream),
            stream,
            scheme: if is_tls { "https" } else { "http" },
            ahead: BytesMut::new(),
            timer: Timer::new(),
        };
        let mut rest = Rest::new(Arc::clone(&self.closing));
        let mut keepalive = self.site.load().limits.keepalive;
        loop {
            let first = if caller.ahead.is_empty() {
                rest.end(&mut caller.stream, keepalive).await
            } else {
                Some(take(&mut caller.ahead))
            };
            let Some(first) = first else {
                return;
            };
            // Not held while nobody asks for anything, and one for all that a request is asked about.
            let site = self.site.load_full();
            keepalive = site.limits.keepalive;
            let (mut head, head_length) =
                match read_head(first, &mut caller.stream, &site.limits).await {
                    Head::Complete(head, length) => (head, length),
                    Head::Closed => return,
                    Head::Refused(problem, head) => {
                        self.counters.refused_unread(problem.into());
                        return turn_away(caller.stream, problem, &head).await;
                    }
                };
            served = served.saturating_add(1);
            let is_last =
                served >= site.limits.requests_per_connection || self.closing.is_leaving();
            let limits = &site.limits;
            // Pingora tells who is the last on a connection that it ends.
            let plain = (!is_last).then(|| Plain::read(&head)).flatten();
            let plain = plain.filter(|plain| plain.is_within(limits));
            let decided = if let Some(plain) = plain {
                let is_reused = served > 1;
                let serving = self.fast.serve(&site, &plain, &mut caller, is_reused);
                match Box::pin(serving).await {
                    Served::Answered => continue,
                    Served::Gone => return,
                    Served::Decided(decided) => Some(decided),
                }
            } else {
                let whole = head.get(..head_length).unwrap_or_default();
                if let Err(problem) = limits.check_head(whole) {
                    self.counters.refused_unread(problem.into());
                    return turn_away(caller.stream, problem, &head).await;
                }
                None
            };
            drop(site);
            head.unsplit(take(&mut caller.ahead));
            let mut session = ServerSession::new_http1(caller.stream);
            if let Some(settings) = settings.take() {
                settings.apply_to_session(&mut session);
            }
            session.set_keepalive(Some(KEEPALIVE_S));
            if is_last {
                session.set_keepalive_reuses_remaining(Some(0));
            }
            session.set_pipelined_prefix(head);
            if let Some(decided) = decided {
                session.set_connection_user_context(Some(decided));
            } else if served > 1 {
                session.set_connection_user_context(Some(Box::new(Predecessor)));
            }
            // In a place of its own: a connection that only waits need not have room for it.
            let session = Box::pin(self.proxy.process_new_http(session, closing));
            let Some(reused) = session.await else {
                return;
            };
            (caller.stream, settings) = reused.consume();
        }
    }

    fn tell_of_crowd(&self, counted: Option<IpAddr>) {
        if let Some(skipped) = self.full.pass() {
            let connections = self.guests.present();
            warn!(
                connections,
                address = counted.map(tracing::field::display),
                skipped,
                "a connection too many was closed: [limits] connections, connections_per_address"
            );
        }
    }
}

/// Reads a head to its end. What is wrong with one that has come entirely, nobody has looked at.
async fn read_head(mut head: BytesMut, stream: &mut Stream, limits: &Limits) -> Head {
    match find_end(&head, 0, limits) {
        // It has come at once, as nearly all do: no clock is needed.
        Ok(Some(length)) => return Head::Complete(head, length),
        Ok(None) => {}
        Err(problem) => return Head::Refused(problem, head),
    }
    let rest = async {
        loop {
            let searched = head.len();
            match stream.read_buf(&mut head).await {
                Ok(length) if length > 0 => {}
                _ => return None,
            }
            match find_end(&head, searched, limits) {
                Ok(Some(length)) => return Some(Ok(length)),
                Ok(None) => {}
                Err(problem) => return Some(Err(problem)),
            }
        }
    };
    match timeout(limits.head, rest).await {
        Ok(Some(Ok(length))) => Head::Complete(head, length),
        Ok(Some(Err(problem))) => Head::Refused(problem, head),
        Ok(None) => Head::Closed,
        Err(_) => Head::Refused(Problem::HeadTooSlow, head),
    }
}

/// How long a head is, if it is here to its end, of which `searched` bytes were looked at before.
fn find_end(head: &[u8], searched: usize, limits: &Limits) -> Result<Option<usize>, Problem> {
    let length = end(head, searched);
    if length.unwrap_or(head.len()) > limits.head_bytes {
        limits.check_head(head)?;
        return Err(Problem::HeadTooLong);
    }
    Ok(length)
}

/// Where a head ends, if it does: after an empty line after something, as pingora's parser sees it,
/// which skips empty lines in front and takes a bare LF for a line's end. `searched` bytes were
/// looked at before.
fn end(head: &[u8], searched: usize) -> Option<usize> {
    let start = head.iter().position(|b| !matches!(b, b'\r' | b'\n'))?;
    // The sign to look for has up to three bytes, of which two may have been there.
    let mut from = start.max(searched.saturating_sub(2));
    loop {
        from += memchr(b'\n', head.get(from..)?)?;
        match head.get(from..)? {
            [b'\n', b'\r', b'\n', ..] => return Some(from + 3),
            [b'\n', b'\n', ..] => return Some(from + 2),
            _ => from += 1,
        }
    }
}

async fn turn_away(mut stream: Stream, problem: Problem, head: &[u8]) {
    let body = problem.body(problem.status());
    let mut answer = format!(
        "HTTP/1.1 {}\r\nContent-Type: {PROBLEM_JSON}\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        problem.status(),
        body.len()
    )
    .into_bytes();
    // Whoever asks for a head takes what follows one for something else.
    if !head.starts_with(b"HEAD ") {
        answer.extend_from_slice(&body);
    }
    let goodbye = async {
        stream.write_all(&answer).await?;
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

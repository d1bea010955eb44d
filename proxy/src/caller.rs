//! A client on a connection of HTTP/1.1 that is served without pingora, and what he gets.

use crate::answer::Answer;
use crate::proxy::WRITE_TIMEOUT;
use crate::rest::poll_bytes;
use crate::timer::Timer;
use bytes::BytesMut;
use futures_util::poll;
use http::StatusCode;
use pingora_core::protocols::Stream;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// Who asks, from one request to the next.
pub(crate) struct Caller {
    pub(crate) stream: Stream,
    /// Who has connected.
    pub(crate) peer: Option<IpAddr>,
    /// How, as a URL begins.
    pub(crate) scheme: &'static str,
    /// What he has sent while he waits: the beginning of his next request.
    pub(crate) ahead: BytesMut,
    /// For what he waits for.
    pub(crate) timer: Timer,
}

/// What he got for a request.
pub(crate) struct Got {
    /// Of the answer, if he has any of it.
    pub(crate) status: Option<StatusCode>,
    /// Of its body.
    pub(crate) bytes: usize,
    /// Whether that was all, so that he may ask again.
    pub(crate) is_whole: bool,
}

impl Got {
    /// Nothing yet.
    pub(crate) const NOTHING: Self = Self {
        status: None,
        bytes: 0,
        is_whole: false,
    };
}

// === impl Caller ===

impl Caller {
    /// Answers him now, or a moment later. He may ask again on the same connection.
    pub(crate) fn answer(&mut self, answer: Answer, now: Instant) -> impl Future<Output = Got> {
        let got = Got {
            status: Some(answer.status()),
            bytes: answer.body_length(),
            is_whole: true,
        };
        let bytes = answer.bytes(now);
        async move {
            if self.tell(&bytes).await {
                got
            } else {
                Got::NOTHING
            }
        }
    }

    /// Writes to him. Returns whether that could be done in time.
    pub(crate) async fn tell(&mut self, bytes: &[u8]) -> bool {
        let mut write = pin!(async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        });
        // Nearly always there is room, and no clock is needed.
        let written: Poll<io::Result<()>> = poll!(&mut write);
        match written {
            Poll::Ready(written) => written.is_ok(),
            Poll::Pending => matches!(Box::pin(timeout(WRITE_TIMEOUT, write)).await, Ok(Ok(()))),
        }
    }
}

/// Is ready when he has hung up. If he has asked for more already, nobody looks any further.
pub(crate) fn poll_hung_up(
    stream: &mut Stream,
    ahead: &mut BytesMut,
    context: &mut Context<'_>,
) -> Poll<()> {
    if !ahead.is_empty() {
        return Poll::Pending;
    }
    match poll_bytes(stream, context) {
        Poll::Ready(Ok(bytes)) if !bytes.is_empty() => {
            *ahead = bytes;
            Poll::Pending
        }
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => Poll::Pending,
    }
}

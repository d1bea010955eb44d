//! Waiting for the next request on a connection, but not for ever.
//!
//! To set a clock and to listen for the end of everything, and to take both back when the request
//! is there, is a good part of what it costs to turn a buyer away. So it is done once for a
//! connection: the clock is only put on, and whoever listens goes on listening.

use bytes::BytesMut;
use pingora_core::protocols::Stream;
use pingora_core::server::ShutdownWatch;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// What fits most heads.
const HEAD_BYTES_USUAL: usize = 2 * 1024;

/// When the door closes: how long somebody may take who has only just come in, and was not told.
const NEWCOMER_PATIENCE: Duration = Duration::from_secs(1);

/// What ends a connection on which nothing comes.
pub(crate) struct Rest {
    clock: Pin<Box<Sleep>>,
    /// When the door closes.
    sent_away: Pin<Box<dyn Future<Output = ()> + Send>>,
    is_newcomer: bool,
}

// === impl Rest ===

impl Rest {
    /// Of a connection that has just begun.
    pub(crate) fn new(closing: &ShutdownWatch) -> Self {
        let mut closing = closing.clone();
        Self {
            clock: Box::pin(sleep(Duration::ZERO)),
            sent_away: Box::pin(async move {
                let _ = closing.wait_for(|closing| *closing).await;
            }),
            is_newcomer: true,
        }
    }

    /// Waits for the first bytes of a request, at most so long; `None` if none will come.
    pub(crate) async fn end(&mut self, stream: &mut Stream, limit: Duration) -> Option<BytesMut> {
        let mut until = None;
        let first = poll_fn(|context| {
            // What has arrived is served.
            if let Poll::Ready(first) = poll_first_bytes(stream, context) {
                return Poll::Ready(first.ok().filter(|first| !first.is_empty()));
            }
            let until = *until.get_or_insert_with(|| Instant::now() + limit);
            if self.is_over(until, context) {
                return Poll::Ready(None);
            }
            Poll::Pending
        });
        let first = first.await;
        self.is_newcomer = false;
        first
    }

    /// Whether it is time to go; if not, the task is woken then.
    fn is_over(&mut self, until: Instant, context: &mut Context<'_>) -> bool {
        if self.clock.deadline() != until {
            self.clock.as_mut().reset(until);
        }
        if self.clock.as_mut().poll(context).is_ready() {
            return true;
        }
        if self.sent_away.as_mut().poll(context).is_pending() {
            return false;
        }
        if !std::mem::take(&mut self.is_newcomer) {
            return true;
        }
        self.sent_away = Box::pin(sleep(NEWCOMER_PATIENCE));
        self.sent_away.as_mut().poll(context).is_ready()
    }
}

/// Reads without a buffer of its own: most connections do nothing but wait.
fn poll_first_bytes(stream: &mut Stream, context: &mut Context<'_>) -> Poll<io::Result<BytesMut>> {
    thread_local! {
        static LANDING: RefCell<[u8; HEAD_BYTES_USUAL]> = const { RefCell::new([0; HEAD_BYTES_USUAL]) };
    }
    LANDING.with_borrow_mut(|landing| {
        let mut landing = ReadBuf::new(landing);
        ready!(Pin::new(stream).poll_read(context, &mut landing))?;
        Poll::Ready(Ok(landing.filled().into()))
    })
}

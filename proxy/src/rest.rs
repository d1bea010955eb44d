//! Waiting for the next request on a connection, but not for ever.
//!
//! To listen for the end of everything, and to take that back when the request is there, is a good
//! part of what it costs to turn a buyer away. So it is done once for a connection, and whoever
//! listens goes on listening: the task is the same, and is woken when it is time.

use crate::closing::Closing;
use crate::timer::Timer;
use bytes::BytesMut;
use pingora_core::protocols::Stream;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::sleep;

/// What fits most heads.
const HEAD_BYTES_USUAL: usize = 2 * 1024;

/// When the door closes: how long somebody may take who has only just come in, and was not told.
const NEWCOMER_PATIENCE: Duration = Duration::from_secs(1);

/// What ends a connection on which nothing comes.
pub(crate) struct Rest {
    timer: Timer,
    closing: Arc<Closing>,
    /// When the door closes, for somebody who listens; nobody yet in the beginning.
    sent_away: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    is_newcomer: bool,
}

// === impl Rest ===

impl Rest {
    /// Of a connection that has just begun.
    pub(crate) const fn new(closing: Arc<Closing>) -> Self {
        Self {
            timer: Timer::new(),
            closing,
            sent_away: None,
            is_newcomer: true,
        }
    }

    /// Waits for the first bytes of a request, at most so long; `None` if none will come.
    pub(crate) async fn end(&mut self, stream: &mut Stream, limit: Duration) -> Option<BytesMut> {
        let Self {
            timer,
            closing,
            sent_away,
            is_newcomer,
        } = self;
        let first = timer.wait(limit, |context| {
            // What has arrived is served.
            if let Poll::Ready(first) = poll_bytes(stream, context) {
                return Poll::Ready(first.ok().filter(|first| !first.is_empty()));
            }
            if sent_away.is_some() && !closing.is_leaving() {
                // Whoever listens goes on listening.
                return Poll::Pending;
            }
            let closed = sent_away.get_or_insert_with(|| {
                let mut closed = closing.watch();
                Box::pin(async move {
                    let _ = closed.wait_for(|closed| *closed).await;
                })
            });
            ready!(closed.as_mut().poll(context));
            if !std::mem::take(is_newcomer) {
                return Poll::Ready(None);
            }
            let patience = sent_away.insert(Box::pin(sleep(NEWCOMER_PATIENCE)));
            patience.as_mut().poll(context).map(|()| None)
        });
        let first = first.await.flatten();
        self.is_newcomer = false;
        first
    }
}

/// Reads what a client sends, without a buffer of its own: most connections do nothing but wait.
/// Nothing is what is read when he has hung up.
pub(crate) fn poll_bytes(
    stream: &mut Stream,
    context: &mut Context<'_>,
) -> Poll<io::Result<BytesMut>> {
    thread_local! {
        static LANDING: RefCell<[u8; HEAD_BYTES_USUAL]> = const { RefCell::new([0; HEAD_BYTES_USUAL]) };
    }
    LANDING.with_borrow_mut(|landing| {
        let mut landing = ReadBuf::new(landing);
        ready!(Pin::new(stream).poll_read(context, &mut landing))?;
        Poll::Ready(Ok(landing.filled().into()))
    })
}

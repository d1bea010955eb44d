//! Connections to one address of the shop that rest between two pages.
//!
//! Pingora keeps connections of its own, for what goes through its sessions.

use std::io::ErrorKind;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// What more of them there are at an address is closed.
const KEPT_MAX: usize = 128;

/// Those that rest, the last that was used at the end.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Vec<Resting>>);

#[derive(Debug)]
struct Resting {
    connection: TcpStream,
    since: Instant,
}

// === impl Kept ===

impl Kept {
    /// One that has not rested for longer than `idle`, and that the shop has not closed as far as
    /// anybody has heard.
    pub(super) fn take(&self, idle: Duration) -> Option<TcpStream> {
        let mut kept = self.lock();
        while let Some(Resting { connection, since }) = kept.pop() {
            if since.elapsed() < idle && is_silent(&connection) {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps one of which the last answer was read to its end.
    pub(super) fn lay_by(&self, connection: TcpStream) {
        let mut kept = self.lock();
        if kept.len() < KEPT_MAX {
            kept.push(Resting {
                connection,
                since: Instant::now(),
            });
        }
    }

    /// Closes those that have rested for `idle`.
    pub(super) fn tidy(&self, idle: Duration) {
        let mut kept = self.lock();
        let over = kept.partition_point(|resting| resting.since.elapsed() >= idle);
        kept.drain(..over);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Resting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nothing has come, neither the end nor an answer to nothing.
fn is_silent(connection: &TcpStream) -> bool {
    let read = connection.try_read(&mut [0]);
    read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    const IDLE: Duration = Duration::from_secs(60);

    async fn pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    #[tokio::test]
    async fn the_last_that_was_used_is_used_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (first, _far) = pair(&listener).await;
        let (second, _far_too) = pair(&listener).await;
        let last = second.local_addr().unwrap();
        let kept = Kept::default();
        kept.lay_by(first);
        kept.lay_by(second);
        assert_eq!(kept.take(IDLE).unwrap().local_addr().unwrap(), last);
        assert!(kept.take(IDLE).is_some());
        assert!(kept.take(IDLE).is_none());
    }

    #[tokio::test]
    async fn what_has_ended_or_spoken_or_rested_too_long_is_not_used() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kept = Kept::default();
        let (near, far) = pair(&listener).await;
        drop(far);
        near.readable().await.unwrap();
        kept.lay_by(near);
        assert!(kept.take(IDLE).is_none(), "ended");

        let (near, mut far) = pair(&listener).await;
        far.write_all(b"HTTP/1.1 408").await.unwrap();
        near.readable().await.unwrap();
        kept.lay_by(near);
        assert!(kept.take(IDLE).is_none(), "spoken");

        let (near, _far) = pair(&listener).await;
        kept.lay_by(near);
        assert!(kept.take(Duration::ZERO).is_none(), "too long");
    }

    #[tokio::test]
    async fn what_rests_too_long_is_closed_and_so_is_what_is_too_much() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kept = Kept::default();
        let mut far = Vec::new();
        for _ in 0..KEPT_MAX + 3 {
            let (near, end) = pair(&listener).await;
            kept.lay_by(near);
            far.push(end);
        }
        assert_eq!(kept.lock().len(), KEPT_MAX);
        kept.tidy(IDLE);
        assert_eq!(kept.lock().len(), KEPT_MAX);
        kept.tidy(Duration::ZERO);
        assert!(kept.lock().is_empty());
    }
}

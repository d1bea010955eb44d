//! Whether a replica has what Redis has decided.
//!
//! `WAIT` would tell, but it holds up everything behind it on its connection, and it speaks only of
//! what this very connection has changed: nothing, for a buyer who is told what he has already. So
//! the primary is asked how far it is (`ROLE`), after the decision was answered, and then how far its
//! replicas are, until one has got there. Those who wait meanwhile are served together.
//!
//! The two connections belong to one life of the connection that decides, and end with it: another
//! server, or the same one started anew, must not vouch for what this one has answered.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, RedisError, Value, from_redis_value};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::pauses::Pauses;

/// Replicas tell every second how far they are, and at once when somebody waits for more of them than
/// there are.
const MORE_THAN_THERE_ARE: u32 = 1_000_000;

/// That wait's length in milliseconds: it is not for its answer.
const NUDGE_MS: u32 = 1;

/// Between two nudges, if a replica has come back meanwhile.
const NUDGE_EVERY: Duration = Duration::from_millis(100);

/// Between two looks at how far the replicas are: first, and at most.
const LOOKS: Pauses = Pauses::new(Duration::from_millis(1), Duration::from_millis(16));

/// Knows what replicas have.
pub(crate) struct Copies {
    looks: MultiplexedConnection,
    nudges: MultiplexedConnection,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    buyers: Vec<oneshot::Sender<()>>,
    /// Whether a task is at it.
    is_at_work: bool,
}

/// The server does not tell, or is no primary any more.
#[derive(Debug)]
pub(crate) struct NotCopied;

/// How far a primary is, and its foremost replica.
#[derive(Debug, PartialEq, Eq)]
struct Progress {
    primary: i64,
    replica: Option<i64>,
}

// === impl Copies ===

impl Copies {
    /// Connects once more to a server.
    ///
    /// # Errors
    /// That fails, or the user may not ask how far the replicas are.
    pub(crate) async fn open(
        client: &Client,
        settings: &AsyncConnectionConfig,
    ) -> Result<Self, RedisError> {
        let connection = || client.get_multiplexed_async_connection_with_config(settings);
        let mut copies = Self {
            looks: connection().await?,
            nudges: connection().await?,
            waiting: Mutex::default(),
        };
        nudge().query_async::<Value>(&mut copies.nudges).await?;
        redis::cmd("ROLE")
            .query_async::<Value>(&mut copies.looks)
            .await?;
        Ok(copies)
    }

    /// Returns when a replica has everything that was decided before this call.
    ///
    /// # Errors
    /// The server cannot tell any more.
    pub(crate) async fn copied(self: &Arc<Self>) -> Result<(), NotCopied> {
        let (told, copied) = oneshot::channel();
        let begins = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.buyers.push(told);
            !std::mem::replace(&mut waiting.is_at_work, true)
        };
        if begins {
            tokio::spawn(Arc::clone(self).work());
        }
        copied.await.map_err(|_| NotCopied)
    }

    async fn work(self: Arc<Self>) {
        while let Some(buyers) = self.next() {
            if self.are_copied(&buyers).await.is_ok() {
                for buyer in buyers {
                    // Who was cut off has been told something already.
                    let _ = buyer.send(());
                }
            }
        }
    }

    fn next(&self) -> Option<Vec<oneshot::Sender<()>>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let buyers = std::mem::take(&mut waiting.buyers);
        waiting.is_at_work = !buyers.is_empty();
        waiting.is_at_work.then_some(buyers)
    }

    async fn are_copied(&self, buyers: &[oneshot::Sender<()>]) -> Result<(), NotCopied> {
        let wanted = self.progress().await?.primary;
        let nudging = async {
            loop {
                let mut nudges = self.nudges.clone();
                let answer = nudge().query_async::<Value>(&mut nudges).await;
                if answer.is_err() {
                    return Err(NotCopied);
                }
                sleep(NUDGE_EVERY).await;
            }
        };
        let looking = async {
            let mut looks = LOOKS;
            loop {
                let progress = self.progress().await?;
                let nobody_waits = buyers.iter().all(oneshot::Sender::is_closed);
                if progress.replica >= Some(wanted) || nobody_waits {
                    return Ok(());
                }
                sleep(looks.take()).await;
            }
        };
        // The nudge first: its answer is not waited for.
        tokio::select! {
            biased;
            failed = nudging => failed,
            copied = looking => copied,
        }
    }

    async fn progress(&self) -> Result<Progress, NotCopied> {
        let mut looks = self.looks.clone();
        let answer = redis::cmd("ROLE").query_async::<Value>(&mut looks).await;
        answer.ok().and_then(progress).ok_or(NotCopied)
    }
}

fn nudge() -> Cmd {
    let mut nudge = redis::cmd("WAIT");
    nudge.arg(MORE_THAN_THERE_ARE).arg(NUDGE_MS);
    nudge
}

/// Reads a primary's answer to `ROLE`.
fn progress(role: Value) -> Option<Progress> {
    type Replica = (String, String, i64);
    let (role, primary, replicas): (String, i64, Vec<Replica>) = from_redis_value(role).ok()?;
    (role == "master").then(|| Progress {
        primary,
        replica: replicas.iter().map(|(_, _, offset)| *offset).max(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: &str) -> Option<Progress> {
        progress(redis::parse_redis_value(answer.as_bytes()).unwrap())
    }

    #[test]
    fn how_far_the_foremost_replica_is() {
        let replica = |offset: &str| {
            let length = offset.len();
            format!("*3\r\n$9\r\n127.0.0.1\r\n$4\r\n7001\r\n${length}\r\n{offset}\r\n")
        };
        let two = format!(
            "*3\r\n$6\r\nmaster\r\n:30\r\n*2\r\n{}{}",
            replica("7"),
            replica("29")
        );
        let expected = |replica| {
            Some(Progress {
                primary: 30,
                replica,
            })
        };
        assert_eq!(read(&two), expected(Some(29)));
        assert_eq!(read("*3\r\n$6\r\nmaster\r\n:30\r\n*0\r\n"), expected(None));
    }

    #[test]
    fn a_replica_vouches_for_nothing() {
        let replica = "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:7000\r\n$9\r\nconnected\r\n:30\r\n";
        assert_eq!(read(replica), None);
    }
}

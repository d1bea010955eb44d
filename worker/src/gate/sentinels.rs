//! One primary, whichever the sentinels name.
//!
//! They are asked when sales are looked for and when the primary does not answer, so that a primary
//! that was cut off or replaced is left. One sentinel may know of a change later than the others:
//! what most of them say counts.

use super::link::{Link, Question};
use crate::config::at;
use futures_util::future::join_all;
use redis::{AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, RedisError};
use redis::{RedisResult, Value};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How long a sentinel may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// Between two looks when every question hints at a change.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// The sentinels of one primary.
#[derive(Debug)]
pub(super) struct Sentinels {
    sentinels: Vec<ConnectionInfo>,
    /// What they call the primary.
    master: String,
    /// How the primary is greeted, wherever it is.
    server: ConnectionInfo,
    primary: Mutex<Option<Arc<Link>>>,
    looked: tokio::sync::Mutex<Looked>,
}

#[derive(Debug, Default)]
struct Looked {
    at: Option<Instant>,
    /// Whether the log says that nobody knows.
    lost: bool,
}

// === impl Sentinels ===

impl Sentinels {
    pub(super) fn new(
        sentinels: Vec<ConnectionInfo>,
        master: String,
        server: ConnectionInfo,
    ) -> Self {
        Self {
            sentinels,
            master,
            server,
            primary: Mutex::default(),
            looked: tokio::sync::Mutex::default(),
        }
    }

    /// The primary, as it is now.
    ///
    /// # Errors
    /// If no sentinel says so and none was known before.
    pub(super) async fn primary(&self) -> RedisResult<Arc<Link>> {
        let looked = self.look().await;
        match (self.known().clone(), looked) {
            (Some(link), _) => Ok(link),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Err(nobody()),
        }
    }

    /// Asks once.
    pub(super) async fn ask(&self, command: &Cmd) -> RedisResult<Value> {
        let known = self.known().clone();
        let link = match known {
            Some(link) => link,
            None => self.primary().await?,
        };
        let answer = link.ask(Question::Plain(command)).await;
        if answer.is_err() {
            // Another one may be the primary by now. If nobody knows, the next attempt tells.
            let _ = self.look().await;
        }
        answer
    }

    fn known(&self) -> MutexGuard<'_, Option<Arc<Link>>> {
        self.primary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks who is the primary, unless somebody just did.
    async fn look(&self) -> RedisResult<()> {
        let mut looked = self.looked.lock().await;
        if looked.at.is_some_and(|at| at.elapsed() < LOOK_PAUSE) {
            return Ok(());
        }
        let answers = join_all(self.sentinels.iter().map(|sentinel| self.ask_one(sentinel))).await;
        looked.at = Some(Instant::now());
        let Some((host, port)) = foremost(&answers.into_iter().flatten().collect::<Vec<_>>())
        else {
            if !looked.lost {
                warn!("no sentinel says where the primary {} is", self.master);
                looked.lost = true;
            }
            return Err(nobody());
        };
        looked.lost = false;
        let server = at(&self.server, &host, port);
        let mut known = self.known();
        if known
            .as_ref()
            .is_none_or(|link| link.address() != server.addr())
        {
            info!("the primary {} is {}", self.master, server.addr());
            *known = Some(Arc::new(Link::new(server)?));
        }
        Ok(())
    }

    async fn ask_one(&self, sentinel: &ConnectionInfo) -> Option<(String, u16)> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let client = Client::open(sentinel.clone()).ok()?;
        let connected = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connected.await.ok()?;
        redis::cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(&self.master)
            .query_async::<Option<(String, u16)>>(&mut connection)
            .await
            .ok()?
    }
}

/// What most of them say.
fn foremost(votes: &[(String, u16)]) -> Option<(String, u16)> {
    let count = |vote: &(String, u16)| votes.iter().filter(|other| *other == vote).count();
    votes.iter().max_by_key(|vote| count(vote)).cloned()
}

fn nobody() -> RedisError {
    (ErrorKind::Io, "no sentinel knows the primary").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_most_sentinels_say_counts() {
        let vote = |port| ("127.0.0.1".to_owned(), port);
        assert_eq!(foremost(&[vote(1), vote(2), vote(2)]), Some(vote(2)));
        assert_eq!(foremost(&[vote(2), vote(2), vote(1)]), Some(vote(2)));
        assert_eq!(foremost(&[]), None);
    }
}

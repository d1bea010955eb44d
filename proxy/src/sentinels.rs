//! Which server is the primary, by the word of the sentinels.
//!
//! They are asked whenever there is no connection, and each of them tells when it has taken another
//! primary. One of them may know of a change later than the others or have lost sight of them, so
//! that what most of them say counts; and whatever they say, the server itself has to decide a
//! question before it is believed to be the primary.

use crate::link::Link;
use crate::pauses::{Pauses, jittered};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::aio::PubSub;
use redis::{Client, ConnectionInfo, RedisError, Value};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// For one sentinel's answer, the connection included.
const PATIENCE: Duration = Duration::from_millis(500);

/// Between two signs of life of a sentinel that has nothing to tell.
const PING_EVERY: Duration = Duration::from_secs(1);

/// Between two attempts to hear from a sentinel: first, and at most.
const PAUSES: Pauses = Pauses::new(Duration::from_millis(100), Duration::from_secs(1));

/// Where a sentinel tells that it has taken another primary.
const CHANNEL: &str = "+switch-master";

/// The sentinels of one primary.
pub(crate) struct Sentinels {
    /// Where they are, and how they are greeted.
    pub(crate) sentinels: Vec<ConnectionInfo>,
    /// What they call the primary.
    pub(crate) master: String,
    /// How the primary is greeted, wherever it is.
    pub(crate) server: ConnectionInfo,
}

// === impl Sentinels ===

impl Sentinels {
    /// The primary, if a sentinel answers.
    pub(crate) async fn primary(&self) -> Option<ConnectionInfo> {
        let asked: FuturesUnordered<_> = self.sentinels.iter().map(|s| self.ask(s)).collect();
        let mut answers = asked.filter_map(std::future::ready);
        let mut ballot = Ballot::new(self.sentinels.len());
        while let Some(answer) = answers.next().await {
            if ballot.is_decided_by(answer) {
                break;
            }
        }
        let (host, port) = ballot.foremost()?;
        Some(at(&self.server, host, port))
    }

    async fn ask(&self, sentinel: &ConnectionInfo) -> Option<(String, u16)> {
        let answer = async {
            let client = Client::open(sentinel.clone())?;
            let mut connection = client.get_multiplexed_async_connection().await?;
            redis::cmd("SENTINEL")
                .arg("GET-MASTER-ADDR-BY-NAME")
                .arg(&self.master)
                .query_async::<Option<(String, u16)>>(&mut connection)
                .await
        };
        let answer: Result<_, RedisError> = timeout(PATIENCE, answer).await.ok()?;
        answer.ok().flatten()
    }

    /// Has the connection leave a server when another one becomes the primary.
    pub(crate) fn follow(self: &Arc<Self>, link: &Arc<Link>) {
        for sentinel in &self.sentinels {
            let heard = Arc::clone(self).hear(sentinel.clone(), Arc::downgrade(link));
            tokio::spawn(heard);
        }
    }

    async fn hear(self: Arc<Self>, sentinel: ConnectionInfo, link: Weak<Link>) {
        let mut pauses = PAUSES;
        while link.strong_count() > 0 {
            if let Ok(Ok(subscription)) = timeout(PATIENCE, subscribe(&sentinel)).await {
                pauses = PAUSES;
                self.listen(subscription, &link).await;
            }
            sleep(jittered(pauses.take())).await;
        }
    }

    /// Returns when the sentinel is gone.
    async fn listen(&self, subscription: PubSub, link: &Weak<Link>) {
        let (mut sink, mut messages) = subscription.split();
        // What was told before is not told again.
        self.look(link).await;
        loop {
            match timeout(PING_EVERY, messages.next()).await {
                Ok(None) => return,
                Ok(Some(message)) => {
                    let text: String = message.get_payload().unwrap_or_default();
                    if text.split(' ').next() == Some(&*self.master) {
                        self.look(link).await;
                    }
                }
                Err(_) => {
                    let sign = timeout(PATIENCE, sink.ping::<Value>()).await;
                    if !matches!(sign, Ok(Ok(_))) {
                        return;
                    }
                }
            }
        }
    }

    async fn look(&self, link: &Weak<Link>) {
        if let Some(primary) = self.primary().await
            && let Some(link) = link.upgrade()
        {
            link.leave_for(primary.addr());
        }
    }
}

async fn subscribe(sentinel: &ConnectionInfo) -> Result<PubSub, RedisError> {
    let client = Client::open(sentinel.clone())?;
    let mut subscription = client.get_async_pubsub().await?;
    subscription.subscribe(CHANNEL).await?;
    Ok(subscription)
}

/// The way to a server that is greeted like another one.
pub(crate) fn at(like: &ConnectionInfo, host: &str, port: u16) -> ConnectionInfo {
    use redis::ConnectionAddr::{Tcp, TcpTls};
    let address = match like.addr().clone() {
        TcpTls {
            insecure,
            tls_params,
            ..
        } => TcpTls {
            host: host.to_owned(),
            port,
            insecure,
            tls_params,
        },
        _ => Tcp(host.to_owned(), port),
    };
    like.clone().set_addr(address)
}

/// What the sentinels say, counted.
struct Ballot {
    voters: usize,
    votes: Vec<((String, u16), usize)>,
}

// === impl Ballot ===

impl Ballot {
    fn new(voters: usize) -> Self {
        Self {
            voters,
            votes: Vec::new(),
        }
    }

    /// Whether more than half of all say the same.
    fn is_decided_by(&mut self, vote: (String, u16)) -> bool {
        let count = match self.votes.iter_mut().find(|(other, _)| *other == vote) {
            Some((_, count)) => {
                *count = count.saturating_add(1);
                *count
            }
            None => {
                self.votes.push((vote, 1));
                1
            }
        };
        count > self.voters / 2
    }

    fn foremost(&self) -> Option<(&str, u16)> {
        let ((host, port), _) = self.votes.iter().max_by_key(|(_, count)| *count)?;
        Some((host, *port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_most_sentinels_say_counts_and_two_of_three_are_enough() {
        let vote = |port| ("127.0.0.1".to_owned(), port);
        let mut ballot = Ballot::new(3);
        assert_eq!(ballot.foremost(), None);
        assert!(!ballot.is_decided_by(vote(1)));
        assert!(!ballot.is_decided_by(vote(2)));
        assert!(ballot.is_decided_by(vote(2)));
        assert_eq!(ballot.foremost(), Some(("127.0.0.1", 2)));
        assert!(Ballot::new(1).is_decided_by(vote(1)));
    }

    #[test]
    fn another_server_is_greeted_in_the_same_way() {
        let like: ConnectionInfo = "rediss://proxy:secret@no-host:1/".parse().unwrap();
        let other = at(&like, "10.0.0.7", 6380);
        assert_eq!(other.addr().to_string(), "10.0.0.7:6380");
        assert!(matches!(other.addr(), redis::ConnectionAddr::TcpTls { .. }));
        assert_eq!(other.redis_settings().username(), Some("proxy"));
    }
}

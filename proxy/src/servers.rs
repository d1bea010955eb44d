//! Who decides: one Redis, the primary that sentinels name, or the nodes of a cluster.

use crate::cluster::Cluster;
use crate::link::{Answered, Link, Trouble};
use redis::{Cmd, ConnectionAddr, ConnectionInfo};
use std::sync::Arc;
use tokio::time::Instant;

/// Who decides.
#[derive(Clone)]
pub(crate) enum Servers {
    /// One server about everything, whichever that is at the moment.
    One(Arc<Link>),
    /// Each node about its slots.
    Cluster(Arc<Cluster>),
}

// === impl Servers ===

impl Servers {
    /// Connects, in the background and on the runtime that this is called from.
    pub(crate) fn begin(&self) {
        match self {
            Self::One(link) => link.begin(),
            Self::Cluster(cluster) => cluster.begin(),
        }
    }

    /// Why no question is decided at the moment; `None` if they are, be it only by some nodes.
    pub(crate) fn trouble(&self) -> Option<&'static str> {
        match self {
            Self::One(link) => link.trouble(),
            Self::Cluster(cluster) => cluster.trouble(),
        }
    }

    /// Whether questions fail at once, be it only those of some nodes.
    pub(crate) fn is_open_somewhere(&self) -> bool {
        match self {
            Self::One(link) => link.is_away(),
            Self::Cluster(cluster) => cluster.is_open_somewhere(),
        }
    }

    /// Asks one question about a key.
    ///
    /// # Errors
    /// [`Trouble`], at the latest when the deadline has passed.
    pub(crate) async fn ask(&self, key: &str, question: &Cmd) -> Answered {
        match self {
            Self::One(link) => link.ask(question).await,
            Self::Cluster(cluster) => cluster.ask(key, question).await,
        }
    }

    /// Whether a question about a key would fail at once.
    pub(crate) fn is_away(&self, key: &str) -> bool {
        match self {
            Self::One(link) => link.is_away(),
            Self::Cluster(cluster) => cluster.is_away(key),
        }
    }

    /// Which connection a question about a key would be asked on now; 0 if there is none.
    pub(crate) fn life(&self, key: &str) -> u64 {
        self.with(key, |link| link.life()).unwrap_or(0)
    }

    /// A question about a key, asked in this life, has waited for the deadline in vain.
    pub(crate) fn unanswered(&self, key: &str, life: u64) {
        self.with(key, |link| link.unanswered(life));
    }

    /// Something was decided about a key.
    pub(crate) fn decided(&self, key: &str) {
        self.with(key, |link| link.decided());
    }

    /// Returns when a replica has what was decided about a key in this life.
    ///
    /// # Errors
    /// [`Trouble`], if that is not certain by this instant.
    pub(crate) async fn copied(&self, key: &str, life: u64, until: Instant) -> Result<(), Trouble> {
        match self {
            Self::One(link) => link.copied(life, until).await,
            Self::Cluster(cluster) => {
                let link = cluster.link(key).ok_or(Trouble::Away)?;
                link.copied(life, until).await
            }
        }
    }

    /// The server to hear news from, if there is one.
    pub(crate) fn news_server(&self) -> Option<Arc<ConnectionInfo>> {
        match self {
            Self::One(link) => link.server(),
            Self::Cluster(cluster) => cluster.any_server(),
        }
    }

    /// Returns when this server does not tell the news any more.
    pub(crate) async fn left(&self, server: &ConnectionAddr) {
        match self {
            Self::One(link) => link.left(server).await,
            Self::Cluster(cluster) => cluster.left(server).await,
        }
    }

    fn with<T>(&self, key: &str, see: impl FnOnce(&Arc<Link>) -> T) -> Option<T> {
        match self {
            Self::One(link) => Some(see(link)),
            Self::Cluster(cluster) => cluster.link(key).map(|link| see(&link)),
        }
    }
}

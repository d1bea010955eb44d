//! Which server is asked: the only one, the primary that sentinels name, or a node of a cluster.

use super::cluster::Cluster;
use super::link::{Link, Question};
use super::sentinels::Sentinels;
use crate::config::{Layout, Redis};
use redis::{Cmd, RedisResult, Value};
use std::sync::Arc;

/// Who has the sales.
#[derive(Debug)]
pub(super) enum Servers {
    /// One server.
    One(Arc<Link>),
    /// One at a time.
    Sentinels(Sentinels),
    /// Each node has some.
    Cluster(Cluster),
}

// === impl Servers ===

impl Servers {
    pub(super) fn new(redis: &Redis) -> RedisResult<Self> {
        let server = redis.server.clone();
        Ok(match redis.layout.clone() {
            Layout::One => Self::One(Arc::new(Link::new(server)?)),
            Layout::Sentinels { sentinels, master } => {
                Self::Sentinels(Sentinels::new(sentinels, master, server))
            }
            Layout::Cluster { seeds } => Self::Cluster(Cluster::new(seeds, server)?),
        })
    }

    /// Those that have sales now.
    ///
    /// # Errors
    /// If nobody knows.
    pub(super) async fn primaries(&self) -> RedisResult<Vec<Arc<Link>>> {
        match self {
            Self::One(link) => Ok(vec![Arc::clone(link)]),
            Self::Sentinels(sentinels) => Ok(vec![sentinels.primary().await?]),
            Self::Cluster(cluster) => cluster.primaries().await,
        }
    }

    /// Asks the server that has the key, once.
    pub(super) async fn ask(&self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::One(link) => link.ask(Question::Plain(command)).await,
            Self::Sentinels(sentinels) => sentinels.ask(command).await,
            Self::Cluster(cluster) => cluster.ask(command).await,
        }
    }
}

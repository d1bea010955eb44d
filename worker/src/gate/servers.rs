//! Which server is asked.

use super::link::Link;
use crate::config;
use anyhow::Context;
use redis::{Cmd, IntoConnectionInfo, RedisResult, Value};

/// Who has the sales.
#[derive(Debug)]
pub(super) enum Servers {
    /// One server.
    One(Link),
}

// === impl Servers ===

impl Servers {
    /// # Errors
    /// If the configuration is wrong; the error names the key.
    pub(super) fn new(redis: &config::Redis) -> anyhow::Result<Self> {
        let server = redis.url.as_str().into_connection_info();
        let link = server.and_then(Link::new).context("redis.url")?;
        Ok(Self::One(link))
    }

    /// Connects, unless it is connected.
    pub(super) async fn connect(&self) -> RedisResult<()> {
        match self {
            Self::One(link) => link.connect().await,
        }
    }

    /// Asks once.
    pub(super) async fn ask(&self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::One(link) => link.ask(command).await,
        }
    }
}

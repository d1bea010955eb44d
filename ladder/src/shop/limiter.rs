//! Redis: so many requests a second, over all shops.

use anyhow::Result;
use redis::aio::MultiplexedConnection;
use std::time::{SystemTime, UNIX_EPOCH};

/// One counter a second.
#[derive(Clone)]
pub(crate) struct Limiter {
    redis: MultiplexedConnection,
    /// What Redis calls the script.
    script: String,
    limit: u32,
}

// === impl Limiter ===

impl Limiter {
    pub(crate) async fn new(mut redis: MultiplexedConnection, limit: u32) -> Result<Self> {
        let script = redis::cmd("SCRIPT")
            .arg("LOAD")
            .arg(include_str!("limit.lua"))
            .query_async(&mut redis)
            .await?;
        Ok(Self {
            redis,
            script,
            limit,
        })
    }

    /// Whether one more may pass.
    pub(crate) async fn lets_pass(&self) -> Result<bool> {
        let second = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut asked = redis::cmd("EVALSHA");
        asked.arg(&self.script).arg(1);
        asked.arg(format!("limit:{second}")).arg(self.limit);
        Ok(asked.query_async(&mut self.redis.clone()).await?)
    }
}

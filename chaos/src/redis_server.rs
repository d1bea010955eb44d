//! Asks a Redis as an operator, past the wires.

use anyhow::Result;
use redis::{Client, FromRedisValue, RedisResult};
use std::collections::HashMap;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks over a new connection. Blocks.
pub(crate) fn ask<T: FromRedisValue>(url: &str, words: &[&str]) -> RedisResult<T> {
    let mut connection = Client::open(url)?.get_connection_with_timeout(PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    let (name, arguments) = words.split_first().unwrap_or((&"PING", &[]));
    redis::cmd(name).arg(arguments).query(&mut connection)
}

/// A replica that could take over: it has a whole copy of the sale. One that is just being filled
/// has thrown its old copy away.
pub(crate) fn has_a_copy(url: &str, sid: &str) -> Result<bool> {
    let info: String = ask(url, &["INFO", "replication"])?;
    let is_being_filled = info.contains("master_sync_in_progress:1");
    let sales: u32 = ask(url, &["EXISTS", sid])?;
    Ok(!is_being_filled && sales == 1)
}

/// It is the primary from now on, also after a restart.
pub(crate) fn promote(url: &str) -> Result<()> {
    ask::<()>(url, &["REPLICAOF", "NO", "ONE"])?;
    Ok(ask(url, &["CONFIG", "REWRITE"])?)
}

/// It is the replica of whoever is reached at this port from now on, also after a restart.
pub(crate) fn demote(url: &str, port: u16) -> Result<()> {
    ask::<()>(url, &["REPLICAOF", "127.0.0.1", &port.to_string()])?;
    Ok(ask(url, &["CONFIG", "REWRITE"])?)
}

/// What `SECKILL.INFO` says.
pub(crate) fn info(url: &str, sid: &str) -> Result<HashMap<String, String>> {
    Ok(ask(url, &["SECKILL.INFO", sid])?)
}

//! Redis: the stock row in keys of its own, so that MySQL is not asked for it.

use super::store::Stock;
use anyhow::Result;
use redis::aio::MultiplexedConnection;

/// The columns of the row, each a key.
#[derive(Clone)]
pub(crate) struct Cache {
    redis: MultiplexedConnection,
}

fn keys(sid: u32) -> [String; 4] {
    ["name", "count", "sale", "version"].map(|column| format!("stock:{sid}:{column}"))
}

/// Puts a row there, as a shop does before its sale.
pub(crate) fn fill(redis: &mut redis::Connection, stock: &Stock) -> Result<()> {
    let [name, count, sale, version] = keys(stock.sid);
    let mut set = redis::cmd("MSET");
    set.arg(name).arg(&stock.name);
    for (key, value) in [
        (count, stock.count),
        (sale, stock.sale),
        (version, stock.version),
    ] {
        set.arg(key).arg(value);
    }
    Ok(set.exec(redis)?)
}

// === impl Cache ===

impl Cache {
    pub(crate) fn new(redis: MultiplexedConnection) -> Self {
        Self { redis }
    }

    /// The row as it was after the last order that got this far.
    pub(crate) async fn look(&self, sid: u32) -> Result<Option<Stock>> {
        let row: (Option<String>, Option<i64>, Option<i64>, Option<i64>) = redis::cmd("MGET")
            .arg(&keys(sid))
            .query_async(&mut self.redis.clone())
            .await?;
        let (Some(name), Some(count), Some(sale), Some(version)) = row else {
            return Ok(None);
        };
        Ok(Some(Stock {
            sid,
            name,
            count,
            sale,
            version,
        }))
    }

    /// One unit more is gone.
    pub(crate) async fn took(&self, sid: u32) -> Result<()> {
        let [_, _, sale, version] = keys(sid);
        let mut both = redis::pipe();
        both.atomic().incr(sale, 1).incr(version, 1);
        Ok(both.exec_async(&mut self.redis.clone()).await?)
    }
}

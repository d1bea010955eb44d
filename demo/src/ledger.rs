//! Reads the module and MySQL, by clients of its own.

use crate::books::{Module, Order, Stock};
use anyhow::{Context, Result, anyhow};
use mysql_async::Pool;
use mysql_async::prelude::Queryable;
use redis::aio::MultiplexedConnection;
use seckill_protocol::Uid;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// Reads one sale on both sides.
pub(crate) struct Ledger {
    sid: u32,
    /// One server, or every node of a cluster.
    redis: Vec<redis::Client>,
    mysql: Pool,
}

/// How far the orders are behind the decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lag {
    /// The last event that the module has decided.
    pub(crate) head: String,
    /// The last event of which the module knows that MySQL has it.
    pub(crate) stored: String,
    /// Orders in MySQL.
    pub(crate) orders: u64,
}

// === impl Lag ===

impl fmt::Display for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            head,
            stored,
            orders,
        } = self;
        write!(f, "{orders} orders, MySQL at event {stored} of {head}")
    }
}

// === impl Ledger ===

impl Ledger {
    pub(crate) fn new(sid: u32, redis_urls: &[String], mysql_url: &str) -> Result<Self> {
        let clients = redis_urls
            .iter()
            .map(|url| redis::Client::open(url.as_str()));
        Ok(Self {
            sid,
            redis: clients.collect::<Result<_, _>>()?,
            mysql: Pool::new(mysql_url),
        })
    }

    /// Orders in MySQL.
    pub(crate) async fn orders_count(&self) -> Result<u64> {
        let mut mysql = self.mysql.get_conn().await?;
        let count = mysql
            .exec_first(
                "SELECT COUNT(*) FROM stock_order WHERE sid = ?",
                (self.sid,),
            )
            .await?;
        count.context("COUNT has no row")
    }

    pub(crate) async fn lag(&self) -> Result<Lag> {
        let mut info = self.info().await?;
        let mut take = |name: &str| {
            info.remove(name)
                .with_context(|| format!("INFO has no {name}"))
        };
        Ok(Lag {
            head: take("head")?,
            stored: take("stored")?,
            orders: self.orders_count().await?,
        })
    }

    pub(crate) async fn module(&self) -> Result<Module> {
        let info = self.info().await?;
        let number = |name: &str| -> Result<i64> {
            let text = info
                .get(name)
                .with_context(|| format!("INFO has no {name}"))?;
            i64::from_str(text).with_context(|| format!("INFO {name} {text:?}"))
        };
        Ok(Module {
            total: number("total")?,
            available: number("available")?,
            held: number("held")?,
            sold: number("sold")?,
            limit: number("limit")?,
        })
    }

    /// What `SECKILL.AUDIT` says: `Ok` with its reply, `Err` with what does not add up.
    pub(crate) async fn audit(&self) -> Result<Result<String, String>> {
        let reply = redis::cmd("SECKILL.AUDIT")
            .arg(self.sid)
            .query_async::<String>(&mut self.connect().await?)
            .await;
        match reply {
            Ok(reply) => Ok(Ok(reply)),
            Err(error) if error.code() == Some("AUDIT") => Ok(Err(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn stock(&self) -> Result<Stock> {
        let mut mysql = self.mysql.get_conn().await?;
        let row: Option<(i64, i64)> = mysql
            .exec_first("SELECT count, sale FROM stock WHERE id = ?", (self.sid,))
            .await?;
        let (count, sale) = row.with_context(|| format!("stock has no row {}", self.sid))?;
        Ok(Stock { count, sale })
    }

    pub(crate) async fn orders(&self) -> Result<Vec<Order>> {
        type Row = (String, String, i64, String);
        let mut mysql = self.mysql.get_conn().await?;
        let rows: Vec<Row> = mysql
            .exec(
                "SELECT rid, uid, qty, status FROM stock_order WHERE sid = ?",
                (self.sid,),
            )
            .await?;
        rows.into_iter()
            .map(|(rid, uid, qty, status)| {
                Ok(Order {
                    rid: rid
                        .parse()
                        .with_context(|| format!("an order's rid is {rid:?}"))?,
                    uid: Uid::new(uid.as_bytes())?,
                    qty,
                    status: status.parse().map_err(|error: String| anyhow!(error))?,
                })
            })
            .collect()
    }

    /// Ends its connections to MySQL.
    pub(crate) async fn close(self) -> Result<()> {
        Ok(self.mysql.disconnect().await?)
    }

    async fn info(&self) -> Result<HashMap<String, String>> {
        let mut redis = self.connect().await?;
        Ok(redis::cmd("SECKILL.INFO")
            .arg(self.sid)
            .query_async(&mut redis)
            .await?)
    }

    /// A new connection each time: the last one may be to a server that was killed.
    async fn connect(&self) -> Result<MultiplexedConnection> {
        let mut refused = anyhow!("there is no Redis");
        for client in &self.redis {
            match self.connect_to(client).await {
                Ok(connection) => return Ok(connection),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// A node of a cluster that does not have the sale refuses.
    async fn connect_to(&self, client: &redis::Client) -> Result<MultiplexedConnection> {
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut info = redis::cmd("SECKILL.INFO");
        info.arg(self.sid).exec_async(&mut connection).await?;
        Ok(connection)
    }
}

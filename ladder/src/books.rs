//! What MySQL has in the end, and what it was asked for.

use crate::crowd::Promise;
use crate::stand::SID;
use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};
use seckill_protocol::ReservationId;
use std::collections::{HashMap, HashSet};

const COUNTERS: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN \
    ('Questions', 'Com_select', 'Com_update', 'Com_insert', 'Com_commit', 'Max_used_connections')";

/// What the server has counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    /// Statements of clients, each execution of a prepared one included.
    pub(crate) statements: u64,
    pub(crate) selects: u64,
    pub(crate) updates: u64,
    pub(crate) inserts: u64,
    pub(crate) commits: u64,
    /// Connections that were open at one time, at most.
    pub(crate) connections: u64,
}

/// The books of a sale that is over.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// `stock.sale`
    pub(crate) sold: u64,
    pub(crate) orders: u64,
    /// Promises without an order.
    pub(crate) lost: u64,
}

/// Looks into MySQL over one connection, and knows what it has asked there itself.
pub(crate) struct Auditor {
    connection: Conn,
    asked: u64,
}

// === impl Auditor ===

impl Auditor {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let opts = OptsBuilder::from_opts(Opts::from_url(url)?).prefer_socket(false);
        Ok(Self {
            connection: Conn::new(opts).await?,
            asked: 0,
        })
    }

    /// Without what was asked by the auditor, and without his connection.
    pub(crate) async fn counters(&mut self) -> Result<Counters> {
        self.asked += 1;
        let rows: HashMap<String, u64> = self
            .connection
            .query::<(String, u64), _>(COUNTERS)
            .await?
            .into_iter()
            .collect();
        let of = |name: &str| rows.get(name).copied().with_context(|| name.to_owned());
        Ok(Counters {
            statements: of("Questions")?.saturating_sub(self.asked),
            selects: of("Com_select")?,
            updates: of("Com_update")?,
            inserts: of("Com_insert")?,
            commits: of("Com_commit")?,
            connections: of("Max_used_connections")?.saturating_sub(1),
        })
    }

    /// Units that are gone by now, with their orders.
    pub(crate) async fn sold(&mut self) -> Result<u64> {
        self.asked += 1;
        let sale = format!("SELECT sale FROM stock WHERE id = {SID}");
        let sold: Option<u64> = self.connection.query_first(sale).await?;
        sold.context("the stock row is gone")
    }

    /// The books, once everything is at rest.
    pub(crate) async fn books(&mut self, promises: &[Promise]) -> Result<Books> {
        let sold = self.sold().await?;
        let orders: Option<u64> = self
            .connection
            .query_first(format!(
                "SELECT COUNT(*) FROM stock_order WHERE sid = {SID}"
            ))
            .await?;
        let orders = orders.unwrap_or_default();
        Ok(Books {
            sold,
            orders,
            lost: self.lost(promises, orders).await?,
        })
    }

    /// Promises of some order are as many as there are orders, those of a certain one are looked for.
    async fn lost(&mut self, promises: &[Promise], orders: u64) -> Result<u64> {
        let mut numbers = HashSet::new();
        let mut reservations = HashSet::new();
        let mut some = 0_u64;
        for promise in promises {
            match *promise {
                Promise::Order(number) => drop(numbers.insert(number)),
                Promise::Reservation(rid) => drop(reservations.insert(rid)),
                Promise::Some => some += 1,
            }
        }
        if !numbers.is_empty() {
            let sql = format!("SELECT id FROM stock_order WHERE sid = {SID}");
            for number in self.connection.query::<u64, _>(sql).await? {
                numbers.remove(&number);
            }
        }
        if !reservations.is_empty() {
            let sql = format!("SELECT epoch, seq FROM stock_order WHERE sid = {SID}");
            for (epoch, seq) in self.connection.query::<(u64, u64), _>(sql).await? {
                reservations.remove(&ReservationId::new(epoch, seq));
            }
        }
        let missing = numbers.len() + reservations.len();
        Ok(u64::try_from(missing)? + some.saturating_sub(orders))
    }

    pub(crate) async fn leave(self) -> Result<()> {
        Ok(self.connection.disconnect().await?)
    }
}

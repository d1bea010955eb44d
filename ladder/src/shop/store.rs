//! MySQL: look, take a unit, write the order. Statements are prepared once a connection.

use super::answer::Answer;
use anyhow::Result;
use mysql_async::prelude::Queryable;
use mysql_async::{
    Conn, Error, Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts, Transaction, TxOpts,
};
use serde::{Deserialize, Serialize};

/// Connections of one shop. More would only wait for the same row: two cores do not commit faster
/// for thirty-two.
pub(crate) const CONNECTIONS: usize = 32;

const LOOK: &str = "SELECT name, count, sale, version FROM stock WHERE id = ?";
const TAKE_BLINDLY: &str = "UPDATE stock SET sale = ? WHERE id = ?";
const TAKE: &str =
    "UPDATE stock SET sale = sale + 1, version = version + 1 WHERE id = ? AND version = ?";
const ORDER: &str = "INSERT INTO stock_order (sid, name) VALUES (?, ?)";

/// A deadlock, and a lock that was waited for too long: somebody else was faster.
const LOST_RACES: [u16; 2] = [1213, 1205];

/// A row of `stock`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stock {
    pub(crate) sid: u32,
    pub(crate) name: String,
    pub(crate) count: i64,
    pub(crate) sale: i64,
    pub(crate) version: i64,
}

/// The shop's tables.
#[derive(Clone)]
pub(crate) struct Store {
    pool: Pool,
}

// === impl Stock ===

impl Stock {
    pub(crate) fn is_sold_out(&self) -> bool {
        self.sale >= self.count
    }
}

// === impl Store ===

impl Store {
    /// Opens all connections: the first buyers are not to wait for them. They keep their statements
    /// from one purchase to the next, so that nothing of them is reset in between.
    pub(crate) async fn connect(url: &str, connections: usize) -> Result<Self> {
        let constraints = PoolConstraints::new(connections, connections).unwrap_or_default();
        let opts = OptsBuilder::from_opts(Opts::from_url(url)?)
            .prefer_socket(false)
            .pool_opts(
                PoolOpts::default()
                    .with_constraints(constraints)
                    .with_reset_connection(false),
            );
        let pool = Pool::new(opts);
        let mut opened = Vec::new();
        for _ in 0..connections {
            opened.push(pool.get_conn().await?);
        }
        for connection in &mut opened {
            for statement in [LOOK, TAKE, ORDER] {
                connection.prep(statement).await?;
            }
        }
        Ok(Self { pool })
    }

    /// A connection, for one purchase.
    pub(crate) async fn connection(&self) -> Result<Conn> {
        Ok(self.pool.get_conn().await?)
    }
}

/// The row, as it is now.
pub(crate) async fn look(connection: &mut Conn, sid: u32) -> Result<Option<Stock>> {
    let row: Option<(String, i64, i64, i64)> = connection.exec_first(LOOK, (sid,)).await?;
    Ok(row.map(|(name, count, sale, version)| Stock {
        sid,
        name,
        count,
        sale,
        version,
    }))
}

/// One unit more is gone than when somebody looked, whatever has happened since.
pub(crate) async fn buy_blindly(connection: &mut Conn, stock: &Stock) -> Result<Answer> {
    lost_is_conflict(try_blindly(connection, stock).await)
}

/// One unit more is gone, if nobody has taken one since somebody looked.
pub(crate) async fn buy_optimistically(connection: &mut Conn, stock: &Stock) -> Result<Answer> {
    lost_is_conflict(try_optimistically(connection, stock).await)
}

async fn try_blindly(connection: &mut Conn, stock: &Stock) -> Result<Answer, Error> {
    let mut transaction = connection.start_transaction(TxOpts::default()).await?;
    transaction
        .exec_drop(TAKE_BLINDLY, (stock.sale + 1, stock.sid))
        .await?;
    order(transaction, stock).await
}

async fn try_optimistically(connection: &mut Conn, stock: &Stock) -> Result<Answer, Error> {
    let mut transaction = connection.start_transaction(TxOpts::default()).await?;
    transaction
        .exec_drop(TAKE, (stock.sid, stock.version))
        .await?;
    if transaction.affected_rows() == 0 {
        transaction.rollback().await?;
        return Ok(Answer::Conflict);
    }
    order(transaction, stock).await
}

async fn order(mut transaction: Transaction<'_>, stock: &Stock) -> Result<Answer, Error> {
    transaction
        .exec_drop(ORDER, (stock.sid, &stock.name))
        .await?;
    let number = transaction.last_insert_id().unwrap_or_default();
    transaction.commit().await?;
    Ok(Answer::Ordered(number))
}

fn lost_is_conflict(bought: Result<Answer, Error>) -> Result<Answer> {
    match bought {
        Err(Error::Server(error)) if LOST_RACES.contains(&error.code) => Ok(Answer::Conflict),
        bought => Ok(bought?),
    }
}

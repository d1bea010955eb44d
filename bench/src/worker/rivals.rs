//! Other ways of writing the same orders.

use super::Scale;
use super::stand::Stand;
use anyhow::Result;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, TxOpts};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// Connections that the tutorial's shop has.
const CONNECTIONS: usize = 100;

/// Rows of one statement written by hand.
const ROWS: u32 = 500;

const SID: u32 = 2;

/// The tutorial's way, from many connections on one stock row: look, take a unit if nobody else has
/// meanwhile, insert. Returns orders a second.
pub(super) fn tutorial(stand: &Stand, scale: Scale) -> Result<f64> {
    stand.db.query(&format!(
        "INSERT INTO stock VALUES ({SID}, 'Lamp', 2000000000, 0, 0)"
    ))?;
    let (orders, took) = stand.runtime.block_on(async {
        let mut buyers = JoinSet::new();
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(stand.mysql().await?);
        }
        let began = Instant::now();
        for connection in connections {
            buyers.spawn(buy_until(connection, began + scale.watched));
        }
        let mut orders = 0;
        while let Some(bought) = buyers.join_next().await {
            orders += bought??;
        }
        anyhow::Ok((orders, began.elapsed()))
    })?;
    stand.forget(SID)?;
    Ok(f64::from(orders) / took.as_secs_f64())
}

async fn buy_until(mut connection: Conn, deadline: Instant) -> Result<u32> {
    let mut orders = 0;
    while Instant::now() < deadline {
        match buy(&mut connection).await {
            Ok(bought) => orders += u32::from(bought),
            // A deadlock: the shop's customer tries again.
            Err(mysql_async::Error::Server(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    connection.disconnect().await?;
    Ok(orders)
}

async fn buy(connection: &mut Conn) -> mysql_async::Result<bool> {
    let mut transaction = connection.start_transaction(TxOpts::default()).await?;
    let stock = format!("SELECT count, sale, version FROM stock WHERE id = {SID}");
    let stock: Option<(i64, i64, i64)> = transaction.query_first(stock).await?;
    let Some((count, sale, version)) = stock else {
        return Ok(false);
    };
    if sale >= count {
        return Ok(false);
    }
    let take = format!(
        "UPDATE stock SET sale = sale + 1, version = version + 1 WHERE id = {SID} AND version = {version}"
    );
    transaction.query_drop(take).await?;
    if transaction.affected_rows() == 0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    let insert = format!("INSERT INTO stock_order (sid, name) VALUES ({SID}, 'Lamp')");
    transaction.query_drop(insert).await?;
    transaction.commit().await?;
    Ok(true)
}

/// The rows of a sale in files, as statements and as columns.
pub(super) struct Rows {
    folder: TempDir,
    orders: u32,
}

// === impl Rows ===

impl Rows {
    /// As the worker would write them.
    pub(super) fn new(orders: u32) -> Result<Self> {
        let folder = TempDir::new()?;
        let mut statements = String::new();
        let mut columns = String::new();
        for first in (0..orders).step_by(ROWS as usize) {
            statements.push_str(
                "INSERT INTO stock_order (sid, name, create_time, epoch, seq, uid, qty, status, deadline, token, stock_version) VALUES ",
            );
            for buyer in first..orders.min(first + ROWS) {
                let comma = if buyer == first { "" } else { "," };
                write!(
                    statements,
                    "{comma}({SID},'Lamp','2026-11-11 20:00:00',1763800000000,{buyer},'u{buyer:012}',1,'held',1763800901234,NULL,1)"
                )?;
                writeln!(
                    columns,
                    "{SID}\tLamp\t2026-11-11 20:00:00\t1763800000000\t{buyer}\tu{buyer:012}\t1\theld\t1763800901234\t\\N\t1"
                )?;
            }
            statements.push_str(";\n");
        }
        fs::write(folder.path().join("rows.sql"), statements)?;
        fs::write(folder.path().join("rows.txt"), columns)?;
        Ok(Self { folder, orders })
    }

    /// Statements of 500 rows each, fed to MariaDB's own client. Returns rows a second.
    pub(super) fn by_hand(&self, stand: &Stand) -> Result<f64> {
        let file = self.folder.path().join("rows.sql");
        self.run(stand, &format!("SOURCE {}", file.display()))
    }

    /// One LOAD DATA of the server's own disk. Returns rows a second.
    pub(super) fn load_data(&self, stand: &Stand) -> Result<f64> {
        let file: &Path = &self.folder.path().join("rows.txt");
        let sql = format!(
            "LOAD DATA INFILE '{}' INTO TABLE stock_order (sid, name, create_time, epoch, seq, uid, qty, status, deadline, token, stock_version)",
            file.display()
        );
        self.run(stand, &sql)
    }

    fn run(&self, stand: &Stand, sql: &str) -> Result<f64> {
        let began = Instant::now();
        stand.db.query(sql)?;
        let took: Duration = began.elapsed();
        stand.forget(SID)?;
        Ok(f64::from(self.orders) / took.as_secs_f64())
    }
}

//! One transaction: everything that a batch changes, over all sales in it, or nothing.

use super::fold::{Before, Halt, Older, Order, Outcome, Stock, Unwritable, fold, older_orders};
use super::poison::{self, Found};
use super::sql::Reservations;
use super::status::Status;
use super::{StockId, sql};
use crate::mysql::{Failure, rows};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use seckill_protocol::{EventBatch, EventId};
use std::collections::{BTreeMap, HashMap};
use tracing::error;

/// The events of each sale, in the order in which they arrived.
pub(crate) type Work<'a> = BTreeMap<StockId, Vec<&'a EventBatch>>;

/// What became of each sale.
pub(crate) type Outcomes = BTreeMap<StockId, Outcome>;

/// Acceptances of each sale that MySQL takes no order for.
pub(crate) type Poison = BTreeMap<StockId, Unwritable>;

/// How the stock rows are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Without a lock: the version tells whether somebody else changed them meanwhile.
    Optimistic,
    /// With a lock: for the second look, after somebody did.
    Locked,
}

/// How a transaction ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It is committed.
    Committed(Outcomes),
    /// Somebody else changed a stock row meanwhile. Nothing is changed.
    Overtaken,
    /// MySQL does not take some orders of a sale. Nothing is changed.
    Poisoned(StockId, Found),
}

/// A stock row.
struct StockRow {
    name: String,
    version: i64,
    stock: Stock,
}

/// Applies the events in one transaction. On a failure the caller rolls back.
///
/// Locks are taken in one order: cursors, orders, stock rows. The stock rows come last, because the
/// shop may want them too.
pub(crate) async fn apply(
    conn: &mut Conn,
    work: &Work<'_>,
    reading: Reading,
    poison: &Poison,
) -> Result<Ended, Failure> {
    conn.query_drop("START TRANSACTION").await?;
    let sids = || work.keys().copied();
    let mut cursors = lock_cursors(conn, sids()).await?;
    let new: Vec<StockId> = sids().filter(|sid| !cursors.contains_key(sid)).collect();
    if !new.is_empty() {
        conn.query_drop(sql::create_cursors(new.iter().copied()))
            .await?;
        cursors.extend(lock_cursors(conn, new).await?);
    }
    let mut older = read_older(conn, work, &cursors).await?;
    let stock = read_stock(conn, sids(), reading).await?;

    let mut outcomes = Outcomes::new();
    let mut moved = BTreeMap::new();
    let mut touched = Vec::new();
    for (sid, batches) in work {
        let (Some(cursor), Some(row)) = (cursors.get(sid), stock.get(sid)) else {
            outcomes.insert(*sid, no_stock(cursors.get(sid).copied()));
            continue;
        };
        let before = Before {
            cursor: *cursor,
            stock: row.stock,
            older: older.remove(sid).unwrap_or_default(),
            unwritable: poison.get(sid).cloned().unwrap_or_default(),
        };
        let outcome = fold(&before, batches);
        let touches = outcome.touches_stock(row.stock);
        let version = row.version + i64::from(touches);
        for orders in outcome.orders.chunks(sql::ROWS_MAX) {
            let insert = |orders: &[Order]| sql::insert_orders(*sid, &row.name, version, orders);
            if let Err(failure) = run(conn, insert(orders)).await {
                let found = poison::find(conn, orders, insert, failure).await?;
                conn.query_drop("ROLLBACK").await?;
                return Ok(Ended::Poisoned(*sid, found));
            }
        }
        for statement in sql::move_orders(*sid, &outcome.moves) {
            conn.query_drop(statement).await?;
        }
        for refusals in outcome.refusals.chunks(sql::ROWS_MAX) {
            conn.query_drop(sql::insert_refusals(*sid, refusals))
                .await?;
        }
        for steps in outcome.transitions.chunks(sql::ROWS_MAX) {
            conn.query_drop(sql::insert_history(*sid, steps)).await?;
        }
        for refunds in outcome.refunds.chunks(sql::ROWS_MAX) {
            conn.query_drop(sql::insert_refunds(*sid, refunds)).await?;
        }
        if touches {
            let statement = sql::update_stock(*sid, row.version, row.stock, outcome.stock);
            touched.push(statement);
        }
        if outcome.cursor != before.cursor {
            moved.insert(*sid, outcome.cursor);
        }
        outcomes.insert(*sid, outcome);
    }
    if moved.is_empty() {
        // Keeps a new cursor: a person who mends a sale that stands still finds a row to set.
        conn.query_drop("COMMIT").await?;
        return Ok(Ended::Committed(outcomes));
    }
    conn.query_drop(sql::update_cursors(&moved)).await?;
    for statement in touched {
        conn.query_drop(statement).await?;
        if conn.affected_rows() == 0 {
            conn.query_drop("ROLLBACK").await?;
            return Ok(Ended::Overtaken);
        }
    }
    // Before the COMMIT, because its answer may be lost: rather said twice than never.
    for (sid, outcome) in &outcomes {
        for alarm in &outcome.alarms {
            error!(kind = alarm.kind(), sale = %sid, "ALARM: sale {sid}: {alarm}");
        }
    }
    conn.query_drop("COMMIT").await?;
    Ok(Ended::Committed(outcomes))
}

async fn lock_cursors(
    conn: &mut Conn,
    sids: impl IntoIterator<Item = StockId>,
) -> Result<BTreeMap<StockId, EventId>, Failure> {
    let found: Vec<(u32, u64, u64)> = rows(conn, sql::lock_cursors(sids)).await?;
    let cursors = found
        .into_iter()
        .map(|(sid, epoch, seq)| (StockId(sid), EventId::new(epoch, seq)));
    Ok(cursors.collect())
}

async fn read_older(
    conn: &mut Conn,
    work: &Work<'_>,
    cursors: &BTreeMap<StockId, EventId>,
) -> Result<BTreeMap<StockId, HashMap<EventId, Older>>, Failure> {
    let mut wanted: Reservations = work
        .iter()
        .filter_map(|(sid, batches)| Some((*sid, older_orders(*cursors.get(sid)?, batches))))
        .filter(|(_, ids)| !ids.is_empty())
        .collect();
    let mut older: BTreeMap<StockId, HashMap<EventId, Older>> = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(older);
    }
    for has_row in [true, false] {
        let statement = if has_row {
            sql::lock_orders(&wanted)
        } else {
            sql::select_rowless(&wanted)
        };
        let found: Vec<OrderRow> = rows(conn, statement).await?;
        for (sid, epoch, seq, uid, qty, status) in found {
            let (sid, rid) = (StockId(sid), EventId::new(epoch, seq));
            // A word that is none of ours is as good as no order: the sale halts and says so.
            if let Some(status) = Status::from_word(&status) {
                let order = Older {
                    uid: uid.unwrap_or_default().into(),
                    qty,
                    status,
                    has_row,
                };
                older.entry(sid).or_default().insert(rid, order);
            }
            if let Some(ids) = wanted.get_mut(&sid) {
                ids.remove(&rid);
            }
        }
        // What is not there may have been refused a row: that is rare.
        wanted.retain(|_, ids| !ids.is_empty());
        if wanted.is_empty() {
            break;
        }
    }
    Ok(older)
}

/// `sid`, `epoch`, `seq`, `uid`, `qty`, `status`.
type OrderRow = (u32, u64, u64, Option<String>, u32, String);

/// A statement whose failure the caller looks at.
async fn run(conn: &mut Conn, sql: String) -> Result<(), Failure> {
    Ok(conn.query_drop(sql).await?)
}

async fn read_stock(
    conn: &mut Conn,
    sids: impl Iterator<Item = StockId>,
    reading: Reading,
) -> Result<BTreeMap<StockId, StockRow>, Failure> {
    let lock = reading == Reading::Locked;
    let found: Vec<(u32, String, i64, i64, i64)> =
        rows(conn, sql::select_stock(sids, lock)).await?;
    let stock = found.into_iter().map(|(id, name, count, sale, version)| {
        let stock = Stock { count, sale };
        let row = StockRow {
            name,
            version,
            stock,
        };
        (StockId(id), row)
    });
    Ok(stock.collect())
}

fn no_stock(cursor: Option<EventId>) -> Outcome {
    Outcome::halted(cursor.unwrap_or(EventId::ZERO), Halt::NoStock)
}

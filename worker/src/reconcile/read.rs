//! What is read of MySQL.

use super::judge::OrderRow;
use crate::mysql::{Failure, rows};
use crate::orders::{Status, StockId};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use seckill_protocol::EventId;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Orders of one page.
const PAGE: usize = 10_000;

/// The stock row, and what has to be its sum, of one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) count: i64,
    pub(super) sale: i64,
    pub(super) version: i64,
    /// Units of orders held or confirmed that belong to this sale's reservations.
    pub(super) live: i64,
    /// Units of orders that somebody else wrote since the sale began.
    pub(super) others: i64,
}

/// Some orders, and what else was there at the same instant.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) cursor: EventId,
    pub(super) orders: HashMap<EventId, OrderRow>,
    /// Reservations that the worker is to cancel.
    pub(super) owed: BTreeSet<EventId>,
    /// Reservations whose payment goes back.
    pub(super) refunds: BTreeSet<EventId>,
}

/// The orders of a sale in their order, page by page.
pub(super) struct Pages {
    sid: StockId,
    after: EventId,
}

// === impl Pages ===

impl Pages {
    pub(super) const fn new(sid: StockId) -> Self {
        Self {
            sid,
            after: EventId::ZERO,
        }
    }

    /// The next page; empty at the end.
    ///
    /// One epoch at a time: a comparison of pairs would make MariaDB read the whole sale.
    pub(super) async fn next(
        &mut self,
        conn: &mut Conn,
    ) -> Result<Vec<(EventId, OrderRow)>, Failure> {
        let sid = self.sid;
        loop {
            let EventId { epoch, seq } = self.after;
            let sql = format!(
                "SELECT seq, uid, qty, status FROM stock_order \
                 WHERE sid = {sid} AND epoch = {epoch} AND seq > {seq} ORDER BY seq LIMIT {PAGE}"
            );
            let found: Vec<(u64, Option<String>, u32, String)> = rows(conn, sql).await?;
            if let Some((last, ..)) = found.last() {
                self.after.seq = *last;
                let read = found.into_iter().filter_map(|(seq, uid, qty, status)| {
                    Some((EventId::new(epoch, seq), order(uid, qty, &status)?))
                });
                return Ok(read.collect());
            }
            let sql =
                format!("SELECT MIN(epoch) FROM stock_order WHERE sid = {sid} AND epoch > {epoch}");
            let next: Vec<(Option<u64>,)> = rows(conn, sql).await?;
            match next.first() {
                Some((Some(epoch),)) => self.after = EventId::new(*epoch, 0),
                _ => return Ok(Vec::new()),
            }
        }
    }
}

/// What cannot be read as an order is none of ours.
fn order(uid: Option<String>, qty: u32, status: &str) -> Option<OrderRow> {
    Some(OrderRow {
        uid: uid.unwrap_or_default(),
        qty,
        status: Status::from_word(status)?,
    })
}

/// Begins a transaction that sees one instant of the database.
pub(super) async fn begin_snapshot(conn: &mut Conn) -> Result<(), Failure> {
    conn.query_drop("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        .await?;
    conn.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        .await?;
    Ok(())
}

/// Some orders and the cursor, of one instant.
pub(super) async fn sample(
    conn: &mut Conn,
    sid: StockId,
    rids: &[EventId],
) -> Result<Sample, Failure> {
    begin_snapshot(conn).await?;
    let sample = Sample {
        cursor: cursor(conn, sid).await?,
        orders: orders(conn, sid, rids, "").await?,
        owed: owed(conn, sid).await?.into_iter().collect(),
        refunds: refunds(conn, sid).await?.into_iter().collect(),
    };
    conn.query_drop("COMMIT").await?;
    Ok(sample)
}

/// MySQL's cursor of a sale.
pub(super) async fn cursor(conn: &mut Conn, sid: StockId) -> Result<EventId, Failure> {
    let sql = format!("SELECT epoch, seq FROM stock_cursor WHERE sid = {sid}");
    let found: Vec<(u64, u64)> = rows(conn, sql).await?;
    let cursor = found.first().map(|(epoch, seq)| EventId::new(*epoch, *seq));
    Ok(cursor.unwrap_or(EventId::ZERO))
}

/// The orders of some reservations; `lock` is what stands at the end of the statement.
pub(super) async fn orders(
    conn: &mut Conn,
    sid: StockId,
    rids: &[EventId],
    lock: &str,
) -> Result<HashMap<EventId, OrderRow>, Failure> {
    let mut by_epoch: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for EventId { epoch, seq } in rids {
        by_epoch.entry(*epoch).or_default().push(seq.to_string());
    }
    let mut read = HashMap::new();
    for (epoch, seqs) in by_epoch {
        let sql = format!(
            "SELECT seq, uid, qty, status FROM stock_order \
             WHERE sid = {sid} AND epoch = {epoch} AND seq IN ({}){lock}",
            seqs.join(", ")
        );
        let found: Vec<(u64, Option<String>, u32, String)> = rows(conn, sql).await?;
        for (seq, uid, qty, status) in found {
            if let Some(order) = order(uid, qty, &status) {
                read.insert(EventId::new(epoch, seq), order);
            }
        }
        // Those that MySQL took no row for; the last of their steps counts.
        let sql = format!(
            "SELECT seq, uid, qty, to_status FROM stock_order_event \
             WHERE sid = {sid} AND epoch = {epoch} AND uid IS NOT NULL AND seq IN ({}) \
             ORDER BY event_epoch, event_seq",
            seqs.join(", ")
        );
        let found: Vec<(u64, Option<String>, u32, String)> = rows(conn, sql).await?;
        for (seq, uid, qty, status) in found {
            if let Some(order) = order(uid, qty, &status) {
                read.insert(EventId::new(epoch, seq), order);
            }
        }
    }
    Ok(read)
}

/// Refused reservations that the module has not answered for.
pub(super) async fn owed(conn: &mut Conn, sid: StockId) -> Result<Vec<EventId>, Failure> {
    listed(conn, sid, "stock_refusal").await
}

/// Reservations whose payment goes back to the buyer.
async fn refunds(conn: &mut Conn, sid: StockId) -> Result<Vec<EventId>, Failure> {
    listed(conn, sid, "stock_refund").await
}

async fn listed(conn: &mut Conn, sid: StockId, table: &str) -> Result<Vec<EventId>, Failure> {
    let sql = format!("SELECT epoch, seq FROM {table} WHERE sid = {sid}");
    let found: Vec<(u64, u64)> = rows(conn, sql).await?;
    let listed = found.iter().map(|(epoch, seq)| EventId::new(*epoch, *seq));
    Ok(listed.collect())
}

/// The stock row and its sums; `None`: there is no stock row. In a transaction, so that they are of
/// one instant. `began_ms` is the first epoch of the sale.
pub(super) async fn sums(
    conn: &mut Conn,
    sid: StockId,
    began_ms: u64,
    lock: &str,
) -> Result<Option<Sums>, Failure> {
    let sql = format!(
        "SELECT CAST(COALESCE(SUM(qty), 0) AS SIGNED) FROM stock_order \
         WHERE sid = {sid} AND epoch >= {began_ms} AND status IN ('held', 'confirmed')"
    );
    let live: Vec<(i64,)> = rows(conn, sql).await?;
    let sql = format!(
        "SELECT CAST(COALESCE(SUM(qty), 0) AS SIGNED) FROM stock_order \
         WHERE sid = {sid} AND epoch IS NULL AND status IN ('held', 'confirmed') \
         AND create_time >= FROM_UNIXTIME({})",
        began_ms.div_ceil(1000)
    );
    let others: Vec<(i64,)> = rows(conn, sql).await?;
    let sql = format!("SELECT count, sale, version FROM stock WHERE id = {sid}{lock}");
    let row: Vec<(i64, i64, i64)> = rows(conn, sql).await?;
    let sum = |sums: &[(i64,)]| sums.first().map_or(0, |(sum,)| *sum);
    Ok(row.first().map(|(count, sale, version)| Sums {
        count: *count,
        sale: *sale,
        version: *version,
        live: sum(&live),
        others: sum(&others),
    }))
}

// === impl Sums ===

impl Sums {
    /// What `stock.sale` has to be, for a sale that began with `sold_before` units gone.
    pub(super) const fn expected(&self, sold_before: i64) -> i64 {
        sold_before
            .saturating_add(self.live)
            .saturating_add(self.others)
    }
}

//! What MySQL has: stock rows that may become sales, and everything about some reservations.

use super::Dashboard;
use super::answer::{answer, away};
use super::visitor::Visitor;
use crate::mysql::{Failure, Session, rows};
use crate::orders::StockId;
use axum::extract::State;
use axum::response::Response;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use seckill_protocol::EventId;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Stock rows that are shown.
const STOCK_MAX: usize = 200;

/// A row of `stock`.
#[derive(Serialize)]
struct Stock {
    id: u32,
    name: String,
    count: i64,
    sale: i64,
}

/// What MySQL has of a reservation.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Record {
    pub(super) order: Option<Order>,
    pub(super) steps: Vec<Step>,
    pub(super) refund: Option<Refund>,
}

/// The row of `stock_order`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Order {
    pub(super) id: u32,
    pub(super) uid: Option<String>,
    pub(super) qty: u32,
    pub(super) status: String,
    /// To the second.
    pub(super) created_ms: u64,
    pub(super) deadline_ms: Option<u64>,
}

/// A row of `stock_order_event`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Step {
    pub(super) at_ms: u64,
    pub(super) from: Option<String>,
    pub(super) to: String,
    pub(super) who: String,
    pub(super) note: String,
    pub(super) event: String,
}

/// The row of `stock_refund`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Refund {
    pub(super) due_ms: u64,
    pub(super) reason: String,
    pub(super) refunded_ms: Option<u64>,
}

/// The latest stock rows.
pub(super) async fn stock(State(dashboard): State<Arc<Dashboard>>, _: Visitor) -> Response {
    let sql = format!("SELECT id, name, count, sale FROM stock ORDER BY id DESC LIMIT {STOCK_MAX}");
    let mut session = dashboard.session.lock().await;
    let read = session.work(async |conn| rows(conn, sql).await).await;
    match read {
        Ok(found) => {
            let found: Vec<(u32, String, i64, i64)> = found;
            let stock = found.into_iter().map(|(id, name, count, sale)| Stock {
                id,
                name,
                count,
                sale,
            });
            answer(&stock.collect::<Vec<_>>())
        }
        Err(failure) => away(&format!("MySQL: {failure}")),
    }
}

/// Which reservations of a buyer have orders, the latest first. Reads all orders of the sale.
pub(super) async fn rids_of(
    session: &mut Session,
    sid: StockId,
    uid: &str,
    most: usize,
) -> Result<Vec<EventId>, Failure> {
    let found: Vec<(u64, u64)> = session
        .work(async |conn| {
            let sql = format!(
                "SELECT epoch, seq FROM stock_order \
                 WHERE sid = {sid} AND epoch IS NOT NULL AND uid = ? \
                 ORDER BY epoch DESC, seq DESC LIMIT {most}"
            );
            Ok(conn.exec(sql, (uid,)).await?)
        })
        .await?;
    let rids = found.into_iter();
    Ok(rids.map(|(epoch, seq)| EventId::new(epoch, seq)).collect())
}

/// What there is of some reservations.
pub(super) async fn records(
    session: &mut Session,
    sid: StockId,
    rids: &[EventId],
) -> Result<BTreeMap<EventId, Record>, Failure> {
    session
        .work(async |conn| {
            let mut all = BTreeMap::new();
            for rid in rids {
                all.insert(*rid, record(conn, sid, *rid).await?);
            }
            Ok(all)
        })
        .await
}

/// Each by the whole of a key.
async fn record(conn: &mut Conn, sid: StockId, rid: EventId) -> Result<Record, Failure> {
    let which = format!(
        "sid = {sid} AND epoch = {} AND seq = {}",
        rid.epoch, rid.seq
    );
    let sql = format!(
        "SELECT id, uid, qty, status, UNIX_TIMESTAMP(create_time) DIV 1 * 1000, deadline \
         FROM stock_order WHERE {which}"
    );
    type OrderRow = (u32, Option<String>, u32, String, u64, Option<u64>);
    let orders: Vec<OrderRow> = rows(conn, sql).await?;
    let order = orders.into_iter().next();
    let order = order.map(|(id, uid, qty, status, created_ms, deadline_ms)| Order {
        id,
        uid,
        qty,
        status,
        created_ms,
        deadline_ms,
    });
    let sql = format!(
        "SELECT at, from_status, to_status, who, note, event_epoch, event_seq \
         FROM stock_order_event WHERE {which} ORDER BY event_epoch, event_seq, who"
    );
    type StepRow = (u64, Option<String>, String, String, String, u64, u64);
    let steps: Vec<StepRow> = rows(conn, sql).await?;
    let steps = steps.into_iter();
    let steps = steps.map(|(at_ms, from, to, who, note, epoch, seq)| Step {
        at_ms,
        from,
        to,
        who,
        note,
        event: EventId::new(epoch, seq).to_string(),
    });
    let sql = format!(
        "SELECT due_at, reason, UNIX_TIMESTAMP(refunded_at) DIV 1 * 1000 \
         FROM stock_refund WHERE {which}"
    );
    let refunds: Vec<(u64, String, Option<u64>)> = rows(conn, sql).await?;
    let refund = refunds.into_iter().next();
    let refund = refund.map(|(due_ms, reason, refunded_ms)| Refund {
        due_ms,
        reason,
        refunded_ms,
    });
    Ok(Record {
        order,
        steps: steps.collect(),
        refund,
    })
}

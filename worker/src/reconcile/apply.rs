//! Does what a plan says.
//!
//! What MySQL is to change is one transaction behind the cursor's lock, as the order writer's: no
//! worker writes of this sale meanwhile. Each step looks again whether it is still to be done.

use super::judge::{Names, is_live, status_of};
use super::plan::{Plan, Step};
use super::{Servers, Trouble, read};
use crate::gate::{Cursor, Refused, Reservation};
use crate::mysql::{Failure, rows};
use crate::orders::{
    Order, Status, Transition, Who, create_cursors, insert_history, insert_orders, lock_cursors,
    move_orders,
};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use seckill_protocol::{EventId, ReservationId, Token, Uid};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Orders of one statement.
const ROWS: usize = 500;

/// Carries out the steps of a plan.
pub(super) async fn apply(
    servers: &mut Servers,
    names: &Names,
    began_ms: u64,
    plan: &Plan,
) -> Result<(), Trouble> {
    let sid = names.id.to_string();
    let for_mysql = |step: &&Step| {
        matches!(
            step,
            Step::InsertOrder(_)
                | Step::MoveOrder { .. }
                | Step::SetSale { .. }
                | Step::MoveCursor { .. }
        )
    };
    if plan.steps().any(|step| for_mysql(&step)) {
        let info = servers.gate.sale_info(&sid).await?;
        let writing = Writing {
            names,
            plan,
            began_ms,
            sold_before: i64::try_from(info.sold_before).unwrap_or(i64::MAX),
        };
        let work = async |conn: &mut Conn| writing.write(conn).await;
        servers.session.work(work).await?;
    }
    for step in plan.steps() {
        match step {
            Step::TellStored { to } => servers.gate.ack(&sid, Cursor::Stored, *to).await?,
            Step::SendAgain { from } => servers.gate.ack(&sid, Cursor::Relayed, *from).await?,
            Step::CancelRefused { rid } => cancel(servers, names, *rid).await?,
            _ => {}
        }
    }
    Ok(())
}

/// As the worker does it: cancel, then strike it off.
async fn cancel(servers: &mut Servers, names: &Names, rid: EventId) -> Result<(), Trouble> {
    let sid = names.id.to_string();
    match servers.gate.cancel(&sid, ReservationId(rid)).await {
        // What is over already needs no cancelling; what was paid for the next run shows.
        Ok(()) | Err(Refused::Gone(_) | Refused::NoReservation) => {}
        Err(refused) => return Err(refused.into()),
    }
    let EventId { epoch, seq } = rid;
    let sql =
        format!("DELETE FROM stock_refusal WHERE sid = {sid} AND epoch = {epoch} AND seq = {seq}");
    let work = async |conn: &mut Conn| Ok(conn.query_drop(sql).await?);
    servers.session.work(work).await?;
    Ok(())
}

/// The transaction.
struct Writing<'a> {
    names: &'a Names,
    plan: &'a Plan,
    began_ms: u64,
    sold_before: i64,
}

// === impl Writing ===

impl Writing<'_> {
    async fn write(&self, conn: &mut Conn) -> Result<(), Failure> {
        let id = self.names.id;
        conn.query_drop("START TRANSACTION").await?;
        conn.query_drop(create_cursors([id])).await?;
        let cursors: Vec<(u32, u64, u64)> = rows(conn, lock_cursors([id])).await?;
        let cursor = cursors
            .first()
            .map(|(_, epoch, seq)| EventId::new(*epoch, *seq));
        let cursor = cursor.unwrap_or(EventId::ZERO);
        let stock: Vec<(String, i64)> = rows(
            conn,
            format!("SELECT name, version FROM stock WHERE id = {id}"),
        )
        .await?;
        let Some((name, version)) = stock.first() else {
            conn.query_drop("ROLLBACK").await?;
            return Ok(());
        };
        let inserted = self.insert(conn, cursor, name, version + 1).await?;
        let released = self.follow(conn, cursor).await?;
        self.add_up(conn, inserted || released.is_some(), released.unwrap_or(0))
            .await?;
        for step in self.plan.steps() {
            if let Step::MoveCursor { from, to } = step {
                let sql = format!(
                    "UPDATE stock_cursor SET epoch = {}, seq = {} \
                     WHERE sid = {id} AND epoch = {} AND seq = {}",
                    to.epoch, to.seq, from.epoch, from.seq
                );
                conn.query_drop(sql).await?;
            }
        }
        conn.query_drop("COMMIT").await?;
        Ok(())
    }

    /// Inserts the orders that are still missing. Returns whether there were any.
    async fn insert(
        &self,
        conn: &mut Conn,
        cursor: EventId,
        name: &str,
        version: i64,
    ) -> Result<bool, Failure> {
        let id = self.names.id;
        let missing: Vec<&Reservation> = self
            .plan
            .steps()
            .filter_map(|step| match step {
                Step::InsertOrder(reservation) => Some(&**reservation),
                _ => None,
            })
            .collect();
        let mut any = false;
        for missing in missing.chunks(ROWS) {
            let rids: Vec<EventId> = missing.iter().map(|reservation| reservation.rid).collect();
            let there = read::orders(conn, id, &rids, " FOR UPDATE").await?;
            let missing = missing.iter().filter(|one| !there.contains_key(&one.rid));
            let orders: Vec<Order> = missing.filter_map(|one| order(one)).collect();
            if !orders.is_empty() {
                conn.query_drop(insert_orders(id, name, version, &orders))
                    .await?;
                let steps = orders.iter().map(|order| (order.id, None, order.status));
                self.keep(conn, cursor, steps).await?;
                any = true;
            }
        }
        Ok(any)
    }

    /// Moves the orders that still stand where the plan found them. Returns the units that come
    /// back, if any order moved.
    async fn follow(&self, conn: &mut Conn, cursor: EventId) -> Result<Option<i64>, Failure> {
        let id = self.names.id;
        let wanted: BTreeMap<EventId, (Status, Status)> = self
            .plan
            .steps()
            .filter_map(|step| match step {
                Step::MoveOrder { rid, from, to, .. } => Some((*rid, (*from, *to))),
                _ => None,
            })
            .collect();
        let rids: Vec<EventId> = wanted.keys().copied().collect();
        let mut released = None;
        for rids in rids.chunks(ROWS) {
            let there = read::orders(conn, id, rids, " FOR UPDATE").await?;
            let mut moves = BTreeMap::new();
            let mut steps = Vec::new();
            for (rid, order) in there {
                let Some((from, to)) = wanted.get(&rid).copied() else {
                    continue;
                };
                if order.status == from {
                    moves.insert(rid, to);
                    steps.push((rid, Some(from), to));
                    let units = match is_live(from) && !is_live(to) {
                        true => i64::from(order.qty),
                        false => 0,
                    };
                    released = Some(released.unwrap_or(0) + units);
                }
            }
            for statement in move_orders(id, &moves) {
                conn.query_drop(statement).await?;
            }
            self.keep(conn, cursor, steps).await?;
        }
        Ok(released)
    }

    /// Keeps what became of orders. No event caused it, so it stands under the last one applied; a
    /// second time at the same place takes the place of the first.
    async fn keep(
        &self,
        conn: &mut Conn,
        cursor: EventId,
        steps: impl IntoIterator<Item = (EventId, Option<Status>, Status)>,
    ) -> Result<(), Failure> {
        let at_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| {
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            });
        let steps: Vec<Transition> = steps
            .into_iter()
            .map(|(rid, from, to)| Transition {
                rid,
                event: cursor,
                at_ms,
                from,
                to,
                who: Who::Reconcile,
                note: String::new(),
                rowless: None,
            })
            .collect();
        if steps.is_empty() {
            return Ok(());
        }
        let mut sql = insert_history(self.names.id, &steps);
        sql.push_str(
            " ON DUPLICATE KEY UPDATE at = VALUES(at), from_status = VALUES(from_status), \
             to_status = VALUES(to_status)",
        );
        Ok(conn.query_drop(sql).await?)
    }

    /// Sets `stock.sale` to what the orders come to now, where the plan says so. The version moves
    /// whenever an order did.
    async fn add_up(&self, conn: &mut Conn, changed: bool, released: i64) -> Result<(), Failure> {
        let id = self.names.id;
        let planned = self
            .plan
            .steps()
            .any(|step| matches!(step, Step::SetSale { .. }));
        if !changed && !planned {
            return Ok(());
        }
        let Some(sums) = read::sums(conn, id, self.began_ms, " FOR UPDATE").await? else {
            return Ok(());
        };
        let to = sums.expected(self.sold_before);
        // Never lower than by what the steps give back, and never above what there is.
        let safe = to <= sums.count && sums.sale - to <= released;
        let sale = if planned && safe { to } else { sums.sale };
        let sql = format!("UPDATE stock SET sale = {sale}, version = version + 1 WHERE id = {id}");
        Ok(conn.query_drop(sql).await?)
    }
}

/// The order of a reservation. What MySQL cannot hold the module never grants.
fn order(reservation: &Reservation) -> Option<Order> {
    let token = reservation.token.as_ref();
    Some(Order {
        id: reservation.rid,
        uid: Uid::new(reservation.uid.as_bytes()).ok()?,
        qty: reservation.qty,
        status: status_of(reservation.state),
        deadline_ms: reservation.deadline_ms,
        token: token.and_then(|token| Token::new(token.as_bytes()).ok()),
        at_ms: reservation.at_ms,
    })
}

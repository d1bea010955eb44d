//! What MySQL has of a sale.

use super::compare::Order;
use crate::gate::Recorded;
use crate::mysql::{Failure, Session, rows};
use crate::orders::{Status, StockId};
use anyhow::{Context, bail};
use seckill_protocol::{EventId, ReservationState, Token, Uid};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Orders read at a time, and put back by one command: that keeps Redis busy for about a millisecond.
pub(super) const PAGE: u64 = 1000;

/// Orders looked up by one statement.
const IDS_MAX: usize = 1000;

/// A stock row and the place of its sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Books {
    pub(super) name: String,
    pub(super) count: i64,
    pub(super) sale: i64,
    /// The last event applied; `0-0` if there is none.
    pub(super) cursor: EventId,
}

/// The sums over the orders of a sale, at the moment of [`Sums::books`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) books: Books,
    pub(super) orders: u64,
    /// Acceptances that MySQL took no order for: Redis may have their reservations.
    pub(super) rowless: u64,
    /// Units of those held or confirmed.
    pub(super) live: i64,
}

/// The stock row of a sale and its place, if there is such a row.
pub(super) async fn read(session: &mut Session, sid: StockId) -> Result<Option<Books>, Failure> {
    let sql = format!(
        "SELECT s.name, s.count, s.sale, COALESCE(c.epoch, 0), COALESCE(c.seq, 0) \
         FROM stock s LEFT JOIN stock_cursor c ON c.sid = s.id WHERE s.id = {sid}"
    );
    let found: Vec<(String, i64, i64, u64, u64)> =
        session.work(async |conn| rows(conn, sql).await).await?;
    let books = |(name, count, sale, epoch, seq)| Books {
        name,
        count,
        sale,
        cursor: EventId::new(epoch, seq),
    };
    Ok(found.into_iter().next().map(books))
}

/// The same, and the sums over the orders from an epoch on: in one statement, so that they are of
/// one moment.
pub(super) async fn sums(session: &mut Session, sid: StockId, opened: u64) -> anyhow::Result<Sums> {
    let sql = format!(
        "SELECT s.name, s.count, s.sale, COALESCE(c.epoch, 0), COALESCE(c.seq, 0), \
           o.orders, o.live, \
           (SELECT COUNT(*) FROM stock_order_event \
            WHERE sid = {sid} AND epoch >= {opened} AND uid IS NOT NULL) \
         FROM stock s LEFT JOIN stock_cursor c ON c.sid = s.id \
         JOIN (SELECT COUNT(*) orders, \
                 CAST(COALESCE(SUM(IF(status IN ('held', 'confirmed'), qty, 0)), 0) AS SIGNED) live \
               FROM stock_order WHERE sid = {sid} AND epoch >= {opened}) o \
         WHERE s.id = {sid}"
    );
    type Columns = (String, i64, i64, u64, u64, u64, i64, u64);
    let found: Vec<Columns> = session.work(async |conn| rows(conn, sql).await).await?;
    let Some((name, count, sale, epoch, seq, orders, live, rowless)) = found.into_iter().next()
    else {
        bail!("its stock row has gone");
    };
    Ok(Sums {
        books: Books {
            name,
            count,
            sale,
            cursor: EventId::new(epoch, seq),
        },
        orders,
        rowless,
        live,
    })
}

/// Orders by the events that granted them.
pub(super) async fn orders(
    session: &mut Session,
    sid: StockId,
    ids: &BTreeSet<EventId>,
) -> anyhow::Result<HashMap<EventId, Order>> {
    let mut orders = HashMap::new();
    let mut by_epoch: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for EventId { epoch, seq } in ids {
        by_epoch.entry(*epoch).or_default().push(seq.to_string());
    }
    for (epoch, seqs) in by_epoch {
        for seqs in seqs.chunks(IDS_MAX) {
            let seqs = seqs.join(", ");
            let sql = format!(
                "SELECT seq, uid, qty, status, TRUE FROM stock_order \
                 WHERE sid = {sid} AND epoch = {epoch} AND seq IN ({seqs}) \
                 UNION ALL SELECT seq, uid, qty, to_status, FALSE FROM stock_order_event \
                 WHERE sid = {sid} AND epoch = {epoch} AND seq IN ({seqs}) AND uid IS NOT NULL"
            );
            let found: Vec<(u64, Option<String>, u32, String, bool)> =
                session.work(async |conn| rows(conn, sql).await).await?;
            for (seq, uid, qty, status, has_row) in found {
                let id = EventId::new(epoch, seq);
                let order = Order {
                    uid: uid.unwrap_or_default(),
                    qty,
                    status: known(id, &status)?,
                    has_row,
                };
                orders.insert(id, order);
            }
        }
    }
    Ok(orders)
}

/// The epochs in which orders of a sale were granted, from one on: the last order of each, those
/// among them that have no row.
pub(super) async fn epochs(
    session: &mut Session,
    sid: StockId,
    opened: u64,
) -> Result<Vec<EventId>, Failure> {
    let sql = format!(
        "SELECT epoch, MAX(seq) FROM (\
           SELECT epoch, MAX(seq) seq FROM stock_order \
           WHERE sid = {sid} AND epoch >= {opened} GROUP BY epoch \
           UNION ALL SELECT epoch, MAX(seq) FROM stock_order_event \
           WHERE sid = {sid} AND epoch >= {opened} AND uid IS NOT NULL GROUP BY epoch) o \
         GROUP BY epoch ORDER BY epoch"
    );
    let found: Vec<(u64, u64)> = session.work(async |conn| rows(conn, sql).await).await?;
    let last = found
        .into_iter()
        .map(|(epoch, seq)| EventId::new(epoch, seq));
    Ok(last.collect())
}

/// The orders of a sale that MySQL refused, from an epoch on, with or without a row.
pub(super) async fn refused(
    session: &mut Session,
    sid: StockId,
    opened: u64,
) -> Result<Vec<EventId>, Failure> {
    let sql = format!(
        "SELECT epoch, seq FROM stock_order \
         WHERE sid = {sid} AND epoch >= {opened} AND status = 'refused' \
         UNION ALL SELECT epoch, seq FROM stock_order_event \
         WHERE sid = {sid} AND epoch >= {opened} AND uid IS NOT NULL"
    );
    let found: Vec<(u64, u64)> = session.work(async |conn| rows(conn, sql).await).await?;
    let ids = found.into_iter();
    Ok(ids.map(|(epoch, seq)| EventId::new(epoch, seq)).collect())
}

/// The orders of the next [`PAGE`] events of an epoch, as reservations.
///
/// Bounds on both sides, and no LIMIT: MariaDB would look at all of the epoch for each page.
///
/// An order that MySQL refused never had a unit there: its reservation is cancelled. One for which it
/// has no row, its history knows.
pub(super) async fn page(
    session: &mut Session,
    sid: StockId,
    after: EventId,
) -> anyhow::Result<Vec<Recorded>> {
    let EventId { epoch, seq } = after;
    let last = seq.saturating_add(PAGE);
    let these = format!("sid = {sid} AND epoch = {epoch} AND seq > {seq} AND seq <= {last}");
    let sql = format!(
        "SELECT seq, uid, qty, status, deadline, UNIX_TIMESTAMP(create_time), token \
         FROM stock_order WHERE {these} \
         UNION ALL SELECT seq, uid, qty, to_status, NULL, at DIV 1000, NULL \
         FROM stock_order_event WHERE {these} AND uid IS NOT NULL ORDER BY seq"
    );
    let refunds = format!("SELECT seq FROM stock_refund WHERE {these}");
    type Columns = (
        u64,
        Option<String>,
        u32,
        String,
        Option<u64>,
        u64,
        Option<String>,
    );
    let found: Vec<Columns> = session.work(async |conn| rows(conn, sql).await).await?;
    let refunds: Vec<u64> = session.work(async |conn| rows(conn, refunds).await).await?;
    let refunds: HashSet<u64> = refunds.into_iter().collect();
    found
        .into_iter()
        .map(|(seq, uid, qty, status, deadline_ms, at_s, token)| {
            let id = EventId::new(epoch, seq);
            let order = || format!("order {id} in stock_order");
            let uid = uid.unwrap_or_default();
            let token = token.map(|token| Token::new(token.as_bytes())).transpose();
            Ok(Recorded {
                id,
                uid: Uid::new(uid.as_bytes()).with_context(order)?,
                qty,
                state: state(known(id, &status)?),
                at_ms: granted_ms(at_s, deadline_ms),
                deadline_ms,
                token: token.with_context(order)?,
                refund_due: refunds.contains(&seq),
            })
        })
        .collect()
}

/// When an order was granted: MySQL has the second, and its deadline has the rest, because holds are
/// whole seconds. That matters: Redis says once for all of them what reservations in a row have in
/// common, and a hold that is some milliseconds longer each time would leave them nothing.
fn granted_ms(at_s: u64, deadline_ms: Option<u64>) -> u64 {
    let at_ms = at_s.saturating_mul(1000);
    match deadline_ms.and_then(|deadline_ms| deadline_ms.checked_sub(at_ms)) {
        Some(rest_ms @ 1000..) => at_ms.saturating_add(rest_ms % 1000),
        _ => at_ms,
    }
}

fn known(id: EventId, status: &str) -> anyhow::Result<Status> {
    let known = Status::from_word(status);
    known.with_context(|| format!("order {id} in stock_order: unknown status {status}"))
}

/// The state of a reservation whose order has this status.
fn state(status: Status) -> ReservationState {
    match status {
        Status::Held => ReservationState::Held,
        Status::Confirmed => ReservationState::Confirmed,
        Status::Cancelled | Status::Refused => ReservationState::Cancelled,
        Status::Expired => ReservationState::Expired,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_has_the_milliseconds_of_its_deadline() {
        for (at_ms, hold_ms) in [(5_000, 900_000), (5_999, 900_000), (5_001, 1_000)] {
            assert_eq!(granted_ms(at_ms / 1000, Some(at_ms + hold_ms)), at_ms);
        }
    }

    #[test]
    fn a_grant_is_before_its_deadline_and_in_its_second() {
        assert_eq!(granted_ms(5, None), 5_000);
        for hold_ms in [1, 999, 1_500, 2_001] {
            for at_ms in 5_000..6_000 {
                let granted_ms = granted_ms(5, Some(at_ms + hold_ms));
                assert!(granted_ms < at_ms + hold_ms, "{at_ms} {hold_ms}");
                assert_eq!(granted_ms / 1000, 5, "{at_ms} {hold_ms}");
            }
        }
    }
}

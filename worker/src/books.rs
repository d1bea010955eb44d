//! What MySQL says of sales in a few figures, and whether the module agrees.
//!
//! Cheap on purpose: rows by their primary key, and no order is counted, so that it may be asked
//! every second for every sale.

use crate::gate::SaleInfo;
use crate::mysql::{Failure, Session, rows};
use crate::orders::StockId;
use seckill_protocol::EventId;
use std::collections::BTreeMap;

/// A sale's rows besides its orders, all of one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    /// All units: `stock.count`.
    pub(crate) count: i64,
    /// Units that are gone: `stock.sale`.
    pub(crate) sale: i64,
    /// The last event applied; `None`: none yet.
    pub(crate) cursor: Option<EventId>,
    /// Refused reservations that the module has not answered for: rows of `stock_refusal`.
    pub(crate) refusals: u64,
}

/// Reads the figures of the sales that have a stock row.
///
/// # Errors
/// If MySQL is away.
pub(crate) async fn read_figures(
    session: &mut Session,
    sids: impl IntoIterator<Item = StockId>,
) -> Result<BTreeMap<StockId, Figures>, Failure> {
    let sids: Vec<String> = sids.into_iter().map(|sid| sid.to_string()).collect();
    if sids.is_empty() {
        return Ok(BTreeMap::new());
    }
    // One statement sees one instant of the database.
    let sql = format!(
        "SELECT s.id, s.count, s.sale, c.epoch, c.seq, \
           (SELECT COUNT(*) FROM stock_refusal r WHERE r.sid = s.id) \
         FROM stock s LEFT JOIN stock_cursor c ON c.sid = s.id WHERE s.id IN ({})",
        sids.join(", ")
    );
    type Row = (u32, i64, i64, Option<u64>, Option<u64>, u64);
    let found: Vec<Row> = session.work(async |conn| rows(conn, sql).await).await?;
    let figures = found
        .into_iter()
        .map(|(id, count, sale, epoch, seq, refusals)| {
            let figures = Figures {
                count,
                sale,
                cursor: epoch.zip(seq).map(|(epoch, seq)| EventId::new(epoch, seq)),
                refusals,
            };
            (StockId(id), figures)
        });
    Ok(figures.collect())
}

/// By how many units the module has more taken than `stock.sale` says; `None` while it cannot be
/// said, because one of them is ahead or a refusal is on its way to the module.
///
/// `figures` have to be read before `info`: what the module did in between shows in its head.
pub(crate) fn drift(figures: &Figures, info: &SaleInfo) -> Option<i64> {
    if figures.cursor != Some(info.head) || figures.refusals > 0 {
        return None;
    }
    let taken = i64::try_from(info.held.saturating_add(info.sold)).unwrap_or(i64::MAX);
    Some(taken.saturating_sub(figures.sale))
}

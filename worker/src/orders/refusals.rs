//! Cancels in the module the reservations that MySQL refused.
//!
//! What is to be cancelled lies in `stock_refusal`: it came with the refused order, in the same
//! transaction, so no crash can lose it. A CANCEL may be repeated, so any worker may do it.

use super::StockId;
use crate::gate::{Gate, Refused};
use crate::mysql::{Failure, Session, rows};
use mysql_async::prelude::Queryable;
use seckill_protocol::ReservationId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::{debug, error, info, warn};

/// How often the table is looked at without a reason: for what a dead worker left.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Rows read at a time.
const ROWS_MAX: u32 = 500;

/// The bell that the writer rings after a commit with refusals.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals(Arc<Notify>);

// === impl Refusals ===

impl Refusals {
    /// There are new ones.
    pub(crate) fn ring(&self) {
        self.0.notify_one();
    }
}

/// Cancels, for ever.
pub(crate) async fn cancel_refused(refusals: &Refusals, gate: &Gate, mut session: Session) {
    loop {
        match round(gate, &mut session).await {
            Ok(Round::More) => continue,
            Ok(Round::Through) => {}
            Err(failure) => debug!("cannot work on stock_refusal: {failure}"),
        }
        // Rung or not, it is looked at again: elapsed time is a reason like the bell.
        let _ = timeout(LOOK_EVERY, refusals.0.notified()).await;
    }
}

enum Round {
    /// The table may hold more.
    More,
    /// It is empty, or what is left has to wait.
    Through,
}

async fn round(gate: &Gate, session: &mut Session) -> Result<Round, Failure> {
    let owed: Vec<(u32, u64, u64)> = session
        .work(async |conn| {
            let sql = format!("SELECT sid, epoch, seq FROM stock_refusal ORDER BY sid, epoch, seq LIMIT {ROWS_MAX}");
            rows(conn, sql).await
        })
        .await?;
    let mut done = Vec::new();
    for (sid, epoch, seq) in &owed {
        if cancel(gate, StockId(*sid), ReservationId::new(*epoch, *seq)).await {
            done.push(format!("({sid}, {epoch}, {seq})"));
        }
    }
    if done.is_empty() {
        return Ok(Round::Through);
    }
    let all = done.len() == owed.len();
    session
        .work(async |conn| {
            let done = done.join(", ");
            let sql = format!("DELETE FROM stock_refusal WHERE (sid, epoch, seq) IN ({done})");
            Ok(conn.query_drop(sql).await?)
        })
        .await?;
    Ok(if all { Round::More } else { Round::Through })
}

/// Returns whether there is nothing left to do.
async fn cancel(gate: &Gate, sid: StockId, rid: ReservationId) -> bool {
    match gate.cancel(&sid.to_string(), rid).await {
        Ok(()) => info!("sale {sid}: reservation {rid} is cancelled, MySQL refused it"),
        Err(Refused::Gone(state)) if state.contains("confirmed") => error!(
            kind = "refund",
            sale = %sid,
            "ALARM: sale {sid}: {state}, so reservation {rid} cannot be cancelled, but MySQL refused \
             it: the buyer is to be refunded"
        ),
        Err(Refused::Gone(state)) => debug!("sale {sid}: reservation {rid}: {state}"),
        Err(gone @ (Refused::NoSale | Refused::NoReservation)) => {
            warn!("sale {sid}: reservation {rid} need not be cancelled: {gone}");
        }
        // Its fence has its own alarm.
        Err(fenced @ Refused::Fenced) => {
            debug!("sale {sid}: reservation {rid} cannot be cancelled yet: {fenced}");
            return false;
        }
        Err(refused) => {
            error!(
                kind = "uncancelled",
                sale = %sid,
                "ALARM: sale {sid}: reservation {rid} cannot be cancelled: {refused}"
            );
            return false;
        }
    }
    true
}

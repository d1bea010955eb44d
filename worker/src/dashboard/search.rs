//! One buyer or one reservation of a sale, with its whole history.

use super::Dashboard;
use super::answer::{Question, answer, bad_question};
use super::records::{Record, records, rids_of};
use super::visitor::{Page, Visitor};
use crate::gate::{Held, Refused};
use crate::orders::StockId;
use axum::extract::{Path, State};
use axum::response::Response;
use seckill_protocol::{EventId, ReservationId, Uid};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Reservations that one answer shows.
const SHOWN_MAX: usize = 50;

/// What is looked for: a buyer, or a reservation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    text: String,
}

#[derive(Serialize)]
struct Found {
    /// `buyer` or `reservation`.
    kind: &'static str,
    reservations: Vec<Reservation>,
    /// Those that are not shown.
    more: usize,
    /// Who could not be asked.
    silent: Vec<String>,
}

/// What both sides have of a reservation.
#[derive(Serialize)]
struct Reservation {
    rid: String,
    uid: Option<String>,
    qty: Option<u32>,
    /// `None`: it is not there, or Redis is away.
    module: Option<InModule>,
    #[serde(flatten)]
    record: Record,
}

#[derive(Serialize)]
struct InModule {
    state: String,
    at_ms: u64,
    deadline_ms: u64,
    /// Whether the module knows that MySQL has it.
    stored: bool,
}

/// Finds them, in the module and in MySQL.
pub(super) async fn search(
    State(dashboard): State<Arc<Dashboard>>,
    _: Page,
    _: Visitor,
    Path(sid): Path<String>,
    Question(search): Question<Search>,
) -> Response {
    let text = search.text.trim();
    // A buyer may be called like a reservation; then he is found by his reservation.
    let found = match text.parse::<ReservationId>() {
        Ok(rid) => one(&dashboard, &sid, rid.0).await,
        Err(_) if Uid::check(text.as_bytes()).is_ok() => all_of(&dashboard, &sid, text).await,
        Err(_) => {
            return bad_question(
                "expected a reservation such as 1763800000000-42, or a buyer: 1 to 128 bytes \
                 without control characters",
            );
        }
    };
    answer(&found)
}

async fn one(dashboard: &Dashboard, sid: &str, rid: EventId) -> Found {
    let mut silent = Vec::new();
    let held = match dashboard.gate.held(sid, rid).await {
        Ok(held) => Some(held),
        Err(Refused::NoSale | Refused::NoReservation) => None,
        Err(refused) => {
            silent.push(format!("Redis: {refused}"));
            None
        }
    };
    let held: Vec<Held> = held.into_iter().collect();
    let mut found = join(dashboard, sid, &[rid], &held, &mut silent).await;
    // Nobody knows it.
    found.retain(|one| {
        let record = &one.record;
        one.module.is_some() || record.order.is_some() || !record.steps.is_empty()
    });
    Found {
        kind: "reservation",
        reservations: found,
        more: 0,
        silent,
    }
}

async fn all_of(dashboard: &Dashboard, sid: &str, uid: &str) -> Found {
    let mut silent = Vec::new();
    let held = match dashboard.gate.reservations_of(sid, uid).await {
        Ok(held) => held,
        Err(refused) => {
            silent.push(format!("Redis: {refused}"));
            Vec::new()
        }
    };
    let mut rids: Vec<EventId> = held.iter().map(|held| held.rid).collect();
    if !silent.is_empty()
        && let Ok(id) = sid.parse()
    {
        // Without the module, MySQL has to look through all orders of the sale.
        let mut session = dashboard.session.lock().await;
        match rids_of(&mut session, id, uid, SHOWN_MAX).await {
            Ok(stored) => rids = stored,
            Err(failure) => silent.push(format!("MySQL: {failure}")),
        }
    }
    let more = rids.len().saturating_sub(SHOWN_MAX);
    rids.truncate(SHOWN_MAX);
    Found {
        kind: "buyer",
        reservations: join(dashboard, sid, &rids, &held, &mut silent).await,
        more,
        silent,
    }
}

/// Puts together what both sides have.
async fn join(
    dashboard: &Dashboard,
    sid: &str,
    rids: &[EventId],
    held: &[Held],
    silent: &mut Vec<String>,
) -> Vec<Reservation> {
    let mut stored = Default::default();
    if let Ok(id) = sid.parse::<StockId>() {
        let mut session = dashboard.session.lock().await;
        match records(&mut session, id, rids).await {
            Ok(records) => stored = records,
            Err(failure) => silent.push(format!("MySQL: {failure}")),
        }
    }
    let put_together = |rid: &EventId| {
        let held = held.iter().find(|held| held.rid == *rid);
        let record: Record = stored.remove(rid).unwrap_or_default();
        let order = record.order.as_ref();
        Reservation {
            rid: rid.to_string(),
            uid: held
                .map(|held| held.uid.clone())
                .or_else(|| order.and_then(|order| order.uid.clone())),
            qty: held.map(|held| held.qty).or(order.map(|order| order.qty)),
            module: held.map(|held| InModule {
                state: held.state.clone(),
                at_ms: held.at_ms,
                deadline_ms: held.deadline_ms,
                stored: held.stored,
            }),
            record,
        }
    };
    rids.iter().map(put_together).collect()
}

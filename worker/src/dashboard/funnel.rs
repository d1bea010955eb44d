//! What became of a sale's orders. They have to be counted, which reads every one of them, so it is
//! done seldom: counting takes at most a twentieth of the time.

use super::Dashboard;
use super::answer::{answer, away, bad_question};
use super::look::unix_ms;
use super::visitor::Visitor;
use crate::mysql::Session;
use crate::orders::StockId;
use crate::status::{Counts, count_orders};
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How often a sale is counted at most.
const EVERY: Duration = Duration::from_secs(5);

/// How many times as long as the last count took nobody counts.
const REST: u32 = 19;

/// Sales whose counts are kept.
const KEPT_MAX: usize = 100;

/// What was counted last. Whoever counts holds it, so that one sale is counted at a time.
pub(super) struct Funnels(Mutex<Counting>);

struct Counting {
    session: Session,
    counted: BTreeMap<StockId, (Funnel, Instant)>,
}

/// Orders and their units by status.
#[derive(Clone, Debug, Serialize)]
struct Funnel {
    counted_ms: u64,
    orders: BTreeMap<String, u64>,
    units: BTreeMap<String, u64>,
}

// === impl Funnels ===

impl Funnels {
    pub(super) fn new(session: Session) -> Self {
        let counted = BTreeMap::new();
        Self(Mutex::new(Counting { session, counted }))
    }
}

/// The orders of a sale by what became of them.
pub(super) async fn show(
    State(dashboard): State<Arc<Dashboard>>,
    _: Visitor,
    Path(sid): Path<String>,
) -> Response {
    let Ok(id) = sid.parse::<StockId>() else {
        return bad_question("its name is no stock.id: it gets no orders");
    };
    let mut state = dashboard.funnels.0.lock().await;
    let Counting { session, counted } = &mut *state;
    if let Some((funnel, next)) = counted.get(&id)
        && Instant::now() < *next
    {
        return answer(funnel);
    }
    let began = Instant::now();
    let counts = match count_orders(session, &[id]).await {
        Ok(mut counts) => counts.remove(&id).unwrap_or_default(),
        Err(failure) => return away(&format!("MySQL: {failure}")),
    };
    let funnel = Funnel::of(counts);
    if counted.len() >= KEPT_MAX {
        counted.clear();
    }
    let rest = began.elapsed().saturating_mul(REST).max(EVERY);
    counted.insert(id, (funnel.clone(), Instant::now() + rest));
    answer(&funnel)
}

// === impl Funnel ===

impl Funnel {
    fn of(counts: Counts) -> Self {
        let mut funnel = Self {
            counted_ms: unix_ms(),
            orders: BTreeMap::new(),
            units: BTreeMap::new(),
        };
        for (status, (orders, units)) in counts {
            funnel.orders.insert(status.clone(), orders);
            funnel.units.insert(status, units);
        }
        funnel
    }
}

//! What this proxy knows of each sale that it was asked about.

use crate::admin::{Asked, json};
use crate::code::Code;
use crate::sales::Sale;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Page {
    sales: Vec<View>,
}

#[derive(Serialize)]
struct View {
    sid: Box<str>,
    /// What every buyer is told without asking Redis; none if Redis is asked.
    remembered: Option<Remembered>,
    /// Rejections without asking Redis, by what buyers were told.
    rejections: BTreeMap<&'static str, u64>,
    /// Buyers who may have something, for whom Redis is asked even if all is gone.
    holders: usize,
    /// Buyers who wait for Redis.
    waiting: usize,
}

#[derive(Serialize)]
struct Remembered {
    #[serde(serialize_with = "word")]
    verdict: Code,
    for_ms: u64,
}

/// Every sale, by its sid.
pub(super) async fn page(State(asked): State<Asked>) -> Response {
    let gate = &asked.parts.gate;
    let life = gate.news().life();
    let known = gate.sales().all().into_iter();
    let mut sales: Vec<View> = known.map(|(sid, sale)| view(sid, &sale, life)).collect();
    sales.sort_unstable_by(|a, b| a.sid.cmp(&b.sid));
    json(StatusCode::OK, "application/json", &Page { sales })
}

fn view(sid: Box<str>, sale: &Sale, life: u64) -> View {
    let shut = sale.shut.view(life);
    let counts = sale.turned_away.counts();
    View {
        sid,
        remembered: shut.remembered.map(|(verdict, left)| Remembered {
            verdict: verdict.into(),
            for_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
        }),
        rejections: counts.map(|(code, count)| (code.word(), count)).collect(),
        holders: shut.holders,
        waiting: shut.asking.saturating_add(sale.stop.waiting()),
    }
}

fn word<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.word())
}

//! Shows what was seen.

use super::Dashboard;
use super::answer::{answer, away};
use super::history::{COLUMNS, Point};
use super::look::unix_ms;
use super::sight::{SaleSeen, Seen};
use super::visitor::Visitor;
use crate::admin::problem;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Serialize)]
struct Now<'a> {
    name: String,
    version: &'static str,
    now_ms: u64,
    #[serde(flatten)]
    seen: &'a Seen,
    /// Raised since this worker began, by kind: the lines with `ALARM` in its log.
    alarms: BTreeMap<String, u64>,
    refusals_owed: i64,
    columns: [&'static str; COLUMNS.len()],
    points: Vec<Point>,
}

#[derive(Serialize)]
struct Sale<'a> {
    now_ms: u64,
    looked_ms: u64,
    sale: &'a SaleSeen,
    columns: [&'static str; COLUMNS.len()],
    points: Vec<Point>,
}

/// Every sale and every server, and how all sales stood since `?since=`.
pub(super) async fn now(
    State(dashboard): State<Arc<Dashboard>>,
    visitor: Visitor,
    uri: Uri,
) -> Response {
    let Some(seen) = dashboard.sight.latest() else {
        return not_yet();
    };
    let figures = &dashboard.figures;
    answer(&Now {
        name: visitor.name,
        version: env!("CARGO_PKG_VERSION"),
        now_ms: unix_ms(),
        seen: &seen,
        alarms: figures.alarms(),
        refusals_owed: figures.refusals_owed.get(),
        columns: COLUMNS,
        points: dashboard.sight.all(since(&uri)),
    })
}

/// One sale, and how it stood since `?since=`.
pub(super) async fn sale(
    State(dashboard): State<Arc<Dashboard>>,
    _: Visitor,
    Path(sid): Path<String>,
    uri: Uri,
) -> Response {
    let Some(seen) = dashboard.sight.latest() else {
        return not_yet();
    };
    let Some(sale) = seen.sales.iter().find(|sale| sale.row.sid == sid) else {
        let detail = "Neither Redis nor, where that is away, MySQL knows a sale of this name.";
        return problem(StatusCode::NOT_FOUND, "No such sale", Some(detail));
    };
    answer(&Sale {
        now_ms: unix_ms(),
        looked_ms: seen.looked_ms,
        sale,
        columns: COLUMNS,
        points: dashboard.sight.of(&sid, since(&uri)),
    })
}

fn not_yet() -> Response {
    away("The first look is under way.")
}

fn since(uri: &Uri) -> u64 {
    let mut pairs = uri.query().unwrap_or_default().split('&');
    let since = pairs.find_map(|pair| pair.strip_prefix("since="));
    since.and_then(|since| since.parse().ok()).unwrap_or(0)
}

//! Whether the process lives, and whether it relays and writes orders.

use super::{Admin, json, page};
use crate::standing::Need;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    reasons: Vec<Reason>,
}

#[derive(Serialize)]
struct Reason {
    code: Need,
    detail: String,
}

/// It answers, and that is all that is asked.
pub(super) async fn alive() -> Response {
    page(StatusCode::OK, "text/plain", "alive\n")
}

/// Whether an acceptance of this moment would become an order, and if not, why.
pub(super) async fn ready(State(admin): State<Admin>) -> Response {
    let missing = admin.standing.missing().into_iter();
    let reasons: Vec<Reason> = missing
        .map(|(code, detail)| Reason { code, detail })
        .collect();
    let ready = reasons.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json(status, "application/json", &Readiness { ready, reasons })
}

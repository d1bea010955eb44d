//! Whether the process lives, and whether buyers should be sent to it.

use crate::admin::{Asked, json, page};
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
    /// `redis`, `shop` or `draining`.
    code: &'static str,
    detail: String,
}

/// It answers, and that is all that is asked.
pub(super) async fn alive() -> Response {
    page(StatusCode::OK, "text/plain", "alive\n")
}

/// Whether a buyer who comes now would be served, and if not, why.
pub(super) async fn ready(State(asked): State<Asked>) -> Response {
    let mut reasons = Vec::new();
    let mut because = |code, detail: String| reasons.push(Reason { code, detail });
    if *asked.shutdown.borrow() {
        because("draining", "the process is about to end".to_owned());
    }
    if let Some(trouble) = asked.parts.gate.servers().trouble() {
        because("redis", format!("Redis decides nothing: {trouble}"));
    }
    let site = asked.parts.site.load();
    if site.shop.addresses().iter().all(|address| !address.up) {
        because("shop", format!("no address is up: {}", site.shop));
    }
    let ready = reasons.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json(status, "application/json", &Readiness { ready, reasons })
}

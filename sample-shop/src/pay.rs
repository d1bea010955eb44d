//! `POST /pay/{route}/{sid}/{rid}`: the buyer pays. The shop takes the money only when the proxy has
//! confirmed the reservation: until then it may lapse, or be given up.

use crate::gate::Gate;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{COOKIE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;

/// The routes of the proxy that sell.
const ROUTES: [&str; 2] = ["seckill", "checkout"];

pub(crate) async fn pay(
    State(gate): State<Arc<Gate>>,
    Path((route, sid, rid)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    // It becomes a path that is asked for with the shop's key.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !ROUTES.contains(&route.as_str()) || !sid.bytes().chain(rid.bytes()).all(plain) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let path = format!("/{route}/{sid}/reservations/{rid}");

    // Only his own: a shop that knows its customers looks into its own orders instead.
    let Some(cookie) = headers.get(COOKIE) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let (status, body) = match gate.look(&path, cookie.clone()).await {
        Ok(answer) => answer,
        Err(_) => return later(),
    };
    let held: Value = serde_json::from_slice(&body).unwrap_or_default();
    match (status, held.get("status").and_then(Value::as_str)) {
        (StatusCode::OK, Some("confirmed")) => return paid(),
        (StatusCode::OK, Some("queued" | "ordered")) => {}
        (StatusCode::OK, _) => return (StatusCode::CONFLICT, Json(held)).into_response(),
        (status, _) if status.is_client_error() => return (status, Json(held)).into_response(),
        _ => return later(),
    }

    // Here a real shop has the bank reserve the money …
    match gate.confirm(&path).await {
        // … takes it …
        Ok((StatusCode::OK, _)) => paid(),
        // … or lets it go: the hold has lapsed meanwhile, and nothing was left.
        Ok((status, body)) if status.is_client_error() => {
            let why: Value = serde_json::from_slice(&body).unwrap_or_default();
            (StatusCode::CONFLICT, Json(why)).into_response()
        }
        // Perhaps it is confirmed. To say so again does no harm, and tells.
        _ => later(),
    }
}

fn paid() -> Response {
    Json(json!({ "status": "paid" })).into_response()
}

fn later() -> Response {
    let again = Json(json!({ "code": "unavailable" }));
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], again).into_response()
}

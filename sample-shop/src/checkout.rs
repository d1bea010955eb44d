//! The checkout of a route in mode `forward`: the proxy has granted a reservation, and the shop makes
//! an order of it.

use crate::buyer::now_s;
use crate::verify::Verifier;
use crate::{parameter, texts};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What this shop has sold.
#[derive(Clone, Default)]
pub(crate) struct Checkout {
    /// Who may say so. Without it anybody who reaches the shop is believed, as tests want it.
    pub(crate) verifier: Option<Arc<Verifier>>,
    /// How often each sale's reservation was checked out.
    orders: Arc<Mutex<BTreeMap<String, u64>>>,
}

/// `POST /seckill/{sid}`, `POST /checkout/{sid}`.
pub(crate) async fn checkout(
    State(shop): State<Checkout>,
    Path(sid): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let told = |name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
    let (Some(sale), Some(reservation)) = (told("seckill-sale"), told("seckill-reservation"))
    else {
        // Somebody came around the proxy.
        return (StatusCode::FORBIDDEN, "no reservation\n").into_response();
    };
    if let Some(verifier) = &shop.verifier {
        if !verifier.believes(&method, &uri, &headers, now_s()) {
            return (StatusCode::FORBIDDEN, "not the proxy's word\n").into_response();
        }
        shop.count(&sale, &reservation);
        // The same answer each time that the same reservation comes.
        let order = json!({
            "sid": sale,
            "rid": reservation,
            "qty": told("seckill-quantity"),
            "status": "ordered",
        });
        return (StatusCode::CREATED, Json(order)).into_response();
    }
    if let Some(delay_ms) = parameter(&uri, "delay_ms") {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    }
    let answer = parameter(&uri, "answer").and_then(|code| u16::try_from(code).ok());
    let status = answer.and_then(|code| StatusCode::from_u16(code).ok());
    let seen = shop.count(&sale, &reservation);
    let body = json!({
        "sid": sid,
        "sale": sale,
        "reservation": reservation,
        "user": headers.get("seckill-user").map(|v| String::from_utf8_lossy(v.as_bytes())),
        "quantity": told("seckill-quantity"),
        "seen": seen,
        "method": method.as_str(),
        "target": uri.to_string(),
        "told": texts(&headers, "seckill"),
    });
    (status.unwrap_or(StatusCode::CREATED), Json(body)).into_response()
}

/// `GET /orders`.
pub(crate) async fn orders(State(shop): State<Checkout>) -> Json<Value> {
    let orders = shop.orders.lock().unwrap_or_else(PoisonError::into_inner);
    Json(json!(*orders))
}

// === impl Checkout ===

impl Checkout {
    fn count(&self, sale: &str, reservation: &str) -> u64 {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = orders.entry(format!("{sale} {reservation}")).or_default();
        *seen = seen.saturating_add(1);
        *seen
    }
}

//! A shop of a few pages, to stand behind the proxy in the demo and in tests.
//!
//! * `GET /`: the product
//! * `POST /seckill/{sid}`, `POST /checkout/{sid}`: the checkout of a route in mode `forward`; answers what it was told, in
//!   `told` with everything that is needed to check a signature (`docs/verify.md`).
//!   `?answer=409` makes it answer that, `?delay_ms=500` makes it slow
//! * `GET /orders`: how often each reservation was checked out
//! * `GET /echo`, any method: the request as it arrived, to see what the proxy changes, and at which
//!   address, to see which of several shops was asked
//! * `GET /health`: 200, until `POST /health?answer=503` makes it answer that
//!
//! It checks nothing out without the proxy's word. A real shop would also answer a reservation that
//! comes again as it did the first time; this one counts instead.
#![forbid(unsafe_code)]

use anyhow::Context;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get, post};
use clap::Parser;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// After SIGTERM: how long requests under way may take to finish.
const GRACE: Duration = Duration::from_secs(3);

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>The sample shop</title>
<h1>One very good kettle</h1>
<p>Its flash sale is number 1001.</p>
<form method="post" action="/seckill/1001"><button>Buy</button></form>
</html>
"#;

/// A small shop.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
}

/// Checkouts seen, by sale and reservation.
type Orders = Arc<Mutex<BTreeMap<String, u64>>>;

/// What `GET /health` answers.
type Health = Arc<AtomicU16>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("--listen: cannot listen on {}", arguments.listen))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopping) = tokio::sync::watch::channel(());

    let shop = axum::Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/seckill/{sid}", post(checkout).get(product))
        .route("/checkout/{sid}", post(checkout))
        .route("/orders", get(orders))
        .with_state(Orders::default())
        .route("/echo", any(echo))
        .with_state(arguments.listen)
        .route("/health", get(health).post(change_health))
        .with_state(Health::new(StatusCode::OK.as_u16().into()));
    let mut closing = stopping.clone();
    let serve = axum::serve(listener, shop).with_graceful_shutdown(async move {
        // An error means that the sender is gone, which is as good a reason to stop.
        let _ = closing.changed().await;
    });
    let patience = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        drop(stop);
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = async { serve.await } => result.context("the shop stopped serving")?,
        () = patience => {}
    }
    Ok(())
}

async fn product(Path(sid): Path<String>) -> Html<String> {
    // A sid that the proxy lets through needs no escaping; others are not worth a page.
    if sid
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    {
        Html(format!(
            "<!doctype html><title>Sale</title><h1>Sale {sid}</h1>\n"
        ))
    } else {
        Html("<!doctype html><title>Sale</title><h1>No such sale</h1>\n".to_owned())
    }
}

async fn checkout(
    State(orders): State<Orders>,
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
    if let Some(delay_ms) = parameter(&uri, "delay_ms") {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    }
    let answer = parameter(&uri, "answer").and_then(|code| u16::try_from(code).ok());
    let status = answer.and_then(|code| StatusCode::from_u16(code).ok());
    let seen = {
        let mut orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = orders.entry(format!("{sale} {reservation}")).or_default();
        *seen = seen.saturating_add(1);
        *seen
    };
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

async fn orders(State(orders): State<Orders>) -> Json<Value> {
    Json(json!(
        *orders.lock().unwrap_or_else(PoisonError::into_inner)
    ))
}

async fn echo(
    State(address): State<SocketAddr>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Json<Value> {
    let headers = texts(&headers, "");
    Json(json!({
        "address": address.to_string(),
        "method": method.as_str(),
        "path": uri.to_string(),
        "headers": headers,
    }))
}

async fn health(State(health): State<Health>) -> StatusCode {
    StatusCode::from_u16(health.load(Ordering::Relaxed)).unwrap_or(StatusCode::OK)
}

async fn change_health(State(health): State<Health>, uri: Uri) {
    let answer = parameter(&uri, "answer").and_then(|code| u16::try_from(code).ok());
    health.store(answer.unwrap_or(200), Ordering::Relaxed);
}

/// The headers whose names begin so.
fn texts(headers: &HeaderMap, beginning: &str) -> Map<String, Value> {
    let names = headers.keys().filter(|n| n.as_str().starts_with(beginning));
    let texts = names.map(|name| {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        (name.to_string(), json!(values))
    });
    texts.collect()
}

/// The number after `name=` in the query.
fn parameter(uri: &Uri, name: &str) -> Option<u64> {
    uri.query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| value.parse().ok())
}

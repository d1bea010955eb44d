//! A shop of a few pages, to stand behind the proxy in the demo and in tests.
//!
//! * `GET /`: the ways to buy; `GET /seckill/{sid}`, `GET /checkout/{sid}`: the buyer's page, which
//!   buys from its own path
//! * `POST /seckill/{sid}`, `POST /checkout/{sid}`: the checkout of a route in mode `forward`
//! * `POST /pay/{route}/{sid}/{rid}`: the buyer pays, and the shop confirms it at the proxy
//! * `GET /orders`: how often each reservation was checked out
//! * `GET /echo`, any method: the request as it arrived, to see what the proxy changes, and at which
//!   address, to see which of several shops was asked
//! * `GET /health`: 200, until `POST /health?answer=503` makes it answer that
//!
//! With `--proxy` and `--keys` it is a shop as `docs/shop.md` explains it: it gives its visitors a
//! signed cookie, believes what the proxy has signed, and takes payments. Without them it is for
//! tests: anybody's word counts, a checkout answers what it was told, in `told` with everything that
//! is needed to check a signature, `?answer=409` makes it answer that, and `?delay_ms=500` makes it
//! slow.
//!
//! | file | idea |
//! | --- | --- |
//! | `pages.rs`, `page/` | the pages |
//! | `buyer.rs` | who buys: a signed cookie |
//! | `checkout.rs`, `verify.rs` | what the proxy has granted becomes an order |
//! | `pay.rs`, `gate.rs` | what is paid for is confirmed |
#![forbid(unsafe_code)]

mod buyer;
mod checkout;
mod gate;
mod pages;
mod pay;
mod verify;

use crate::buyer::Guests;
use crate::checkout::Checkout;
use crate::gate::Gate;
use crate::verify::Verifier;
use anyhow::{Context, Result, ensure};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::routing::{any, get, post};
use clap::Parser;
use serde_json::{Map, Value, json};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// After SIGTERM: how long requests under way may take to finish.
const GRACE: Duration = Duration::from_secs(3);

/// A small shop.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Where the proxy listens, to confirm there what is paid for
    #[arg(long, value_name = "HOST:PORT", requires = "keys")]
    proxy: Option<String>,
    /// The folder with the keys that it shares with the proxy: `buyer`, `signing` and `callback`
    #[arg(long, value_name = "FOLDER", requires = "proxy")]
    keys: Option<PathBuf>,
}

/// What `GET /health` answers.
type Health = Arc<AtomicU16>;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("--listen: cannot listen on {}", arguments.listen))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopping) = tokio::sync::watch::channel(());

    let shop = shop(&arguments)?;
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

fn shop(arguments: &Arguments) -> Result<axum::Router> {
    let mut checkout = Checkout::default();
    let mut guests = None;
    let mut pay = axum::Router::new();
    if let (Some(proxy), Some(keys)) = (&arguments.proxy, &arguments.keys) {
        guests = Some(Arc::new(Guests::new(key(keys, "buyer")?.as_bytes())));
        checkout.verifier = Some(Arc::new(Verifier::new(key(keys, "signing")?.as_bytes())));
        let gate = Gate::new(proxy, &key(keys, "callback")?)?;
        pay = axum::Router::new()
            .route("/pay/{route}/{sid}/{rid}", post(pay::pay))
            .with_state(Arc::new(gate));
    }
    Ok(axum::Router::new()
        .route("/", get(pages::front))
        .route("/page/{name}", get(pages::file))
        .route("/seckill/{sid}", get(pages::product))
        .route("/checkout/{sid}", get(pages::product))
        .with_state(guests)
        .route("/seckill/{sid}", post(checkout::checkout))
        .route("/checkout/{sid}", post(checkout::checkout))
        .route("/orders", get(checkout::orders))
        .with_state(checkout)
        .route("/echo", any(echo))
        .with_state(arguments.listen)
        .route("/health", get(health).post(change_health))
        .with_state(Health::new(StatusCode::OK.as_u16().into()))
        .merge(pay))
}

/// What stands in the file, without the line end.
fn key(folder: &Path, name: &str) -> Result<String> {
    let path = folder.join(name);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let text = text.trim_end();
    ensure!(
        text.len() >= 32,
        "{}: expected a key of at least 32 bytes",
        path.display()
    );
    Ok(text.to_owned())
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

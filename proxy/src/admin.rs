//! The proxy seen from outside, on an address of its own that is not for buyers.
//!
//! `health` says whether buyers should be sent here, `metrics` what was counted, `sales` what is
//! remembered, `levels` what is written into the log, and changes it.

mod health;
mod levels;
mod metrics;
mod sales;

use crate::counters::Counters;
use crate::gate::Gate;
use crate::log_level::LogLevel;
use crate::pauses::{Pauses, jittered};
use crate::site::Current;
use async_trait::async_trait;
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tracing::warn;

/// Between two attempts to listen: first, and at most.
const PAUSES: Pauses = Pauses::new(Duration::from_millis(100), Duration::from_secs(2));

/// What there is to be asked about, and where.
pub(crate) struct Admin {
    address: SocketAddr,
    parts: Arc<Parts>,
}

/// What there is to be asked about.
pub(crate) struct Parts {
    pub(crate) gate: Arc<Gate>,
    pub(crate) site: Current,
    pub(crate) counters: Arc<Counters>,
    pub(crate) log_level: LogLevel,
}

/// Everything that a page is made of.
#[derive(Clone)]
struct Asked {
    parts: Arc<Parts>,
    shutdown: ShutdownWatch,
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

// === impl Admin ===

impl Admin {
    /// Will answer on `address`.
    pub(crate) fn new(address: SocketAddr, parts: Parts) -> Self {
        if !address.ip().is_loopback() {
            warn!(
                %address,
                "admin.listen: others than this machine can connect there; nobody asks them who they are"
            );
        }
        Self {
            address,
            parts: Arc::new(parts),
        }
    }

    /// While a new process takes over, the old one may still be listening.
    async fn listen(&self) -> TcpListener {
        let mut pauses = PAUSES;
        loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => return listener,
                Err(error) => warn!("admin.listen: cannot listen on {}: {error}", self.address),
            }
            tokio::time::sleep(jittered(pauses.take())).await;
        }
    }
}

#[async_trait]
impl BackgroundService for Admin {
    /// Not until the shutdown, but until the end: whoever balances asks meanwhile, and is told.
    async fn start(&self, shutdown: ShutdownWatch) {
        let listener = self.listen().await;
        let pages = pages(Asked {
            parts: Arc::clone(&self.parts),
            shutdown,
        });
        let service = pages.into_make_service_with_connect_info::<SocketAddr>();
        if let Err(error) = axum::serve(listener, service).await {
            warn!("admin.listen: {error}");
        }
    }
}

fn pages(asked: Asked) -> Router {
    Router::new()
        .route("/livez", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::page))
        .route("/sales", get(sales::page))
        .route("/loglevel", get(levels::show).put(levels::change))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "No such page", None) })
        .method_not_allowed_fallback(|| async {
            problem(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", None)
        })
        .with_state(asked)
}

/// A page that is true for a moment.
fn page(status: StatusCode, content_type: &'static str, body: impl Into<Vec<u8>>) -> Response {
    let headers = [(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-store")];
    (status, headers, body.into()).into_response()
}

fn json(status: StatusCode, content_type: &'static str, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => page(status, content_type, body),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn problem(status: StatusCode, title: &str, detail: Option<&str>) -> Response {
    let body = Problem {
        r#type: "about:blank",
        title,
        status: status.as_u16(),
        detail,
    };
    json(status, "application/problem+json", &body)
}

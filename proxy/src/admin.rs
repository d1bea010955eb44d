//! The proxy seen from outside, on an address of its own that is not for buyers.
//!
//! `health` says whether buyers should be sent here, `metrics` what was counted, `sales` what is
//! remembered, `levels` what is written into the log, and changes it.

mod health;
mod levels;
mod metrics;
mod sales;

use crate::closing::Closing;
use crate::counters::Counters;
use crate::gate::Gate;
use crate::log_level::LogLevel;
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
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use tracing::warn;

/// What there is to be asked about, and where.
pub(crate) struct Admin {
    listener: TcpListener,
    parts: Arc<Parts>,
}

/// What there is to be asked about.
pub(crate) struct Parts {
    pub(crate) gate: Arc<Gate>,
    pub(crate) site: Current,
    pub(crate) counters: Arc<Counters>,
    pub(crate) log_level: LogLevel,
    pub(crate) closing: Arc<Closing>,
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
    /// Will answer whoever connects to `listener`.
    ///
    /// # Errors
    /// The socket has no address.
    pub(crate) fn new(listener: TcpListener, parts: Parts) -> io::Result<Self> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            warn!(
                %address,
                "admin.listen: others than this machine can connect there; nobody asks them who they are"
            );
        }
        Ok(Self {
            listener,
            parts: Arc::new(parts),
        })
    }
}

#[async_trait]
impl BackgroundService for Admin {
    /// Not until the shutdown, but until the end: whoever balances asks meanwhile, and is told. If
    /// another process serves, it answers from then on.
    async fn start(&self, _: ShutdownWatch) {
        let closing = Arc::clone(&self.parts.closing);
        let pages = pages(Asked {
            parts: Arc::clone(&self.parts),
            shutdown: closing.watch(),
        });
        let service = pages.into_make_service_with_connect_info::<SocketAddr>();
        let served = async {
            let listener = tokio::net::TcpListener::from_std(self.listener.try_clone()?)?;
            axum::serve(listener, service)
                .with_graceful_shutdown(async move { closing.replaced().await })
                .await
        };
        if let Err(error) = served.await {
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

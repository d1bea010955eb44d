//! The worker seen from outside, on an address of its own.
//!
//! `health` says whether it does its work, `metrics` what was counted, `levels` what is written into
//! the log, and changes it. The dashboard is served at the same address.

mod health;
mod levels;
mod metrics;

use crate::dashboard::{self, Dashboard};
use crate::figures::Figures;
use crate::log::LogLevel;
use crate::standing::Standing;
use anyhow::Context;
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tracing::warn;

/// Everything that a page is made of.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) figures: Arc<Figures>,
    pub(crate) standing: Arc<Standing>,
    pub(crate) level: LogLevel,
    /// Whether there is a broker to stand well with.
    pub(crate) has_broker: bool,
    /// `None`: nobody may see it.
    pub(crate) dashboard: Option<Arc<Dashboard>>,
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
    /// Answers whoever connects, from when this returns until the program ends.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub(crate) async fn serve(self, address: SocketAddr) -> anyhow::Result<()> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("admin.listen: cannot listen on {address}"))?;
        if !address.ip().is_loopback() {
            warn!(
                %address,
                "admin.listen: others than this machine can connect there; nobody asks them who they are, \
                 and what they send to the dashboard is not encrypted"
            );
        }
        let service = pages(self).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, service).await {
                warn!("admin.listen: {error}");
            }
        });
        Ok(())
    }
}

fn pages(admin: Admin) -> Router {
    let dashboard = dashboard::pages(admin.dashboard.clone());
    Router::new()
        .route("/livez", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::show))
        .route("/loglevel", get(levels::show).put(levels::change))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "No such page", None) })
        .method_not_allowed_fallback(|| async {
            problem(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", None)
        })
        .with_state(admin)
        .merge(dashboard)
}

/// A page that is true for a moment.
fn page(status: StatusCode, content_type: &'static str, body: impl Into<Vec<u8>>) -> Response {
    let headers = [(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-store")];
    (status, headers, body.into()).into_response()
}

/// An answer of this kind in JSON.
pub(crate) fn json(
    status: StatusCode,
    content_type: &'static str,
    body: &impl Serialize,
) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => page(status, content_type, body),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Why there is no answer.
pub(crate) fn problem(status: StatusCode, title: &str, detail: Option<&str>) -> Response {
    let body = Problem {
        r#type: "about:blank",
        title,
        status: status.as_u16(),
        detail,
    };
    json(status, "application/problem+json", &body)
}

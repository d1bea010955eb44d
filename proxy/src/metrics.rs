//! What this proxy has counted, for Prometheus: `GET /metrics` on an address of its own.

use crate::gate::Gate;
use crate::shadow::Shadows;
use async_trait::async_trait;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");

/// Buys that went to the shop without a reservation because Redis did not decide.
#[derive(Debug, Default)]
pub(crate) struct Unreserved(AtomicU64);

/// Answers with all counters.
pub(crate) struct Metrics {
    gate: Arc<Gate>,
    unreserved: Arc<Unreserved>,
    shadows: Arc<Shadows>,
}

// === impl Unreserved ===

impl Unreserved {
    /// One more.
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

// === impl Metrics ===

impl Metrics {
    /// Shows the counters of these.
    pub(crate) const fn new(
        gate: Arc<Gate>,
        unreserved: Arc<Unreserved>,
        shadows: Arc<Shadows>,
    ) -> Self {
        Self {
            gate,
            unreserved,
            shadows,
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut counter = |name: &str, help: &str, lines: &[(String, u64)]| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
            for (labels, value) in lines {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let mut rejections = Vec::new();
        self.gate.sales().each(|sid, sale| {
            for (verdict, count) in sale.turned_away.counts() {
                if count > 0 {
                    let labels = format!("{{sale=\"{sid}\",verdict=\"{verdict}\"}}");
                    rejections.push((labels, count));
                }
            }
        });
        counter(
            "seckill_proxy_edge_rejections_total",
            "Buyers turned away without asking Redis.",
            &rejections,
        );
        counter(
            "seckill_proxy_overloaded_total",
            "Buyers told to come again because too many others were waiting for Redis.",
            &[(String::new(), self.gate.overloaded())],
        );
        counter(
            "seckill_proxy_unreserved_total",
            "Buys forwarded to the shop without a reservation.",
            &[(String::new(), self.unreserved.0.load(Ordering::Relaxed))],
        );
        let shadows = self.shadows.counts().into_iter();
        let shadows = shadows.map(|(code, count)| (format!("{{code=\"{code}\"}}"), count));
        counter(
            "seckill_proxy_shadow_total",
            "What would have become of the buys of shadow routes.",
            &shadows.collect::<Vec<_>>(),
        );
        text
    }
}

#[async_trait]
impl ServeHttp for Metrics {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let head = session.req_header();
        let is_ours = head.method == Method::GET && head.uri.path() == "/metrics";
        let mut response = Response::new(Vec::new());
        if is_ours {
            *response.body_mut() = self.text().into_bytes();
            response.headers_mut().insert(CONTENT_TYPE, TEXT);
        } else {
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
        let length = HeaderValue::from(response.body().len());
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_LENGTH, length);
        response
    }
}

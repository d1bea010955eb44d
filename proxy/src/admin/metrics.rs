//! What was counted, for Prometheus.

use crate::admin::{self, Asked};
use crate::counters::Counters;
use crate::gate::Gate;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use prometheus::TextEncoder;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All counters, and how it stands at this moment.
pub(super) async fn page(State(asked): State<Asked>) -> Response {
    let counters = &asked.parts.counters;
    look(&asked.parts.gate, counters);
    match TextEncoder::new().encode_to_string(&counters.registry().gather()) {
        Ok(text) => admin::page(StatusCode::OK, TEXT, text),
        Err(error) => admin::problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Internal error",
            Some(&error.to_string()),
        ),
    }
}

/// What nobody counts, because it is known at any time.
fn look(gate: &Gate, counters: &Counters) {
    counters
        .breaker_open
        .set(gate.servers().is_open_somewhere().into());
    counters.news_up.set((gate.news().life() != 0).into());
    let waiting = i64::try_from(gate.waiting()).unwrap_or(i64::MAX);
    counters.questions_waiting.set(waiting);
}

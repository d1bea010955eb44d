//! What was counted, for Prometheus.

use super::{Admin, page, problem};
use crate::standing::Need;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use prometheus::TextEncoder;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All counters, and how it stands at this moment.
pub(super) async fn show(State(admin): State<Admin>) -> Response {
    look(&admin);
    match TextEncoder::new().encode_to_string(&admin.figures.gather()) {
        Ok(text) => page(StatusCode::OK, TEXT, text),
        Err(error) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Internal error",
            Some(&error.to_string()),
        ),
    }
}

/// What nobody counts, because it is known at any time.
fn look(admin: &Admin) {
    let missing = admin.standing.missing();
    for server in Need::SERVERS {
        if server != Need::Kafka || admin.has_broker {
            let is_up = !missing.contains_key(&server);
            let gauge = admin.figures.up.with_label_values(&[server.word()]);
            gauge.set(is_up.into());
        }
    }
}

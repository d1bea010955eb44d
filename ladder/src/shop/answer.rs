//! What a buyer is told.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::io::Write;

/// What becomes of a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// There is an order of this number.
    Ordered(u64),
    /// There will be an order.
    Queued,
    /// Nothing is left.
    SoldOut,
    /// Somebody else was faster; there may be something left.
    Conflict,
    /// Too many ask at once.
    Limited,
    /// Nothing of this number is sold here.
    Unknown,
}

/// A purchase that ended in an error of the shop's own.
pub(crate) struct Failure(anyhow::Error);

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let refused = |status: StatusCode, code| (status, Json(json!({ "code": code })));
        match self {
            Self::Ordered(order) => {
                (StatusCode::CREATED, Json(json!({ "order": order }))).into_response()
            }
            Self::Queued => {
                (StatusCode::ACCEPTED, Json(json!({ "status": "queued" }))).into_response()
            }
            Self::SoldOut => refused(StatusCode::GONE, "sold_out").into_response(),
            Self::Conflict => refused(StatusCode::CONFLICT, "conflict").into_response(),
            Self::Limited => refused(StatusCode::TOO_MANY_REQUESTS, "limited").into_response(),
            Self::Unknown => refused(StatusCode::NOT_FOUND, "unknown").into_response(),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        // The log is all that can be told, and a log that is gone is no reason to stop selling.
        drop(writeln!(std::io::stderr(), "purchase failed: {:#}", self.0));
        let body = Json(json!({ "code": "internal" }));
        (StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
    }
}

//! Questions and answers in JSON.

use crate::admin::{json, problem};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What was asked with. Only JSON that says so: a form of a foreign page cannot.
pub(super) struct Question<T>(pub(super) T);

// === impl Question ===

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Question<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let kind = request.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.split(';').next().map(str::trim) != Some("application/json") {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            let detail = "Expected content-type: application/json.";
            return Err(problem(status, "Not JSON", Some(detail)));
        }
        let body = axum::body::Bytes::from_request(request, state).await;
        let body = body.map_err(|error| {
            let detail = error.body_text();
            problem(error.status(), "Unreadable question", Some(&detail))
        })?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| bad_question(&error.to_string()))
    }
}

/// An answer.
pub(super) fn answer(body: &impl Serialize) -> Response {
    json(StatusCode::OK, "application/json", body)
}

/// A question that cannot be meant.
pub(super) fn bad_question(detail: &str) -> Response {
    problem(StatusCode::BAD_REQUEST, "Bad question", Some(detail))
}

/// A server that is needed does not answer.
pub(super) fn away(detail: &str) -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "No answer", Some(detail))
}

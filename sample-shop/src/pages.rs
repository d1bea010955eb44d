//! The pages, and what a browser may do with them.

use crate::buyer::Guests;
use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use std::sync::Arc;

/// The page's own files and questions to where it came from; nobody frames it, so that nobody's click
/// is caught for a purchase.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'";

const FRONT: &str = include_str!("page/front.html");
const PRODUCT: &str = include_str!("page/page.html");

/// What the pages consist of besides.
const FILES: [(&str, &str, &str); 3] = [
    ("page.css", "text/css", include_str!("page/page.css")),
    ("words.js", "text/javascript", include_str!("page/words.js")),
    ("buy.js", "text/javascript", include_str!("page/buy.js")),
];

/// `GET /`: the ways to buy.
pub(crate) async fn front() -> Response {
    secure(Html(FRONT).into_response())
}

/// `GET /seckill/{sid}`, `GET /checkout/{sid}`: the buyer's page. It buys from its own path. Whoever
/// comes without a name gets one.
pub(crate) async fn product(
    State(guests): State<Option<Arc<Guests>>>,
    Path(sid): Path<String>,
    headers: HeaderMap,
) -> Response {
    // A sid that the proxy lets through needs no escaping; others are not worth a page.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !sid.bytes().all(plain) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let mut response = secure(Html(PRODUCT.replace("{sid}", &sid)).into_response());
    let cookie = guests.and_then(|guests| guests.welcome(&headers));
    if let Some(Ok(cookie)) = cookie.map(HeaderValue::try_from) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// `GET /page/{name}`.
pub(crate) async fn file(Path(name): Path<String>) -> Response {
    let found = FILES.iter().find(|(known, ..)| *known == name);
    match found {
        Some((_, kind, text)) => {
            let kind = format!("{kind}; charset=utf-8");
            secure(([(CONTENT_TYPE, kind)], *text).into_response())
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn secure(mut response: Response) -> Response {
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        // The page comes with a buyer's cookie.
        (CACHE_CONTROL, "no-store"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

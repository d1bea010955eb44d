//! Who asks: somebody who is logged in, and where something changes, from the page itself.

use super::Dashboard;
use crate::admin::problem;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use std::net::SocketAddr;
use std::sync::Arc;

/// What the page sends with whatever changes something; a foreign page cannot.
const MARK: &str = "seckill-dashboard";

/// Somebody who is logged in.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    /// As he calls himself.
    pub(super) name: String,
    /// The address that connected.
    pub(super) peer: String,
}

/// The question comes from the dashboard's own page.
pub(super) struct Page;

// === impl Visitor ===

impl FromRequestParts<Arc<Dashboard>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        dashboard: &Arc<Dashboard>,
    ) -> Result<Self, Response> {
        let Some(name) = dashboard.logins.name(&parts.headers) else {
            let detail = "Log in with the token of admin.token.";
            return Err(problem(
                StatusCode::UNAUTHORIZED,
                "Not logged in",
                Some(detail),
            ));
        };
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map(|ConnectInfo(peer)| peer.ip().to_canonical().to_string());
        Ok(Self {
            name,
            peer: peer.unwrap_or_default(),
        })
    }
}

// === impl Page ===

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        is_ours(&parts.headers).then_some(Self).ok_or_else(|| {
            let detail = "Only the dashboard's own page may ask for this.";
            problem(StatusCode::FORBIDDEN, "Not from here", Some(detail))
        })
    }
}

/// Besides the cookie, which no browser sends for another site: the header that only our page sets,
/// and what the browser says of where the question comes from, if it does.
fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().ok());
    let host = text(HOST.as_str()).flatten();
    let from_us = match text(ORIGIN.as_str()) {
        None => true,
        Some(origin) => {
            let place = origin.and_then(|origin| origin.split_once("://"));
            place.is_some_and(|(_, place)| Some(place) == host)
        }
    };
    let site = text("sec-fetch-site");
    headers.contains_key(MARK) && from_us && matches!(site, None | Some(Some("same-origin")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    #[test]
    fn a_foreign_page_changes_nothing() {
        let ours = |more: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("shop:9102"));
            for &(name, value) in more {
                let value = HeaderValue::from_static(value);
                headers.insert(HeaderName::from_static(name), value);
            }
            is_ours(&headers)
        };
        let mark = (MARK, "1");
        assert!(ours(&[mark]));
        assert!(ours(&[
            mark,
            ("origin", "http://shop:9102"),
            ("sec-fetch-site", "same-origin")
        ]));
        for foreign in [
            &[][..],
            &[("origin", "http://shop:9102")],
            &[mark, ("origin", "http://shop:9103")],
            &[mark, ("origin", "null")],
            &[mark, ("sec-fetch-site", "same-site")],
            &[mark, ("sec-fetch-site", "none")],
        ] {
            assert!(!ours(foreign), "{foreign:?}");
        }
    }
}

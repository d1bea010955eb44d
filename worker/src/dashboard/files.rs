//! The page itself. It holds no figures: whoever cannot log in may see it.

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Each file: where it is, what it is, and its text.
macro_rules! files {
    ($($path:literal $kind:ident $file:literal,)*) => {
        [$(($path, $kind, include_str!(concat!("assets/", $file)))),*]
    };
}

const FILES: [(&str, &str, &str); 13] = files![
    "/" HTML "index.html",
    "/style.css" CSS "style.css",
    "/icon.svg" SVG "icon.svg",
    "/main.js" SCRIPT "main.js",
    "/ask.js" SCRIPT "ask.js",
    "/dom.js" SCRIPT "dom.js",
    "/words.js" SCRIPT "words.js",
    "/chart.js" SCRIPT "chart.js",
    "/overview.js" SCRIPT "overview.js",
    "/sale.js" SCRIPT "sale.js",
    "/search.js" SCRIPT "search.js",
    "/act.js" SCRIPT "act.js",
    "/audit.js" SCRIPT "audit.js",
];

/// Where they are.
pub(super) fn routes() -> Router {
    let add = |routes: Router, (path, kind, text)| {
        routes.route(path, get(move || std::future::ready(file(kind, text))))
    };
    FILES.into_iter().fold(Router::new(), add)
}

fn file(kind: &'static str, text: &'static str) -> Response {
    (StatusCode::OK, [(CONTENT_TYPE, kind)], text).into_response()
}

//! The log's level, which can be changed while the program runs.

use super::{Admin, page, problem};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::Response;
use std::net::{IpAddr, SocketAddr};

/// The longest text that anybody needs.
const BYTES_MAX: usize = 4096;

/// What is written.
pub(super) async fn show(State(admin): State<Admin>) -> Response {
    text(&admin)
}

/// Writes something else from now on. Only this machine may say so, whoever can connect: the log of a
/// busy worker at `trace` fills a disk.
pub(super) async fn change(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    if !is_this_machine(peer.ip()) {
        let detail = "The level can be changed from this machine only.";
        return problem(StatusCode::FORBIDDEN, "Not from here", Some(detail));
    }
    let body = body.ok().filter(|body| body.len() <= BYTES_MAX);
    let Some(text_sent) = body.as_deref().and_then(|b| std::str::from_utf8(b).ok()) else {
        let detail = "Expected at most 4096 bytes of text.";
        return problem(StatusCode::BAD_REQUEST, "Bad level", Some(detail));
    };
    match admin.level.set(text_sent) {
        Ok(()) => text(&admin),
        Err(bad) => {
            let detail = bad.to_string();
            problem(StatusCode::BAD_REQUEST, "Bad level", Some(&detail))
        }
    }
}

/// An IPv4 address can come in IPv6's clothes.
const fn is_this_machine(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}

fn text(admin: &Admin) -> Response {
    let mut level = admin.level.current();
    level.push('\n');
    page(StatusCode::OK, "text/plain", level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_may_change_the_level() {
        for (peer, may) in [
            ("127.0.0.1", true),
            ("127.8.8.8", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("10.0.0.1", false),
            ("::ffff:10.0.0.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_this_machine(peer.parse().unwrap()), may, "{peer}");
        }
    }
}

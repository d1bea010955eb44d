//! How the proxies are, and whom they turn away without asking the module.

use super::counts::Counts;
use axum::body::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::handshake;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a proxy may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// More than it says of ten thousand sales.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Those of `[admin] proxies`.
pub(super) struct Proxies(Vec<String>);

/// One of them.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Proxy {
    /// Its admin address.
    address: String,
    up: bool,
    /// Why no buyer should be sent to it.
    reason: Option<String>,
    /// Those that it turned away by itself, by sale.
    #[serde(skip)]
    turned_away: BTreeMap<String, Counts>,
}

/// Its `/readyz`.
#[derive(Deserialize)]
struct Readiness {
    reasons: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    code: String,
    detail: String,
}

/// Its `/sales`.
#[derive(Deserialize)]
struct Sales {
    sales: Vec<Sale>,
}

#[derive(Deserialize)]
struct Sale {
    sid: String,
    rejections: BTreeMap<String, u64>,
}

// === impl Proxies ===

impl Proxies {
    pub(super) fn new(addresses: &[String]) -> Self {
        Self(addresses.to_vec())
    }

    /// Asks all of them.
    pub(super) async fn look(&self) -> Vec<Proxy> {
        join_all(self.0.iter().map(|address| Proxy::look(address))).await
    }
}

// === impl Proxy ===

impl Proxy {
    async fn look(address: &str) -> Self {
        let asked = timeout(PATIENCE, ask(address)).await;
        let asked = asked.unwrap_or_else(|_| Err(format!("no answer for {PATIENCE:?}")));
        let (turned_away, reason) = match asked {
            Ok((turned_away, reason)) => (turned_away, reason),
            Err(reason) => (BTreeMap::new(), Some(reason)),
        };
        Self {
            address: address.to_owned(),
            up: reason.is_none(),
            reason,
            turned_away,
        }
    }

    pub(super) fn turned_away(&self, sid: &str) -> Option<&Counts> {
        self.turned_away.get(sid)
    }
}

/// Whom it turned away, and why it is not ready.
async fn ask(address: &str) -> Result<(BTreeMap<String, Counts>, Option<String>), String> {
    let (_, sales) = get(address, "/sales").await?;
    let sales: Sales = read(&sales)?;
    let (status, readiness) = get(address, "/readyz").await?;
    let readiness: Readiness = read(&readiness)?;
    let reasons = readiness.reasons.iter();
    let reasons: Vec<String> = reasons
        .map(|reason| format!("{}: {}", reason.code, reason.detail))
        .collect();
    let turned_away = sales.sales.into_iter();
    let turned_away = turned_away.map(|sale| (sale.sid, Counts::of_proxy(&sale.rejections)));
    let reason = (status != StatusCode::OK).then(|| reasons.join("; "));
    Ok((turned_away.collect(), reason))
}

fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, String> {
    serde_json::from_slice(body)
        .map_err(|error| format!("it does not answer as the [admin] listen of a proxy: {error}"))
}

async fn get(address: &str, path: &str) -> Result<(StatusCode, Bytes), String> {
    let said = |error: &dyn std::error::Error| error.to_string();
    let stream = TcpStream::connect(address).await.map_err(|e| said(&e))?;
    let (mut sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|e| said(&e))?;
    let connection = tokio::spawn(connection);
    let request = Request::get(path).header(HOST, address);
    let request = request.body(Empty::<Bytes>::new()).map_err(|e| said(&e))?;
    let answer = sender.send_request(request).await.map_err(|e| said(&e))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
    let body = body.collect().await.map_err(|error| error.to_string())?;
    connection.abort();
    Ok((status, body.to_bytes()))
}

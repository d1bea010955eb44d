//! Asks a proxy one thing, as a browser or a shop would.

use anyhow::{Context, Result};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST};
use http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A question to a proxy.
pub(crate) struct Question {
    pub(crate) method: Method,
    /// With the query.
    pub(crate) path: String,
    pub(crate) speaker: Speaker,
    pub(crate) idempotency_key: Option<String>,
}

/// Who asks.
#[derive(Clone)]
pub(crate) enum Speaker {
    /// A buyer, by his uid.
    Buyer(String),
    /// The shop, by its key.
    Shop(String),
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Body,
}

/// The fields that matter of every JSON that a proxy sends.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Body {
    /// Of a reservation.
    #[serde(default)]
    pub(crate) rid: Option<String>,
    /// Of a reservation, as the sample shop spells it.
    #[serde(default)]
    pub(crate) reservation: Option<String>,
    /// Of a problem.
    #[serde(default)]
    pub(crate) code: Option<String>,
}

impl Question {
    /// Asks over a new connection, and waits this long at most.
    ///
    /// # Errors
    /// In all cases in which nobody knows whether it was heard.
    pub(crate) async fn ask(self, address: &str, patience: Duration) -> Result<Reply> {
        let asked = timeout(patience, self.exchange(address)).await;
        asked.context("no answer in time")?
    }

    async fn exchange(self, address: &str) -> Result<Reply> {
        let stream = TcpStream::connect(address).await.context("no connection")?;
        stream.set_nodelay(true)?;
        let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        // Its error reaches us through `sender`.
        let driver = tokio::spawn(async move { drop(driver.await) });
        let answered = async {
            let response = sender.send_request(self.request(address)?).await?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await?.to_bytes();
            let body = serde_json::from_slice(&body).unwrap_or_default();
            anyhow::Ok(Reply { status, body })
        };
        // Also where the question is given up: then the connection ends under the proxy.
        let _hang_up = HangUp(driver.abort_handle());
        answered.await
    }

    fn request(&self, address: &str) -> Result<Request<Empty<Bytes>>> {
        let mut request = Request::builder()
            .method(&self.method)
            .uri(&self.path)
            .header(HOST, address)
            .header(CONTENT_LENGTH, 0);
        request = match &self.speaker {
            Speaker::Buyer(uid) => request.header("X-User-Id", uid),
            Speaker::Shop(key) => request.header(AUTHORIZATION, format!("Bearer {key}")),
        };
        if let Some(key) = &self.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        Ok(request.body(Empty::new())?)
    }
}

struct HangUp(tokio::task::AbortHandle);

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.abort();
    }
}

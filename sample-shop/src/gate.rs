//! Asks the proxy, as a shop does: whose a reservation is, and that it is paid for.

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::http::header::{AUTHORIZATION, COOKIE, HOST};
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// More than the proxy says of a reservation.
const ANSWER_BYTES_MAX: usize = 65_536;

/// The proxy.
pub(crate) struct Gate {
    /// Where it listens, `host:port`.
    address: String,
    /// What it believes the shop by: `Bearer` and a key of `[shop.callback]`.
    authorization: HeaderValue,
}

// === impl Gate ===

impl Gate {
    /// # Errors
    /// The key is not what a header can have in it.
    pub(crate) fn new(address: &str, key: &str) -> Result<Self> {
        let mut authorization = HeaderValue::try_from(format!("Bearer {key}"))
            .context("the callback key has to be visible ASCII")?;
        authorization.set_sensitive(true);
        Ok(Self {
            address: address.to_owned(),
            authorization,
        })
    }

    /// What the buyer who sends this cookie sees of the reservation; 404 if it is not his.
    pub(crate) async fn look(
        &self,
        path: &str,
        cookie: HeaderValue,
    ) -> Result<(StatusCode, Bytes)> {
        self.ask(Method::GET, path, (COOKIE, cookie)).await
    }

    /// It is paid for.
    pub(crate) async fn confirm(&self, path: &str) -> Result<(StatusCode, Bytes)> {
        let proof = (AUTHORIZATION, self.authorization.clone());
        self.ask(Method::POST, &format!("{path}/confirm"), proof)
            .await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        (name, proof): (HeaderName, HeaderValue),
    ) -> Result<(StatusCode, Bytes)> {
        let asked = async {
            let stream = TcpStream::connect(&self.address).await?;
            let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
            // It ends with the answer, or with the error that the question ends with.
            let connection = tokio::spawn(connection);
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header(HOST, &self.address)
                .header(name, proof)
                .body(Empty::<Bytes>::new())?;
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
            let body = body.collect().await.map_err(anyhow::Error::from_boxed)?;
            connection.abort();
            anyhow::Ok((status, body.to_bytes()))
        };
        timeout(PATIENCE, asked).await?
    }
}

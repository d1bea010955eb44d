//! One keep-alive connection of one buyer.

use crate::answer::{Answer, Silence};
use bytes::Bytes;
use http::uri::Authority;
use http::{Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A buy has no body.
pub(crate) type Question = Request<Empty<Bytes>>;

/// One keep-alive connection. It is used for one question after the other, and dropped with the
/// first that gets no answer: an answer that comes late must not be taken for the next one's.
pub(crate) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    /// When to ask again, as the last answer said it.
    retry_after: Option<Duration>,
}

// === impl Connection ===

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        // Its error reaches the buyer through `sender`.
        tokio::spawn(async move { drop(driver.await) });
        Ok(Self {
            sender,
            retry_after: None,
        })
    }

    /// Whether the other side has kept it open since the last answer.
    pub(crate) fn is_usable(&self) -> bool {
        !self.sender.is_closed()
    }

    pub(crate) async fn ask(
        &mut self,
        question: Question,
        patience: Duration,
    ) -> Result<Answer, Silence> {
        timeout(patience, self.exchange(question))
            .await
            .unwrap_or(Err(Silence::Timeout))
    }

    /// When to ask again, as the last answer said it.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The body of a page.
    pub(crate) async fn get(mut self, authority: &Authority, path: &str) -> io::Result<String> {
        let request = Request::get(path)
            .header(header::HOST, authority.as_str())
            .body(Empty::new())
            .map_err(io::Error::other)?;
        let response = self.sender.send_request(request).await;
        let response = response.map_err(io::Error::other)?;
        if !response.status().is_success() {
            return Err(io::Error::other(response.status().to_string()));
        }
        let body = response.into_body().collect().await;
        let body = body.map_err(io::Error::other)?.to_bytes();
        String::from_utf8(body.into()).map_err(io::Error::other)
    }

    async fn exchange(&mut self, question: Question) -> Result<Answer, Silence> {
        self.sender.ready().await.map_err(|_| Silence::Broken)?;
        let response = self
            .sender
            .send_request(question)
            .await
            .map_err(|_| Silence::Broken)?;
        let status = response.status();
        let seconds = response.headers().get(header::RETRY_AFTER);
        let seconds = seconds.and_then(|value| value.to_str().ok()?.parse().ok());
        self.retry_after = seconds.map(Duration::from_secs);
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|_| Silence::Broken)?
            .to_bytes();
        Answer::read(status, &body)
    }
}

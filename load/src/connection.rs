//! One keep-alive connection of one buyer.

use crate::answer::{Answer, Silence};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
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
}

// === impl Connection ===

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(std::io::Error::other)?;
        // Its error reaches the buyer through `sender`.
        tokio::spawn(async move { drop(driver.await) });
        Ok(Self { sender })
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

    async fn exchange(&mut self, question: Question) -> Result<Answer, Silence> {
        self.sender.ready().await.map_err(|_| Silence::Broken)?;
        let response = self
            .sender
            .send_request(question)
            .await
            .map_err(|_| Silence::Broken)?;
        let status = response.status();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|_| Silence::Broken)?
            .to_bytes();
        Answer::read(status, &body)
    }
}

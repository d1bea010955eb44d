//! One keep-alive connection: one question, one answer, without a library's cost between them.

use super::answer::{self, Told};
use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    /// The question without the buyer's number.
    head: Vec<u8>,
    question: Vec<u8>,
    said: Vec<u8>,
}

// === impl Connection ===

impl Connection {
    pub(crate) async fn open(address: &str, path: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.with_context(|| format!("cannot reach {address}"))?;
        stream.set_nodelay(true)?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nX-User-Id: buyer-"
        );
        Ok(Self {
            stream,
            head: head.into_bytes(),
            question: Vec::new(),
            said: Vec::new(),
        })
    }

    /// Asks for a unit for buyer number `buyer`.
    pub(crate) async fn ask(&mut self, buyer: u64) -> Result<Told> {
        self.question.clear();
        self.question.extend_from_slice(&self.head);
        self.question
            .extend_from_slice(buyer.to_string().as_bytes());
        self.question.extend_from_slice(b"\r\n\r\n");
        self.stream.write_all(&self.question).await?;
        self.said.clear();
        loop {
            let read = self.stream.read_buf(&mut self.said).await?;
            ensure!(read > 0, "the connection was closed");
            if let Some(told) = answer::read(&self.said)? {
                answer::nothing_behind(&self.said, told.end)?;
                return Ok(told);
            }
        }
    }
}

//! Asks a part of ours how it is.

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The JSON at a path.
pub(crate) async fn get<T: DeserializeOwned>(address: &str, path: &str) -> Result<T> {
    let mut stream = TcpStream::connect(address).await?;
    let question = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).await?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await?;
    ensure!(said.starts_with("HTTP/1.1 200"), "{address}{path}: {said}");
    let (_, body) = said.split_once("\r\n\r\n").context("no body")?;
    serde_json::from_str(body).with_context(|| format!("{address}{path}: {body}"))
}

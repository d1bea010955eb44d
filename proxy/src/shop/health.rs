//! The check of an address: `GET` a path, and be answered 2xx or 3xx in time.

use crate::config::{Mistakes, milliseconds, within};
use http::HeaderValue;
use http::header::{CONNECTION, HOST, USER_AGENT};
use pingora_core::connectors::http::v1::Connector;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, Result};
use pingora_http::RequestHeader;
use serde::Deserialize;
use std::time::Duration;

const EVERY_MS: u64 = 2_000;
const TIMEOUT_MS: u64 = 1_000;
const FALL: u32 = 3;
const RISE: u32 = 2;

/// How often it can be checked, and how seldom.
const EVERY_MS_MIN: u64 = 100;
const EVERY_MS_MAX: u64 = 3_600_000;
const COUNT_MAX: u32 = 100;

/// `[shop.health]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HealthTable {
    path: String,
    host: Option<String>,
    every_ms: Option<u64>,
    timeout_ms: Option<u64>,
    fall: Option<u32>,
    rise: Option<u32>,
}

/// How the shop's addresses are checked.
#[derive(Debug)]
pub(super) struct Health {
    pub(super) path: String,
    /// What the shop is called, if not by its address.
    pub(super) host: Option<HeaderValue>,
    pub(super) every: Duration,
    pub(super) timeout: Duration,
    /// After how many failures in a row it is down.
    pub(super) fall: u32,
    /// After how many successes in a row it is up again.
    pub(super) rise: u32,
}

// === impl Health ===

impl Health {
    /// Checks the table.
    pub(super) fn new(table: &HealthTable, mistakes: &mut Mistakes) -> Option<Self> {
        let path = mistakes.note(path(&table.path));
        let host = table.host.as_deref().map(host).transpose();
        let host = mistakes.note(host);
        let every_ms = table.every_ms.unwrap_or(EVERY_MS);
        let every = milliseconds(
            "shop.health.every_ms",
            every_ms,
            EVERY_MS_MIN..=EVERY_MS_MAX,
        );
        let timeout_ms = table.timeout_ms.unwrap_or(TIMEOUT_MS.min(every_ms));
        // One is over before the next begins.
        let timeout = milliseconds("shop.health.timeout_ms", timeout_ms, 1..=every_ms.max(1));
        let (every, timeout) = (mistakes.note(every), mistakes.note(timeout));
        let mut count = |key: &str, number: u32| {
            let count = within(
                &format!("shop.health.{key}"),
                number,
                1..=COUNT_MAX,
                " checks",
            );
            mistakes.note(count)
        };
        let fall = count("fall", table.fall.unwrap_or(FALL));
        let rise = count("rise", table.rise.unwrap_or(RISE));
        Some(Self {
            path: path?,
            host: host?,
            every: every?,
            timeout: timeout?,
            fall: fall?,
            rise: rise?,
        })
    }

    /// Checks one address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) async fn check(
        &self,
        connector: &Connector,
        peer: &HttpPeer,
        upstream: &str,
    ) -> Result<(), String> {
        match tokio::time::timeout(self.timeout, self.ask(connector, peer, upstream)).await {
            Ok(Ok(200..=399)) => Ok(()),
            Ok(Ok(status)) => Err(format!("{} answers {status}", self.path)),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!(
                "{} takes longer than {} ms",
                self.path,
                self.timeout.as_millis()
            )),
        }
    }

    async fn ask(&self, connector: &Connector, peer: &HttpPeer, upstream: &str) -> Result<u16> {
        let mut head = RequestHeader::build("GET", self.path.as_bytes(), Some(3))?;
        match &self.host {
            Some(host) => head.insert_header(HOST, host)?,
            None => head.insert_header(HOST, upstream)?,
        }
        head.insert_header(USER_AGENT, "seckill-proxy")?;
        head.insert_header(CONNECTION, "close")?;
        let (mut session, _) = connector.get_http_session(peer).await?;
        session.write_request_header(Box::new(head)).await?;
        session.read_response().await?;
        session
            .get_status()
            .map(|status| status.as_u16())
            .ok_or_else(|| Error::new_up(pingora_core::ErrorType::InvalidHTTPHeader))
    }
}

fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "shop.health.path: expected a path such as \"/health\", not {text:?}"
        ))
    }
}

fn host(text: &str) -> Result<HeaderValue, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
    HeaderValue::from_str(text)
        .ok()
        .filter(|_| !text.is_empty() && text.bytes().all(plain))
        .ok_or_else(|| {
            format!("shop.health.host: expected a name such as \"www.shop.example\", not {text:?}")
        })
}

//! The module, as the worker talks to it: one Redis connection for all sales.
//!
//! Every command here may be repeated, so a lost connection is nobody's concern: a question waits
//! until Redis is back and is asked again. Only answers that a caller can act on come out.

use crate::backoff::Backoff;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, RedisError, ServerErrorKind,
};
use seckill_protocol::{EventBatch, EventId, PackedError, ReservationId, TYPE_NAME};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::Mutex;
use tracing::{info, warn};

/// How long an answer may take before the connection counts as lost. The largest answer, 10000
/// events, takes milliseconds; a server that forks or loads takes longer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// How long opening a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Keys looked at by one step of a SCAN.
const SCAN_STEP: u32 = 1000;

/// The connection to the module.
#[derive(Debug)]
pub(crate) struct Gate {
    client: Client,
    key_prefix: String,
    link: Mutex<Link>,
}

#[derive(Debug, Default)]
struct Link {
    connection: Option<MultiplexedConnection>,
    /// Counts connections: who reports a loss says which one he means.
    number: u64,
    /// Whether the log says that Redis is away.
    away: bool,
}

/// Which of the worker's two cursors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// What the broker has.
    Relayed,
    /// What MySQL has.
    Stored,
}

/// Places in a sale's log, of `SECKILL.INFO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// The last event.
    pub(crate) head: EventId,
    /// What the broker has.
    pub(crate) relayed: EventId,
    /// What MySQL has.
    pub(crate) stored: EventId,
}

/// An answer that is no success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The sale does not exist.
    #[error("no such sale")]
    NoSale,
    /// The reservation does not exist.
    #[error("no such reservation")]
    NoReservation,
    /// The reservation is in another state, named here.
    #[error("{0}")]
    Gone(String),
    /// The events are of a version that this program does not read, or broken.
    #[error("{0}")]
    Unreadable(#[from] PackedError),
    /// Anything else; not solved by asking again.
    #[error("{0}")]
    Other(String),
}

// === impl Gate ===

impl Gate {
    /// A gate that will connect to `url`; keys begin with `key_prefix`.
    ///
    /// # Errors
    /// If `url` is none of a Redis.
    pub(crate) fn new(url: &str, key_prefix: &str) -> Result<Self, RedisError> {
        Ok(Self {
            client: Client::open(url)?,
            key_prefix: key_prefix.to_owned(),
            link: Mutex::default(),
        })
    }

    /// Connects, if Redis is there.
    ///
    /// # Errors
    /// If it is there and does not know the name or the password.
    pub(crate) async fn enter(&self) -> Result<(), RedisError> {
        match connect(&self.client).await {
            Err(error) if error.kind() == ErrorKind::AuthenticationFailed => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The names of all sales, without the prefix.
    pub(crate) async fn sales(&self) -> Result<Vec<String>, Refused> {
        let pattern = format!("{}*", escape_glob(&self.key_prefix));
        let mut sales = Vec::new();
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern);
            scan.arg("COUNT").arg(SCAN_STEP).arg("TYPE").arg(TYPE_NAME);
            let (next, keys): (u64, Vec<Vec<u8>>) = self.ask(&scan).await?;
            let sids = keys.iter().filter_map(|key| {
                // What is no text is no number of a stock row either.
                std::str::from_utf8(key)
                    .ok()?
                    .strip_prefix(&self.key_prefix)
            });
            sales.extend(sids.map(str::to_owned));
            if next == 0 {
                return Ok(sales);
            }
            cursor = next;
        }
    }

    /// Where a sale's log stands.
    pub(crate) async fn places(&self, sid: &str) -> Result<Places, Refused> {
        let info: HashMap<String, redis::Value> =
            self.ask(&self.command("SECKILL.INFO", sid)).await?;
        let place = |name: &str| {
            let value = info.get(name).cloned();
            let text = value.and_then(|value| redis::from_redis_value::<String>(value).ok());
            text.and_then(|text| text.parse().ok()).ok_or_else(|| {
                Refused::Other(format!(
                    "SECKILL.INFO {sid}: expected {name} as <epoch>-<seq>"
                ))
            })
        };
        Ok(Places {
            head: place("head")?,
            relayed: place("relayed")?,
            stored: place("stored")?,
        })
    }

    /// At most `count` events after `after`, if there are any.
    pub(crate) async fn events(
        &self,
        sid: &str,
        after: EventId,
        count: usize,
    ) -> Result<Option<EventBatch>, Refused> {
        let mut command = self.command("SECKILL.EVENTS", sid);
        command.arg("AFTER").arg(after.epoch).arg(after.seq);
        command.arg("COUNT").arg(count);
        let packed: Option<Vec<u8>> = self.ask(&command).await?;
        let batch = packed.map(|packed| EventBatch::from_packed(&packed));
        Ok(batch.transpose()?.filter(|batch| !batch.events.is_empty()))
    }

    /// Moves one of the worker's cursors.
    pub(crate) async fn ack(&self, sid: &str, cursor: Cursor, id: EventId) -> Result<(), Refused> {
        let mut command = self.command("SECKILL.ACK", sid);
        let word = match cursor {
            Cursor::Relayed => "RELAYED",
            Cursor::Stored => "STORED",
        };
        command.arg(word).arg(id.epoch).arg(id.seq);
        self.ask(&command).await
    }

    /// Gives the units of a held reservation back.
    pub(crate) async fn cancel(&self, sid: &str, rid: ReservationId) -> Result<(), Refused> {
        let mut command = self.command("SECKILL.CANCEL", sid);
        command.arg(rid.to_string());
        self.ask(&command).await
    }

    fn command(&self, name: &str, sid: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(format!("{}{sid}", self.key_prefix));
        command
    }

    /// Asks until there is an answer.
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Refused> {
        let mut backoff = Backoff::for_server();
        loop {
            let (number, mut connection) = self.connection().await;
            match command.query_async(&mut connection).await {
                Ok(answer) => return Ok(answer),
                Err(error) if will_pass(&error) => self.lost(number, &error).await,
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// The connection; opened, by one caller while the others wait, until it succeeds.
    async fn connection(&self) -> (u64, MultiplexedConnection) {
        let mut link = self.link.lock().await;
        if let Some(connection) = &link.connection {
            return (link.number, connection.clone());
        }
        let mut backoff = Backoff::for_server();
        loop {
            match connect(&self.client).await {
                Ok(connection) => {
                    link.number += 1;
                    link.connection = Some(connection.clone());
                    if link.away {
                        info!("Redis is back");
                        link.away = false;
                    }
                    return (link.number, connection);
                }
                Err(error) => link.is_away(&error),
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    async fn lost(&self, number: u64, error: &RedisError) {
        let mut link = self.link.lock().await;
        if link.number == number && link.connection.take().is_some() {
            link.is_away(error);
        }
    }
}

/// Opens a connection and makes sure that the server is ready to answer.
///
/// # Errors
/// If there is no server, or it does not let us in.
pub(crate) async fn connect(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_PATIENCE))
        .set_response_timeout(Some(ANSWER_PATIENCE));
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

// === impl Link ===

impl Link {
    fn is_away(&mut self, error: &RedisError) {
        if !self.away {
            warn!("Redis is away, going on when it is back: {error}");
            self.away = true;
        }
    }
}

/// Whether the same question can succeed later: the server is away, starting, or not the primary.
fn will_pass(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Parse | ErrorKind::AuthenticationFailed => true,
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::BusyLoading
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
        ),
        _ => matches!(
            error.code(),
            Some("BUSY" | "MISCONF" | "NOREPLICAS" | "OOM" | "NOAUTH")
        ),
    }
}

/// The prefix as a pattern that matches only itself.
fn escape_glob(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

// === impl Refused ===

impl From<RedisError> for Refused {
    fn from(error: RedisError) -> Self {
        match error.code() {
            Some("NOSALE") => Self::NoSale,
            Some("NORESERVATION") => Self::NoReservation,
            Some("GONE") => Self::Gone(error.detail().unwrap_or_default().to_owned()),
            _ => Self::Other(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_with_wildcards_matches_only_itself() {
        assert_eq!(escape_glob("shop[1]*:"), "shop\\[1\\]\\*:");
    }
}

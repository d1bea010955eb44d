//! The module, as the worker talks to it, wherever the sales are.
//!
//! Every command here may be repeated, so a lost connection is nobody's concern: a question waits
//! until Redis is back and is asked again. Only answers that a caller can act on come out.
//!
//! | file | idea |
//! | --- | --- |
//! | `gate.rs` | the commands, and asking until there is an answer |
//! | `gate/books.rs` | what `status`, `reconcile` and the dashboard ask |
//! | `gate/screen.rs` | what only the dashboard asks |
//! | `gate/lease.rs` | which worker relays a sale |
//! | `gate/recovery.rs` | what `warm` and `recover` ask |
//! | `gate/servers.rs` | which server is asked |
//! | `gate/sentinels.rs` | ... where sentinels name the primary |
//! | `gate/cluster.rs` | ... where each node of a cluster has some of the sales |
//! | `gate/link.rs` | one server, over one connection |

mod books;
mod cluster;
mod lease;
mod link;
mod recovery;
mod screen;
mod sentinels;
mod servers;

#[cfg(test)]
pub(crate) use books::Rejected;
pub(crate) use books::{Reservation, SaleInfo};
pub(crate) use lease::Leased;
pub(crate) use recovery::{Beginning, Put, Recorded, Sale};
pub(crate) use screen::Held;

use crate::backoff::Backoff;
use crate::config;
use crate::options::Seen;
use link::{Link, Question};
use redis::{Cmd, ConnectionAddr, ErrorKind, FromRedisValue, RedisError};
use redis::{ServerErrorKind, Value};
use seckill_protocol::{EventBatch, EventId, PackedError, ReservationId, TYPE_NAME};
use servers::Servers;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Keys looked at by one step of a SCAN.
const SCAN_STEP: u32 = 1000;

/// The pauses of a question between two attempts.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));

/// How long a chore waits for Redis.
const CHORE_PATIENCE: Duration = Duration::from_secs(10);

/// The way to the module.
#[derive(Debug)]
pub(crate) struct Gate {
    servers: Servers,
    key_prefix: String,
    /// How long a question may wait for Redis; `None`: for ever.
    patience: Option<Duration>,
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
    pub(crate) log: seckill_orders::relay::Places,
    /// What the table of options keeps of the sale.
    pub(crate) seen: Seen,
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
    /// The sale is fenced: the same question can be answered when the fence has fallen.
    #[error("the sale is fenced")]
    Fenced,
    /// The reservation is in another state, named here.
    #[error("{0}")]
    Gone(String),
    /// The events are of a version that this program does not read, or broken.
    #[error("{0}")]
    Unreadable(#[from] PackedError),
    /// Redis does not answer; only where somebody waits for the end of a chore.
    #[error("Redis does not answer: {0}")]
    Away(RedisError),
    /// Anything else; not solved by asking again.
    #[error("{0}")]
    Other(String),
}

// === impl Gate ===

impl Gate {
    /// A gate that will connect, and waits for Redis as long as it takes.
    ///
    /// # Errors
    /// If the configuration's servers are none.
    pub(crate) fn new(redis: &config::Redis) -> Result<Self, RedisError> {
        Ok(Self {
            servers: Servers::new(redis)?,
            key_prefix: redis.key_prefix.clone(),
            patience: None,
        })
    }

    /// A gate that gives up when Redis does not answer: somebody waits for a chore to end.
    ///
    /// # Errors
    /// As for [`Gate::new`].
    pub(crate) fn for_chore(redis: &config::Redis) -> Result<Self, RedisError> {
        let patience = Some(CHORE_PATIENCE);
        Ok(Self {
            patience,
            ..Self::new(redis)?
        })
    }

    /// Connects, if Redis is there.
    ///
    /// # Errors
    /// If it is there and does not know the name or the password.
    pub(crate) async fn enter(&self) -> Result<(), RedisError> {
        let mut entered = self.servers.primaries().await;
        if let Ok(primaries) = &entered {
            for primary in primaries {
                if let Err(error) = primary.connect().await {
                    entered = Err(error);
                    break;
                }
            }
        }
        match entered {
            Err(error) if error.kind() == ErrorKind::AuthenticationFailed => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The names of all sales, without the prefix.
    pub(crate) async fn sales(&self) -> Result<Vec<String>, Refused> {
        let mut wait = self.wait();
        loop {
            match self.find_sales(Err).await {
                Ok(sales) => return Ok(sales),
                Err(error) => wait.after(error).await?,
            }
        }
    }

    /// The names of the sales on the servers that answer now.
    pub(crate) async fn sales_in_reach(&self) -> Result<Vec<String>, Refused> {
        let forgive = |error| {
            if will_pass(&error) {
                Ok(())
            } else {
                Err(error)
            }
        };
        match self.find_sales(forgive).await {
            Err(error) if will_pass(&error) => Ok(Vec::new()),
            found => Ok(found?),
        }
    }

    /// Asks each server; `forgive` says what becomes of one that does not answer.
    async fn find_sales(
        &self,
        forgive: impl Fn(RedisError) -> Result<(), RedisError>,
    ) -> Result<Vec<String>, RedisError> {
        let mut sales = Vec::new();
        for primary in self.servers.primaries().await? {
            match self.scan(&primary).await {
                Ok(found) => sales.extend(found),
                Err(error) => forgive(error)?,
            }
        }
        // One that is moving may be seen at both nodes.
        sales.sort_unstable();
        sales.dedup();
        Ok(sales)
    }

    async fn scan(&self, server: &Link) -> Result<Vec<String>, RedisError> {
        let pattern = format!("{}*", escape_glob(&self.key_prefix));
        let mut sales = Vec::new();
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern);
            scan.arg("COUNT").arg(SCAN_STEP).arg("TYPE").arg(TYPE_NAME);
            let answer = server.ask(Question::Plain(&scan)).await?;
            let (next, keys): (u64, Vec<Vec<u8>>) = redis::from_redis_value(answer)?;
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

    /// `SECKILL.INFO`.
    pub(crate) async fn info(&self, sid: &str) -> Result<HashMap<String, Value>, Refused> {
        self.ask(&self.command("SECKILL.INFO", sid)).await
    }

    /// Where a sale's log stands.
    pub(crate) async fn places(&self, sid: &str) -> Result<Places, Refused> {
        let info = self.info(sid).await?;
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
            log: seckill_orders::relay::Places {
                head: place("head")?,
                relayed: place("relayed")?,
                stored: place("stored")?,
            },
            seen: recovery::seen(&info)?,
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

    /// Asks the server that has the sale, until there is an answer. The sale's key is the first
    /// argument.
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Refused> {
        let mut wait = self.wait();
        loop {
            match self.servers.ask(command).await {
                Ok(answer) => return Ok(redis::from_redis_value(answer).map_err(RedisError::from)?),
                Err(error) => wait.after(error).await?,
            }
        }
    }

    fn wait(&self) -> Wait {
        Wait {
            until: self.patience.map(|patience| Instant::now() + patience),
            pauses: PAUSES,
        }
    }
}

/// The pauses of one question.
struct Wait {
    until: Option<Instant>,
    pauses: Backoff,
}

// === impl Wait ===

impl Wait {
    /// Waits until it is worth asking again.
    ///
    /// # Errors
    /// If it is not, or not any more.
    async fn after(&mut self, error: RedisError) -> Result<(), Refused> {
        if !will_pass(&error) {
            return Err(error.into());
        }
        if self.until.is_some_and(|until| Instant::now() > until) {
            return Err(Refused::Away(error));
        }
        tokio::time::sleep(self.pauses.pause()).await;
        Ok(())
    }
}

/// What a command is about: its first argument.
fn key_of(command: &Cmd) -> &[u8] {
    let mut words = command.args_iter().filter_map(|word| match word {
        redis::Arg::Simple(bytes) => Some(bytes),
        _ => None,
    });
    words.nth(1).unwrap_or_default()
}

fn host_of(address: &ConnectionAddr) -> &str {
    match address {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host,
        _ => "",
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
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask
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
            Some("FENCED") => Self::Fenced,
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

//! `[redis]`.

use crate::config::Mistakes;
use redis::io::tcp::TcpSettings;
use serde::Deserialize;
use std::time::Duration;

/// Overrides `redis.url`, so that a password need not stand in a file.
pub(crate) const URL_ENV: &str = "SECKILL_REDIS_URL";

/// The longest wait for Redis that still deserves the name of a deadline.
const DEADLINE_MS_MAX: u64 = 10_000;

/// The longest that a rejection is remembered: longer than this, a lost message would be noticed.
const REMEMBER_MS_MAX: u64 = 60_000;

/// More questions than this would wait longer than any deadline.
const WAITING_MAX: usize = 1_000_000;

/// `[redis]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedisTable {
    url: Option<String>,
    #[serde(default)]
    key_prefix: String,
    #[serde(default = "default_deadline_ms")]
    deadline_ms: u64,
    #[serde(default = "default_waiting_max")]
    waiting_max: usize,
    #[serde(default = "default_remember_ms")]
    remember_ms: u64,
}

/// How Redis is asked, checked.
pub(crate) struct RedisSettings {
    /// How to reach the Redis with the module.
    pub(crate) server: redis::ConnectionInfo,
    /// Put before every sid to make its key.
    pub(crate) key_prefix: String,
    /// How long one question to Redis may take.
    pub(crate) deadline: Duration,
    /// How many questions may wait for Redis at the same time.
    pub(crate) waiting_max: usize,
    /// How long a rejection is remembered at most.
    pub(crate) remember: Duration,
}

const fn default_deadline_ms() -> u64 {
    250
}

const fn default_waiting_max() -> usize {
    8192
}

const fn default_remember_ms() -> u64 {
    1000
}

// === impl RedisSettings ===

impl RedisSettings {
    /// Checks the table. `url`, if given, stands in for the table's.
    pub(crate) fn new(
        table: RedisTable,
        url: Option<String>,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let server = mistakes.note(server(url.or(table.url)));
        let key_prefix = mistakes.note(key_prefix(table.key_prefix));
        let deadline = mistakes.note(deadline(table.deadline_ms));
        let waiting_max = mistakes.note(waiting_max(table.waiting_max));
        let remember = mistakes.note(remember(table.remember_ms));
        Some(Self {
            server: server?,
            key_prefix: key_prefix?,
            deadline: deadline?,
            waiting_max: waiting_max?,
            remember: remember?,
        })
    }
}

fn server(url: Option<String>) -> Result<redis::ConnectionInfo, String> {
    let url =
        url.ok_or_else(|| format!("redis.url: missing; set it, or the environment's {URL_ENV}"))?;
    // The text of the url stays out of the message: it may hold a password.
    redis::IntoConnectionInfo::into_connection_info(url.as_str())
        .map(|info| info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
        .map_err(|error| format!("redis.url: expected redis://user:password@host:port/ ({error})"))
}

fn key_prefix(prefix: String) -> Result<String, String> {
    if prefix.chars().any(char::is_control) {
        return Err("redis.key_prefix: expected text without control characters".to_owned());
    }
    Ok(prefix)
}

fn deadline(ms: u64) -> Result<Duration, String> {
    if (1..=DEADLINE_MS_MAX).contains(&ms) {
        Ok(Duration::from_millis(ms))
    } else {
        Err(format!(
            "redis.deadline_ms: expected 1 to {DEADLINE_MS_MAX} milliseconds, not {ms}"
        ))
    }
}

fn waiting_max(questions: usize) -> Result<usize, String> {
    if (1..=WAITING_MAX).contains(&questions) {
        Ok(questions)
    } else {
        Err(format!(
            "redis.waiting_max: expected 1 to {WAITING_MAX} questions, not {questions}"
        ))
    }
}

fn remember(ms: u64) -> Result<Duration, String> {
    if ms <= REMEMBER_MS_MAX {
        Ok(Duration::from_millis(ms))
    } else {
        Err(format!(
            "redis.remember_ms: expected 0 to {REMEMBER_MS_MAX} milliseconds, not {ms}"
        ))
    }
}

//! `[redis]`.

mod tls;

use crate::config::redis::tls::TlsTable;
use crate::config::{Mistakes, milliseconds, within};
use crate::sentinels::at;
use redis::io::tcp::TcpSettings;
use redis::{ConnectionAddr, ConnectionInfo};
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
    tls: Option<TlsTable>,
    sentinels: Option<Vec<String>>,
    master: Option<String>,
    cluster: Option<Vec<String>>,
    #[serde(default = "default_durability")]
    durability: String,
}

/// How Redis is asked, checked.
pub(crate) struct RedisSettings {
    /// How a Redis with the module is greeted, and where the only one is.
    pub(crate) server: ConnectionInfo,
    /// Which servers there are.
    pub(crate) layout: Layout,
    /// Put before every sid to make its key.
    pub(crate) key_prefix: String,
    /// How long one question to Redis may take.
    pub(crate) deadline: Duration,
    /// How many questions may wait for Redis at the same time.
    pub(crate) waiting_max: usize,
    /// How long a rejection is remembered at most.
    pub(crate) remember: Duration,
    /// Whether an acceptance counts only when a replica has it.
    pub(crate) copies: bool,
}

/// Which servers there are.
pub(crate) enum Layout {
    /// One.
    One,
    /// A primary and its replicas, and who knows which is which.
    Sentinels {
        /// Who knows.
        sentinels: Vec<ConnectionInfo>,
        /// What they call the primary.
        master: String,
    },
    /// Many primaries.
    Cluster {
        /// Those that are asked first who the others are.
        seeds: Vec<ConnectionInfo>,
    },
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

fn default_durability() -> String {
    "primary".to_owned()
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
        let server = server.and_then(|server| tls::secured(server, table.tls, mistakes));
        let layout = match &server {
            Some(server) => mistakes.note(layout(
                server,
                table.sentinels.as_deref(),
                table.master,
                table.cluster.as_deref(),
            )),
            None => None,
        };
        let copies = mistakes.note(copies(&table.durability));
        let key_prefix = mistakes.note(key_prefix(table.key_prefix));
        let range = 1..=DEADLINE_MS_MAX;
        let deadline = mistakes.note(milliseconds("redis.deadline_ms", table.deadline_ms, range));
        let range = 1..=WAITING_MAX;
        let waiting_max = within("redis.waiting_max", table.waiting_max, range, " questions");
        let waiting_max = mistakes.note(waiting_max);
        let range = 0..=REMEMBER_MS_MAX;
        let remember = mistakes.note(milliseconds("redis.remember_ms", table.remember_ms, range));
        Some(Self {
            server: server?,
            layout: layout?,
            key_prefix: key_prefix?,
            deadline: deadline?,
            waiting_max: waiting_max?,
            remember: remember?,
            copies: copies?,
        })
    }
}

fn server(url: Option<String>) -> Result<ConnectionInfo, String> {
    let url =
        url.ok_or_else(|| format!("redis.url: missing; set it, or the environment's {URL_ENV}"))?;
    // The text of the url stays out of the message: it may hold a password.
    greeted(&url).map_err(|error| {
        format!(
            "redis.url: expected redis://user:password@host:port/, or rediss:// for TLS ({error})"
        )
    })
}

fn greeted(url: &str) -> Result<ConnectionInfo, String> {
    let info = redis::IntoConnectionInfo::into_connection_info(url);
    let info = info.map_err(|error| error.to_string())?;
    if let ConnectionAddr::TcpTls { insecure: true, .. } = info.addr() {
        return Err("a server that cannot prove who it is is not asked: no #insecure".to_owned());
    }
    Ok(info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
}

fn layout(
    server: &ConnectionInfo,
    sentinels: Option<&[String]>,
    master: Option<String>,
    seeds: Option<&[String]>,
) -> Result<Layout, String> {
    let is_unix = matches!(server.addr(), ConnectionAddr::Unix(_));
    match (sentinels, master, seeds) {
        (None, None, None) => Ok(Layout::One),
        (None, Some(_), _) => Err("redis.master: only with redis.sentinels".to_owned()),
        (Some(_), _, Some(_)) => Err("redis.cluster: not together with redis.sentinels".to_owned()),
        _ if is_unix => Err("redis.url: expected redis:// or rediss:// here".to_owned()),
        (Some(_), None, None) => {
            Err("redis.master: missing; what the sentinels call the primary".to_owned())
        }
        (Some(sentinels), Some(master), None) => Ok(Layout::Sentinels {
            sentinels: places("redis.sentinels", sentinels, |place| {
                sentinel(server, place)
            })?,
            master,
        }),
        (None, None, Some(_)) if server.redis_settings().db() != 0 => {
            Err("redis.url: expected database 0, the only one of a cluster".to_owned())
        }
        (None, None, Some(seeds)) => Ok(Layout::Cluster {
            seeds: places("redis.cluster", seeds, |place| node(server, place))?,
        }),
    }
}

fn places(
    key: &str,
    places: &[String],
    read: impl Fn(&str) -> Option<ConnectionInfo>,
) -> Result<Vec<ConnectionInfo>, String> {
    if places.is_empty() {
        return Err(format!("{key}: expected at least one host:port"));
    }
    let read = |(index, place): (usize, &String)| {
        // A url may hold a password.
        read(place).ok_or_else(|| format!("{key}[{index}]: expected host:port"))
    };
    places.iter().enumerate().map(read).collect()
}

/// Greeted like the server, with its name and password.
fn node(server: &ConnectionInfo, place: &str) -> Option<ConnectionInfo> {
    let (host, port) = place.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_host = !host.is_empty() && !host.contains(['/', '@']);
    is_host.then_some(at(
        server,
        host,
        port.parse().ok().filter(|&port| port > 0)?,
    ))
}

/// Greeted with nobody's name, unless it is given as a url.
fn sentinel(server: &ConnectionInfo, place: &str) -> Option<ConnectionInfo> {
    if !place.contains("://") {
        let anybody = redis::RedisConnectionInfo::default();
        return node(&server.clone().set_redis_settings(anybody), place);
    }
    let own = greeted(place).ok()?;
    let is_tls = |info: &ConnectionInfo| matches!(info.addr(), ConnectionAddr::TcpTls { .. });
    if !is_tls(&own) || !is_tls(server) {
        return Some(own);
    }
    // The certificates of `redis.tls` are for the sentinels, too.
    let ConnectionAddr::TcpTls { host, port, .. } = own.addr() else {
        return None;
    };
    Some(at(server, host, *port).set_redis_settings(own.redis_settings().clone()))
}

fn copies(durability: &str) -> Result<bool, String> {
    match durability {
        "primary" => Ok(false),
        "replica" => Ok(true),
        other => Err(format!(
            "redis.durability: expected \"primary\" or \"replica\", not {other:?}"
        )),
    }
}

fn key_prefix(prefix: String) -> Result<String, String> {
    if prefix.chars().any(char::is_control) {
        return Err("redis.key_prefix: expected text without control characters".to_owned());
    }
    Ok(prefix)
}

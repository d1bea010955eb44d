//! `proxy.toml`: read, checked as a whole, turned into what the other files work with.
//!
//! A mistake is reported by the key it is in, and all mistakes are reported at once.

use crate::buyer::{BuyerTable, Buyers};
use crate::route::{Fail, Mode, OnSuccess, Pattern, Route, Routes};
use crate::sign::{Signing, SigningTable};
use redis::io::tcp::TcpSettings;
use serde::Deserialize;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

/// Overrides `redis.url`, so that a password need not stand in a file.
const REDIS_URL_ENV: &str = "SECKILL_REDIS_URL";

/// The longest wait for Redis that still deserves the name of a deadline.
const DEADLINE_MS_MAX: u64 = 10_000;

/// The longest that a rejection is remembered: longer than this, a lost message would be noticed.
const REMEMBER_MS_MAX: u64 = 60_000;

/// More questions than this would wait longer than any deadline.
const WAITING_MAX: usize = 1_000_000;

/// Everything a start needs, checked.
pub(crate) struct Config {
    /// Where buyers connect.
    pub(crate) listen: SocketAddr,
    /// Threads that serve them.
    pub(crate) threads: usize,
    /// How to reach the Redis with the module.
    pub(crate) redis: redis::ConnectionInfo,
    /// Put before every sid to make its key.
    pub(crate) key_prefix: String,
    /// How long one question to Redis may take.
    pub(crate) deadline: Duration,
    /// How many questions may wait for Redis at the same time.
    pub(crate) waiting_max: usize,
    /// How long a rejection is remembered at most.
    pub(crate) remember: Duration,
    /// Where the counters can be read.
    pub(crate) metrics: Option<SocketAddr>,
    /// The shop behind the proxy.
    pub(crate) shop: SocketAddr,
    /// What the shop is told is signed with this, if at all.
    pub(crate) signing: Option<Signing>,
    /// Who may say who the buyer is, and how.
    pub(crate) buyers: Buyers,
    /// The paths that sell.
    pub(crate) routes: Routes,
}

/// What is wrong with a configuration: one line a mistake.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: String,
    threads: Option<usize>,
    redis: RedisTable,
    shop: ShopTable,
    buyer: BuyerTable,
    metrics: Option<MetricsTable>,
    #[serde(default, rename = "route")]
    routes: Vec<RouteTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RedisTable {
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricsTable {
    listen: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShopTable {
    upstream: String,
    signing: Option<SigningTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteTable {
    path: String,
    mode: String,
    on_success: Option<String>,
    fail: Option<String>,
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

// === impl Config ===

impl Config {
    /// Reads and checks a file, with the environment's word on `redis.url`.
    ///
    /// # Errors
    /// [`Mistakes`], each with its key and what was expected there.
    pub(crate) fn load(path: &Path) -> Result<Self, Mistakes> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Mistakes(vec![format!("cannot read it: {error}")]))?;
        let redis_url = std::env::var(REDIS_URL_ENV).ok();
        Self::parse(&text, redis_url.filter(|url| !url.is_empty()))
    }

    /// Checks the text of a file. `redis_url`, if given, stands in for the file's.
    ///
    /// # Errors
    /// [`Mistakes`], each with its key and what was expected there.
    pub(crate) fn parse(text: &str, redis_url: Option<String>) -> Result<Self, Mistakes> {
        let file: File =
            toml::from_str(text).map_err(|error| Mistakes(vec![at_line(text, &error)]))?;
        let mut mistakes = Mistakes::default();

        let metrics = file.metrics.map(|table| table.listen);
        let metrics = mistakes.note(
            metrics
                .map(|text| listen("metrics.listen", &text))
                .transpose(),
        );
        let listen = mistakes.note(listen("listen", &file.listen));
        let threads = mistakes.note(threads(file.threads));
        let redis = mistakes.note(redis_url_of(redis_url.or(file.redis.url)));
        let key_prefix = mistakes.note(key_prefix(file.redis.key_prefix));
        let deadline = mistakes.note(deadline(file.redis.deadline_ms));
        let waiting_max = mistakes.note(waiting_max(file.redis.waiting_max));
        let remember = mistakes.note(remember(file.redis.remember_ms));
        let shop = mistakes.note(shop(&file.shop.upstream));
        let signing = file
            .shop
            .signing
            .map(|table| Signing::new(&table, &mut mistakes));
        let buyers = Buyers::new(&file.buyer, &mut mistakes);
        let routes = routes(&file.routes, &mut mistakes);

        let redis = redis.zip(key_prefix).zip(deadline);
        let memory = waiting_max.zip(remember);
        match (listen, threads, redis, memory, metrics, shop, buyers) {
            (
                Some(listen),
                Some(threads),
                Some(((redis, key_prefix), deadline)),
                Some((waiting_max, remember)),
                Some(metrics),
                Some(shop),
                Some(buyers),
            ) if mistakes.0.is_empty() => Ok(Self {
                listen,
                threads,
                redis,
                key_prefix,
                deadline,
                waiting_max,
                remember,
                metrics,
                shop,
                signing: signing.flatten(),
                buyers,
                routes,
            }),
            _ => Err(mistakes),
        }
    }
}

/// The line and not its text: a password may stand there.
fn at_line(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(0, |before| before.matches('\n').count());
    format!("line {}: {}", line.saturating_add(1), error.message())
}

fn listen(key: &str, text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("{key}: expected an address and a port, for example \"0.0.0.0:8080\", not {text:?}")
    })
}

fn threads(threads: Option<usize>) -> Result<usize, String> {
    match threads {
        Some(0) => Err("threads: expected 1 or more; leave it out for one a core".to_owned()),
        Some(threads) => Ok(threads),
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
    }
}

fn redis_url_of(url: Option<String>) -> Result<redis::ConnectionInfo, String> {
    let url = url.ok_or_else(|| {
        format!("redis.url: missing; set it, or the environment's {REDIS_URL_ENV}")
    })?;
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

/// A name is resolved here, once: a lookup while buyers wait would stop a whole thread.
fn shop(upstream: &str) -> Result<SocketAddr, String> {
    let expected = "expected host:port, for example \"127.0.0.1:8000\"";
    upstream
        .to_socket_addrs()
        .map_err(|error| format!("shop.upstream: {expected}, not {upstream:?} ({error})"))?
        .next()
        .ok_or_else(|| format!("shop.upstream: {expected}; {upstream:?} has no address"))
}

fn routes(tables: &[RouteTable], mistakes: &mut Mistakes) -> Routes {
    if tables.is_empty() {
        mistakes.add(
            "route: expected at least one [[route]]; without one there is nothing to guard"
                .to_owned(),
        );
    }
    let mut routes: Vec<Route> = Vec::new();
    for (at, table) in tables.iter().enumerate() {
        let pattern = mistakes.note(
            table
                .path
                .parse::<Pattern>()
                .map_err(|error| format!("route[{at}].path: {error}, not {:?}", table.path)),
        );
        let mode = mistakes.note(mode(at, table));
        let (Some(pattern), Some(mode)) = (pattern, mode) else {
            continue;
        };
        if let Some(other) = routes.iter().find(|r| r.pattern.overlaps(&pattern)) {
            mistakes.add(format!(
                "route[{at}].path: {pattern} and {} match the same paths; keep one of them",
                other.pattern
            ));
        }
        routes.push(Route { pattern, mode });
    }
    Routes::new(routes)
}

fn mode(at: usize, table: &RouteTable) -> Result<Mode, String> {
    let only_forward = |key: &str| {
        Err(format!(
            "route[{at}].{key}: only for mode = \"forward\"; in mode \"queue\" no shop answers"
        ))
    };
    match table.mode.as_str() {
        "queue" if table.on_success.is_some() => only_forward("on_success"),
        "queue" if table.fail.as_deref() == Some("open") => only_forward("fail"),
        "queue" => fail(at, table).map(|_| Mode::Queue),
        "forward" => Ok(Mode::Forward(on_success(at, table)?, fail(at, table)?)),
        other => Err(format!(
            "route[{at}].mode: expected \"queue\" or \"forward\", not {other:?}"
        )),
    }
}

fn on_success(at: usize, table: &RouteTable) -> Result<OnSuccess, String> {
    match table.on_success.as_deref() {
        None | Some("hold") => Ok(OnSuccess::Hold),
        Some("confirm") => Ok(OnSuccess::Confirm),
        Some(other) => Err(format!(
            "route[{at}].on_success: expected \"hold\" or \"confirm\", not {other:?}"
        )),
    }
}

fn fail(at: usize, table: &RouteTable) -> Result<Fail, String> {
    match table.fail.as_deref() {
        None | Some("closed") => Ok(Fail::Closed),
        Some("open") => Ok(Fail::Open),
        Some(other) => Err(format!(
            "route[{at}].fail: expected \"closed\" or \"open\", not {other:?}"
        )),
    }
}

// === impl Mistakes ===

impl Mistakes {
    /// Notes one mistake.
    pub(crate) fn add(&mut self, mistake: String) {
        self.0.push(mistake);
    }

    /// What is right, or else one more mistake.
    pub(crate) fn note<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|mistake| self.add(mistake)).ok()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Mistakes {}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        listen = "127.0.0.1:8080"
        [redis]
        url = "redis://proxy:secret@127.0.0.1:6379/"
        [shop]
        upstream = "127.0.0.1:8000"
        [buyer]
        trusted_peers = ["127.0.0.1/32", "10.0.0.0/8", "::1/128"]
        [[route]]
        path = "/seckill/{sid}"
        mode = "queue"
        [[route]]
        path = "/checkout/{sid}"
        mode = "forward"
        on_success = "confirm"
    "#;

    fn mistakes(text: &str) -> String {
        match Config::parse(text, None) {
            Ok(_) => panic!("no mistake"),
            Err(mistakes) => mistakes.to_string(),
        }
    }

    #[test]
    fn a_short_file_is_enough() {
        let config = Config::parse(GOOD, None).unwrap();
        assert_eq!(config.deadline, Duration::from_millis(250));
        assert_eq!(config.key_prefix, "");
        assert!(config.threads >= 1);
    }

    #[test]
    fn the_shipped_file_is_valid_as_it_is() {
        let shipped = include_str!("../../conf/proxy.toml");
        assert_eq!(
            Config::parse(shipped, None)
                .map_err(|m| m.to_string())
                .err(),
            None
        );
    }

    #[test]
    fn every_key_that_the_shipped_file_explains_is_one() {
        let shipped = include_str!("../../conf/proxy.toml");
        let all: Vec<&str> = shipped
            .lines()
            // What is switched off follows its `#` at once; prose has a space there.
            .map(|line| match line.strip_prefix('#') {
                Some(key) if !key.starts_with(' ') => key,
                _ => line,
            })
            .collect();
        let file = toml::from_str::<File>(&all.join("\n"));
        assert_eq!(file.err().map(|error| error.to_string()), None);
    }

    #[test]
    fn the_environment_overrides_the_url_of_redis() {
        let without = GOOD.replace("url = \"redis://proxy:secret@127.0.0.1:6379/\"", "");
        assert!(mistakes(&without).contains("redis.url: missing"));
        let url = Some("redis://127.0.0.1:7000/".to_owned());
        assert_eq!(
            Config::parse(&without, url)
                .unwrap()
                .redis
                .addr()
                .to_string(),
            "127.0.0.1:7000"
        );
    }

    #[test]
    fn a_mistake_is_named_by_its_key() {
        for (good, bad, expected) in [
            ("127.0.0.1:8080", "everywhere", "listen: expected"),
            ("127.0.0.1:8000", "shop", "shop.upstream: expected"),
            ("10.0.0.0/8", "10/8", "buyer.trusted_peers[1]: expected"),
            ("\"queue\"", "\"quick\"", "route[0].mode: expected"),
            ("\"confirm\"", "\"yes\"", "route[1].on_success: expected"),
            ("/checkout/{sid}", "/checkout", "route[1].path: expected"),
            ("/checkout/{sid}", "/Seckill/{sid}", "match the same paths"),
            ("redis://proxy", "http://proxy", "redis.url: expected"),
            (
                "[shop]",
                "deadline_ms = 0\n[shop]",
                "redis.deadline_ms: expected",
            ),
            ("[redis]", "threads = 0\n[redis]", "threads: expected"),
            (
                "[shop]",
                "waiting_max = 0\n[shop]",
                "redis.waiting_max: expected",
            ),
            (
                "[shop]",
                "remember_ms = 60001\n[shop]",
                "redis.remember_ms: expected",
            ),
            (
                "[shop]",
                "[metrics]\nlisten = \"here\"\n[shop]",
                "metrics.listen: expected",
            ),
            (
                "mode = \"queue\"",
                "mode = \"queue\"\nfail = \"open\"",
                "route[0].fail: only",
            ),
            (
                "mode = \"forward\"",
                "mode = \"forward\"\nfail = \"maybe\"",
                "route[1].fail: expected",
            ),
            (
                "[buyer]",
                "[buyer]\nheader = \"a b\"",
                "buyer.header: expected",
            ),
            (
                "[buyer]",
                "[buyer]\ncolour = \"red\"",
                "unknown field `colour`",
            ),
            (
                "mode = \"queue\"",
                "mode = \"queue\"\non_success = \"hold\"",
                "route[0].on_success: only",
            ),
        ] {
            let message = mistakes(&GOOD.replace(good, bad));
            assert!(message.contains(expected), "{bad}: {message}");
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once_and_no_password_with_them() {
        let bad = GOOD
            .replace("127.0.0.1:8080", "everywhere")
            .replace("redis://", "http://")
            .replace("\"queue\"", "\"quick\"");
        let message = mistakes(&bad);
        assert_eq!(message.lines().count(), 3, "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}

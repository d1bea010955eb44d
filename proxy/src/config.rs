//! `proxy.toml`: read, checked as a whole, turned into what the other files work with.
//!
//! A mistake is reported by the key and the line it is in, and all mistakes are reported at once.

mod redis;
mod route;

pub(crate) use crate::config::redis::{Layout, RedisSettings};

use crate::access::{Access, AccessLogTable};
use crate::buyer::{BuyerTable, Buyers};
use crate::callback::Callback;
use crate::client::{ClientTable, Clients};
use crate::config::redis::RedisTable;
use crate::config::route::RouteTable;
use crate::counters::Tally;
use crate::limits::{Limits, LimitsTable};
use crate::shop::{Shop, ShopTable};
use crate::sign::Signing;
use crate::site::Site;
use crate::tls::{Tls, TlsTable};
use crate::upgrade::{self, UpgradeTable};
use seckill_daemon::lines::{Lines, line_at};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The parts of the file that [`Site`] is made of.
const RENEWED: [&str; 7] = [
    "access_log",
    "buyer",
    "client",
    "limits",
    "rate_limit_headers",
    "route",
    "shop",
];

/// How long a stop may take at most.
const DRAIN_S_MAX: u64 = 3600;

/// Everything a start needs, checked.
pub(crate) struct Config {
    /// Where buyers connect.
    pub(crate) listen: SocketAddr,
    /// Threads that serve them.
    pub(crate) threads: usize,
    /// How long requests under way may take to finish when the end comes.
    pub(crate) drain: Duration,
    /// The listener for https.
    pub(crate) tls: Option<Tls>,
    /// Where the next process asks for the listening sockets.
    pub(crate) upgrade: Option<PathBuf>,
    /// How Redis is asked.
    pub(crate) redis: RedisSettings,
    /// Where the proxy itself can be asked how it is.
    pub(crate) admin: Option<SocketAddr>,
    /// What can change while buyers buy.
    pub(crate) site: Site,
    /// The rest, to be compared with a later reading.
    pub(crate) fixed: Fixed,
}

/// What a restart alone can change, as it stands in the file.
#[derive(Debug, PartialEq)]
pub(crate) struct Fixed(toml::Table);

/// What is wrong with a configuration: one line a mistake.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<Mistake>);

#[derive(Debug)]
struct Mistake {
    /// The file, and its line if that is known.
    place: Option<(String, Option<usize>)>,
    /// Begins with the key.
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: String,
    threads: Option<usize>,
    #[serde(default = "default_drain_s")]
    drain_s: u64,
    tls: Option<TlsTable>,
    #[serde(default)]
    limits: LimitsTable,
    upgrade: Option<UpgradeTable>,
    redis: RedisTable,
    shop: ShopTable,
    buyer: BuyerTable,
    #[serde(default)]
    client: ClientTable,
    #[serde(default)]
    rate_limit_headers: bool,
    admin: Option<AdminTable>,
    access_log: Option<AccessLogTable>,
    #[serde(default, rename = "route")]
    routes: Vec<RouteTable>,
}

const fn default_drain_s() -> u64 {
    10
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdminTable {
    listen: String,
}

// === impl Config ===

impl Config {
    /// Reads and checks a file, with the environment's word on `redis.url`.
    ///
    /// # Errors
    /// [`Mistakes`], each with its key and what was expected there.
    pub(crate) fn load(path: &Path) -> Result<Self, Mistakes> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let mut mistakes = Mistakes::default();
            mistakes.add(format!("cannot read it: {error}"));
            mistakes.located(path)
        })?;
        Self::parse(&text, redis_url()).map_err(|mistakes| mistakes.located(path))
    }

    /// Checks the text of a file. `redis_url`, if given, stands in for the file's.
    ///
    /// # Errors
    /// [`Mistakes`], each with its key and what was expected there.
    pub(crate) fn parse(text: &str, redis_url: Option<String>) -> Result<Self, Mistakes> {
        let file: File =
            toml::from_str(text).map_err(|error| Mistakes(vec![Mistake::of(text, &error)]))?;
        let mut mistakes = Mistakes::default();

        let admin = file.admin.map(|table| table.listen);
        let admin = admin.map(|text| listen("admin.listen", &text)).transpose();
        let admin = mistakes.note(admin);
        let access = file.access_log.as_ref();
        let access = access.and_then(|table| Access::new(table, &mut mistakes));
        let listen = mistakes.note(listen("listen", &file.listen));
        let threads = mistakes.note(threads(file.threads));
        let drain = mistakes.note(within("drain_s", file.drain_s, 0..=DRAIN_S_MAX, " seconds"));
        let tls = file.tls.as_ref();
        let tls = tls.map(|table| Tls::new(table, &mut mistakes));
        let limits = Limits::new(&file.limits, &mut mistakes);
        let upgrade = file.upgrade.as_ref().map(upgrade::socket);
        let upgrade = mistakes.note(upgrade.transpose());
        let redis = RedisSettings::new(file.redis, redis_url, &mut mistakes);
        let signing = file.shop.signing.as_ref();
        let signing = signing.map(|table| Signing::new(table, &mut mistakes));
        let shop = Shop::new(&file.shop, &mut mistakes);
        let buyers = Buyers::new(&file.buyer, &mut mistakes);
        let callback = file.shop.callback.as_ref();
        let callback = callback.map(|table| Callback::new(table, &mut mistakes));
        let gateways = buyers.as_ref().map(Buyers::gateways).unwrap_or_default();
        let clients = Clients::new(&file.client, gateways, &mut mistakes);
        let routes = route::routes(&file.routes, &mut mistakes);

        let site = || {
            Some(Site {
                tally: Tally::of(&routes),
                routes,
                buyers: buyers?,
                shop: shop?,
                limits: limits?,
                signing: signing.flatten(),
                access,
                callback: callback.flatten(),
                clients,
                tells_limits: file.rate_limit_headers,
            })
        };
        let config = || {
            Some(Self {
                listen: listen?,
                threads: threads?,
                drain: Duration::from_secs(drain?),
                tls: tls.flatten(),
                upgrade: upgrade?,
                redis: redis?,
                admin: admin?,
                site: site()?,
                fixed: Fixed::of(text),
            })
        };
        match config() {
            Some(config) if mistakes.0.is_empty() => Ok(config),
            _ => Err(mistakes),
        }
    }
}

/// What the environment says about `redis.url`.
pub(crate) fn redis_url() -> Option<String> {
    let url = std::env::var(redis::URL_ENV).ok();
    url.filter(|url| !url.is_empty())
}

// === impl Mistake ===

impl Mistake {
    /// The line and not its text: a password may stand there.
    fn of(text: &str, error: &toml::de::Error) -> Self {
        let line = error.span().map_or(1, |span| line_at(text, span.start));
        Self {
            place: Some((String::new(), Some(line))),
            text: error.message().to_owned(),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some((file, Some(line))) => write!(f, "{file}:{line}: {}", self.text),
            Some((file, None)) => write!(f, "{file}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// A number that is within its bounds. `unit` comes after them, with a blank in front.
pub(crate) fn within<T: PartialOrd + fmt::Display>(
    key: &str,
    number: T,
    bounds: RangeInclusive<T>,
    unit: &str,
) -> Result<T, String> {
    if bounds.contains(&number) {
        return Ok(number);
    }
    let (min, max) = bounds.into_inner();
    Err(format!(
        "{key}: expected {min} to {max}{unit}, not {number}"
    ))
}

/// A time in milliseconds that is within its bounds.
pub(crate) fn milliseconds(
    key: &str,
    ms: u64,
    bounds: RangeInclusive<u64>,
) -> Result<Duration, String> {
    within(key, ms, bounds, " milliseconds").map(Duration::from_millis)
}

/// An address and a port to listen on.
pub(crate) fn listen(key: &str, text: &str) -> Result<SocketAddr, String> {
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

// === impl Fixed ===

impl Fixed {
    fn of(text: &str) -> Self {
        let mut table: toml::Table = toml::from_str(text).unwrap_or_default();
        table.retain(|key, _| !RENEWED.contains(&key));
        Self(table)
    }

    /// The parts that are not as they were.
    pub(crate) fn changed(&self, later: &Self) -> Vec<String> {
        let keys = self.0.keys().chain(later.0.keys());
        let changed = keys.filter(|&key| self.0.get(key) != later.0.get(key));
        let changed: BTreeSet<_> = changed.cloned().collect();
        changed.into_iter().collect()
    }
}

// === impl Mistakes ===

impl Mistakes {
    /// Nothing, if there is none.
    ///
    /// # Errors
    /// All there are, each with its place in this file.
    pub(crate) fn none_in(self, path: &Path) -> Result<(), Self> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.located(path))
        }
    }

    /// Notes one mistake.
    pub(crate) fn add(&mut self, mistake: String) {
        self.0.push(Mistake {
            place: None,
            text: mistake,
        });
    }

    /// The same, each with its place in this file.
    fn located(mut self, path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines = Lines::of(&text);
        let file = path.display().to_string();
        for mistake in &mut self.0 {
            let known = mistake.place.take().and_then(|(_, line)| line);
            let line = known.or_else(|| lines.line(mistake.text.split(": ").next()?));
            mistake.place = Some((file.clone(), line));
        }
        self
    }

    /// What is right, or else one more mistake.
    pub(crate) fn note<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|mistake| self.add(mistake)).ok()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.0.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
        assert_eq!(config.redis.deadline, Duration::from_millis(250));
        assert_eq!(config.redis.key_prefix, "");
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
        let all = seckill_daemon::settings::everything(shipped).unwrap();
        let file = all.try_into::<File>();
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
                .server
                .addr()
                .to_string(),
            "127.0.0.1:7000"
        );
    }

    #[test]
    fn what_takes_a_restart_is_told_by_its_key() {
        let before = Config::parse(GOOD, None).unwrap().fixed;
        let changed = |good: &str, bad: &str| {
            let after = Config::parse(&GOOD.replace(good, bad), None).unwrap();
            before.changed(&after.fixed)
        };
        assert_eq!(changed("127.0.0.1:8000", "127.0.0.1:8001"), [""; 0]);
        assert_eq!(changed("127.0.0.1:8080", "127.0.0.1:8081"), ["listen"]);
        assert_eq!(changed("[redis]", "threads = 7\n[redis]"), ["threads"]);
        assert_eq!(changed("secret@", "other@"), ["redis"]);
    }

    #[test]
    fn a_mistake_is_named_by_its_key() {
        for (good, bad, expected) in [
            ("127.0.0.1:8080", "everywhere", "listen: expected"),
            ("127.0.0.1:8000", "shop", "shop.upstream: expected"),
            (
                "upstream = \"127.0.0.1:8000\"",
                "upstreams = [\"127.0.0.1:1\", \"shop\"]",
                "shop.upstreams[1]: expected",
            ),
            ("[shop]", "[shop]\nupstreams = []", "shop: expected either"),
            (
                "\"127.0.0.1:8000\"",
                "\"https://127.0.0.1/shop\"",
                "shop.upstream: expected",
            ),
            (
                "[shop]",
                "[shop]\nca = \"/nowhere/ca.pem\"",
                "shop.ca: expected",
            ),
            (
                "[shop]",
                "[shop]\nca = \"/nowhere/ca.pem\"",
                "shop.ca: only for",
            ),
            (
                "[shop]",
                "[shop]\nbalance = \"best\"",
                "shop.balance: expected",
            ),
            ("[shop]", "[shop]\nread_ms = 0", "shop.read_ms: expected"),
            (
                "[buyer]",
                "[shop.health]\npath = \"health\"\n[buyer]",
                "shop.health.path: expected",
            ),
            (
                "[buyer]",
                "[shop.health]\npath = \"/\"\nevery_ms = 500\ntimeout_ms = 501\n[buyer]",
                "shop.health.timeout_ms: expected 1 to 500",
            ),
            (
                "[buyer]",
                "[shop.health]\npath = \"/\"\nhost = \"a b\"\n[buyer]",
                "shop.health.host: expected",
            ),
            (
                "[buyer]",
                "[shop.health]\npath = \"/\"\nrise = 0\n[buyer]",
                "shop.health.rise: expected",
            ),
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
            ("@127.0.0.1:6379/", "@/", "redis.url: expected"),
            (
                "redis://proxy:secret@127.0.0.1:6379/",
                "rediss://127.0.0.1:6379/#insecure",
                "redis.url: expected",
            ),
            (
                "[shop]",
                "tls = { ca = { file = \"/nowhere/ca.pem\" } }\n[shop]",
                "redis.tls: only",
            ),
            (
                "[shop]",
                "sentinels = [\"10.0.0.1:26379\"]\n[shop]",
                "redis.master: missing",
            ),
            ("[shop]", "master = \"m\"\n[shop]", "redis.master: only"),
            (
                "[shop]",
                "sentinels = [\"10.0.0.1\"]\nmaster = \"m\"\n[shop]",
                "redis.sentinels[0]: expected",
            ),
            (
                "[shop]",
                "cluster = [\"10.0.0.1:7000\", \"10.0.0.2:0\"]\n[shop]",
                "redis.cluster[1]: expected",
            ),
            ("[shop]", "cluster = []\n[shop]", "redis.cluster: expected"),
            (
                ":6379/\"",
                ":6379/1\"\ncluster = [\"10.0.0.1:7000\"]",
                "redis.url: expected database 0",
            ),
            (
                "[shop]",
                "durability = \"disk\"\n[shop]",
                "redis.durability: expected",
            ),
            (
                "[shop]",
                "[admin]\nlisten = \"here\"\n[shop]",
                "admin.listen: expected",
            ),
            (
                "[shop]",
                "[access_log]\nfile = \"stdout\"\nrejections = 2\n[shop]",
                "access_log.rejections: expected",
            ),
            (
                "[shop]",
                "[access_log]\nfile = \"/nowhere/access.log\"\n[shop]",
                "access_log.file: expected",
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
                "mode = \"forward\"",
                "mode = \"forward\"\non_server_error = \"hold\"",
                "route[1].on_server_error: expected",
            ),
            (
                "mode = \"queue\"",
                "mode = \"queue\"\non_timeout = \"keep\"",
                "route[0].on_timeout: only",
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

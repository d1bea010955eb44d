//! Starts the servers and programs with wires in between, and opens the sale.
//!
//! * `lines`: the wires, and where each leads
//! * `parts`: the processes, and what can be done to each
//! * `servers`: Redis, its replica, Kafka and MariaDB
//! * `watchdog`: what systemd does for a worker

mod lines;
mod parts;
mod servers;
mod watchdog;

pub(crate) use lines::Lines;
pub(crate) use parts::{Kept, Parts, Watched};

use crate::fault::{Line, Victim};
use crate::schedule::{PAIR, Sale};
use anyhow::{Context, Result};
use seckill_testbed::{Clock, Place, Proxy, Redis, SampleShop, Settings, User, Worker};
use servers::Servers;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use toml::{Table, Value};
use watchdog::Watchdog;

/// The sale, and its row in `stock`.
pub(crate) const SID: &str = "1001";

/// What the shop proves itself with.
pub(crate) const SHOP_KEY: &str = "the-shop-says-so-0123456789abcdef";

/// How long a proxy waits for Redis: a machine on which all parts and all buyers run is slow.
const DEADLINE_MS: i64 = 1500;

/// Everything that runs in a round.
pub(crate) struct Stage {
    place: Place,
    pub(crate) lines: Lines,
    pub(crate) parts: Parts,
    pub(crate) addresses: Addresses,
}

/// How to reach the servers past the wires.
pub(crate) struct Addresses {
    /// Of both, for whoever may do everything.
    pub(crate) redis: [String; PAIR],
    pub(crate) redis_ports: [u16; PAIR],
    pub(crate) mysql_url: String,
    pub(crate) kafka: String,
    /// For `seckill-worker` as an operator calls it, by which Redis is the primary.
    operator: [Settings; PAIR],
}

// === impl Stage ===

impl Stage {
    /// Starts everything in a folder that stays. Blocks for seconds.
    ///
    /// # Errors
    /// If something does not start.
    pub(crate) fn set(folder: &Path, lines: Lines, sale: &Sale) -> Result<Self> {
        let place = Place::at(folder)?;
        let servers = Servers::start(&place, &lines)?;
        let addresses = Addresses::of(&servers)?;
        let [settings, _] = &addresses.operator;
        open_sale(&place, settings, &servers, sale)?;

        let mut parts = Vec::new();
        for number in 0..PAIR {
            let clock = Clock::new(&place)?;
            let settings = worker_settings(settings.clone(), &lines, number, &servers)?;
            let watchdog = Watchdog::new(&folder.join(format!("notify-{number}")))?;
            let surrounded = place.with_clock(&clock);
            let worker = Worker::start_with(&surrounded, &settings, watchdog.environment())?;
            let name = Victim::Worker(number);
            let worker = Watched::new(&name, worker).with_clock(clock);
            parts.push((name, Arc::new(worker.with_watchdog(watchdog))));
        }
        let [one, _] = &servers.redis;
        let primary = &one.server;
        let shop = SampleShop::start(&place)?;
        let key = folder.join("shop-key");
        fs::write(&key, SHOP_KEY)?;
        for number in 0..PAIR {
            lines.lead(Line::ProxyToShop(number), port_of(&shop.address())?)?;
            let clock = Clock::new(&place)?;
            let settings = proxy_settings(&lines, number, primary, &key, sale)?;
            let proxy = Proxy::start(&place.with_clock(&clock), &settings)?;
            lines.lead(Line::BuyersToProxy(number), port_of(&proxy.address())?)?;
            let name = Victim::Proxy(number);
            parts.push((name, Arc::new(Watched::new(&name, proxy).with_clock(clock))));
        }
        parts.push((Victim::Shop, Arc::new(Watched::new(&"shop", shop))));
        Ok(Self {
            place,
            lines,
            parts: Parts::new(parts, servers),
            addresses,
        })
    }

    /// Runs a command of the worker as an operator would, at the present primary. Blocks.
    ///
    /// # Errors
    /// If it fails; what it printed is in the message.
    pub(crate) fn command(&self, words: &[&str]) -> Result<String> {
        let settings = self.addresses.operator.get(self.parts.primary());
        Worker::command(&self.place, settings.context("no such Redis")?, words)
    }
}

// === impl Addresses ===

impl Addresses {
    fn of(servers: &Servers) -> Result<Self> {
        let [one, other] = &servers.redis;
        let operator = |redis: &Redis| {
            let settings = Settings::worker(redis, &servers.mariadb)?;
            anyhow::Ok(settings.kafka(&servers.kafka).with("kafka.partitions", 1))
        };
        Ok(Self {
            redis: [one, other].map(|redis| redis.server.url(User::Anything)),
            redis_ports: [one, other].map(|redis| redis.server.port()),
            mysql_url: servers.mariadb.url(),
            kafka: servers.kafka.brokers(),
            operator: [operator(&one.server)?, operator(&other.server)?],
        })
    }
}

/// `migrate`, the row in `stock`, `warm`: as a shop owner does it.
fn open_sale(place: &Place, settings: &Settings, servers: &Servers, sale: &Sale) -> Result<()> {
    Worker::command(place, settings, &["migrate"]).context("seckill-worker migrate")?;
    servers.mariadb.query(&format!(
        "INSERT INTO stock (id, name, count, sale, version) \
         VALUES ({SID}, 'a thing that everybody wants', {}, 0, 0)",
        sale.stock
    ))?;
    let (limit, hold) = (sale.limit.to_string(), sale.hold_ms.to_string());
    let words = ["warm", SID, "--limit", &limit, "--hold", &hold];
    Worker::command(place, settings, &words).context("seckill-worker warm")?;
    Ok(())
}

fn worker_settings(
    operator: Settings,
    lines: &Lines,
    number: usize,
    servers: &Servers,
) -> Result<Settings> {
    let [redis, _] = &servers.redis;
    let (redis, mariadb) = (&redis.server, &servers.mariadb);
    let redis_url = redis.url(User::Worker);
    let redis_url = lines.in_url(&redis_url, redis.port(), Line::WorkerToRedis(number))?;
    let mysql_url = mariadb.url();
    let mysql_url = lines.in_url(&mysql_url, mariadb.port(), Line::WorkerToMariaDb(number))?;
    let kafka = lines.wire(Line::WorkerToKafka(number))?;
    Ok(operator
        .with("redis.url", redis_url)
        .with("mysql.url", mysql_url)
        .with("kafka.brokers", kafka.address()))
}

fn proxy_settings(
    lines: &Lines,
    number: usize,
    primary: &Redis,
    key: &Path,
    sale: &Sale,
) -> Result<Settings> {
    let url = primary.url(User::Proxy);
    let url = lines.in_url(&url, primary.port(), Line::ProxyToRedis(number))?;
    let mut file = Table::new();
    file.insert("file".to_owned(), key.display().to_string().into());
    let route = |path: &str, mode: &str| {
        let mut route = Table::new();
        route.insert("path".to_owned(), path.into());
        route.insert("mode".to_owned(), mode.into());
        Value::from(route)
    };
    let routes = vec![
        route("/seckill/{sid}", "queue"),
        route("/checkout/{sid}", "forward"),
    ];
    Ok(Settings::proxy(primary)?
        .with("redis.url", url)
        .with("redis.durability", sale.durability.word())
        .with("redis.deadline_ms", DEADLINE_MS)
        .with(
            "shop.upstream",
            lines.wire(Line::ProxyToShop(number))?.address(),
        )
        .with("shop.callback.keys.k1", file)
        .with("route", routes))
}

fn port_of(address: &str) -> Result<u16> {
    let (_, port) = address.rsplit_once(':').context("an address has a port")?;
    Ok(port.parse()?)
}

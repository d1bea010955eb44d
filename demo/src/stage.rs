//! Starts the servers and programs and opens the sale.

use crate::cli::Broker;
use crate::name::Name;
use crate::say::Say;
use anyhow::{Context, Result, anyhow, bail};
use seckill_testbed::{
    Kafka, MariaDb, Part, Place, Proxy, Redis, SampleShop, Settings, User, Worker,
};
use std::thread;
use std::time::Instant;

/// The sale of the demo, and its row in `stock`.
pub(crate) const SID: u32 = 1001;

/// A part that runs.
pub(crate) type Running = (Name, Box<dyn Part + Send>);

/// Everything that runs.
pub(crate) struct Stage {
    /// Who asks before who answers: the order in which they are stopped.
    pub(crate) parts: Vec<Running>,
    pub(crate) addresses: Addresses,
}

/// How to reach what runs.
#[derive(Debug)]
pub(crate) struct Addresses {
    /// Where buyers go.
    pub(crate) proxy_url: String,
    /// `host:port`
    pub(crate) shop: String,
    /// With the name and the password of the operator.
    pub(crate) redis_url: String,
    /// With the name and the password of the user `seckill`.
    pub(crate) mysql_url: String,
    /// `host:port`; `None`: the worker does without.
    pub(crate) kafka: Option<String>,
}

// === impl Stage ===

impl Stage {
    /// Starts everything in `place` and opens a sale of `stock` units.
    ///
    /// A sale that is open there from before goes on as it is.
    pub(crate) fn set(place: &Place, with_kafka: bool, stock: u32, say: &Say) -> Result<Self> {
        let (redis, mariadb, kafka) = servers(place, with_kafka, say)?;

        let began = Instant::now();
        let shop = SampleShop::start(place)?;
        say.ready("shop", &at(&shop.address(), &shop), began);

        let mut settings = Settings::worker(&redis, &mariadb)?;
        if let Some(kafka) = &kafka {
            settings = settings.kafka(kafka);
        }
        open_sale(place, &settings, &mariadb, stock, say)?;

        let began = Instant::now();
        let worker = Worker::start(place, &settings)?;
        let road = if kafka.is_some() {
            "Redis → Kafka → MariaDB"
        } else {
            "Redis → MariaDB"
        };
        say.ready("worker", &at(road, &worker), began);

        let began = Instant::now();
        let settings = Settings::proxy(&redis)?.with("shop.upstream", shop.address());
        let proxy = Proxy::start(place, &settings)?;
        say.ready("proxy", &at(&proxy.url(), &proxy), began);

        let addresses = Addresses {
            proxy_url: proxy.url(),
            shop: shop.address(),
            redis_url: redis.url(User::Operator),
            mysql_url: mariadb.url(),
            kafka: kafka.as_ref().map(Kafka::brokers),
        };
        let mut parts = vec![
            (Name::Proxy, boxed(proxy)),
            (Name::Worker, boxed(worker)),
            (Name::Shop, boxed(shop)),
        ];
        parts.extend(kafka.map(|kafka| (Name::Kafka, boxed(kafka))));
        parts.push((Name::MariaDb, boxed(mariadb)));
        parts.push((Name::Redis, boxed(redis)));
        Ok(Self { parts, addresses })
    }
}

/// Where a part is, and what to say to `kill -9`.
fn at(address: &str, part: &impl Part) -> String {
    format!("{address}, pid {}", part.pid())
}

fn boxed(part: impl Part + Send + 'static) -> Box<dyn Part + Send> {
    Box::new(part)
}

/// Whether events go through Kafka here; where they cannot, says why.
pub(crate) fn with_kafka(broker: Broker, say: &Say) -> Result<bool> {
    match (broker, Kafka::available()) {
        (Broker::None, _) => Ok(false),
        (Broker::Auto | Broker::Kafka, Ok(())) => Ok(true),
        (Broker::Auto, Err(reason)) => {
            say.line(format!("  without Kafka: {reason}"));
            Ok(false)
        }
        (Broker::Kafka, Err(reason)) => bail!("broker kafka: {reason}"),
    }
}

/// The three servers at the same time: Kafka takes seconds.
fn servers(place: &Place, with_kafka: bool, say: &Say) -> Result<(Redis, MariaDb, Option<Kafka>)> {
    thread::scope(|scope| {
        let mariadb = scope.spawn(|| {
            let began = Instant::now();
            let mariadb = MariaDb::start(place)?;
            let address = format!("127.0.0.1:{}", mariadb.port());
            say.ready("mariadb", &at(&address, &mariadb), began);
            anyhow::Ok(mariadb)
        });
        let kafka = with_kafka.then(|| {
            scope.spawn(|| {
                let began = Instant::now();
                let kafka = Kafka::start(place)?;
                say.ready("kafka", &at(&kafka.brokers(), &kafka), began);
                anyhow::Ok(kafka)
            })
        });
        let began = Instant::now();
        let redis = Redis::start(place)?;
        let address = format!("127.0.0.1:{} with libseckill.so", redis.port());
        say.ready("redis", &at(&address, &redis), began);

        let gone = |_| anyhow!("a thread that starts a server broke off");
        let mariadb = mariadb.join().map_err(gone)??;
        let kafka = kafka.map(|kafka| kafka.join().map_err(gone)?).transpose()?;
        Ok((redis, mariadb, kafka))
    })
}

/// `migrate`, the row in `stock`, `warm`: as a shop owner does it.
fn open_sale(
    place: &Place,
    settings: &Settings,
    mariadb: &MariaDb,
    stock: u32,
    say: &Say,
) -> Result<()> {
    let began = Instant::now();
    Worker::command(place, settings, &["migrate"]).context("seckill-worker migrate")?;
    mariadb.query(&format!(
        "INSERT IGNORE INTO stock (id, name, count, sale, version) \
         VALUES ({SID}, 'a thing that everybody wants', {stock}, 0, 0)"
    ))?;
    Worker::command(place, settings, &["warm", &SID.to_string()]).context("seckill-worker warm")?;
    say.ready("sale", &format!("{SID}: {stock} units, one a buyer"), began);
    Ok(())
}

// === impl Addresses ===

impl Addresses {
    /// What the events go through, as `worker.toml` spells it.
    pub(crate) fn broker(&self) -> &'static str {
        match self.kafka {
            Some(_) => "kafka",
            None => "none",
        }
    }
}

//! Starts the servers and programs and opens the sale: one of each, or a Redis Cluster with two
//! workers and two proxies.

use crate::cli::Broker;
use crate::name::Name;
use crate::say::Say;
use anyhow::{Context, Result, anyhow, bail};
use seckill_testbed::{
    Cluster, Kafka, MariaDb, Part, Place, Proxy, Redis, SampleShop, Settings, Storefront, User,
    Worker,
};
use std::thread;
use std::time::{Duration, Instant};

/// The sale of the demo, and its row in `stock`.
pub(crate) const SID: u32 = 1001;

/// How long the nodes of a cluster miss one before its replica takes over, ms.
const NODE_TIMEOUT_MS: u32 = 1000;

/// How long a killed node of a cluster stays away: its replica is to take over.
const NODE_AWAY: Duration = Duration::from_secs(5);

/// A part that runs.
pub(crate) type Running = (Name, Box<dyn Part + Send>);

/// Everything that runs.
pub(crate) struct Stage {
    /// Who asks before who answers: the order in which they are stopped.
    pub(crate) parts: Vec<Running>,
    pub(crate) addresses: Addresses,
    /// How long a killed Redis stays away.
    pub(crate) redis_away: Duration,
}

/// How to reach what runs.
#[derive(Debug)]
pub(crate) struct Addresses {
    /// Where buyers go.
    pub(crate) proxies: Vec<String>,
    /// Where buyers with a browser go, if there is a page for them.
    pub(crate) page: Option<String>,
    /// `host:port`
    pub(crate) shop: String,
    /// With the name and the password of the operator; of a cluster, every node.
    pub(crate) redis: Vec<String>,
    /// With the name and the password of the user `seckill`.
    pub(crate) mysql_url: String,
    /// `host:port`; `None`: the worker does without.
    pub(crate) kafka: Option<String>,
}

// === impl Stage ===

impl Stage {
    /// Starts everything in `place` and opens a sale of `stock` units.
    ///
    /// With a page, browsers can buy, too.
    ///
    /// A sale that is open there from before goes on as it is.
    pub(crate) fn set(
        place: &Place,
        with_kafka: bool,
        with_cluster: bool,
        with_page: bool,
        stock: u32,
        say: &Say,
    ) -> Result<Self> {
        let (redis, mariadb, kafka) = servers(place, with_kafka, with_cluster, say)?;

        let began = Instant::now();
        let proxy_settings = redis.told_to(Settings::proxy(redis.first()?)?);
        let (shop, page) = if with_page {
            let front = Storefront::start(place, &proxy_settings)?;
            (front.shop, Some(front.proxy))
        } else {
            (SampleShop::start(place)?, None)
        };
        say.ready("shop", &at(&shop.address(), &shop), began);

        let mut settings = redis.told_to(Settings::worker(redis.first()?, &mariadb)?);
        if let Some(kafka) = &kafka {
            settings = settings.kafka(kafka);
        }
        open_sale(place, &settings, &mariadb, stock, say)?;

        let road = if kafka.is_some() {
            "Redis → Kafka → MariaDB"
        } else {
            "Redis → MariaDB"
        };
        let mut parts = Vec::new();
        for _ in 0..redis.programs() {
            let began = Instant::now();
            let worker = Worker::start(place, &settings)?;
            say.ready("worker", &at(road, &worker), began);
            parts.push((Name::Worker, boxed(worker)));
        }
        let settings = proxy_settings.with("shop.upstream", shop.address());
        let mut proxies = Vec::new();
        for _ in 0..redis.programs() {
            let began = Instant::now();
            let proxy = Proxy::start(place, &settings)?;
            say.ready("proxy", &at(&proxy.url(), &proxy), began);
            proxies.push(proxy.url());
            parts.insert(0, (Name::Proxy, boxed(proxy)));
        }

        let addresses = Addresses {
            proxies,
            page: page.as_ref().map(Proxy::url),
            shop: shop.address(),
            redis: redis.urls(),
            mysql_url: mariadb.url(),
            kafka: kafka.as_ref().map(Kafka::brokers),
        };
        let redis_away = redis.away();
        parts.extend(page.map(|page| (Name::Page, boxed(page))));
        parts.push((Name::Shop, boxed(shop)));
        parts.extend(kafka.map(|kafka| (Name::Kafka, boxed(kafka))));
        parts.push((Name::MariaDb, boxed(mariadb)));
        parts.extend(redis.into_parts()?.map(|part| (Name::Redis, part)));
        Ok(Self {
            parts,
            addresses,
            redis_away,
        })
    }
}

/// Who has the sale.
enum Servers {
    One(Box<Redis>),
    Cluster {
        cluster: Cluster,
        replicas: Vec<Redis>,
    },
}

// === impl Servers ===

impl Servers {
    fn start(place: &Place, with_cluster: bool, say: &Say) -> Result<Self> {
        let began = Instant::now();
        if !with_cluster {
            let redis = Redis::start(place)?;
            let address = format!("127.0.0.1:{} with libseckill.so", redis.port());
            say.ready("redis", &at(&address, &redis), began);
            return Ok(Self::One(Box::new(redis)));
        }
        let cluster = Cluster::start(place)?;
        let replicas: Vec<Redis> = (0..cluster.nodes().len())
            .map(|primary| cluster.start_replica(place, primary))
            .collect::<Result<_>>()?;
        for node in cluster.nodes().chain(&replicas) {
            redis::cmd("CONFIG")
                .arg(&["SET", "cluster-node-timeout"])
                .arg(NODE_TIMEOUT_MS)
                .exec(&mut node.connect(User::Anything)?)?;
        }
        let address = "a cluster of three primaries with a replica each";
        say.ready("redis", address, began);
        Ok(Self::Cluster { cluster, replicas })
    }

    fn first(&self) -> Result<&Redis> {
        match self {
            Self::One(redis) => Ok(redis),
            Self::Cluster { cluster, .. } => cluster.node(0),
        }
    }

    /// How many workers, and how many proxies.
    fn programs(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Cluster { .. } => 2,
        }
    }

    /// The configuration is all that changes.
    fn told_to(&self, settings: Settings) -> Settings {
        match self {
            Self::One(_) => settings,
            Self::Cluster { cluster, .. } => {
                let address = |node: &Redis| format!("127.0.0.1:{}", node.port());
                let nodes: Vec<String> = cluster.nodes().map(address).collect();
                settings.with("redis.cluster", nodes)
            }
        }
    }

    fn urls(&self) -> Vec<String> {
        let url = |redis: &Redis| redis.url(User::Operator);
        match self {
            Self::One(redis) => vec![url(redis)],
            Self::Cluster { cluster, replicas } => {
                cluster.nodes().chain(replicas).map(url).collect()
            }
        }
    }

    fn away(&self) -> Duration {
        match self {
            Self::One(_) => Duration::ZERO,
            Self::Cluster { .. } => NODE_AWAY,
        }
    }

    /// The parts, first the one that has the sale: that is worth killing.
    fn into_parts(self) -> Result<impl Iterator<Item = Box<dyn Part + Send>>> {
        let (mut nodes, others) = match self {
            Self::One(redis) => (vec![boxed(*redis)], Vec::new()),
            Self::Cluster { cluster, replicas } => {
                let home = cluster.owner_of(cluster.slot_of(&SID.to_string())?)?;
                let mut nodes: Vec<_> = cluster.into_parts().collect();
                nodes.rotate_left(home);
                (nodes, replicas)
            }
        };
        nodes.extend(others.into_iter().map(boxed));
        Ok(nodes.into_iter())
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
fn servers(
    place: &Place,
    with_kafka: bool,
    with_cluster: bool,
    say: &Say,
) -> Result<(Servers, MariaDb, Option<Kafka>)> {
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
        let redis = Servers::start(place, with_cluster, say)?;

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

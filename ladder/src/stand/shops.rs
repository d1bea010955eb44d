//! Rungs 0 to 5: shops, what stands before them, and what stands behind them.

use super::{NAME, Named, SID, Sale, insert_stock};
use crate::cli::{KAFKA_BROKERS, MYSQL_URL, REDIS_URL};
use crate::http;
use crate::rung::Rung;
use crate::shop::{Handled, Stock, TOPIC, fill_cache};
use anyhow::{Context, Result, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use seckill_testbed::{Kafka, MariaDb, Nginx, Part, Place, Redis, Service, User};
use std::ffi::OsString;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

const PROGRAM: &str = "seckill-ladder";

/// The tutorial's tables, and nothing besides.
const TABLES: [&str; 2] = [
    include_str!("../../../migrations/V1__create_stock.sql"),
    include_str!("../../../migrations/V2__create_stock_order.sql"),
];

/// How long a consumer may take to get its topic.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Which parts there are is the rung's.
pub(super) struct Shops {
    shops: Vec<Service>,
    balancer: Option<Nginx>,
    redis: Option<Redis>,
    kafka: Option<Kafka>,
    consumer: Option<Service>,
}

// === impl Shops ===

impl Shops {
    pub(super) fn start(place: &Place, db: &MariaDb, rung: Rung, sale: Sale) -> Result<Self> {
        for table in TABLES {
            db.query(table)?;
        }
        insert_stock(db, sale.stock)?;
        let mut environment = vec![(MYSQL_URL, OsString::from(db.url()))];
        let redis = rung.has_redis().then(|| start_redis(place)).transpose()?;
        if let Some(redis) = &redis {
            environment.push((REDIS_URL, redis.url(User::Anything).into()));
            if rung.has_cache() {
                let stock = Stock {
                    sid: SID,
                    name: NAME.to_owned(),
                    count: sale.stock.into(),
                    sale: 0,
                    version: 0,
                };
                fill_cache(&mut redis.connect(User::Anything)?, &stock)?;
            }
        }
        let kafka = rung.has_kafka().then(|| start_kafka(place)).transpose()?;
        if let Some(kafka) = &kafka {
            environment.push((KAFKA_BROKERS, kafka.brokers().into()));
        }
        let consumer = kafka
            .is_some()
            .then(|| start_consumer(place, environment.clone()))
            .transpose()?;
        let limit = sale.limit.to_string();
        let words = ["shop", "--limit", &limit];
        let mut shops = Vec::new();
        for _ in 0..rung.shops() {
            shops.push(Service::start(place, PROGRAM, &words, environment.clone())?);
        }
        let balancer = (shops.len() > 1)
            .then(|| Nginx::start(place, &balance(&shops), &[]))
            .transpose()?;
        Ok(Self {
            shops,
            balancer,
            redis,
            kafka,
            consumer,
        })
    }

    pub(super) fn address(&self) -> String {
        match (&self.balancer, self.shops.first()) {
            (Some(balancer), _) => balancer.address(),
            (None, Some(shop)) => shop.address(),
            (None, None) => String::new(),
        }
    }

    /// Without a queue nobody is told "yes" before his order is there.
    pub(super) async fn is_at_rest(&self, yes: u64) -> Result<bool> {
        let Some(consumer) = &self.consumer else {
            return Ok(true);
        };
        let handled = handled(consumer).await?;
        Ok(handled.ordered + handled.dropped >= yes)
    }

    pub(super) fn parts(&self) -> Vec<Named<'_>> {
        let mut parts: Vec<Named<'_>> = Vec::new();
        parts.extend(self.shops.iter().map(|part| named("shop", part)));
        parts.extend(self.balancer.iter().map(|part| named("nginx", part)));
        parts.extend(self.redis.iter().map(|part| named("Redis", part)));
        parts.extend(self.kafka.iter().map(|part| named("Kafka", part)));
        parts.extend(self.consumer.iter().map(|part| named("consumer", part)));
        parts
    }
}

fn named<'a>(name: &'static str, part: &'a impl Part) -> Named<'a> {
    (name, part)
}

/// A cache and counters of a second: nothing that has to survive, and so nothing on the disk.
fn start_redis(place: &Place) -> Result<Redis> {
    let redis = Redis::start_bare(place)?;
    let mut connection = redis.connect(User::Anything)?;
    for (setting, value) in [("appendonly", "no"), ("save", "")] {
        redis::cmd("CONFIG")
            .arg(&["SET", setting, value])
            .exec(&mut connection)?;
    }
    Ok(redis)
}

fn start_kafka(place: &Place) -> Result<Kafka> {
    let kafka = Kafka::start(place)?;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.brokers());
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1));
    let made = Handle::current().block_on(admin.create_topics(&[topic], &AdminOptions::new()))?;
    for topic in made {
        topic.map_err(|(name, error)| anyhow::anyhow!("topic {name}: {error}"))?;
    }
    Ok(kafka)
}

/// A consumer that has its topic.
fn start_consumer(place: &Place, environment: Vec<(&'static str, OsString)>) -> Result<Service> {
    let consumer = Service::start(place, PROGRAM, &["consumer"], environment)?;
    let began = Instant::now();
    loop {
        let handled = Handle::current().block_on(handled(&consumer));
        if handled?.reads {
            return Ok(consumer);
        }
        ensure!(
            began.elapsed() < PATIENCE,
            "the consumer gets no partition; see {}",
            consumer.log().display()
        );
        sleep(LOOK_EVERY);
    }
}

/// How far a consumer is.
async fn handled(consumer: &Service) -> Result<Handled> {
    let handled = http::get(&consumer.address(), "/handled").await;
    handled.context("the consumer")
}

/// Requests take turns, over connections that are kept.
fn balance(shops: &[Service]) -> String {
    let servers: String = shops
        .iter()
        .map(|shop| format!("        server {};\n", shop.address()))
        .collect();
    format!(
        "    keepalive_requests 1000000;
    upstream shops {{
{servers}        keepalive 1024;
        keepalive_requests 1000000;
    }}
    server {{
        listen LISTEN backlog=4096;
        location / {{
            proxy_pass http://shops;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_read_timeout 600s;
        }}
    }}
"
    )
}

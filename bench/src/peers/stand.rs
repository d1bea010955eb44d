//! The servers of all peers under the same terms, each with a Redis of its own.

use super::terms::{DEADLINE_MS, RATE, Terms};
use crate::cli::REDIS_URL;
use crate::edge::stand::{self as edge, query};
use anyhow::{Context, Result};
use redis::Connection;
use seckill_testbed::{Nginx, Part, Place, Proxy, Redis, Service, Settings, User};
use std::path::Path;

/// The sale of which no unit is left, and the one of which there are more than anybody buys.
pub(super) const SOLD_OUT: &str = "1001";
pub(super) const PLENTY: &str = "1002";
const UNITS: u32 = 1_000_000_000;

const PROGRAM: &str = "seckill-bench";

/// All of them wait from the start on; only one is asked at a time.
pub(super) struct Stand {
    pub(super) terms: Terms,
    pub(super) nginx: (Nginx, Redis),
    pub(super) service: (Service, Redis),
    /// Where there is a rate to limit, and the limiter is installed.
    pub(super) throttled: Option<(Service, Redis)>,
    /// As it ships.
    pub(super) remembers: Proxy,
    /// Asks Redis each time.
    pub(super) asks: Proxy,
    pub(super) module: Redis,
}

// === impl Stand ===

impl Stand {
    pub(super) fn start(terms: Terms, cell: Option<&Path>) -> Result<Self> {
        let place = Place::temporary("bench-peers")?;
        let throttled = cell.filter(|_| terms.has_rate);
        let throttled = throttled.map(|cell| start_throttled(&place, terms, cell));
        let module = start_module(&place, terms)?;
        let settings = Settings::proxy(&module)?
            .with("threads", 1)
            .with("redis.deadline_ms", i64::try_from(DEADLINE_MS)?)
            .with("limits.requests_per_connection", 1_000_000_000);
        Ok(Self {
            terms,
            nginx: start_nginx(&place, terms)?,
            service: start_service(&place, terms)?,
            throttled: throttled.transpose()?,
            remembers: Proxy::start(&place, &settings)?,
            asks: Proxy::start(&place, &settings.with("redis.remember_ms", 0))?,
            module,
        })
    }
}

/// A Redis as it ships with the module, and the two sales.
fn start_module(place: &Place, terms: Terms) -> Result<Redis> {
    let redis = Redis::start_with(place, &[&format!("appendfsync {}", terms.fsync)])?;
    let mut connection = redis.connect(User::Anything)?;
    let rate = RATE.to_string();
    let options: &[&str] = if terms.has_rate {
        &["USERRATE", &rate]
    } else {
        &[]
    };
    for (sid, units) in [(SOLD_OUT, 0), (PLENTY, UNITS)] {
        let units = units.to_string();
        let words = [&["SECKILL.CREATE", sid, "STOCK", &units][..], options].concat();
        query::<()>(&mut connection, &words)?;
    }
    Ok(redis)
}

/// A Redis as it ships without the module, and the script's two sales: of the one that is sold out
/// there is nothing.
fn start_bare(place: &Place, terms: Terms) -> Result<(Redis, Connection)> {
    let redis = Redis::start_bare(place)?;
    let mut connection = redis.connect(User::Anything)?;
    query::<()>(
        &mut connection,
        &["CONFIG", "SET", "appendfsync", terms.fsync],
    )?;
    let stock = format!("{{{PLENTY}}}:stock");
    query::<()>(&mut connection, &["SET", &stock, &UNITS.to_string()])?;
    Ok((redis, connection))
}

fn start_nginx(place: &Place, terms: Terms) -> Result<(Nginx, Redis)> {
    let (redis, _) = start_bare(place, terms)?;
    // Nothing is passed on here.
    let nginx = edge::start_nginx(place, &redis, terms.tries(), "127.0.0.1:9")?;
    Ok((nginx, redis))
}

fn start_service(place: &Place, terms: Terms) -> Result<(Service, Redis)> {
    let (redis, _) = start_bare(place, terms)?;
    let service = service(place, &redis, terms, &[])?;
    Ok((service, redis))
}

fn start_throttled(place: &Place, terms: Terms, cell: &Path) -> Result<(Service, Redis)> {
    let (redis, mut connection) = start_bare(place, terms)?;
    let cell = cell.display().to_string();
    query::<()>(&mut connection, &["MODULE", "LOAD", &cell]).context("redis-cell")?;
    let service = service(place, &redis, terms, &["--throttle"])?;
    Ok((service, redis))
}

fn service(place: &Place, redis: &Redis, terms: Terms, more: &[&str]) -> Result<Service> {
    let tries = terms.tries().to_string();
    let words = [&["service", "--tries", &tries][..], more].concat();
    let environment = vec![(REDIS_URL, redis.url(User::Anything).into())];
    Service::start(place, PROGRAM, &words, environment)
}

/// Who has a process, and where it is asked.
pub(super) trait Edge: Part {
    /// `host:port`
    fn at(&self) -> String;
}

impl Edge for Nginx {
    fn at(&self) -> String {
        self.address()
    }
}

impl Edge for Service {
    fn at(&self) -> String {
        self.address()
    }
}

impl Edge for Proxy {
    fn at(&self) -> String {
        self.address()
    }
}

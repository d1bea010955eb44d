//! The servers that are attacked.

use std::fs;
use std::sync::mpsc::Sender;

use anyhow::Result;
use redis::Connection;
use seckill_testbed::{Part, Place, Proxy, Redis, Settings, User};
use toml::{Table, Value};

use super::origin::{self, Seen};
use super::tls::Tls;
use crate::plan::Finding;

const LIVES: &str = "the proxy lives, and nothing in it panics";

/// More than the proxy needs for what it is sent here.
const MEMORY_KB_MAX: u64 = 1 << 20;

/// A proxy, its Redis, and a shop that writes everything down.
pub(crate) struct Stand {
    pub(crate) redis: Redis,
    pub(crate) proxy: Proxy,
    pub(crate) tls: Tls,
    pid: u32,
    _place: Place,
}

// === impl Stand ===

impl Stand {
    pub(crate) fn start(seen: &Sender<Seen>) -> Result<Self> {
        let place = Place::temporary("attack-proxy")?;
        let redis = Redis::start(&place)?;
        let mut operator = redis.connect(User::Operator)?;
        for (sid, stock) in [
            ("open", 1_000_000),
            ("empty", 0),
            ("canary", 1_000_000),
            ("canary-2", 1_000_000),
        ] {
            create(&mut operator, sid, stock)?;
        }
        let route = |path: &str, mode: &str| -> Table {
            let pairs = [("path", path), ("mode", mode)];
            pairs
                .map(|(key, value)| (key.to_owned(), value.into()))
                .into_iter()
                .collect()
        };
        let key = place.path().join("signing-key");
        fs::write(&key, "0123456789abcdef0123456789abcdef")?;
        let signing: Table = format!("by = 'k1'\nkeys.k1.file = {key:?}").parse()?;
        // Short, so that whoever does nothing is soon gone.
        let limits: Table =
            "head_ms = 1500\nbody_ms = 1500\nkeepalive_ms = 2000\nbody_bytes = 262144".parse()?;
        let settings = Settings::proxy(&redis)?
            .with("redis.deadline_ms", 10_000)
            .with("shop.upstream", origin::open(seen)?)
            .with("shop.signing", signing)
            .with("limits", limits)
            .with(
                "route",
                Value::from(vec![
                    route("/queue/{sid}", "queue"),
                    route("/forward/{sid}", "forward"),
                ]),
            );
        let (tls, settings) = Tls::switch_on(&place, settings)?;
        let proxy = Proxy::start(&place, &settings)?;
        Ok(Self {
            pid: proxy.pid(),
            redis,
            proxy,
            tls,
            _place: place,
        })
    }

    /// Who has units of the sale that is attacked.
    pub(crate) fn buyers(&self) -> Result<Vec<String>> {
        let mut operator = self.redis.connect(User::Operator)?;
        let mut buyers = Vec::new();
        loop {
            let mut page = redis::cmd("SECKILL.RESERVATIONS");
            page.arg("open")
                .arg("FROM")
                .arg(buyers.len())
                .arg("COUNT")
                .arg(1000);
            let rows: Vec<Vec<redis::Value>> = page.query(&mut operator)?;
            if rows.is_empty() {
                return Ok(buyers);
            }
            for row in rows {
                let uid = row.into_iter().nth(1).unwrap_or(redis::Value::Nil);
                buyers.push(redis::from_redis_value(uid)?);
            }
        }
    }

    /// What a person would see of the proxy.
    pub(crate) fn check(&mut self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        if !self.proxy.is_running() || self.proxy.pid() != self.pid {
            findings.push(Finding::new(LIVES, "it has ended"));
        }
        let log = fs::read_to_string(self.proxy.log())?;
        findings.extend(
            log.lines()
                .filter(|line| line.contains("panicked"))
                .map(|line| Finding::new(LIVES, line)),
        );
        let memory = crate::process::memory_kb(self.pid)?;
        if memory > MEMORY_KB_MAX {
            findings.push(Finding::new(
                "the proxy's memory is bounded",
                format!("{memory} kB"),
            ));
        }
        let mut operator = self.redis.connect(User::Operator)?;
        for sid in ["open", "empty", "canary", "canary-2"] {
            let audit: redis::RedisResult<String> =
                redis::cmd("SECKILL.AUDIT").arg(sid).query(&mut operator);
            if let Err(error) = audit {
                findings.push(Finding::new(
                    "the books of every sale add up",
                    format!("{sid}: {error}"),
                ));
            }
        }
        Ok(findings)
    }
}

fn create(operator: &mut Connection, sid: &str, stock: u32) -> Result<()> {
    let mut create = redis::cmd("SECKILL.CREATE");
    create
        .arg(sid)
        .arg("STOCK")
        .arg(stock)
        .arg("HOLD")
        .arg(86_400_000);
    Ok(create.exec(operator)?)
}

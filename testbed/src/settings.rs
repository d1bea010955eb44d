//! The configuration of our own programs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::kafka::Kafka;
use crate::mariadb::MariaDb;
use crate::redis::{Redis, User};
use crate::tools;

/// A shipped configuration file with some values changed.
#[derive(Clone, Debug)]
pub struct Settings(Table);

impl Settings {
    /// `conf/worker.toml` for these servers, without a broker.
    ///
    /// # Errors
    /// If the shipped file cannot be read.
    pub fn worker(redis: &Redis, mariadb: &MariaDb) -> Result<Self> {
        Ok(Self::shipped("worker.toml")?
            .with("broker", "none")
            .with("redis.url", redis.url(User::Worker))
            .with("mysql.url", mariadb.url()))
    }

    /// `conf/proxy.toml` for this server, believing a buyer's header from this machine. The shop
    /// is the shipped one until [`with`](Settings::with) says `shop.upstream`.
    ///
    /// # Errors
    /// If the shipped file cannot be read.
    pub fn proxy(redis: &Redis) -> Result<Self> {
        let trusted = Value::from(vec!["127.0.0.1/32"]);
        Ok(Self::shipped("proxy.toml")?
            .with("redis.url", redis.url(User::Proxy))
            .with("buyer.trusted_peers", trusted))
    }

    fn shipped(name: &str) -> Result<Self> {
        let table = tools::shipped(name)?.parse();
        Ok(Self(table.with_context(|| format!("conf/{name}"))?))
    }

    /// The worker's events go through this broker.
    #[must_use]
    pub fn kafka(self, kafka: &Kafka) -> Self {
        self.with("broker", "kafka")
            .with("kafka.brokers", kafka.brokers())
    }

    /// Changes one value; dots lead into tables: `kafka.partitions`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        set(&mut self.0, key, value.into());
        self
    }

    /// Writes the file and returns its path.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> Result<PathBuf> {
        let path = folder.join(name);
        fs::write(&path, toml::to_string(&self.0)?)?;
        Ok(path)
    }
}

fn set(table: &mut Table, key: &str, value: Value) {
    let Some((name, rest)) = key.split_once('.') else {
        table.insert(key.to_owned(), value);
        return;
    };
    let mut inner = match table.remove(name) {
        Some(Value::Table(inner)) => inner,
        _ => Table::new(),
    };
    set(&mut inner, rest, value);
    table.insert(name.to_owned(), Value::Table(inner));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_lead_into_tables() {
        let shipped = Settings("broker = 'none'\n[kafka]\ntopic = 't'".parse().unwrap());
        let changed = shipped
            .with("kafka.partitions", 2)
            .with("a.b.c", "d")
            .with("broker", "kafka");
        let expected = "broker = 'kafka'\na.b.c = 'd'\n[kafka]\ntopic = 't'\npartitions = 2";
        assert_eq!(changed.0, expected.parse().unwrap());
    }
}

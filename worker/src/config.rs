//! `worker.toml`.

mod redis;

pub(crate) use self::redis::{Layout, Redis, at};

use anyhow::{Context, ensure};
use serde::Deserialize;
use std::path::Path;

/// Overrides `redis.url`, so that a password need not be in the file.
const REDIS_URL: &str = "SECKILL_REDIS_URL";

/// Overrides `mysql.url`, so that a password need not be in the file.
const MYSQL_URL: &str = "SECKILL_MYSQL_URL";

/// The configuration; `conf/worker.toml` explains each key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) broker: Broker,
    pub(crate) redis: Redis,
    pub(crate) mysql: Mysql,
    #[serde(default)]
    pub(crate) kafka: Kafka,
}

/// What lies between the log and the orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Broker {
    /// A topic.
    Kafka,
    /// Nothing.
    None,
}

/// Where the orders go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mysql {
    pub(crate) url: String,
}

/// The broker.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Kafka {
    pub(crate) brokers: String,
    pub(crate) topic: String,
    pub(crate) dead_topic: String,
    pub(crate) group: String,
    pub(crate) partitions: i32,
}

// === impl Config ===

impl Config {
    /// Reads and checks a file; the URLs may come from the environment.
    ///
    /// # Errors
    /// Names the file and the key, and says what is expected.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        Self::read(&text, |name| std::env::var(name).ok())
            .with_context(|| format!("bad configuration {}", path.display()))
    }

    fn read(text: &str, env: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let mut table: toml::Table = text.parse()?;
        for (section, variable) in [("redis", REDIS_URL), ("mysql", MYSQL_URL)] {
            let Some(url) = env(variable) else { continue };
            let section = table.entry(section).or_insert(toml::Table::new().into());
            if let Some(section) = section.as_table_mut() {
                section.insert("url".to_owned(), url.into());
            }
        }
        let config: Self = table.try_into()?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        crate::mysql::options(&self.mysql.url)?;
        let Kafka {
            brokers,
            topic,
            dead_topic,
            group,
            partitions,
        } = &self.kafka;
        for (key, text) in [
            ("brokers", brokers),
            ("topic", topic),
            ("dead_topic", dead_topic),
            ("group", group),
        ] {
            ensure!(!text.is_empty(), "kafka.{key} is empty");
        }
        ensure!(
            topic != dead_topic,
            "kafka.dead_topic is the same as kafka.topic: dead letters would be read as events"
        );
        ensure!(
            (1..=1000).contains(partitions),
            "kafka.partitions is {partitions}: expected 1 to 1000"
        );
        Ok(())
    }
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            topic: "seckill.events".to_owned(),
            dead_topic: "seckill.events.dead".to_owned(),
            group: "seckill-orders".to_owned(),
            partitions: 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "
        broker = \"none\"
        [redis]
        url = \"redis://127.0.0.1/\"
        [mysql]
        url = \"mysql://seckill@127.0.0.1/seckill\"
    ";

    fn complaint(text: &str) -> String {
        let error = Config::read(text, |_| None).expect_err("it is refused");
        format!("{error:#}")
    }

    #[test]
    fn the_shipped_file_is_a_good_one() {
        let shipped = include_str!("../../conf/worker.toml");
        let config = Config::read(shipped, |_| None).expect("it is good");
        assert_eq!(config.broker, Broker::Kafka);
        assert_eq!(config.kafka.partitions, Kafka::default().partitions);
    }

    #[test]
    fn the_environment_overrides_the_urls_even_of_missing_sections() {
        let env = |name: &str| match name {
            REDIS_URL => Some("redis://elsewhere/".to_owned()),
            MYSQL_URL => Some("mysql://elsewhere/shop".to_owned()),
            _ => None,
        };
        for text in [SMALLEST, "broker = \"none\""] {
            let config = Config::read(text, env).expect("it is good");
            assert_eq!(config.redis.server.addr().to_string(), "elsewhere:6379");
            assert_eq!(config.mysql.url, "mysql://elsewhere/shop");
        }
    }

    #[test]
    fn a_mistake_is_named() {
        assert!(Config::read(SMALLEST, |_| None).is_ok());
        let broken = [
            ("broker = \"none\"", "broker = \"rabbit\"", "rabbit"),
            ("[redis]", "[redis]\nkey_prefx = \"s:\"", "key_prefx"),
            ("redis://127.0.0.1/", "http://127.0.0.1/", "redis.url"),
            ("/seckill\"", "\"", "mysql.url"),
            (
                "[mysql]",
                "[kafka]\npartitions = 0\n[mysql]",
                "kafka.partitions",
            ),
            ("[mysql]", "[kafka]\ntopic = \"\"\n[mysql]", "kafka.topic"),
        ];
        for (good, bad, named) in broken {
            let complaint = complaint(&SMALLEST.replace(good, bad));
            assert!(complaint.contains(named), "{bad}: {complaint}");
        }
    }
}

//! `worker.toml`: read, checked as a whole, turned into what the other files work with.
//!
//! A mistake is reported by the file, the line and the key, and all mistakes are reported at once.

mod admin;
mod kafka;
mod mistakes;
mod mysql;
mod redis;
mod tls;

pub(crate) use self::redis::{Layout, Redis, at};
pub(crate) use admin::{Admin, Token};
pub(crate) use kafka::Kafka;
pub(crate) use mistakes::Mistakes;
pub(crate) use mysql::Mysql;

use self::redis::RedisTable;
use crate::log::{self, Format};
use admin::AdminTable;
use kafka::KafkaTable;
use mysql::MysqlTable;
use serde::Deserialize;
use std::path::Path;
use tracing_subscriber::EnvFilter;

/// Overrides `redis.url`, so that a password need not be in the file.
pub(crate) const REDIS_URL: &str = "SECKILL_REDIS_URL";

/// Overrides `mysql.url`, so that a password need not be in the file.
pub(crate) const MYSQL_URL: &str = "SECKILL_MYSQL_URL";

/// The configuration; `conf/worker.toml` explains each key.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) broker: Broker,
    pub(crate) redis: Redis,
    pub(crate) mysql: Mysql,
    pub(crate) kafka: Kafka,
    /// Where the worker itself can be asked how it is.
    pub(crate) admin: Option<Admin>,
    pub(crate) log: Log,
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

/// What is logged, and how.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) format: Format,
    pub(crate) level: EnvFilter,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    broker: Broker,
    #[serde(default)]
    redis: RedisTable,
    #[serde(default)]
    mysql: MysqlTable,
    #[serde(default)]
    kafka: KafkaTable,
    admin: Option<AdminTable>,
    #[serde(default)]
    log: LogTable,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LogTable {
    format: Format,
    level: Option<String>,
}

// === impl Config ===

impl Config {
    /// Reads and checks a file; the URLs may come from the environment.
    ///
    /// # Errors
    /// [`Mistakes`], each with its key and what was expected there.
    pub(crate) fn load(path: &Path) -> Result<Self, Mistakes> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let mut mistakes = Mistakes::default();
            mistakes.add(format!("cannot read it: {error}"));
            mistakes.located(path)
        })?;
        Self::read(&text, environment).map_err(|mistakes| mistakes.located(path))
    }

    /// Checks the text of a file.
    ///
    /// # Errors
    /// [`Mistakes`], each with its key and what was expected there.
    pub(crate) fn read(text: &str, env: impl Fn(&str) -> Option<String>) -> Result<Self, Mistakes> {
        let file: File = toml::from_str(text).map_err(|error| Mistakes::of(text, &error))?;
        let mut mistakes = Mistakes::default();
        let redis = Redis::new(file.redis, env(REDIS_URL), &mut mistakes);
        let mysql = Mysql::new(file.mysql, env(MYSQL_URL), &mut mistakes);
        let kafka = Kafka::new(file.kafka, &mut mistakes);
        let admin = file.admin.map_or(Some(None), |table| {
            Admin::new(table, &mut mistakes).map(Some)
        });
        let level = file.log.level.as_deref().unwrap_or(log::DEFAULT);
        let level = log::parsed(level).map_err(|error| format!("log.level: {error}"));
        let level = mistakes.note(level);
        let config = || {
            Some(Self {
                broker: file.broker,
                redis: redis?,
                mysql: mysql?,
                kafka: kafka?,
                admin: admin?,
                log: Log {
                    format: file.log.format,
                    level: level?,
                },
            })
        };
        match config() {
            Some(config) if mistakes.is_empty() => Ok(config),
            _ => Err(mistakes),
        }
    }
}

/// What the environment says instead of the file; an empty variable says nothing.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "broker = \"none\"
[redis]
url = \"redis://worker:secret@127.0.0.1/\"
[mysql]
url = \"mysql://seckill:secret@127.0.0.1/seckill\"
";

    fn complaint(text: &str) -> String {
        Config::read(text, |_| None).expect_err(text).to_string()
    }

    #[test]
    fn the_shipped_file_is_a_good_one() {
        let shipped = include_str!("../../conf/worker.toml");
        let config = Config::read(shipped, |_| None).expect("it is good");
        assert_eq!(config.broker, Broker::Kafka);
    }

    #[test]
    fn every_key_that_the_shipped_file_explains_is_one() {
        let shipped = include_str!("../../conf/worker.toml");
        let all = seckill_daemon::settings::everything(shipped).expect("it is TOML");
        let file = all.try_into::<File>();
        assert_eq!(file.err().map(|error| error.to_string()), None);
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
            assert_eq!(config.mysql.opts.ip_or_hostname(), "elsewhere");
        }
    }

    #[test]
    fn a_mistake_is_named_by_its_key() {
        assert!(Config::read(SMALLEST, |_| None).is_ok());
        let mysql = |keys: &str| format!("[mysql]\n{keys}");
        for (good, bad, named) in [
            ("\"none\"", "\"rabbit\"", "rabbit"),
            ("[redis]", "[redis]\nkey_prefx = \"s:\"", "key_prefx"),
            ("redis://", "http://", "redis.url: expected"),
            ("/seckill\"", "\"", "mysql.url: names no database"),
            ("mysql://", "redis://", "mysql.url: expected"),
            (
                "[mysql]",
                "[kafka]\npartitions = 0\n[mysql]",
                "kafka.partitions: expected 1 to 1000, not 0",
            ),
            (
                "[mysql]",
                "[kafka]\ntopic = \"\"\n[mysql]",
                "kafka.topic: is empty",
            ),
            (
                "[mysql]",
                "[kafka]\ndead_topic = \"seckill.events\"\n[mysql]",
                "kafka.dead_topic: is the same",
            ),
            (
                "[mysql]",
                "[kafka.sasl]\nmechanism = \"GSSAPI\"\nuser = \"w\"\npassword = { env = \"HOME\" }\n[mysql]",
                "kafka.sasl.mechanism: expected",
            ),
            (
                "[mysql]",
                "[kafka.sasl]\nmechanism = \"PLAIN\"\nuser = \"w\"\npassword = \"secret\"\n[mysql]",
                "a secret does not stand in the configuration itself",
            ),
            (
                "[mysql]",
                "[kafka.tls]\nca = { file = \"/nowhere/ca.pem\" }\n[mysql]",
                "kafka.tls.ca: cannot read /nowhere/ca.pem",
            ),
            (
                "[mysql]",
                &mysql("tls = { cert = { file = \"/dev/null\" } }"),
                "mysql.tls.key: missing",
            ),
            (
                "[mysql]",
                &mysql("tls = { ca = { file = \"/dev/null\" } }"),
                "mysql.tls.ca: expected a certificate",
            ),
            (
                "[mysql]",
                &mysql("password = { env = \"HOME\" }"),
                "mysql.password: not together",
            ),
            (
                "[mysql]",
                "[admin]\nlisten = \"here\"\n[mysql]",
                "admin.listen: expected",
            ),
            (
                "[mysql]",
                "[log]\nlevel = \"loud\"\n[mysql]",
                "log.level: \"loud\"",
            ),
            (
                "[mysql]",
                "[log]\nformat = \"xml\"\n[mysql]",
                "unknown variant `xml`",
            ),
        ] {
            let complaint = complaint(&SMALLEST.replace(good, bad));
            assert!(complaint.contains(named), "{bad}: {complaint}");
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once_and_no_password_with_them() {
        let bad = SMALLEST
            .replace("redis://", "http://")
            .replace("/seckill\"", "\"\n[log]\nlevel = \"loud\"");
        let complaint = complaint(&bad);
        assert_eq!(complaint.lines().count(), 3, "{complaint}");
        assert!(!complaint.contains("secret@"), "{complaint}");
    }
}

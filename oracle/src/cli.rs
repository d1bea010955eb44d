//! The command line.

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use seckill_oracle::{Brokers, Durability, Setting, Sources};
use std::path::PathBuf;
use std::time::Duration;

/// Holds what clients were told against Kafka, MySQL and the module, and says of each promise
/// whether it was kept, with the evidence.
///
/// Exit code: 0, all hold; 1, one is broken; 2, a source could not be read.
#[derive(Debug, Parser)]
#[command(name = "seckill-oracle", version)]
pub(crate) struct Cli {
    /// The sales
    #[arg(required = true, value_name = "SID")]
    pub(crate) sids: Vec<String>,
    /// The primary that has the sales: redis://user:password@host:port/
    #[arg(long, env = "SECKILL_REDIS_URL", hide_env_values = true)]
    redis: String,
    /// What stands before the sid in a sale's key
    #[arg(long, default_value = "")]
    key_prefix: String,
    /// The shop's database: mysql://user:password@host:port/database
    #[arg(long, env = "SECKILL_MYSQL_URL", hide_env_values = true)]
    mysql: String,
    /// The brokers, host:port,host:port, or `none` where the worker runs without
    #[arg(long, env = "SECKILL_KAFKA_BROKERS")]
    kafka: String,
    /// The topic
    #[arg(long, default_value = "seckill.events")]
    topic: String,
    /// A setting of librdkafka, as for TLS; may be given again
    #[arg(long, value_name = "NAME=VALUE")]
    kafka_set: Vec<String>,
    /// What the clients of one process were told; may be given again. All clients have to be there
    #[arg(long, value_name = "FILE")]
    record: Vec<PathBuf>,
    /// When buyers were told that they have units, as in proxy.toml
    #[arg(long, value_enum, default_value_t = DurabilityWord::Primary)]
    durability: DurabilityWord,
    /// Seconds to wait until nothing is on its way any more
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    settle: u64,
    /// Seconds by which a hold may be overdue
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    grace: u64,
    /// Milliseconds by which the clocks of clients and of Redis may be apart
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    skew: u64,
    /// First watch for so many seconds what has to hold at every instant
    #[arg(long, value_name = "SECONDS")]
    pub(crate) watch: Option<u64>,
    /// One object a sale, for a machine
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DurabilityWord {
    /// When the primary had decided
    Primary,
    /// When a replica had it, too
    Replica,
}

// === impl Cli ===

impl Cli {
    pub(crate) fn sources(&self) -> Result<Sources> {
        let settings = self.kafka_set.iter().map(|pair| {
            let (name, value) = pair
                .split_once('=')
                .with_context(|| format!("--kafka-set: expected NAME=VALUE, not {pair:?}"))?;
            Ok((name.to_owned(), value.to_owned()))
        });
        let settings = settings.collect::<Result<Vec<_>>>()?;
        let kafka = match self.kafka.as_str() {
            "none" if !settings.is_empty() => bail!("--kafka-set: there is no Kafka to set it for"),
            "none" => None,
            brokers => Some(Brokers {
                topic: self.topic.clone(),
                settings,
                ..Brokers::at(brokers)
            }),
        };
        Ok(Sources {
            redis: self.redis.clone(),
            key_prefix: self.key_prefix.clone(),
            mysql: self.mysql.clone(),
            kafka,
            records: (!self.record.is_empty()).then(|| self.record.clone()),
        })
    }

    pub(crate) fn setting(&self) -> Setting {
        Setting {
            durability: match self.durability {
                DurabilityWord::Primary => Durability::Primary,
                DurabilityWord::Replica => Durability::Replica,
            },
            grace: Duration::from_secs(self.grace),
            skew: Some(Duration::from_millis(self.skew)),
        }
    }

    pub(crate) const fn settle(&self) -> Duration {
        Duration::from_secs(self.settle)
    }
}

//! The commands and what can be said to them.

use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// A shop that oversells, step by step up to this system.
#[derive(Parser)]
#[command(name = "seckill-ladder", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// The same buyers and the same stock on each rung, and what became of them
    Run(RunOptions),
    /// The shop of rungs 0 to 5: `run` starts it
    #[command(hide = true)]
    Shop(ShopOptions),
    /// Rung 5's way from Kafka into MySQL: `run` starts it
    #[command(hide = true)]
    Consumer(ConsumerOptions),
}

/// What `make ladder` can be told.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunOptions {
    /// How many buyers come at once; several numbers: one ladder for each
    #[arg(
        long,
        env = "BUYERS",
        default_value = "300 2000 20000",
        value_name = "NUMBERS"
    )]
    pub(crate) buyers: Numbers,
    /// How many units there are
    #[arg(long, env = "STOCK", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) stock: u32,
    /// How often a buyer asks who is told neither "yes" nor "sold out"
    #[arg(long, env = "TRIES", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) tries: u32,
    /// Requests a second that the limiter of rungs 3 to 5 lets pass
    #[arg(long, env = "LIMIT", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// How often each rung is climbed; the figures are medians
    #[arg(long, env = "ROUNDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Only these rungs
    #[arg(long, env = "ONLY", value_name = "NUMBERS")]
    pub(crate) only: Option<Numbers>,
    /// Instead: rung 6 alone, as hard as it goes, for so many seconds, once everything is warm
    #[arg(long, env = "SUSTAINED", value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) sustained: Option<u32>,
    /// Connections of the buyers who come without end
    #[arg(long, env = "CONNECTIONS", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) connections: u32,
    /// Print one JSON document instead of tables
    #[arg(long)]
    pub(crate) json: bool,
    /// Keep the JSON document in a file, and charts beside it
    #[arg(long, env = "OUT", value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// Where a shop listens, and how much it lets pass.
#[derive(Args)]
pub(crate) struct ShopOptions {
    #[command(flatten)]
    pub(crate) parts: Parts,
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    #[arg(long, default_value_t = 500)]
    pub(crate) limit: u32,
}

/// Where a consumer says how far it is.
#[derive(Args)]
pub(crate) struct ConsumerOptions {
    #[command(flatten)]
    pub(crate) parts: Parts,
    #[arg(long)]
    pub(crate) listen: SocketAddr,
}

/// The servers, out of the environment, because passwords are in it.
#[derive(Args)]
pub(crate) struct Parts {
    #[arg(long, env = MYSQL_URL, hide_env_values = true)]
    pub(crate) mysql_url: String,
    #[arg(long, env = REDIS_URL, hide_env_values = true)]
    pub(crate) redis_url: Option<String>,
    #[arg(long, env = KAFKA_BROKERS)]
    pub(crate) kafka_brokers: Option<String>,
}

pub(crate) const MYSQL_URL: &str = "LADDER_MYSQL_URL";
pub(crate) const REDIS_URL: &str = "LADDER_REDIS_URL";
pub(crate) const KAFKA_BROKERS: &str = "LADDER_KAFKA_BROKERS";

/// Whole numbers, apart by spaces or commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbers(pub(crate) Vec<u32>);

impl FromStr for Numbers {
    type Err = String;

    fn from_str(words: &str) -> Result<Self, String> {
        let words = words.split([' ', ',']).filter(|word| !word.is_empty());
        let numbers = words.map(|word| {
            word.parse()
                .map_err(|_| format!("{word:?}: expected whole numbers, as in \"300 2000\""))
        });
        let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
        if numbers.is_empty() {
            return Err("expected at least one number".to_owned());
        }
        Ok(Self(numbers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_apart_by_spaces_or_commas() {
        let read = |text: &str| text.parse::<Numbers>().map(|numbers| numbers.0);
        assert_eq!(read("300 2000,20000"), Ok(vec![300, 2000, 20_000]));
        assert!(read("many").unwrap_err().contains("\"many\""));
        assert!(read(" ").is_err());
    }
}

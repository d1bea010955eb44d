//! The commands and what can be said to them.

use crate::name::Name;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::str::FromStr;

/// A flash sale on this machine: real servers, private ones.
#[derive(Parser)]
#[command(name = "seckill-demo", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// One sale from the first start to the closed books, in a temporary folder
    Run(RunOptions),
    /// Starts everything, in `.run` of this folder, and leaves it running; starts again what is
    /// missing
    Up,
    /// Stops what `up` started; its data stays
    Down,
}

#[derive(Args)]
pub(crate) struct RunOptions {
    /// How many buyers come at once
    #[arg(long, env = "BUYERS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) buyers: u32,
    /// How many units there are
    #[arg(long, env = "STOCK", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) stock: u32,
    /// How often each buyer tries
    #[arg(long, env = "TRIES", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) tries: u32,
    /// Whether events go through Kafka
    #[arg(long, env = "BROKER", value_enum, default_value_t = Broker::Auto)]
    pub(crate) broker: Broker,
    /// A Redis Cluster of three primaries with a replica each, two workers and two proxies
    #[arg(long, env = "CLUSTER", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) cluster: bool,
    /// Parts to kill -9 in the middle of the sale: redis, mariadb, kafka, shop, worker, proxy
    #[arg(long, env = "KILL", default_value = "", value_name = "PARTS")]
    pub(crate) kill: Victims,
}

/// Parts to kill, in this order.
#[derive(Clone, Debug)]
pub(crate) struct Victims(pub(crate) Vec<Name>);

impl FromStr for Victims {
    type Err = String;

    fn from_str(words: &str) -> Result<Self, String> {
        let names = words.split_whitespace().map(str::parse);
        names.collect::<Result<_, _>>().map(Self)
    }
}

/// Whether events go through Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Broker {
    /// If Kafka is there
    Auto,
    /// Through Kafka
    Kafka,
    /// From Redis to MySQL directly
    None,
}

//! The command line.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Carries each acceptance from Redis through Kafka into an order in MySQL.
#[derive(Debug, Parser)]
#[command(name = "seckill-worker", version)]
pub(crate) struct Cli {
    /// The configuration; conf/worker.toml explains each key.
    #[arg(long, value_name = "FILE", default_value = "conf/worker.toml")]
    pub(crate) config: PathBuf,

    /// Only checks the configuration.
    #[arg(long)]
    pub(crate) test: bool,

    /// What to do.
    #[command(subcommand)]
    pub(crate) chore: Option<Chore>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Chore {
    /// Brings the tables of MySQL to the state that this program needs.
    Migrate,
    /// Makes a sale in Redis out of each stock row. A sale that exists is left alone.
    Warm(Warm),
    /// Relays and writes orders until SIGTERM.
    Run,
}

/// Which sales, and with what options.
#[derive(Debug, Args)]
pub(crate) struct Warm {
    /// The ids of the stock rows.
    #[arg(required = true, value_name = "SID")]
    pub(crate) sids: Vec<String>,

    /// Units a buyer may have; 0: no limit. Without it, the module's default.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// How long units are held for a buyer who has not paid, in milliseconds; 0: sold at once.
    #[arg(long, value_name = "MS")]
    pub(crate) hold: Option<u64>,

    /// When the sale starts, Unix time in milliseconds. Without it, at once.
    #[arg(long, value_name = "MS")]
    pub(crate) start: Option<u64>,

    /// When it ends, Unix time in milliseconds. Without it, never.
    #[arg(long, value_name = "MS")]
    pub(crate) end: Option<u64>,
}

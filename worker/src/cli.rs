//! The command line.

use crate::options::Given;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Carries each acceptance from Redis through Kafka into an order in MySQL.
#[derive(Debug, Parser)]
#[command(name = "seckill-worker", version)]
pub(crate) struct Cli {
    /// The configuration; conf/worker.toml explains each key.
    #[arg(long, value_name = "FILE", default_value = "conf/worker.toml")]
    pub(crate) config: PathBuf,

    /// Check the configuration and exit: 0 if a start would accept it.
    #[arg(long)]
    pub(crate) test: bool,

    /// Print the configuration with every default, and without secrets, and exit.
    #[arg(long, conflicts_with = "test")]
    pub(crate) print_config: bool,

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
    /// Brings a sale that Redis lost, or lost the last seconds of, back to what MySQL and Kafka know.
    Recover(Recover),
    /// Relays and writes orders until SIGTERM.
    Run,
    /// Shows what lies in the dead topic, sends it again, or drops it.
    Dead(Dead),
    /// Shows how each sale stands in Redis, in Kafka and in MySQL.
    Status(Status),
    /// Compares Redis, Kafka and MySQL, and prints what differs and what would mend it. Ends with 0
    /// if nothing differs, 1 if something does, 2 if a sale could not be looked at.
    Reconcile(Reconcile),
}

/// What to do with dead letters.
#[derive(Debug, Args)]
pub(crate) struct Dead {
    #[command(subcommand)]
    pub(crate) chore: DeadChore,
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadChore {
    /// Lists the letters that nobody has dealt with.
    List {
        /// Also those that somebody has.
        #[arg(long)]
        all: bool,
        /// For a program.
        #[arg(long)]
        json: bool,
    },
    /// Sends letters to the topic again: once the stock row is there, or a newer worker.
    Replay(Which),
    /// Says that nothing is to be done about letters any more.
    Drop(Which),
}

/// Which letters.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Where the letters lie, as `list` shows it.
    #[arg(value_name = "PARTITION:OFFSET", conflicts_with = "all")]
    pub(crate) letters: Vec<Place>,

    /// All that nobody has dealt with.
    #[arg(long)]
    pub(crate) all: bool,
}

/// Where a letter lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once(':');
        let place = parts.and_then(|(partition, offset)| {
            Some(Self {
                partition: partition.parse().ok()?,
                offset: offset.parse().ok()?,
            })
        });
        place.ok_or("expected <partition>:<offset>, such as 0:12")
    }
}

/// What is compared, and whether it is mended.
#[derive(Debug, Args)]
pub(crate) struct Reconcile {
    /// The sales; without any, all that are in Redis.
    #[arg(value_name = "SID")]
    pub(crate) sids: Vec<String>,

    /// Mends what can be mended without a person.
    #[arg(long)]
    pub(crate) apply: bool,

    /// A line of JSON for each difference, and one for the whole.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is shown, and how.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The sales; without any, all that are in Redis.
    #[arg(value_name = "SID")]
    pub(crate) sids: Vec<String>,

    /// Shows it again every so many seconds, 1 unless said otherwise, until Ctrl-C.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, value_parser = watch_interval)]
    pub(crate) watch: Option<Option<Duration>>,

    /// A line of JSON for the servers and one for each sale.
    #[arg(long)]
    pub(crate) json: bool,

    /// Counts the orders in MySQL by status. Reads every order of the sales: not while they sell.
    #[arg(long)]
    pub(crate) orders: bool,
}

fn watch_interval(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| (0.1..=60.0).contains(seconds));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "expected seconds from 0.1 to 60; the sales stand before --watch".to_owned())
}

/// Which sales, and with what options.
#[derive(Debug, Args)]
pub(crate) struct Warm {
    /// The ids of the stock rows.
    #[arg(value_name = "SID", required_unless_present_any = ["all", "within"])]
    pub(crate) sids: Vec<String>,

    /// Every stock row whose sale is not over.
    #[arg(long, conflicts_with_all = ["sids", "within"])]
    pub(crate) all: bool,

    /// Every sale that starts from now until then, by its row in stock_sale: 2h, 90m.
    #[arg(long, value_name = "TIME", conflicts_with = "sids")]
    pub(crate) within: Option<humantime::Duration>,

    /// What is given wins over stock_sale, and is kept there.
    #[command(flatten)]
    pub(crate) options: Given,

    /// A JSON object for each sale instead of a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which sales, and what Redis may not know of them any more.
#[derive(Debug, Args)]
pub(crate) struct Recover {
    /// The ids of the stock rows.
    #[arg(value_name = "SID", required = true)]
    pub(crate) sids: Vec<String>,

    /// Used where a sale is made again, and win over stock_sale.
    #[command(flatten)]
    pub(crate) options: Given,

    /// How long the workers may take for what they have to do, in seconds, as long as nothing moves.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) wait: u64,

    /// A JSON object for each sale at its end instead of lines.
    #[arg(long)]
    pub(crate) json: bool,
}

//! The commands and what can be said to them.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What the parts of Seckill cost, measured on private servers.
#[derive(Parser)]
#[command(name = "seckill-bench", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// What a decision costs inside Redis, compared with INCR and with a Lua script
    Module(ModuleOptions),
    /// What turning a buyer away costs at the edge, compared with nginx
    Edge(EdgeOptions),
    /// How quickly acceptances become orders, compared with other ways of writing them
    Worker(WorkerOptions),
    /// Purchases and rejections, beside what a good team builds without this system
    Peers(PeersOptions),
    /// How cost grows with buyers, stock, sales, connections and orders
    Growth(GrowthOptions),
    /// A small service over the script: `peers` starts it
    #[command(hide = true)]
    Service(ServiceOptions),
}

#[derive(Args)]
pub(crate) struct ModuleOptions {
    /// Fewer repetitions and smaller sales
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measure only this, or these
    #[arg(long, value_enum, value_name = "PART", value_delimiter = ',')]
    pub(crate) only: Vec<ModulePart>,
    /// Print one JSON document instead of tables
    #[arg(long)]
    pub(crate) json: bool,
    /// Keep the JSON document in a file, besides what is printed
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Only count this case, and show its functions by the instructions they execute themselves
    #[arg(long, value_name = "CASE", conflicts_with_all = ["json", "out"])]
    pub(crate) profile: Option<String>,
}

/// What can be measured of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModulePart {
    /// Instructions for one command
    Instructions,
    /// Memory for one reservation
    Memory,
    /// A decision in a sale of millions
    Depth,
    /// Loading an RDB
    Load,
    /// The longest command
    Stall,
    /// Requests a second
    Clock,
}

#[derive(Args)]
pub(crate) struct EdgeOptions {
    /// Fewer and shorter rounds
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measure only this, or these
    #[arg(long, value_enum, value_name = "PART", value_delimiter = ',')]
    pub(crate) only: Vec<EdgePart>,
    /// Print one JSON document instead of tables
    #[arg(long)]
    pub(crate) json: bool,
    /// Keep the JSON document in a file, besides what is printed
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// What can be measured of the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EdgePart {
    /// CPU time, rate and waiting under full load
    Full,
    /// Memory of idle connections
    Idle,
}

#[derive(Args)]
pub(crate) struct WorkerOptions {
    /// Fewer orders
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measure only this, or these
    #[arg(long, value_enum, value_name = "PART", value_delimiter = ',')]
    pub(crate) only: Vec<WorkerPart>,
    /// Print one JSON document instead of tables
    #[arg(long)]
    pub(crate) json: bool,
    /// Keep the JSON document in a file, besides what is printed
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// What can be measured of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WorkerPart {
    /// Orders a second, from a full log
    Rate,
    /// The time from an acceptance to its order
    Delay,
    /// The worker's memory over many events
    Memory,
}

#[derive(Args)]
pub(crate) struct PeersOptions {
    /// Fewer and shorter rounds
    #[arg(long)]
    pub(crate) quick: bool,
    /// redis-cell, for CL.THROTTLE; without it, that peer is left out
    #[arg(long, value_name = "LIBRARY")]
    pub(crate) cell: Option<PathBuf>,
    /// Print one JSON document instead of tables
    #[arg(long)]
    pub(crate) json: bool,
    /// Keep the JSON document in a file, and tables and pictures beside it
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct GrowthOptions {
    /// Smaller sizes and fewer rounds
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measure only the growth of this, or of these
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',')]
    pub(crate) only: Vec<Growing>,
    /// Print one JSON document instead of tables
    #[arg(long)]
    pub(crate) json: bool,
    /// Keep the JSON document in a file, and tables and pictures beside it
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// What can grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Growing {
    /// Who asks one sale for a unit
    Buyers,
    /// Units of one sale, all of them sold
    Stock,
    /// Sales on one Redis
    Sales,
    /// Connections to one proxy
    Connections,
    /// Orders of one sale
    Orders,
}

/// Where the service listens, and what it limits.
#[derive(Args)]
pub(crate) struct ServiceOptions {
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    /// Out of the environment, because a password is in it.
    #[arg(long, env = REDIS_URL, hide_env_values = true)]
    pub(crate) redis_url: String,
    /// Tries a second of a buyer, 0: as many as he likes.
    #[arg(long)]
    pub(crate) tries: u32,
    /// Whether CL.THROTTLE counts them, and not the script.
    #[arg(long)]
    pub(crate) throttle: bool,
}

pub(crate) const REDIS_URL: &str = "BENCH_REDIS_URL";

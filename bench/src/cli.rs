//! The commands and what can be said to them.

use clap::{Args, Parser, Subcommand, ValueEnum};
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

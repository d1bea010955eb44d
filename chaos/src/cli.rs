//! What can be said on the command line.

use clap::Parser;

/// Breaks a sale on private servers, again and again, and has the oracle judge what is left.
#[derive(Parser)]
#[command(name = "seckill-chaos", version)]
pub(crate) struct Cli {
    /// How many rounds
    #[arg(long, env = "ROUNDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rounds: u64,
    /// The seed of the first round; the next ones count up
    #[arg(long, env = "SEED", default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many buyers come in each round
    #[arg(long, env = "BUYERS", default_value_t = 3000, value_parser = clap::value_parser!(u32).range(10..))]
    pub(crate) buyers: u32,
    /// Say what would happen in each round, and do nothing
    #[arg(long)]
    pub(crate) show: bool,
}

//! `seckill-chaos`: breaks a real sale while it sells, and has the oracle judge what is left.
//!
//! * `cli`: what can be said on the command line
//! * `rounds`: one round after the other, and the table at the end
//! * `round`: one round, from a seed to a verdict
//!   * `schedule`: what happens in it, a function of the seed; `fault`: what can happen
//!   * `stage`: the servers and programs, and the wires in between
//!     * `wire`: a TCP proxy that can refuse, delay, hold, swallow and cut
//!   * `buyers`: the crowd; `http`: how it asks
//!   * `disturb`: carries the schedule out
//!   * `interrupt`: Ctrl-C
//!   * `keep`: what an operator does beside that
//!   * `quiet`: the end of the sale, when all faults are over
//!   * `judge`: what the oracle says about it
//!   * `look`, `redis_server`: how the sale stands, seen past the wires
//!   * `say`: the timeline
#![forbid(unsafe_code)]

mod buyers;
mod cli;
mod disturb;
mod fault;
mod http;
mod interrupt;
mod judge;
mod keep;
mod look;
mod quiet;
mod redis_server;
mod round;
mod rounds;
mod say;
mod schedule;
mod stage;
mod wire;

use clap::Parser;
use cli::Cli;
use rounds::Rounds;
use std::io::Write;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match rounds::play(&Cli::parse()).await {
        Ok(Rounds::Good) => ExitCode::SUCCESS,
        Ok(Rounds::Bad) => ExitCode::FAILURE,
        // As for a program that SIGINT ends.
        Ok(Rounds::Interrupted) => ExitCode::from(130),
        Err(error) => {
            // Nobody to tell is no reason to end otherwise.
            drop(writeln!(std::io::stderr(), "seckill-chaos: {error:#}"));
            ExitCode::from(2)
        }
    }
}

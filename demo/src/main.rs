//! `seckill-demo`: the whole road on one machine, from an HTTP request to a row in MySQL.
//!
//! * `cli`: the commands and what can be said to them
//! * `name`: what the parts are called
//! * `run`: one sale on private servers, from the first start to the last stop
//!   * `stage`: starts the servers and programs and opens the sale
//!   * `supervise`: whatever dies is started again
//!   * `experiment`: the crowd, the kills, and the wait for the last order
//!   * `ledger`: reads the module and MySQL
//!   * `books`: holds them against each other and against what buyers were told
//!   * `table`: what it came to
//! * `up` and `down`: the same parts, to stay and to be played with
//! * `say`: lines on the terminal, around the one that moves
#![forbid(unsafe_code)]

mod books;
mod cli;
mod down;
mod experiment;
mod ledger;
mod name;
mod run;
mod say;
mod stage;
mod supervise;
mod table;
mod up;

use clap::Parser;
use cli::{Cli, Command};
use std::io::Write;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(options) => run::run(options).await,
        Command::Up => up::up(),
        Command::Down => down::down(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody to tell is no reason to end otherwise.
            drop(writeln!(std::io::stderr(), "seckill-demo: {error:#}"));
            // Parts that are still being started belong to threads that nobody waits for.
            std::process::exit(1);
        }
    }
}

//! `seckill-ladder`: a shop that oversells, step by step up to this system. The same buyers come to
//! the same stock on each rung, over real servers, new ones for each.
//!
//! * `cli`: the commands and what can be said to them
//! * `rung`: the rungs, from the article's first attempt to this system
//! * `shop`: the shop of rungs 0 to 5, a program of its own
//! * `run`: all rungs with all crowds
//!   * `climb`: one sale on one rung
//!   * `stand`: its servers
//!   * `crowd`: its buyers
//!   * `books`: what MySQL has in the end, and what it was asked for
//!   * `figures`: what that comes to
//! * `sustained`: rung 6 as hard as it goes
//! * `report` and `table`: for a machine, for a person
//! * `charts`: which pictures it makes
//! * `say`: what is being done
//! * `http`: asks a part how it is
#![forbid(unsafe_code)]

mod books;
mod charts;
mod cli;
mod climb;
mod crowd;
mod figures;
mod http;
mod report;
mod run;
mod rung;
mod say;
mod shop;
mod stand;
mod sustained;
mod table;

use clap::Parser;
use cli::{Cli, Command};
use std::io::Write;
use std::process::ExitCode;

/// As the proxy has it: what is compared is not how memory is had.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(options) => run::run(options).await,
        Command::Shop(options) => shop::serve(options).await,
        Command::Consumer(options) => shop::consume(options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody to tell is no reason to end otherwise.
            drop(writeln!(std::io::stderr(), "seckill-ladder: {error:#}"));
            // Servers that are still being started belong to threads that nobody waits for.
            std::process::exit(1);
        }
    }
}

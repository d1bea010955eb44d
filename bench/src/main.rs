//! `seckill-bench`: what the parts cost, measured on private servers and compared within one run.
//!
//! * `cli`: the commands and what can be said to them
//! * `report`: figures, what was wanted of them, and the document they make
//! * `table`: the same for a person
//! * `module`: the module, against INCR and against a Lua script
//! * `edge`: the proxy, against nginx
//! * `worker`: the way from the log into MySQL, against other ways into MySQL
#![forbid(unsafe_code)]

mod cli;
mod edge;
mod module;
mod report;
mod table;
mod worker;

use clap::Parser;
use cli::{Cli, Command};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Module(options) => module::run(&options),
        Command::Edge(options) => edge::run(&options),
        Command::Worker(options) => worker::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody to tell is no reason to end otherwise.
            drop(writeln!(std::io::stderr(), "seckill-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Says on the terminal what is being done; the results go to standard output.
fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "  {line}"));
}

//! `seckill-bench`: what the parts cost, measured on private servers and compared within one run.
//!
//! * `cli`: the commands and what can be said to them
//! * `report`: figures, what was wanted of them, and the document they make
//! * `table`: the same for a person, and `markdown`: for the documents
//! * `module`: the module, against INCR and against a Lua script
//! * `edge`: the proxy, against nginx
//! * `peers`: all of it, against what a good team builds without it
//! * `growth`: how cost grows with what there is more of
//! * `worker`: the way from the log into MySQL, against other ways into MySQL
#![forbid(unsafe_code)]

mod cli;
mod edge;
mod growth;
mod markdown;
mod module;
mod peers;
mod report;
mod table;
mod worker;

use clap::Parser;
use cli::{Cli, Command};
use std::io::Write;
use std::process::ExitCode;

/// As the proxy has it: what is compared is not how memory is had.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Module(options) => module::run(&options),
        Command::Edge(options) => edge::run(&options),
        Command::Worker(options) => worker::run(&options),
        Command::Peers(options) => peers::run(&options),
        Command::Growth(options) => growth::run(&options),
        Command::Service(options) => peers::serve(&options),
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

//! What a decision costs inside Redis. Everything is compared with INCR, and with a Lua script that
//! does the same work, in the same run on the same server.
//!
//! * `instructions`: how many instructions the server executes for one command
//!   * `cases`: the commands
//!   * `callgrind`: a server whose instructions are counted
//!   * `dump`: reads what it has counted
//!   * `profile`: where the instructions of one case go
//! * `client`: sends commands prepared beforehand and counts the answers
//! * `sale`: sales, buyers, and the script's counterpart of both

mod callgrind;
mod cases;
mod client;
mod dump;
mod instructions;
mod profile;
mod sale;

use crate::cli::ModuleOptions;
use crate::report::Report;
use crate::table;
use anyhow::{Context, Result};
use std::fs;
use std::io::Write;

/// How much is measured.
#[derive(Clone, Copy)]
struct Scale {
    /// Decisions of one case of which the instructions are counted, in each round.
    counted: usize,
    /// How often each case is counted.
    rounds: usize,
}

const FULL: Scale = Scale {
    counted: 20_480,
    rounds: 3,
};

const QUICK: Scale = Scale {
    counted: 5_120,
    rounds: 2,
};

/// Measures what the options ask for and prints it.
pub(crate) fn run(options: &ModuleOptions) -> Result<()> {
    let scale = if options.quick { QUICK } else { FULL };
    let mut out = std::io::stdout().lock();
    if let Some(case) = &options.profile {
        let shown = profile::of(case, scale)?;
        return Ok(writeln!(out, "{shown}")?);
    }
    let report = Report {
        redis_version: sale::redis_version()?,
        quick: options.quick,
        parts: instructions::measure(scale)?,
    };
    let document = serde_json::to_string_pretty(&report)?;
    if let Some(file) = &options.out {
        fs::write(file, format!("{document}\n")).with_context(|| file.display().to_string())?;
    }
    if options.json {
        writeln!(out, "{document}")?;
    } else {
        writeln!(out, "{}", table::of(&report))?;
    }
    Ok(())
}

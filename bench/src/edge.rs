//! What turning a buyer away costs, beside nginx in the same run.
//!
//! * `stand`: the servers
//! * `wrk`: a hundred buyers who ask without end
//! * `account`: what the kernel says of a process: its CPU time and its memory
//! * `full`: each case under full load
//! * `idle`: connections on which nothing happens

mod account;
mod full;
mod idle;
mod stand;
mod wrk;

use crate::cli::{EdgeOptions, EdgePart};
use crate::report::Report;
use crate::table;
use anyhow::{Context, Result};
use clap::ValueEnum;
use stand::Stand;
use std::fs;
use std::io::Write;
use std::time::Duration;

/// How much is measured.
#[derive(Clone, Copy)]
struct Scale {
    rounds: usize,
    /// Of one case in one round.
    length: Duration,
    idle_connections: usize,
}

const FULL: Scale = Scale {
    rounds: 7,
    length: Duration::from_secs(3),
    idle_connections: 10_000,
};

const QUICK: Scale = Scale {
    rounds: 3,
    length: Duration::from_secs(2),
    idle_connections: 10_000,
};

/// Measures what the options ask for and prints it.
pub(crate) fn run(options: &EdgeOptions) -> Result<()> {
    let scale = if options.quick { QUICK } else { FULL };
    let stand = Stand::start()?;
    let mut parts = Vec::new();
    let asked = |part| options.only.is_empty() || options.only.contains(part);
    for part in EdgePart::value_variants().iter().filter(|part| asked(part)) {
        parts.extend(match part {
            EdgePart::Full => full::measure(&stand, scale)?,
            EdgePart::Idle => vec![idle::measure(&stand, scale)?],
        });
    }
    let report = Report {
        redis_version: stand.redis_version()?,
        nginx_version: Some(stand::nginx_version()?),
        quick: options.quick,
        parts,
    };
    let document = serde_json::to_string_pretty(&report)?;
    if let Some(file) = &options.out {
        fs::write(file, format!("{document}\n")).with_context(|| file.display().to_string())?;
    }
    let shown = if options.json {
        document
    } else {
        table::of(&report)
    };
    Ok(writeln!(std::io::stdout(), "{shown}")?)
}

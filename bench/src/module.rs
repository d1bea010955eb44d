//! What a decision costs inside Redis. Everything is compared with INCR, and with a Lua script that
//! does the same work, in the same run on the same server.
//!
//! * `instructions`: how many instructions the server executes for one command
//!   * `cases`: the commands
//!   * `callgrind`: a server whose instructions are counted
//!   * `dump`: reads what it has counted
//!   * `profile`: where the instructions of one case go
//! * `memory`: what a reservation takes of the server's memory
//! * `depth`: whether a decision costs the same in a sale of millions
//! * `load`: how long a server needs to read a sale when it starts
//! * `stall`: the longest time that one command keeps everybody waiting
//! * `clock`: requests a second, the kernel and the disk included
//! * `client`: sends commands prepared beforehand and counts the answers
//! * `sale`: sales, buyers, and the script's counterpart of both

mod callgrind;
mod cases;
mod client;
mod clock;
mod depth;
mod dump;
mod instructions;
mod load;
mod memory;
mod profile;
mod sale;
mod stall;

use crate::cli::{ModuleOptions, ModulePart};
use crate::report::{self, Part, Report};
use anyhow::Result;
use clap::ValueEnum;
pub(crate) use client::{BATCH, Batch, Client};
use clock::Requests;
use depth::Effort;
pub(crate) use depth::cpu_seconds;
pub(crate) use load::{Loaded, load_seconds, loaded};
pub(crate) use memory::{measure as memory_beside, used};
pub(crate) use sale::{STRANGERS, Sale, Script, field, redis_version, version_of};
use seckill_chart::Machine;
use std::io::Write;

/// How much is measured.
#[derive(Clone, Copy)]
struct Scale {
    /// Decisions of one case of which the instructions are counted, in each round.
    counted: usize,
    /// How often each case is counted.
    rounds: usize,
    /// Reservations of which the memory is looked at.
    filled: u64,
    /// Reservations of a large sale.
    deep: u64,
    /// Decisions in a large sale and in small ones, of which the instructions are counted.
    deep_counted: Effort,
    /// Those of which the CPU time is taken.
    deep_timed: Effort,
    /// Commands of which the longest is looked for.
    stalled: u64,
    /// Requests that `redis-benchmark` sends.
    requests: Requests,
}

const FULL: Scale = Scale {
    counted: 20_480,
    rounds: 3,
    filled: 1_000_000,
    deep: 5_000_000,
    deep_counted: Effort {
        decisions: 20_000,
        rounds: 1,
    },
    deep_timed: Effort {
        decisions: 200_000,
        rounds: 5,
    },
    stalled: 2_000_000,
    requests: Requests {
        single: 60_000,
        pipelined: 400_000,
        rounds: 5,
    },
};

const QUICK: Scale = Scale {
    counted: 5_120,
    rounds: 2,
    filled: 200_000,
    deep: 1_000_000,
    deep_counted: Effort {
        decisions: 5_000,
        rounds: 1,
    },
    deep_timed: Effort {
        decisions: 50_000,
        rounds: 3,
    },
    stalled: 500_000,
    requests: Requests {
        single: 20_000,
        pipelined: 100_000,
        rounds: 3,
    },
};

/// Measures what the options ask for and prints it.
pub(crate) fn run(options: &ModuleOptions) -> Result<()> {
    let scale = if options.quick { QUICK } else { FULL };
    if let Some(case) = &options.profile {
        let shown = profile::of(case, scale)?;
        return Ok(writeln!(std::io::stdout(), "{shown}")?);
    }
    let machine = Machine::here();
    let mut parts = Vec::new();
    let mut asked = ModulePart::value_variants()
        .iter()
        .filter(|part| options.only.is_empty() || options.only.contains(part));
    // What was measured before something failed took minutes, and is shown.
    let failed = asked.try_for_each(|part| {
        parts.extend(measure(*part, scale)?);
        Ok(())
    });
    let report = Report {
        machine,
        redis_version: sale::redis_version()?,
        nginx_version: None,
        mariadb_version: None,
        quick: options.quick,
        parts,
    };
    report::publish(&report, options.out.as_deref(), options.json)?;
    failed
}

fn measure(part: ModulePart, scale: Scale) -> Result<Vec<Part>> {
    match part {
        ModulePart::Instructions => instructions::measure(scale),
        ModulePart::Memory => Ok(vec![memory::measure(scale.filled)?]),
        ModulePart::Depth => Ok(vec![depth::measure(scale)?]),
        ModulePart::Load => Ok(vec![load::measure(scale)?]),
        ModulePart::Stall => Ok(vec![stall::measure(scale)?]),
        ModulePart::Clock => clock::measure(scale),
    }
}

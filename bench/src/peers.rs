//! This system beside what a good team builds without it, in the same run: the same rules, the same
//! durability, one thread for each edge.
//!
//! * `terms`: what all of them have to keep to
//! * `stand`: the servers of one terms
//!   * `service`: the small service that asks the script, a program of its own
//! * `compare`: purchases and rejections by turns, and what they cost
//! * `promises`: what each of them guarantees, and what not
//! * `charts`: which pictures that makes

mod charts;
mod compare;
mod promises;
mod service;
mod stand;
mod terms;

pub(crate) use service::run as serve;

use crate::cli::PeersOptions;
use crate::edge::stand::nginx_version;
use crate::markdown;
use crate::module::{memory_beside, version_of};
use crate::report::{self, Report};
use crate::say;
use anyhow::Result;
use seckill_chart::Machine;
use stand::Stand;
use std::time::Duration;
use terms::TERMS;

/// How much is measured.
#[derive(Clone, Copy)]
struct Scale {
    rounds: usize,
    /// Of one case in one round.
    length: Duration,
    /// Reservations of which the memory is looked at.
    filled: u64,
}

const FULL: Scale = Scale {
    rounds: 4,
    length: Duration::from_secs(2),
    filled: 300_000,
};

const QUICK: Scale = Scale {
    rounds: 2,
    length: Duration::from_secs(1),
    filled: 50_000,
};

/// Measures and prints it.
pub(crate) fn run(options: &PeersOptions) -> Result<()> {
    let scale = if options.quick { QUICK } else { FULL };
    let machine = Machine::here();
    // The limit of open files is inherited.
    rlimit::increase_nofile_limit(u64::MAX)?;
    if options.cell.is_none() {
        say("redis-cell is not here: CL.THROTTLE is left out");
    }
    let mut parts = Vec::new();
    let mut version = String::new();
    // What was measured before something failed took minutes, and is shown.
    let mut measured = TERMS.iter().try_for_each(|terms| {
        say(terms.name);
        let stand = Stand::start(*terms, options.cell.as_deref())?;
        version = version_of(&stand.module)?;
        parts.extend(compare::measure_peers(&stand, scale)?);
        anyhow::Ok(())
    });
    if measured.is_ok() {
        measured = memory_beside(scale.filled).map(|part| parts.push(part));
    }
    parts.push(promises::part());
    let report = Report {
        machine,
        redis_version: version,
        nginx_version: Some(nginx_version()?),
        mariadb_version: None,
        quick: options.quick,
        parts,
    };
    if let Some(file) = &options.out {
        charts::draw(&report, file)?;
        markdown::write(&report, "bench-peers", file)?;
    }
    report::publish(&report, options.out.as_deref(), options.json)?;
    measured
}

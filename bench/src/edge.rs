//! What turning a buyer away costs, beside nginx in the same run.
//!
//! * `stand`: the servers
//! * `wrk`: a hundred buyers who ask without end
//! * `full`: each case under full load
//! * `idle`: connections on which nothing happens

mod full;
pub(crate) mod idle;
pub(crate) mod stand;
pub(crate) mod wrk;

use crate::cli::{EdgeOptions, EdgePart};
use crate::module::version_of;
use crate::report::{self, Report};
use anyhow::Result;
use clap::ValueEnum;
use seckill_chart::Machine;
use stand::Stand;
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
    let machine = Machine::here();
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
        machine,
        redis_version: version_of(&stand.redis)?,
        nginx_version: Some(stand::nginx_version()?),
        mariadb_version: None,
        quick: options.quick,
        parts,
    };
    report::publish(&report, options.out.as_deref(), options.json)
}

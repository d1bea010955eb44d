//! How quickly acceptances become orders, beside other ways of writing them in the same run.
//!
//! * `stand`: the servers, and a sale on them
//! * `rivals`: the tutorial's way, batches written by hand, and LOAD DATA
//! * `rate`: orders a second, from a full log
//! * `delay`: the time from an acceptance to its order
//! * `memory`: the worker's memory over many events

mod delay;
mod memory;
mod rate;
mod rivals;
mod stand;

use crate::cli::{WorkerOptions, WorkerPart};
use crate::module::version_of;
use crate::report::{self, Part, Report};
use anyhow::Result;
use clap::ValueEnum;
use seckill_chart::Machine;
pub(crate) use stand::{PATIENCE, SEEN, Stand, UNSEEN, mariadb_version};
use std::time::Duration;

/// How much is measured.
#[derive(Clone, Copy)]
struct Scale {
    /// Orders of one sale.
    orders: u32,
    rounds: usize,
    /// How long the tutorial's way is watched, and acceptances come at a steady pace.
    watched: Duration,
    /// Events for the worker's memory.
    events: u32,
}

const FULL: Scale = Scale {
    orders: 500_000,
    rounds: 3,
    watched: Duration::from_secs(20),
    events: 5_000_000,
};

const QUICK: Scale = Scale {
    orders: 200_000,
    rounds: 1,
    watched: Duration::from_secs(5),
    events: 1_000_000,
};

/// Between the log and the orders.
const BROKERS: [(&str, bool); 2] = [
    ("worker, broker none", false),
    ("worker through Kafka", true),
];

/// Measures what the options ask for and prints it.
pub(crate) fn run(options: &WorkerOptions) -> Result<()> {
    let scale = if options.quick { QUICK } else { FULL };
    let machine = Machine::here();
    let stand = Stand::start(true)?;
    let mut parts = Vec::new();
    let mut asked = WorkerPart::value_variants()
        .iter()
        .filter(|part| options.only.is_empty() || options.only.contains(part));
    // What was measured before something failed took minutes, and is shown.
    let failed = asked.try_for_each(|part| {
        parts.extend(measure(*part, &stand, scale)?);
        Ok(())
    });
    let report = Report {
        machine,
        redis_version: version_of(&stand.redis)?,
        nginx_version: None,
        mariadb_version: Some(stand::version_of(&stand.db)?),
        quick: options.quick,
        parts,
    };
    report::publish(&report, options.out.as_deref(), options.json)?;
    failed
}

fn measure(part: WorkerPart, stand: &Stand, scale: Scale) -> Result<Vec<Part>> {
    match part {
        WorkerPart::Rate => rate::measure(stand, scale),
        WorkerPart::Delay => Ok(vec![delay::measure(stand, scale)?]),
        WorkerPart::Memory => Ok(vec![memory::measure(stand, scale)?]),
    }
}

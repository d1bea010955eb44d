//! How cost grows with what there is more of: one curve for each.
//!
//! * `grown`: sizes, what was measured at each, and the picture of it
//! * `buyers`, `stock`, `sales`: of one Redis
//! * `connections`: of one proxy
//! * `orders`: of one worker, and of what has to be brought back after a loss
//! * `million`: what that comes to for a million buyers in one second

mod buyers;
mod connections;
mod grown;
mod million;
mod orders;
mod sales;
mod stock;

use crate::cli::{Growing, GrowthOptions};
use crate::edge::stand::nginx_version;
use crate::markdown;
use crate::module::redis_version;
use crate::report::{self, Part, Report};
use crate::say;
use crate::worker::mariadb_version;
use anyhow::Result;
use clap::ValueEnum;
use grown::Grown;
use seckill_chart::Machine;
use std::time::{Duration, Instant};

/// How much is measured.
#[derive(Clone, Copy)]
struct Scale {
    rounds: usize,
    /// Tries of which the cost is taken at each size, at least.
    tries: u64,
    buyers: &'static [u64],
    stock: &'static [u64],
    sales: &'static [u64],
    /// Orders of all sales together.
    orders_of_sales: u64,
    /// How long a system is watched that has nothing to do.
    idle: Duration,
    connections: &'static [u64],
    /// How long so many connections ask.
    asked: Duration,
    orders: &'static [u64],
    /// Orders that are brought back into a Redis that has lost them, at most: what more of them take
    /// is seen by then.
    recovered: u64,
}

const FULL: Scale = Scale {
    rounds: 5,
    tries: 50_000,
    buyers: &[100, 1_000, 10_000, 100_000],
    stock: &[100, 1_000, 10_000, 100_000, 1_000_000],
    sales: &[1, 10, 100, 1_000],
    orders_of_sales: 200_000,
    idle: Duration::from_secs(5),
    connections: &[10, 100, 1_000, 10_000],
    asked: Duration::from_secs(5),
    orders: &[1_000, 10_000, 100_000, 1_000_000, 10_000_000],
    recovered: 1_000_000,
};

const QUICK: Scale = Scale {
    rounds: 3,
    tries: 20_000,
    orders_of_sales: 50_000,
    idle: Duration::from_secs(2),
    asked: Duration::from_secs(2),
    orders: &[1_000, 10_000, 100_000, 1_000_000],
    recovered: 100_000,
    ..FULL
};

/// Measures what the options ask for and prints it.
pub(crate) fn run(options: &GrowthOptions) -> Result<()> {
    let scale = if options.quick { QUICK } else { FULL };
    let machine = Machine::here();
    // The limit of open files is inherited.
    rlimit::increase_nofile_limit(u64::MAX)?;
    let mut all = Vec::new();
    let mut asked = Growing::value_variants()
        .iter()
        .filter(|what| options.only.is_empty() || options.only.contains(what));
    // What was measured before something failed took minutes, and is shown.
    let failed = asked.try_for_each(|what| {
        let began = Instant::now();
        all.push(measure(*what, scale)?);
        say(&format!("{:.0} s", began.elapsed().as_secs_f64()));
        anyhow::Ok(())
    });
    let mut parts: Vec<Part> = all.iter().map(Grown::part).collect();
    parts.push(million::part(&all));
    let report = Report {
        redis_version: redis_version()?,
        nginx_version: nginx_version().ok(),
        mariadb_version: mariadb_version().ok(),
        quick: options.quick,
        parts,
        machine,
    };
    if let Some(file) = &options.out {
        for grown in &all {
            grown.draw(&report.machine, file)?;
        }
        markdown::write(&report, "bench-growth", file)?;
    }
    report::publish(&report, options.out.as_deref(), options.json)?;
    failed
}

fn measure(what: Growing, scale: Scale) -> Result<Grown> {
    match what {
        Growing::Buyers => buyers::measure(scale),
        Growing::Stock => stock::measure(scale),
        Growing::Sales => sales::measure(scale),
        Growing::Connections => connections::measure(scale),
        Growing::Orders => orders::measure(scale),
    }
}

//! `seckill-attack`: attacks a part of Seckill on private servers, and says what it found.
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use seckill_attack::{Plan, Report, module, proxy, worker};

/// Attacks a part of Seckill on private servers.
#[derive(Parser)]
#[command(name = "seckill-attack", version)]
struct Cli {
    /// What is attacked
    part: Part,
    /// For how long, in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Where the cases begin; by default anywhere
    #[arg(long)]
    seed: Option<u64>,
    /// Only this case of the seed
    #[arg(long, requires = "seed")]
    case: Option<u64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    /// The proxy, by raw HTTP
    Proxy,
    /// The module, by commands and damaged values
    Module,
    /// The worker, by its topic
    Worker,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let plan = Plan {
        seed: cli.seed.unwrap_or_else(|| fastrand::u64(..)),
        time: Duration::from_secs(cli.seconds),
        case: cli.case,
    };
    match attack(cli.part, plan) {
        Ok(report) if report.findings.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody to tell is no reason to end otherwise.
            drop(writeln!(std::io::stderr(), "seckill-attack: {error:#}"));
            ExitCode::from(2)
        }
    }
}

fn attack(part: Part, plan: Plan) -> Result<Report> {
    let mut out = std::io::stdout();
    let name = part
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned());
    let seed = plan.seed;
    writeln!(
        out,
        "attack on the {name} for {} s, seed {seed}",
        plan.time.as_secs()
    )?;
    let report = match part {
        Part::Proxy => proxy::attack(plan),
        Part::Module => module::attack(plan),
        Part::Worker => worker::attack(plan),
    }?;
    for (what, count) in &report.counts {
        writeln!(out, "  {count:>9}  {what}")?;
    }
    for finding in &report.findings {
        write!(out, "{finding}")?;
        if let Some(case) = finding.case {
            writeln!(
                out,
                "  again: seckill-attack {name} --seed {seed} --case {case}"
            )?;
        }
    }
    writeln!(out, "  {:>9}  findings", report.findings.len())?;
    Ok(report)
}

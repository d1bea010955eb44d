//! All rungs with all crowds, one sale after the other.

use crate::cli::{Numbers, RunOptions};
use crate::climb::{Terms, climb};
use crate::figures::Climbed;
use crate::report::Report;
use crate::rung::{RUNGS, Rung};
use crate::stand::Sale;
use crate::sustained;
use anyhow::{Context, Result, anyhow, bail, ensure};
use seckill_chart::Machine;
use seckill_testbed::Kafka;
use tokio::signal::unix::{SignalKind, signal};

/// Climbs, and says what was seen.
pub(crate) async fn run(options: RunOptions) -> Result<()> {
    let rungs = chosen(options.only.as_ref())?;
    if rungs.iter().any(|rung| rung.has_kafka()) {
        Kafka::available()
            .map_err(|reason| anyhow!("{reason}; ONLY=\"0 1 2 3 4\" does without Kafka"))?;
    }
    // A crowd's connections, and the servers inherit it.
    rlimit::increase_nofile_limit(u64::MAX)?;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        done = climb_and_tell(&options, &rungs) => done,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminated.recv() => bail!("terminated"),
    }
}

async fn climb_and_tell(options: &RunOptions, rungs: &[Rung]) -> Result<()> {
    let (out, json) = (options.out.as_deref(), options.json);
    let Some(seconds) = options.sustained else {
        return climb_all(options, rungs).await?.publish(out, json);
    };
    let [rung] = rungs else {
        bail!("SUSTAINED is about one rung: ONLY=6");
    };
    ensure!(rung.is_seckill(), "SUSTAINED is about rung 6: ONLY=6");
    let sustained = sustained::measure(*rung, seconds, options.connections).await?;
    sustained.publish(out, json)
}

/// The rungs of these numbers, all if there are none.
fn chosen(only: Option<&Numbers>) -> Result<Vec<Rung>> {
    let Some(Numbers(numbers)) = only else {
        return Ok(RUNGS.to_vec());
    };
    let rung = |number: &u32| {
        let rung = RUNGS.iter().find(|rung| rung.number == *number);
        rung.copied()
            .with_context(|| format!("ONLY {number}: expected rungs from 0 to 6"))
    };
    numbers.iter().map(rung).collect()
}

async fn climb_all(options: &RunOptions, rungs: &[Rung]) -> Result<Report> {
    let machine = Machine::here();
    let mut climbed = Vec::new();
    for &buyers in &options.buyers.0 {
        ensure!(buyers > 0, "BUYERS 0: expected at least one");
        let terms = Terms {
            buyers,
            tries: options.tries,
            sale: Sale {
                stock: options.stock,
                limit: options.limit,
            },
        };
        let mut crowd: Vec<Climbed> = rungs
            .iter()
            .map(|rung| nothing_yet(*rung, buyers))
            .collect();
        // Round by round, so that a neighbour who takes a core for a while does not spoil one rung.
        for _ in 0..options.rounds {
            for (rung, climbed) in rungs.iter().zip(&mut crowd) {
                let figures = climb(*rung, terms).await;
                let failed = || format!("rung {}, {buyers} buyers", rung.number);
                climbed.rounds.push(figures.with_context(failed)?);
            }
        }
        climbed.append(&mut crowd);
    }
    Ok(Report {
        machine,
        stock: options.stock,
        tries: options.tries,
        limit: options.limit,
        rungs: climbed,
    })
}

fn nothing_yet(rung: Rung, buyers: u32) -> Climbed {
    Climbed {
        rung: rung.number,
        name: rung.name.to_owned(),
        path: rung.path.to_owned(),
        buyers,
        rounds: Vec::new(),
    }
}

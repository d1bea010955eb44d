//! One round after the other, and the table at the end.

use crate::cli::Cli;
use crate::interrupt::Interrupt;
use crate::round::{self, End, Outcome};
use crate::schedule::Schedule;
use anyhow::{Context, Result, ensure};
use comfy_table::{CellAlignment, Table, presets};
use seckill_testbed::Kafka;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What became of a round.
struct Played {
    seed: u64,
    faults: usize,
    took: Duration,
    /// What it came to, or what is wrong, and where its logs are.
    verdict: Result<Outcome, (String, PathBuf)>,
}

/// What became of all rounds.
pub(crate) enum Rounds {
    /// Every one of them was good.
    Good,
    /// One was bad, at least.
    Bad,
    /// Somebody asked to stop before the last was over.
    Interrupted,
}

/// Plays all rounds.
///
/// # Errors
/// If a round cannot even be tried.
pub(crate) async fn play(cli: &Cli) -> Result<Rounds> {
    let seeds = (0..cli.rounds).map(|number| cli.seed.wrapping_add(number));
    if cli.show {
        seeds.for_each(|seed| line(&Schedule::of(seed, cli.buyers).to_string()));
        return Ok(Rounds::Good);
    }
    let has_kafka = Kafka::available();
    ensure!(has_kafka.is_ok(), "{}", has_kafka.err().unwrap_or_default());
    let mut interrupt = Interrupt::listen()?;
    let mut is_interrupted = false;
    let mut all = Vec::new();
    for (number, seed) in (1..).zip(seeds) {
        line(&format!("round {number} of {}", cli.rounds));
        let Some(played) = one(seed, cli.buyers, &mut interrupt).await? else {
            is_interrupted = true;
            break;
        };
        line(&played.said(cli.buyers));
        all.push(played);
    }
    line(&table(&all).to_string());
    let bad = all.iter().filter(|played| played.verdict.is_err()).count();
    line(&format!("result rounds={} bad={bad}", all.len()));
    Ok(match (is_interrupted, bad) {
        (true, _) => Rounds::Interrupted,
        (false, 0) => Rounds::Good,
        (false, _) => Rounds::Bad,
    })
}

/// Plays one round. Its folder goes if it was good, or interrupted: then nothing became of it.
async fn one(seed: u64, buyers: u32, interrupt: &mut Interrupt) -> Result<Option<Played>> {
    let schedule = Schedule::of(seed, buyers);
    let prefix = format!("seckill-chaos-{seed}-");
    let folder = tempfile::Builder::new().prefix(&prefix).tempdir()?.keep();
    let began = Instant::now();
    let ended = round::play(&schedule, &folder, interrupt).await;
    let took = began.elapsed();
    if ended.is_ok() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    let verdict = match ended {
        Ok(End::Interrupted) => return Ok(None),
        Ok(End::Good(outcome)) => Ok(outcome),
        Err(error) => Err((format!("{error:#}"), folder)),
    };
    Ok(Some(Played {
        seed,
        faults: schedule.steps.len(),
        took,
        verdict,
    }))
}

// === impl Played ===

impl Played {
    /// What a person reads at the end of the round.
    fn said(&self, buyers: u32) -> String {
        let Self { seed, took, .. } = self;
        let seconds = took.as_secs_f64();
        match &self.verdict {
            Ok(_) => format!("seed {seed}: good, {seconds:.0} s\n"),
            Err((wrong, folder)) => format!(
                "seed {seed}: BAD, {seconds:.0} s: {wrong}\n  logs, record and schedule: {}\n  \
                 again: make chaos ROUNDS=1 SEED={seed} BUYERS={buyers}\n",
                folder.display()
            ),
        }
    }
}

fn table(all: &[Played]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["seed", "faults", "accepted", "orders", "verdict", "seconds"]);
    for played in all {
        let seconds = format!("{:.0}", played.took.as_secs_f64());
        let [accepted, orders, verdict] = match &played.verdict {
            Ok(Outcome { accepted, orders }) => {
                [accepted.to_string(), orders.to_string(), "good".to_owned()]
            }
            Err(_) => ["", "", "BAD"].map(str::to_owned),
        };
        let seed = played.seed.to_string();
        let faults = played.faults.to_string();
        table.add_row([seed, faults, accepted, orders, verdict, seconds]);
    }
    for number in [0, 1, 2, 3, 5] {
        if let Some(column) = table.column_mut(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn line(line: &str) {
    // A reader that went away is no reason to leave a round half-way.
    drop(writeln!(std::io::stdout(), "{line}"));
}

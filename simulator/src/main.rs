//! `seckill-simulator`: plays seeds, and tells the story of one that fails.
#![forbid(unsafe_code)]

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use seckill_simulator::{Hazard, Play, Played, shrink};
use serde_json::json;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Plays Seckill against everything that can go wrong, by dice.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Given {
    /// Plays this seed only.
    #[arg(long)]
    seed: Option<u64>,
    /// How many seeds are played.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Steps of each in which things go wrong.
    #[arg(long, default_value_t = 3000)]
    steps: u64,
    /// Stops after this step.
    #[arg(long, requires = "seed")]
    until: Option<u64>,
    /// Hazards that are left out, with a comma between them.
    #[arg(long, value_delimiter = ',')]
    without: Vec<Hazard>,
    /// Tells what happens at each step; else only the last ones before a failure.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// For a machine.
    #[arg(long)]
    json: bool,
}

/// Lines of a story that are told without `--trace`.
const LAST_LINES: usize = 40;

fn main() -> ExitCode {
    let given = Given::parse();
    match run(&given) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody reads any more.
            drop(writeln!(io::stderr(), "error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether everything held.
fn run(given: &Given) -> io::Result<bool> {
    let play = Play {
        seed: given.seed.unwrap_or(given.first),
        steps: given.steps,
        until: given.until,
        without: given.without.clone(),
    };
    match given.seed {
        Some(_) => one(given, &play),
        None => many(given, &play),
    }
}

/// Plays one seed, and tells its story.
fn one(given: &Given, play: &Play) -> io::Result<bool> {
    let played = play.run(true);
    let mut out = io::stdout().lock();
    if given.json {
        writeln!(out, "{}", as_json(play, &played))?;
    } else {
        tell(&mut out, given, play, &played)?;
    }
    Ok(played.violation.is_none())
}

/// Plays seed after seed, up to the first that fails.
fn many(given: &Given, first: &Play) -> io::Result<bool> {
    let bar = ProgressBar::new(given.seeds).with_style(style());
    let began = Instant::now();
    let mut steps = 0;
    let mut failed = None;
    for number in 0..given.seeds {
        let play = Play {
            seed: first.seed.wrapping_add(number),
            ..first.clone()
        };
        let played = play.run(false);
        steps += played.steps;
        bar.inc(1);
        bar.set_message(rate(steps, began.elapsed()));
        if played.violation.is_some() {
            failed = Some(play);
            break;
        }
    }
    let seeds = bar.position();
    bar.finish_and_clear();
    let took = began.elapsed();
    let shrunk = failed.map(|failed| shrink(&failed));
    let mut out = io::stdout().lock();
    if given.json {
        let failure = shrunk.as_ref().map(|play| as_json(play, &play.run(true)));
        let sum = json!({
            "seeds": seeds,
            "steps": steps,
            "seconds": took.as_secs_f64(),
            "failure": failure,
        });
        writeln!(out, "{sum}")?;
        return Ok(shrunk.is_none());
    }
    writeln!(out, "{seeds} seeds, {}", rate(steps, took))?;
    if let Some(play) = &shrunk {
        tell(&mut out, given, play, &play.run(true))?;
    }
    Ok(shrunk.is_none())
}

fn tell(out: &mut impl Write, given: &Given, play: &Play, played: &Played) -> io::Result<()> {
    let lines = &played.story;
    let told = if given.trace { lines.len() } else { LAST_LINES };
    for line in lines.iter().skip(lines.len().saturating_sub(told)) {
        writeln!(out, "{line}")?;
    }
    match &played.violation {
        None => {
            writeln!(
                out,
                "seed {}: everything held, in {} steps",
                play.seed, played.steps
            )
        }
        Some(violation) => {
            writeln!(
                out,
                "seed {}, step {}: {violation}",
                play.seed, played.steps
            )?;
            writeln!(out, "again: seckill-simulator {play} --trace")
        }
    }
}

fn as_json(play: &Play, played: &Played) -> serde_json::Value {
    json!({
        "seed": play.seed,
        "again": play.to_string(),
        "steps": played.steps,
        "violation": played.violation,
        "story": played.story,
    })
}

fn rate(steps: u64, took: Duration) -> String {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    let a_minute = steps.saturating_mul(60_000) / ms;
    let millions = |steps: u64| format!("{}.{}", steps / 1_000_000, steps / 100_000 % 10);
    format!(
        "{} million steps, {} million a minute",
        millions(steps),
        millions(a_minute)
    )
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} seeds, {msg}, {eta} left");
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

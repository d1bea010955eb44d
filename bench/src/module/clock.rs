//! Requests a second by `redis-benchmark`, from 50 connections: what is left of the figures before
//! when the kernel, the network and the disk are counted too.

use super::Scale;
use super::client::Client;
use super::sale::{PLENTY, Sale};
use crate::report::{Measure, Part, Row, Shape};
use crate::say;
use anyhow::{Context, Result, ensure};
use seckill_testbed::{Place, Redis, User, median};
use std::process::Command;

const RATE: Measure = Measure {
    key: "requests_a_second",
    heading: "requests a second",
    shape: Shape::Count,
};
const OF_INCR: Measure = Measure {
    key: "of_incr",
    heading: "÷ INCR",
    shape: Shape::Ratio,
};
const LEAST: Measure = Measure {
    key: "of_incr_least",
    heading: "least",
    shape: Shape::Ratio,
};
const MOST: Measure = Measure {
    key: "of_incr_most",
    heading: "most",
    shape: Shape::Ratio,
};

const SOLD_OUT: &str = "soldout";
const OPEN: &str = "open";

/// `redis-benchmark` puts 12 digits behind the letter: names of 13 bytes, hardly one twice.
const BUYERS: &str = "2000000000";

/// The words of a command by a buyer.
type Words = fn(String) -> Vec<String>;

/// What is compared. INCR is the first.
const COMMANDS: [(&str, Words); 3] = [
    ("INCR", |_| ["INCR", "k"].map(str::to_owned).into()),
    ("TRY rejected SOLDOUT", |buyer| try_by(SOLD_OUT, buyer)),
    ("TRY accepted", |buyer| try_by(OPEN, buyer)),
];

fn try_by(sid: &str, buyer: String) -> Vec<String> {
    vec!["SECKILL.TRY".to_owned(), sid.to_owned(), buyer]
}

/// How many requests of one connection are on the wire at once.
const PIPELINES: [u32; 2] = [1, 32];

/// How much is sent.
#[derive(Clone, Copy)]
pub(crate) struct Requests {
    pub(crate) single: u32,
    pub(crate) pipelined: u32,
    pub(crate) rounds: usize,
}

pub(crate) fn measure(scale: Scale) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for (line, name) in [
        ("appendonly no", "without AOF"),
        ("appendonly yes", "AOF on, fsync always"),
    ] {
        say(&format!("timing requests, {name}"));
        let place = Place::temporary("bench-clock")?;
        let redis = Redis::start_with(&place, &[line])?;
        let mut client = Client::of(&redis)?;
        let open = Sale::create(&mut client, OPEN, PLENTY)?;
        let sold_out = Sale::sold_out(&mut client, SOLD_OUT, 1_000)?;
        let mut rows = Vec::new();
        // Two runs of `redis-benchmark` may draw the same numbers.
        let mut letters = 'a'..='z';
        for pipeline in PIPELINES {
            rows.extend(compare(&redis, pipeline, scale.requests, &mut letters)?);
        }
        ensure_answers(&mut client, &open, "accepted", scale.requests)?;
        ensure_answers(&mut client, &sold_out, "soldout", scale.requests)?;
        parts.push(Part {
            title: format!("Requests a second, {name}"),
            rows,
        });
    }
    Ok(parts)
}

/// Each round sends each of the commands, so that a neighbour's load meets all of them.
fn compare(
    redis: &Redis,
    pipeline: u32,
    requests: Requests,
    letters: &mut impl Iterator<Item = char>,
) -> Result<Vec<Row>> {
    let count = if pipeline == 1 {
        requests.single
    } else {
        requests.pipelined
    };
    let mut rates = COMMANDS.map(|_| Vec::new());
    let mut ratios = COMMANDS.map(|_| Vec::new());
    for _ in 0..requests.rounds {
        let letter = letters.next().context("more rounds than letters")?;
        let buyer = format!("{letter}__rand_int__");
        let mut incr = None;
        for (((_, words), rates), ratios) in COMMANDS.iter().zip(&mut rates).zip(&mut ratios) {
            let rate = rate(redis, pipeline, count, &words(buyer.clone()))?;
            rates.push(rate);
            ratios.push(rate / *incr.get_or_insert(rate));
        }
    }
    let rows = COMMANDS.iter().zip(&mut rates).zip(&mut ratios);
    let rows = rows.map(|(((name, _), rates), ratios)| {
        let middle = median(ratios);
        let bound = |value: Option<&f64>| value.copied().unwrap_or_default();
        Row::new(format!("{name}, pipeline {pipeline}"))
            .figure(RATE, median(rates))
            .figure(OF_INCR, middle)
            .figure(LEAST, bound(ratios.first()))
            .figure(MOST, bound(ratios.last()))
    });
    Ok(rows.collect())
}

fn rate(redis: &Redis, pipeline: u32, count: u32, words: &[String]) -> Result<f64> {
    let output = Command::new("redis-benchmark")
        .args(["-u", &redis.url(User::Anything), "--csv", "-r", BUYERS])
        .args(["-P", &pipeline.to_string(), "-n", &count.to_string()])
        .args(words)
        .output()
        .context("redis-benchmark")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "redis-benchmark ended with {}: {said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    requests_a_second(&said)
}

/// The second column of the last line.
fn requests_a_second(csv: &str) -> Result<f64> {
    let rate = csv
        .lines()
        .last()
        .and_then(|line| line.split("\",\"").nth(1));
    let rate = rate.and_then(|rate| rate.parse().ok());
    rate.with_context(|| format!("redis-benchmark says no rate: {csv}"))
}

/// `redis-benchmark` does not look at what it is answered.
fn ensure_answers(client: &mut Client, sale: &Sale, verdict: &str, sent: Requests) -> Result<()> {
    let answered: f64 = sale.info(client, verdict)?.parse()?;
    let sent = (f64::from(sent.single) + f64::from(sent.pipelined)) * sent.rounds as f64;
    ensure!(
        answered >= 0.98 * sent,
        "{sent} requests were sent, and {answered} of them {verdict}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_stands_in_the_second_column() {
        let csv = "\
\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\"
\"SECKILL.TRY open u__rand_int__\",\"90909.09\",\"1.735\",\"0.176\"
";
        assert_eq!(requests_a_second(csv).unwrap(), 90909.09);
        assert!(requests_a_second("Could not connect").is_err());
        assert!(requests_a_second("\"test\",\"rps\"").is_err());
    }
}

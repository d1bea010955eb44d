//! The time from an acceptance to its order, while acceptances come at a steady pace.

use super::stand::{Stand, accept, place};
use super::{BROKERS, Scale};
use crate::report::{Measure, Part as Table, Row, Shape, Wanted};
use crate::say;
use anyhow::{Result, ensure};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use seckill_testbed::Part;
use seckill_testbed::account::cpu;
use std::thread;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const P50: Measure = Measure::new("p50_ms", "p50, ms", Shape::Tenths);
const P99: Measure = Measure::new("p99_ms", "p99, ms", Shape::Tenths);
const MAX: Measure = Measure::new("max_ms", "longest, ms", Shape::Tenths);
const CPU: Measure = Measure::new("worker_cpu_us", "worker, µs CPU each", Shape::Tenths);

const SID: u32 = 1001;

/// How many are accepted together, and how often: 5,000 a second.
const TOGETHER: u32 = 25;
const TICK: Duration = Duration::from_millis(5);

/// How often MySQL is asked how far it is; what is measured is at most so much too long.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// How long the last orders may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// At this time the log was this long, or MySQL was this far.
type Mark = (Instant, u64);

pub(super) fn measure(stand: &Stand, scale: Scale) -> Result<Table> {
    let ticks = u32::try_from(scale.watched.as_millis() / TICK.as_millis())?;
    let a_second = f64::from(TOGETHER) / TICK.as_secs_f64();
    let mut rows = Vec::new();
    for (name, through_kafka) in BROKERS {
        say(&format!("{a_second} acceptances a second, {name}"));
        let worker = stand.worker(through_kafka)?;
        let key = stand.open(SID, ticks * TOGETHER)?;
        await_opening(stand, &key)?;
        let cpu_before = cpu(worker.pid())?;
        let last = u64::from(ticks * TOGETHER) + 1;
        let (accepted, written) = thread::scope(|scope| {
            let watching = scope.spawn(|| stand.runtime.block_on(watch(stand, last)));
            let accepted = accept_steadily(stand, &key, ticks)?;
            let written = watching
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            anyhow::Ok((accepted, written?))
        })?;
        let cpu_us = (cpu(worker.pid())? - cpu_before).as_secs_f64() * 1e6;
        drop(worker);
        stand.forget(SID)?;
        let delays = delays(&accepted, &written);
        rows.push(
            Row::new(name)
                .figure(P50, at(&delays, 50))
                .figure(MAX, at(&delays, 100))
                .figure(CPU, cpu_us / f64::from(ticks * TOGETHER))
                .figure(P99, at(&delays, 99))
                .wanted(Some(Wanted::AtMost(100.0))),
        );
    }
    Ok(Table {
        title: format!(
            "From an acceptance to its committed order, at {a_second} acceptances a second"
        ),
        rows,
    })
}

/// Waits until the worker has found the sale: it looks for new ones twice a second.
fn await_opening(stand: &Stand, key: &str) -> Result<()> {
    let mut redis = stand.redis()?;
    let began = Instant::now();
    while place(&mut redis, key, "stored")? != place(&mut redis, key, "head")? {
        ensure!(began.elapsed() < PATIENCE, "no worker has found {key}");
        thread::sleep(TICK);
    }
    Ok(())
}

/// Marks the end of the log after each tick.
fn accept_steadily(stand: &Stand, key: &str, ticks: u32) -> Result<Vec<Mark>> {
    let mut redis = stand.redis()?;
    let (_, mut seq) = place(&mut redis, key, "head")?;
    let mut marks = Vec::new();
    let began = Instant::now();
    for tick in 0..ticks {
        thread::sleep((began + TICK * tick).saturating_duration_since(Instant::now()));
        accept(&mut redis, key, tick * TOGETHER..(tick + 1) * TOGETHER)?;
        seq += u64::from(TOGETHER);
        marks.push((Instant::now(), seq));
    }
    Ok(marks)
}

/// Marks how far MySQL is, until it has `last`.
async fn watch(stand: &Stand, last: u64) -> Result<Vec<Mark>> {
    let mut mysql: Conn = stand.mysql().await?;
    let sql = format!("SELECT seq FROM stock_cursor WHERE sid = {SID}");
    let mut marks: Vec<Mark> = Vec::new();
    let mut moved = Instant::now();
    loop {
        let seq: u64 = mysql.query_first(&sql).await?.unwrap_or_default();
        if marks.last().is_none_or(|(_, before)| *before < seq) {
            moved = Instant::now();
            marks.push((moved, seq));
        }
        if seq >= last {
            return Ok(marks);
        }
        ensure!(
            moved.elapsed() < PATIENCE,
            "MySQL stands at {seq} of {last}"
        );
        sleep(LOOK_EVERY).await;
    }
}

/// For each tick, in ms, from shortest to longest: from its answer until MySQL had all of it.
fn delays(accepted: &[Mark], written: &[Mark]) -> Vec<f64> {
    let mut written = written.iter().peekable();
    let mut delays = Vec::new();
    for (then, seq) in accepted {
        while written.next_if(|(_, reached)| reached < seq).is_some() {}
        if let Some((now, _)) = written.peek() {
            delays.push(now.saturating_duration_since(*then).as_secs_f64() * 1e3);
        }
    }
    delays.sort_by(f64::total_cmp);
    delays
}

/// The value below which so many per cent of the sorted ones lie.
fn at(sorted: &[f64], percent: usize) -> f64 {
    let place = sorted.len().saturating_sub(1) * percent / 100;
    sorted.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_ends_when_mysql_has_the_whole_tick() {
        let start = Instant::now();
        let mark = |ms, seq| (start + Duration::from_millis(ms), seq);
        let accepted = [mark(0, 26), mark(5, 51), mark(10, 76)];
        let written = [mark(2, 20), mark(4, 60), mark(30, 76)];
        let delays: Vec<_> = delays(&accepted, &written);
        let whole: Vec<_> = delays.iter().map(|ms| ms.round()).collect();
        assert_eq!(whole, [0.0, 4.0, 20.0]);
        assert_eq!(at(&delays, 50).round(), 4.0);
    }
}

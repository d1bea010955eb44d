//! The worker's memory while many events pass through it.

use super::stand::Stand;
use super::{Scale, measure_of};
use crate::account::resident;
use crate::report::{Measure, Part as Table, Row, Shape, Wanted};
use crate::say;
use anyhow::Result;
use seckill_testbed::Part;

const FIRST: Measure = measure_of("after_a_tenth_mb", "after a tenth, MB", Shape::Tenths);
const LAST: Measure = measure_of("at_the_end_mb", "at the end, MB", Shape::Tenths);
const GROWTH: Measure = measure_of("growth", "growth", Shape::Ratio);

const SID: u32 = 1001;

/// Sales one after the other.
const SALES: u32 = 10;

const MB: f64 = 1e6;

pub(super) fn measure(stand: &Stand, scale: Scale) -> Result<Table> {
    let worker = stand.worker(true)?;
    let mut sizes = Vec::new();
    for sale in 1..=SALES {
        say(&format!(
            "{} events, {sale} of {SALES}",
            scale.events / SALES
        ));
        stand.fill(SID, scale.events / SALES)?;
        stand.carry(SID, &worker)?;
        stand.forget(SID)?;
        let size = resident(worker.pid())? as f64;
        say(&format!("{:.1} MB", size / MB));
        sizes.push(size);
    }
    let first = sizes.first().copied().unwrap_or_default();
    let last = sizes.last().copied().unwrap_or_default();
    let row = Row::new("worker through Kafka")
        .figure(FIRST, first / MB)
        .figure(LAST, last / MB)
        .figure(GROWTH, last / first)
        .wanted(Some(Wanted::AtMost(1.1)));
    Ok(Table {
        title: format!("Memory of the worker over {} events", scale.events),
        rows: vec![row],
    })
}

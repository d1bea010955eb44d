//! The worker's memory while many events pass through it.

use super::Scale;
use super::stand::Stand;
use crate::report::{Measure, Part as Table, Row, Shape, Wanted};
use crate::say;
use anyhow::Result;
use seckill_testbed::Part;
use seckill_testbed::account::resident;

const FIRST: Measure = Measure::new("after_a_tenth_mb", "after a tenth, MB", Shape::Tenths);
const HALF: Measure = Measure::new("after_a_half_mb", "after a half, MB", Shape::Tenths);
const LAST: Measure = Measure::new("at_the_end_mb", "at the end, MB", Shape::Tenths);
/// From the half on: until then, buffers and the allocator's pools reach the size that they keep.
const GROWTH: Measure = Measure::new("growth", "end ÷ half", Shape::Ratio);

/// So many events it takes, so that a quick run says nothing about growth.
const WARM: u32 = 2_000_000;

/// What of growth is noise.
const FLAT: f64 = 1.02;

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
    let after = |sales: u32| {
        let size = sizes.get(sales as usize - 1).copied();
        size.unwrap_or_default()
    };
    let half_events = scale.events / 2;
    let (half, last) = (after(SALES / 2), after(SALES));
    let row = Row::new("worker through Kafka")
        .figure(FIRST, after(1) / MB)
        .figure(HALF, half / MB)
        .figure(LAST, last / MB)
        .figure(GROWTH, last / half)
        .wanted((half_events >= WARM).then_some(Wanted::AtMost(FLAT)));
    Ok(Table {
        title: format!("Memory of the worker over {} events", scale.events),
        rows: vec![row],
    })
}

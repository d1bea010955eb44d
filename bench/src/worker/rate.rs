//! Orders a second, from a log that is full already until the last order is committed.

use super::rivals::{self, Rows};
use super::stand::Stand;
use super::{BROKERS, Scale};
use crate::report::{Measure, Part, Row, Shape, Wanted};
use crate::say;
use anyhow::Result;
use seckill_testbed::median;

const RATE: Measure = Measure::new("orders_a_second", "orders/s", Shape::Count);
const CPU: Measure = Measure::new("worker_cpu_us", "worker, µs CPU each", Shape::Tenths);
const RATIO: Measure = Measure::new("ratio", "ratio", Shape::Ratio);
const TIMES: Measure = Measure::new("times", "times", Shape::Count);

const SID: u32 = 1001;

/// One way of writing orders, over the rounds.
#[derive(Default)]
struct Way {
    rate: Vec<f64>,
    cpu_us: Vec<f64>,
}

pub(super) fn measure(stand: &Stand, scale: Scale) -> Result<Vec<Part>> {
    let rows = Rows::new(scale.orders)?;
    let [mut tutorial, mut by_hand, mut load_data] = [(); 3].map(|()| Way::default());
    let mut carried = BROKERS.map(|_| Way::default());
    for round in 1..=scale.rounds {
        say(&format!(
            "round {round} of {}: the tutorial's way",
            scale.rounds
        ));
        tutorial.rate.push(rivals::tutorial(stand, scale)?);
        say(&format!("{} rows by hand, and by LOAD DATA", scale.orders));
        by_hand.rate.push(rows.by_hand(stand)?);
        load_data.rate.push(rows.load_data(stand)?);
        for ((name, through_kafka), way) in BROKERS.into_iter().zip(&mut carried) {
            say(&format!("{} orders, {name}", scale.orders));
            let worker = stand.worker(through_kafka)?;
            stand.fill(SID, scale.orders)?;
            let done = stand.carry(SID, &worker)?;
            stand.forget(SID)?;
            let orders = f64::from(scale.orders);
            way.rate.push(orders / done.took.as_secs_f64());
            way.cpu_us.push(done.cpu.as_secs_f64() * 1e6 / orders);
        }
    }

    let mut ways = vec![
        tutorial.row("the tutorial's way, 100 connections", None),
        by_hand.row("batches of 500 by hand", None),
        load_data.row("LOAD DATA", None),
    ];
    let mut beside = Vec::new();
    let wanted = [(0.6, None), (0.4, Some(50_000.0))];
    for (((name, _), way), (of_by_hand, rate)) in BROKERS.into_iter().zip(&carried).zip(wanted) {
        ways.push(way.row(name, rate.map(Wanted::AtLeast)));
        beside.push(
            Row::new(format!("{name} ÷ batches by hand"))
                .figure(RATIO, way.beside(&by_hand))
                .wanted(Some(Wanted::AtLeast(of_by_hand))),
        );
        beside.push(
            Row::new(format!("{name} ÷ the tutorial's way"))
                .figure(TIMES, way.beside(&tutorial))
                .wanted(Some(Wanted::AtLeast(400.0))),
        );
    }
    Ok(vec![
        Part {
            title: format!("{} orders of one sale into MariaDB", scale.orders),
            rows: ways,
        },
        Part {
            title: "Within a round".to_owned(),
            rows: beside,
        },
    ])
}

// === impl Way ===

impl Way {
    fn row(&self, name: &str, wanted: Option<Wanted>) -> Row {
        let mut row = Row::new(name);
        if !self.cpu_us.is_empty() {
            row = row.figure(CPU, median(&mut self.cpu_us.clone()));
        }
        row.figure(RATE, median(&mut self.rate.clone()))
            .wanted(wanted)
    }

    /// The median of the ratios within a round.
    fn beside(&self, other: &Self) -> f64 {
        let ratios = self.rate.iter().zip(&other.rate);
        median(&mut ratios.map(|(own, other)| own / other).collect::<Vec<_>>())
    }
}

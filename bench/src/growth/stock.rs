//! More and more units of one sale, all of them sold.

use super::Scale;
use super::grown::{Grown, Size, View};
use crate::module::{BATCH, Batch, Client, Loaded, STRANGERS, Sale, cpu_seconds, loaded, used};
use crate::report::{Measure, Shape};
use crate::say;
use anyhow::Result;
use redis::Cmd;
use seckill_load::text;
use seckill_testbed::{Place, Redis, median};

const ACCEPTED: Measure = Measure::new("accepted_us", "TRY accepted, µs", Shape::Ratio);
const REJECTED: Measure = Measure::new("rejected_us", "TRY sold out, µs", Shape::Ratio);
pub(super) const EACH: Measure =
    Measure::new("reservation_bytes", "memory of one, bytes", Shape::Tenths);
const ALL: Measure = Measure::new("memory_mb", "of all, MB", Shape::Ratio);
const SAVE: Measure = Measure::new("save_ms", "SAVE, ms", Shape::Tenths);
const LOAD: Measure = Measure::new("load_ms", "load, ms", Shape::Tenths);
const FILE: Measure = Measure::new("file_bytes", "one in the file, bytes", Shape::Tenths);

const MB: f64 = 1e6;

const VIEWS: &[View] = &[
    View {
        title: "A TRY, µs of Redis's thread",
        by_powers: false,
        curves: &[("the last accepted", ACCEPTED), ("sold out", REJECTED)],
    },
    View {
        title: "Memory of a reservation, bytes",
        by_powers: false,
        curves: &[("", EACH)],
    },
    View {
        title: "Memory of the sale, MB",
        by_powers: true,
        curves: &[("", ALL)],
    },
    View {
        title: "Its snapshot, ms",
        by_powers: true,
        curves: &[("SAVE", SAVE), ("load", LOAD)],
    },
];

/// What one round saw.
struct Round {
    accepted_us: f64,
    rejected_us: f64,
    bytes: f64,
}

pub(super) fn measure(scale: Scale) -> Result<Grown> {
    let place = Place::temporary("growth-stock")?;
    let redis = Redis::start(&place)?;
    let mut client = Client::of(&redis)?;
    let mut sizes = Vec::new();
    for &stock in scale.stock {
        say(&format!("a sale of {} units", text::count(stock)));
        let rounds = (0..scale.rounds).map(|_| sell(&mut client, stock, scale.tries));
        let rounds = rounds.collect::<Result<Vec<Round>>>()?;
        let of =
            |figure: fn(&Round) -> f64| median(&mut rounds.iter().map(figure).collect::<Vec<_>>());
        let Loaded {
            load_seconds,
            save_seconds,
            file_bytes,
        } = loaded(|client| Sale::sold_out(client, "1001", stock).map(drop))?;
        let units = stock as f64;
        let size = Size::new(stock)
            .figure(ACCEPTED, of(|round| round.accepted_us))
            .figure(REJECTED, of(|round| round.rejected_us))
            .figure(EACH, of(|round| round.bytes))
            .figure(ALL, of(|round| round.bytes) * units / MB)
            .figure(SAVE, save_seconds * 1e3)
            .figure(LOAD, load_seconds * 1e3)
            .figure(FILE, file_bytes as f64 / units);
        sizes.push(size);
    }
    Ok(Grown {
        id: "stock",
        title: "Units of one sale, all of them sold".to_owned(),
        grows: "units",
        sizes,
        views: VIEWS,
    })
}

/// Sells as many sales of this stock as have so many tries together, and asks them once more.
fn sell(client: &mut Client, stock: u64, tries: u64) -> Result<Round> {
    let sales = tries.div_ceil(stock);
    // What is accepted last finds the sale as large as it gets.
    let last = stock.min(tries);
    let before = used(client)?;
    let mut all = Vec::new();
    for number in 0..sales {
        let sale = Sale::create(client, &format!("sale-{number}"), &format!("STOCK {stock}"))?;
        sale.fill(client, 0, stock - last)?;
        all.push(sale);
    }
    let each = |buyers: std::ops::Range<u64>| {
        let commands = all.iter().flat_map(move |sale| {
            let buyers = buyers.clone();
            buyers.map(move |buyer| sale.try_by(buyer))
        });
        commands.collect::<Vec<Cmd>>()
    };
    let accepted_us = cost(client, each(stock - last..stock), "ACCEPTED")?;
    let bytes = used(client)?.saturating_sub(before) as f64 / (sales * stock) as f64;
    let rejected_us = cost(client, each(STRANGERS..STRANGERS + last), "SOLDOUT")?;
    for sale in &all {
        client.run::<()>(&format!("UNLINK {}", sale.sid()))?;
    }
    Ok(Round {
        accepted_us,
        rejected_us,
        bytes,
    })
}

/// µs of Redis's thread for each of these.
fn cost(client: &mut Client, commands: Vec<Cmd>, expected: &str) -> Result<f64> {
    let count = commands.len() as f64;
    let batches: Vec<Batch> = Batch::all(commands, BATCH).collect();
    let before = cpu_seconds(client)?;
    client.expect(batches, &[expected])?;
    Ok((cpu_seconds(client)? - before) * 1e6 / count)
}

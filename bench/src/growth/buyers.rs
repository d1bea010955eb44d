//! More and more buyers ask one sale for a unit, each once.

use super::Scale;
use super::grown::{Grown, Size, View};
use crate::module::{BATCH, Batch, Client, STRANGERS, Sale, cpu_seconds, used};
use crate::report::{Measure, Shape};
use crate::say;
use anyhow::Result;
use seckill_load::text;
use seckill_testbed::{Place, Redis, median};

pub(super) const EACH: Measure =
    Measure::new("try_us", "a TRY, µs of Redis's thread", Shape::Ratio);
const ALL: Measure = Measure::new("crowd_ms", "all of them, ms", Shape::Tenths);
const MEMORY: Measure = Measure::new("sale_bytes", "memory of the sale, bytes", Shape::Count);

/// Units that they ask for.
const STOCK: u64 = 100;

const VIEWS: &[View] = &[
    View {
        title: "A TRY, µs of Redis's thread",
        by_powers: false,
        curves: &[("", EACH)],
    },
    View {
        title: "All of them, ms of Redis's thread",
        by_powers: true,
        curves: &[("", ALL)],
    },
    View {
        title: "Memory of the sale, bytes",
        by_powers: false,
        curves: &[("", MEMORY)],
    },
];

pub(super) fn measure(scale: Scale) -> Result<Grown> {
    let place = Place::temporary("growth-buyers")?;
    let redis = Redis::start(&place)?;
    let mut client = Client::of(&redis)?;
    let mut sizes = Vec::new();
    for &buyers in scale.buyers {
        say(&format!("{} buyers of one sale", text::count(buyers)));
        let mut costs = Vec::new();
        let mut bytes = Vec::new();
        for _ in 0..scale.rounds {
            let crowds = scale.tries.div_ceil(buyers);
            let before = used(&mut client)?;
            let cost = crowds_ask(&mut client, crowds, buyers)?;
            costs.push(cost * 1e6 / (crowds * buyers) as f64);
            bytes.push(used(&mut client)?.saturating_sub(before) as f64 / crowds as f64);
            forget(&mut client, crowds)?;
        }
        let each = median(&mut costs);
        let size = Size::new(buyers)
            .figure(EACH, each)
            .figure(ALL, each * buyers as f64 / 1e3)
            .figure(MEMORY, median(&mut bytes));
        sizes.push(size);
    }
    Ok(Grown {
        id: "buyers",
        title: format!("Buyers of one sale of {STOCK} units"),
        grows: "buyers",
        sizes,
        views: VIEWS,
    })
}

/// So many crowds, each at a sale of its own, so that there is enough to be measured. Returns the
/// seconds of Redis's thread.
fn crowds_ask(client: &mut Client, crowds: u64, buyers: u64) -> Result<f64> {
    let mut seconds = 0.0;
    for crowd in 0..crowds {
        let sale = Sale::create(client, &name(crowd), &format!("STOCK {STOCK}"))?;
        let buyers = STRANGERS + crowd * buyers..STRANGERS + (crowd + 1) * buyers;
        let tries = buyers.map(|buyer| sale.try_by(buyer));
        let batches: Vec<Batch> = Batch::all(tries, BATCH).collect();
        let before = cpu_seconds(client)?;
        client.expect(batches, &["ACCEPTED", "SOLDOUT"])?;
        seconds += cpu_seconds(client)? - before;
    }
    Ok(seconds)
}

fn forget(client: &mut Client, crowds: u64) -> Result<()> {
    (0..crowds).try_for_each(|crowd| client.run(&format!("DEL {}", name(crowd))))
}

fn name(crowd: u64) -> String {
    format!("crowd-{crowd}")
}

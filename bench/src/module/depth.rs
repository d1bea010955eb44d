//! Whether a decision costs the same in a sale of millions as in one of a thousand.

use super::Scale;
use super::callgrind::Counter;
use super::client::{BATCH, Batch, Client};
use super::sale::{self, PLENTY, STRANGERS, Sale};
use crate::report::{Measure, Part, Row, Shape, Wanted};
use crate::say;
use anyhow::{Context, Result};
use redis::Cmd;
use seckill_load::text;
use seckill_testbed::{Place, Redis, median};
use std::ops::Range;

const AT_FEW: Measure = Measure {
    key: "at_1000",
    heading: "at 1,000",
    shape: Shape::Count,
};
const AT_MANY: Measure = Measure {
    key: "at_many",
    heading: "at many",
    shape: Shape::Count,
};
const RATIO: Measure = Measure {
    key: "ratio",
    heading: "many ÷ 1,000",
    shape: Shape::Ratio,
};

/// The small sale.
const FEW: u64 = 1_000;

/// Buyers who have something come in no order: their number times this, modulo how many there are.
const STRIDE: u64 = 2_654_435_761;

const WANTED: Wanted = Wanted::AtMost(1.3);

/// How much is sent in each round, and how often.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// A multiple of 1,000.
    pub(crate) decisions: u64,
    pub(crate) rounds: u64,
}

/// What one try costs in the small sale and in the large one, round by round.
#[derive(Default)]
struct Costs {
    accepted: Vec<(f64, f64)>,
    rejected: Vec<(f64, f64)>,
}

/// Something that decisions cost.
trait Meter {
    /// What the server has spent on these batches.
    fn spent(&mut self, client: &mut Client, batches: &[Batch], expected: &[&str]) -> Result<f64>;
}

pub(crate) fn measure(scale: Scale) -> Result<Part> {
    let many = scale.deep;
    let name = text::count(many);
    say(&format!("counting decisions in a sale of {name}"));
    let instructions = {
        let counter = Counter::start(false)?;
        let mut client = counter.client()?;
        compare(
            &mut client,
            &mut Instructions(counter),
            many,
            scale.deep_counted,
        )?
    };
    say(&format!("timing decisions in a sale of {name}"));
    let nanoseconds = {
        let place = Place::temporary("bench-depth")?;
        let redis = Redis::start_with(&place, &["appendonly no"])?;
        compare(
            &mut Client::of(&redis)?,
            &mut CpuTime,
            many,
            scale.deep_timed,
        )?
    };
    Ok(Part {
        title: format!("A decision in a sale of {name} reservations and in one of 1,000"),
        rows: vec![
            row("TRY accepted, instructions", &instructions.accepted),
            row("TRY rejected, instructions", &instructions.rejected),
            row("TRY accepted, ns of CPU time", &nanoseconds.accepted),
            row("TRY rejected, ns of CPU time", &nanoseconds.rejected),
        ],
    })
}

/// The medians of the rounds; the ratio is that of each round.
fn row(name: &str, rounds: &[(f64, f64)]) -> Row {
    let middle = |of: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        median(&mut values)
    };
    Row::new(name)
        .figure(AT_FEW, middle(|(few, _)| *few))
        .figure(AT_MANY, middle(|(_, many)| *many))
        .figure(RATIO, middle(|(few, many)| many / few))
        .wanted(Some(WANTED))
}

/// First everybody gets something, then the sales are sold out.
fn compare(
    client: &mut Client,
    meter: &mut impl Meter,
    many: u64,
    effort: Effort,
) -> Result<Costs> {
    let Effort { decisions, rounds } = effort;
    let mut cost = |client: &mut Client, tries: Vec<Cmd>, expected: &[&str]| -> Result<f64> {
        let batches: Vec<Batch> = Batch::all(tries, BATCH).collect();
        Ok(meter.spent(client, &batches, expected)? / decisions as f64)
    };
    let mut costs = Costs::default();
    let large = Sale::create(client, "large", PLENTY)?;
    large.fill(client, 0, many)?;
    for round in 0..rounds {
        let small = newly_filled(client, decisions / FEW)?;
        let tries = small.iter().flat_map(|sale| tries(sale, FEW..2 * FEW));
        let few = cost(client, tries.collect(), &["ACCEPTED"])?;
        for sale in small {
            client.run::<()>(&format!("DEL {}", sale.sid()))?;
        }
        let next = many + round * decisions;
        let tries = self::tries(&large, next..next + decisions);
        let many = cost(client, tries.collect(), &["ACCEPTED"])?;
        costs.accepted.push((few, many));
    }

    large.sell_out(client)?;
    let small = Sale::sold_out(client, "small", FEW)?;
    for round in 0..rounds {
        let numbers = round * decisions..(round + 1) * decisions;
        let mut rejected = |sale: &Sale, known: u64| {
            let tries = mixed(sale, known, numbers.clone());
            cost(client, tries.collect(), &["DUPLICATE", "SOLDOUT"])
        };
        costs
            .rejected
            .push((rejected(&small, FEW)?, rejected(&large, many)?));
    }
    Ok(costs)
}

/// So many small sales: each of them stays small only for a while.
fn newly_filled(client: &mut Client, count: u64) -> Result<Vec<Sale>> {
    let mut fill = |number| {
        let sale = Sale::create(client, &format!("small-{number}"), PLENTY)?;
        sale.fill(client, 0, FEW)?;
        Ok(sale)
    };
    (0..count).map(&mut fill).collect()
}

fn tries(sale: &Sale, buyers: Range<u64>) -> impl Iterator<Item = Cmd> {
    buyers.map(|number| sale.try_by(number))
}

/// By turns somebody who has something and somebody of whom the sale has never heard.
fn mixed(sale: &Sale, known: u64, numbers: Range<u64>) -> impl Iterator<Item = Cmd> {
    numbers.map(move |number| {
        sale.try_by(if number.is_multiple_of(2) {
            number.wrapping_mul(STRIDE) % known
        } else {
            STRANGERS + number
        })
    })
}

/// Instructions, on a server below callgrind.
struct Instructions(Counter);

impl Meter for Instructions {
    fn spent(&mut self, client: &mut Client, batches: &[Batch], expected: &[&str]) -> Result<f64> {
        self.0.switch_on()?;
        let dump = self.0.count(|| client.expect(batches, expected));
        self.0.switch_off()?;
        Ok(dump?.total as f64)
    }
}

/// Nanoseconds of the thread that carries out commands, by the server's own account.
struct CpuTime;

impl Meter for CpuTime {
    fn spent(&mut self, client: &mut Client, batches: &[Batch], expected: &[&str]) -> Result<f64> {
        let before = cpu_seconds(client)?;
        client.expect(batches, expected)?;
        Ok((cpu_seconds(client)? - before) * 1e9)
    }
}

/// The CPU time of the thread that carries out commands, by the server's own account.
pub(crate) fn cpu_seconds(client: &mut Client) -> Result<f64> {
    let info: String = client.run("INFO cpu")?;
    let mut seconds = 0.0;
    for name in ["used_cpu_user_main_thread", "used_cpu_sys_main_thread"] {
        let value = sale::field(&info, name).with_context(|| format!("INFO has no {name}"))?;
        seconds += value.parse::<f64>()?;
    }
    Ok(seconds)
}

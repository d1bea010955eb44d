//! More and more orders of one sale: how quickly they are written, and how quickly they come back
//! after a loss.

use super::Scale;
use super::grown::{Grown, Size, View};
use crate::module::{Client, load_seconds};
use crate::report::{Measure, Shape};
use crate::say;
use crate::worker::{PATIENCE, SEEN, Stand};
use anyhow::{Context, Result, ensure};
use seckill_load::text;
use seckill_testbed::Part;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

pub(super) const RATE: Measure = Measure::new("orders_a_second", "orders a second", Shape::Count);
const CPU: Measure = Measure::new("worker_us", "worker, µs CPU each", Shape::Tenths);
const MEMORY: Measure = Measure::new("redis_bytes", "in Redis, bytes each", Shape::Tenths);
const ROW: Measure = Measure::new("mysql_bytes", "in MySQL, bytes each", Shape::Tenths);
const RESTART: Measure = Measure::new("restart_seconds", "Redis killed: load, s", Shape::Ratio);
const RECOVER: Measure = Measure::new(
    "recover_seconds",
    "Redis lost all: recover, s",
    Shape::Ratio,
);

const VIEWS: &[View] = &[
    View {
        title: "Orders a second",
        by_powers: false,
        curves: &[("", RATE)],
    },
    View {
        title: "An order, µs of the worker's CPU time",
        by_powers: false,
        curves: &[("", CPU)],
    },
    View {
        title: "An order, bytes",
        by_powers: false,
        curves: &[("in MySQL", ROW), ("in Redis", MEMORY)],
    },
    View {
        title: "Back after a loss, s",
        by_powers: true,
        curves: &[("Redis was killed", RESTART), ("Redis lost all", RECOVER)],
    },
];

const SID: u32 = 1001;

const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) fn measure(scale: Scale) -> Result<Grown> {
    let mut stand = Stand::start(false)?;
    let mut sizes = Vec::new();
    for &orders in scale.orders {
        sizes.push(carry(&mut stand, orders, scale)?);
        stand.forget(SID)?;
    }
    Ok(Grown {
        id: "orders",
        title: "Orders of one sale, without a broker".to_owned(),
        grows: "orders",
        sizes,
        views: VIEWS,
    })
}

/// Has so many orders written, kills Redis, and then has it lose everything.
fn carry(stand: &mut Stand, orders: u64, scale: Scale) -> Result<Size> {
    let name = text::count(orders);
    say(&format!("{name} orders"));
    let count = orders as f64;
    let worker = stand.worker(false)?;
    // Nothing of the sale before is in the file that Redis reads.
    rewrite(&mut Client::of(&stand.redis)?)?;
    stand.fill(SID, u32::try_from(orders)?)?;
    let carried = stand.carry(SID, &worker)?;
    let mut client = Client::of(&stand.redis)?;
    let usage: f64 = client.run(&format!("MEMORY USAGE {SEEN}{SID}"))?;
    let size = Size::new(orders)
        .figure(RATE, count / carried.took.as_secs_f64())
        .figure(CPU, carried.cpu.as_secs_f64() * 1e6 / count)
        .figure(MEMORY, usage / count)
        .figure(ROW, table_bytes(stand)? / count);

    say("Redis is killed, and reads its file");
    stand.redis.kill()?;
    stand.redis.restart()?;
    let log = fs::read_to_string(stand.redis.log())?;
    let size = size.figure(RESTART, load_seconds(&log)?);
    if orders > scale.recovered {
        return Ok(size);
    }

    say("Redis has lost everything, and the sale is recovered");
    await_options(stand)?;
    Client::of(&stand.redis)?.run::<()>(&format!("DEL {SEEN}{SID}"))?;
    let began = Instant::now();
    stand.command(&["recover", &SID.to_string()])?;
    Ok(size.figure(RECOVER, began.elapsed().as_secs_f64()))
}

/// Has the append-only file say only what is there.
fn rewrite(client: &mut Client) -> Result<()> {
    client.run::<()>("BGREWRITEAOF")?;
    let began = Instant::now();
    loop {
        let info: String = client.run("INFO persistence")?;
        let is_done = ["aof_rewrite_in_progress", "aof_rewrite_scheduled"]
            .iter()
            .all(|name| crate::module::field(&info, name) == Some("0"));
        if is_done {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "BGREWRITEAOF takes too long");
        sleep(LOOK_EVERY);
    }
}

/// What the table of the orders takes of the disk, its indexes included.
fn table_bytes(stand: &Stand) -> Result<f64> {
    let rows = stand.db.query(
        "SELECT FILE_SIZE FROM information_schema.INNODB_SYS_TABLESPACES WHERE NAME = 'seckill/stock_order'",
    )?;
    let size = rows.into_iter().flatten().next();
    Ok(size.context("no table of orders")?.parse()?)
}

/// Waits until MySQL knows the options of the sale, with which it is made again.
fn await_options(stand: &Stand) -> Result<()> {
    let sql = format!("SELECT COUNT(*) FROM stock_sale WHERE sid = {SID}");
    let began = Instant::now();
    while stand
        .db
        .query(&sql)?
        .into_iter()
        .flatten()
        .next()
        .as_deref()
        != Some("1")
    {
        ensure!(
            began.elapsed() < PATIENCE,
            "nobody keeps the options of the sale"
        );
        sleep(LOOK_EVERY);
    }
    Ok(())
}

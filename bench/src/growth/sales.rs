//! More and more sales on one Redis, carried by one worker.

use super::Scale;
use super::grown::{Grown, Size, View};
use crate::module::{BATCH, Batch, Client, cpu_seconds};
use crate::report::{Measure, Shape};
use crate::say;
use crate::worker::{PATIENCE, SEEN, Stand, UNSEEN};
use anyhow::{Result, ensure};
use mysql_async::prelude::Queryable;
use redis::Cmd;
use seckill_load::text;
use seckill_testbed::Part;
use seckill_testbed::account::cpu;
use std::fmt::Write;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const TRY: Measure = Measure::new(
    "try_us",
    "a TRY accepted, µs of Redis's thread",
    Shape::Ratio,
);
const EMPTY: Measure = Measure::new("sale_bytes", "memory of an empty sale, bytes", Shape::Count);
const ORDERS: Measure = Measure::new(
    "all_orders_a_second",
    "orders a second, of all",
    Shape::Count,
);
const WORKER: Measure = Measure::new(
    "idle_worker_ms",
    "worker at rest, ms CPU a second",
    Shape::Tenths,
);
const REDIS: Measure = Measure::new(
    "idle_redis_ms",
    "Redis at rest, ms CPU a second",
    Shape::Tenths,
);

const VIEWS: &[View] = &[
    View {
        title: "A TRY accepted, µs of Redis's thread",
        by_powers: false,
        curves: &[("", TRY)],
    },
    View {
        title: "Orders a second, of all sales",
        by_powers: false,
        curves: &[("", ORDERS)],
    },
    View {
        title: "At rest, ms of CPU time a second",
        by_powers: false,
        curves: &[("worker", WORKER), ("Redis", REDIS)],
    },
    View {
        title: "Memory of an empty sale, bytes",
        by_powers: false,
        curves: &[("", EMPTY)],
    },
];

/// How often MySQL is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The first sale of those that grow; the stand has one below.
const FIRST: u64 = 1001;

pub(super) fn measure(scale: Scale) -> Result<Grown> {
    let stand = Stand::start(false)?;
    let worker = stand.worker(false)?;
    let mut client = Client::of(&stand.redis)?;
    let mut sizes = Vec::new();
    for &count in scale.sales {
        say(&format!("{} sales", text::count(count)));
        let sids = FIRST..=FIRST + count - 1;
        create(&stand, &mut client, sids.clone(), scale.orders_of_sales)?;
        let empty: f64 = client.run(&format!("MEMORY USAGE {UNSEEN}{FIRST}"))?;
        let orders = scale.orders_of_sales / count;
        let tries: Vec<Cmd> = (0..orders)
            .flat_map(|buyer| sids.clone().map(move |sid| try_by(sid, buyer)))
            .collect();
        let sent = tries.len() as u64;
        let batches: Vec<Batch> = Batch::all(tries, BATCH).collect();
        let before = cpu_seconds(&mut client)?;
        client.expect(batches, &["ACCEPTED"])?;
        let try_us = (cpu_seconds(&mut client)? - before) * 1e6 / sent as f64;

        let began = Instant::now();
        show(&mut client, sids.clone())?;
        await_orders(&stand, sent)?;
        let took = began.elapsed();
        // The last acknowledgements are still on their way.
        std::thread::sleep(Duration::from_secs(1));
        let spent = || anyhow::Ok((cpu(worker.pid())?, cpu(stand.redis.pid())?));
        let before = spent()?;
        std::thread::sleep(scale.idle);
        let after = spent()?;
        let a_second = |before: Duration, after: Duration| {
            (after - before).as_secs_f64() * 1e3 / scale.idle.as_secs_f64()
        };
        let size = Size::new(count)
            .figure(TRY, try_us)
            .figure(EMPTY, empty)
            .figure(ORDERS, sent as f64 / took.as_secs_f64())
            .figure(WORKER, a_second(before.0, after.0))
            .figure(REDIS, a_second(before.1, after.1));
        sizes.push(size);
        forget(&stand, &mut client, sids)?;
    }
    Ok(Grown {
        id: "sales",
        title: format!(
            "Sales on one Redis, with {} orders together",
            text::count(scale.orders_of_sales)
        ),
        grows: "sales",
        sizes,
        views: VIEWS,
    })
}

/// Stock rows, and sales of them where the worker does not see them yet.
fn create(stand: &Stand, client: &mut Client, sids: RangeInclusive<u64>, units: u64) -> Result<()> {
    let mut rows = String::new();
    for sid in sids.clone() {
        let comma = if rows.is_empty() { "" } else { "," };
        write!(rows, "{comma}({sid}, 'Lamp', {units}, 0, 0)")?;
    }
    stand
        .db
        .query(&format!("INSERT INTO stock VALUES {rows}"))?;
    let creates = sids.map(|sid| {
        let mut create = redis::cmd("SECKILL.CREATE");
        create.arg(format!("{UNSEEN}{sid}")).arg("STOCK").arg(units);
        create.arg("HOLD").arg(3_600_000);
        create
    });
    client.expect(Batch::all(creates, BATCH), &["OK"])
}

fn try_by(sid: u64, buyer: u64) -> Cmd {
    let mut command = redis::cmd("SECKILL.TRY");
    command.arg(format!("{UNSEEN}{sid}"));
    command.arg(format!("u{buyer:012}"));
    command
}

/// Lets the worker see the sales.
fn show(client: &mut Client, sids: RangeInclusive<u64>) -> Result<()> {
    let renames = sids.map(|sid| {
        let mut rename = redis::cmd("RENAME");
        rename
            .arg(format!("{UNSEEN}{sid}"))
            .arg(format!("{SEEN}{sid}"));
        rename
    });
    client.expect(Batch::all(renames, BATCH), &["OK"])
}

/// Waits until MySQL has so many orders.
fn await_orders(stand: &Stand, orders: u64) -> Result<()> {
    stand.runtime.block_on(async {
        let mut mysql = stand.mysql().await?;
        let began = Instant::now();
        loop {
            // The stock rows move in the transaction that inserts the orders, and are fewer.
            let sql = format!("SELECT SUM(sale) FROM stock WHERE id >= {FIRST}");
            let sold: Option<u64> = mysql.query_first(sql).await?;
            if sold == Some(orders) {
                return Ok(());
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "MySQL has {sold:?} of {orders} orders"
            );
            sleep(LOOK_EVERY).await;
        }
    })
}

fn forget(stand: &Stand, client: &mut Client, sids: RangeInclusive<u64>) -> Result<()> {
    let deletions = sids.map(|sid| {
        let mut delete = redis::cmd("DEL");
        delete.arg(format!("{SEEN}{sid}"));
        delete.arg(format!("{UNSEEN}{sid}"));
        delete
    });
    client.expect(Batch::all(deletions, BATCH), &["an integer"])?;
    stand.db.query(&format!(
        "TRUNCATE stock_order; DELETE FROM stock_cursor WHERE sid >= {FIRST}; DELETE FROM stock WHERE id >= {FIRST}"
    ))?;
    Ok(())
}

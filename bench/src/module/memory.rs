//! What a reservation takes of the server's memory.

use super::client::Client;
use super::sale::{self, PLENTY, Sale, Script};
use crate::report::{Measure, Part, Row, Shape, Wanted};
use crate::say;
use anyhow::{Context, Result, ensure};
use seckill_load::text;
use seckill_testbed::{Place, Redis};
use std::thread;
use std::time::{Duration, Instant};

const BY_SERVER: Measure = Measure {
    key: "bytes_of_used_memory",
    heading: "bytes, by used_memory",
    shape: Shape::Tenths,
};
const BY_KEY: Measure = Measure {
    key: "bytes_of_memory_usage",
    heading: "bytes, by MEMORY USAGE",
    shape: Shape::Tenths,
};
const OF_SALE: Measure = Measure {
    key: "of_sale",
    heading: "÷ sale",
    shape: Shape::Ratio,
};

/// The windows of the script's buyers are a second long, and Redis deletes them some time later.
const LAPSE_LIMIT: Duration = Duration::from_secs(120);

/// Fills a sale and then the script's keys, on servers of their own.
pub(crate) fn measure(count: u64) -> Result<Part> {
    say(&format!(
        "filling a sale with {} reservations",
        text::count(count)
    ));
    let ours = of_sale(count)?;
    say(&format!(
        "filling the script's keys with {} reservations",
        text::count(count)
    ));
    let script = of_script(count)?;

    let wanted = [None, Some(Wanted::AtMost(64.0))];
    let mut rows = Vec::new();
    for ((name, memory), wanted) in NAMES.iter().zip(&ours).zip(wanted) {
        let row = Row::new(format!("sale, {name}"));
        let row = row.figure(BY_SERVER, memory.by_server).wanted(wanted);
        rows.push(row.figure(BY_KEY, memory.by_key));
    }
    for ((name, memory), ours) in NAMES.iter().zip(&script).zip(&ours) {
        rows.push(
            Row::new(format!("Lua script, {name}"))
                .figure(BY_SERVER, memory.by_server)
                .figure(BY_KEY, memory.by_key)
                .figure(OF_SALE, memory.by_server / ours.by_server),
        );
    }
    Ok(Part {
        title: format!("Memory for one live reservation, of {}", text::count(count)),
        rows,
    })
}

const NAMES: [&str; 2] = ["MySQL has nothing yet", "MySQL has everything"];

/// Bytes for one reservation.
struct Memory {
    /// By what the server has in use now and had before.
    by_server: f64,
    /// By what it says of the keys.
    by_key: f64,
}

fn of_sale(count: u64) -> Result<[Memory; 2]> {
    let (_redis, mut client) = server()?;
    let before = used(&mut client)?;
    let sale = Sale::create(&mut client, "1001", PLENTY)?;
    sale.fill(&mut client, 0, count)?;
    let nothing_stored = memory(&mut client, before, count, &[sale.sid()])?;
    sale.store_all(&mut client)?;
    let all_stored = memory(&mut client, before, count, &[sale.sid()])?;
    Ok([nothing_stored, all_stored])
}

fn of_script(count: u64) -> Result<[Memory; 2]> {
    let (_redis, mut client) = server()?;
    let before = used(&mut client)?;
    let script = Script::create(&mut client, count)?;
    script.fill(&mut client, count)?;
    await_lapse(&mut client)?;
    let nothing_stored = memory(&mut client, before, count, &Script::KEYS)?;
    Script::store_all(&mut client)?;
    let all_stored = memory(&mut client, before, count, &Script::KEYS)?;
    Ok([nothing_stored, all_stored])
}

fn server() -> Result<(Redis, Client)> {
    let place = Place::temporary("bench-memory")?;
    let redis = Redis::start_with(&place, &["appendonly no"])?;
    let client = Client::of(&redis)?;
    Ok((redis, client))
}

fn await_lapse(client: &mut Client) -> Result<()> {
    let deadline = Instant::now() + LAPSE_LIMIT;
    while client.run::<usize>("DBSIZE")? > Script::KEYS.len() {
        ensure!(Instant::now() < deadline, "rate windows do not lapse");
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn memory(client: &mut Client, before: u64, count: u64, keys: &[&str]) -> Result<Memory> {
    let server = used(client)?.saturating_sub(before);
    let mut by_key = 0;
    for key in keys {
        by_key += client
            .run::<Option<u64>>(&format!("MEMORY USAGE {key} SAMPLES 0"))?
            .unwrap_or_default();
    }
    Ok(Memory {
        by_server: server as f64 / count as f64,
        by_key: by_key as f64 / count as f64,
    })
}

/// What the server has in use.
pub(crate) fn used(client: &mut Client) -> Result<u64> {
    let info: String = client.run("INFO memory")?;
    let used = sale::field(&info, "used_memory").context("INFO has no used_memory")?;
    Ok(used.parse()?)
}

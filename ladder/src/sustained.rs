//! Rung 6 as hard as it goes: purchases a second that were accepted over HTTP and committed in MySQL.

use crate::books::Auditor;
use crate::climb::{SETTLE, await_rest};
use crate::crowd::{Percentiles, Progress, Seen, Stream};
use crate::figures::count;
use crate::report::tell_machines;
use crate::rung::Rung;
use crate::say::Line;
use crate::stand::{SID, Sale, Stand};
use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use seckill_chart::Machine;
use seckill_load::text;
use seckill_testbed::account::cpu;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{interval, sleep};

/// For so long buyers come before anything is measured: a broker that has just been started compiles
/// its own code meanwhile, with a tenth of this machine.
const WARM_UP: Duration = Duration::from_secs(60);

/// More than anybody buys here.
const STOCK: u32 = 1_000_000_000;

/// What it came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sustained {
    machine: Machine,
    seconds: f64,
    connections: u32,
    /// Buyers who were told that they have a unit.
    accepted: u64,
    /// Any other answer: 503, because Redis did not answer in time.
    unavailable: u64,
    orders: u64,
    sold: u64,
    /// Of these buyers, and of those who came before.
    lost: u64,
    accepted_a_second: f64,
    /// From the first question until the last order was committed.
    committed_a_second: f64,
    /// From the last answer until then.
    behind_ms: f64,
    waits: Percentiles,
    /// Accepted and committed in each second; the last one may be shorter.
    each_second: Vec<(u64, u64)>,
    /// µs of CPU time for a purchase, by process.
    cpu_us: Vec<(String, f64)>,
}

/// Buys for so many seconds, once everything is warm.
pub(crate) async fn measure(rung: Rung, seconds: u32, connections: u32) -> Result<Sustained> {
    let machine = Machine::here();
    let length = Duration::from_secs(seconds.into());
    let line = Line::new((WARM_UP + length).as_secs());
    line.moves(0, "starting the servers".to_owned());
    let sale = Sale {
        stock: STOCK,
        limit: 0,
    };
    let stand = Arc::new(spawn_blocking(move || Stand::start(rung, sale)).await??);
    sleep(SETTLE).await;
    let mut auditor = Auditor::connect(&stand.db.url()).await?;
    let path = rung.path.replace("{sid}", &SID.to_string());
    let stream = Stream::new(stand.address(), path, connections);
    let warm = buy(&stream, WARM_UP, &line, 0, &mut auditor).await?;
    await_rest(&stand, u64::try_from(warm.seen.promises.len())?).await?;
    let sold_before = auditor.sold().await?;

    let spent = || -> Result<Vec<(&str, Duration)>> {
        let mut all = vec![("buyers", cpu(std::process::id())?)];
        all.extend(stand.cpu()?);
        Ok(all)
    };
    let before = spent()?;
    let Bought {
        mut seen,
        each_second,
    } = buy(&stream, length, &line, WARM_UP.as_secs(), &mut auditor).await?;
    let accepted = u64::try_from(seen.promises.len())?;
    seen.promises.extend(warm.seen.promises);
    let behind = await_rest(&stand, u64::try_from(seen.promises.len())?).await?;
    let after = spent()?;
    let books = auditor.books(&seen.promises).await?;
    auditor.leave().await?;
    spawn_blocking(move || drop(stand)).await?;

    let purchases = count(accepted);
    let orders = books.orders - sold_before;
    let cpu_us = before
        .iter()
        .zip(&after)
        .map(|((name, before), (_, after))| {
            let spent = after.saturating_sub(*before).as_secs_f64();
            ((*name).to_owned(), spent * 1e6 / purchases)
        });
    let sustained = Sustained {
        machine,
        seconds: seen.took.as_secs_f64(),
        connections,
        accepted,
        unavailable: u64::try_from(seen.waits.len())? - accepted,
        orders,
        sold: books.sold - sold_before,
        lost: books.lost,
        accepted_a_second: purchases / seen.took.as_secs_f64(),
        committed_a_second: count(orders) / (seen.took + behind).as_secs_f64(),
        behind_ms: behind.as_secs_f64() * 1e3,
        waits: seen.waits.percentiles()?,
        each_second,
        cpu_us: cpu_us.collect(),
    };
    line.ends(&format!("{} purchases", text::count(accepted)));
    Ok(sustained)
}

/// What buyers were told, and what was accepted and committed in each second of it.
struct Bought {
    seen: Seen,
    each_second: Vec<(u64, u64)>,
}

/// Lets buyers come for so long, when the line stands at `since`.
async fn buy(
    stream: &Stream,
    length: Duration,
    line: &Line,
    since: u64,
    auditor: &mut Auditor,
) -> Result<Bought> {
    let progress = Arc::new(Progress::default());
    let mut each_second = Vec::new();
    let seen = tokio::select! {
        seen = stream.buy(length, &progress) => seen?,
        failed = follow(line, since, &progress, auditor, &mut each_second) => match failed? {},
    };
    Ok(Bought { seen, each_second })
}

/// Notes each second what was accepted and committed in it.
async fn follow(
    line: &Line,
    since: u64,
    progress: &Progress,
    auditor: &mut Auditor,
    each_second: &mut Vec<(u64, u64)>,
) -> Result<Infallible> {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.tick().await;
    let mut last = (0, auditor.sold().await?);
    loop {
        ticks.tick().await;
        let now = (progress.yes.load(Ordering::Relaxed), auditor.sold().await?);
        let (accepted, committed) = (now.0 - last.0, now.1 - last.1);
        last = now;
        each_second.push((accepted, committed));
        let words = format!(
            "{} accepted and {} committed in this second",
            text::count(accepted),
            text::count(committed)
        );
        line.moves(since + u64::try_from(each_second.len())?, words);
    }
}

// === impl Sustained ===

impl Sustained {
    /// Prints it, for a person or for a machine, and keeps it in a file if one is named.
    pub(crate) fn publish(&self, file: Option<&Path>, json: bool) -> Result<()> {
        if !tell_machines(self, file, json)? {
            writeln!(std::io::stdout(), "{}", self.table())?;
        }
        Ok(())
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        let mut row = |name: &str, value: String| {
            table.add_row([name.to_owned(), value]);
        };
        let span = |ms: f64| text::span(Duration::from_secs_f64(ms / 1e3));
        row("seconds", format!("{:.1}", self.seconds));
        row("connections", text::count(self.connections.into()));
        row("accepted", text::count(self.accepted));
        row("answered 503", text::count(self.unavailable));
        row("orders", text::count(self.orders));
        row("sold, by the stock row", text::count(self.sold));
        row("lost", text::count(self.lost));
        row("accepted a second", text::rate(self.accepted_a_second));
        row("committed a second", text::rate(self.committed_a_second));
        let least = self.each_second.iter().map(|(_, committed)| *committed);
        row(
            "committed in the worst second",
            text::count(least.min().unwrap_or_default()),
        );
        row("books complete after the last answer", span(self.behind_ms));
        row("p50", span(self.waits.p50_ms));
        row("p99", span(self.waits.p99_ms));
        row("p99.9", span(self.waits.p999_ms));
        for (part, us) in &self.cpu_us {
            row(&format!("µs CPU a purchase, {part}"), format!("{us:.1}"));
        }
        if let Some(values) = table.column_mut(1) {
            values.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

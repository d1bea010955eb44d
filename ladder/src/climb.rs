//! One sale on one rung: the servers, the buyers, the wait for the last order, the books.

use crate::books::Auditor;
use crate::crowd::{Crowd, Progress};
use crate::figures::{Evidence, Figures};
use crate::rung::Rung;
use crate::say::{Line, MOVE_EVERY};
use crate::stand::{SID, Sale, Stand};
use anyhow::{Context, Result, ensure};
use seckill_load::text;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;
use tokio::time::{interval, sleep};

/// How often it is looked whether everything is at rest.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long that may take from the last answer on.
const PATIENCE: Duration = Duration::from_secs(300);

/// Servers that have just started are still busy with themselves.
pub(crate) const SETTLE: Duration = Duration::from_secs(1);

/// Who comes to each rung, and for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) buyers: u32,
    pub(crate) tries: u32,
    pub(crate) sale: Sale,
}

/// One sale, from new servers to closed ones.
pub(crate) async fn climb(rung: Rung, terms: Terms) -> Result<Figures> {
    let Terms {
        buyers,
        tries,
        sale,
    } = terms;
    let began = format!("rung {}, {}, {buyers} buyers", rung.number, rung.name);
    let line = Line::new(buyers.into());
    line.moves(0, format!("{began}: starting the servers"));
    let stand = spawn_blocking(move || Stand::start(rung, sale)).await??;
    let stand = Arc::new(stand);
    sleep(SETTLE).await;
    let mut auditor = Auditor::connect(&stand.db.url()).await?;
    let before = auditor.counters().await?;
    let cpu_before = stand.cpu()?;

    let crowd = Crowd {
        address: stand.address(),
        path: rung.path.replace("{sid}", &SID.to_string()),
        buyers,
        tries,
    };
    let progress = Arc::new(Progress::default());
    let show = show(&line, &began, &progress);
    let seen = tokio::select! {
        seen = crowd.buy(&progress) => seen.with_context(|| began.clone())?,
        never = show => match never {},
    };
    let yes = u64::try_from(seen.promises.len())?;
    let rest = await_rest(&stand, yes).await?;
    let cpu = total(&stand.cpu()?).saturating_sub(total(&cpu_before));
    let after = auditor.counters().await?;
    let books = auditor.books(&seen.promises).await?;
    auditor.leave().await?;
    let figures = Figures::of(&Evidence {
        buyers,
        sale,
        seen: &seen,
        books: &books,
        before,
        after,
        complete: seen.took + rest,
        cpu,
    })?;
    line.ends(&format!(
        "{began}: {} orders, {} of them oversold, {} lost, after {}",
        text::count(figures.orders),
        text::count(figures.oversold),
        text::count(figures.lost),
        text::span(seen.took + rest),
    ));
    spawn_blocking(move || drop(stand)).await?;
    Ok(figures)
}

async fn show(line: &Line, began: &str, progress: &Progress) -> Infallible {
    let mut ticks = interval(MOVE_EVERY);
    loop {
        ticks.tick().await;
        let yes = progress.yes.load(Ordering::Relaxed);
        let done = progress.done.load(Ordering::Relaxed);
        line.moves(done, format!("{began}: {} were told yes", text::count(yes)));
    }
}

fn total(parts: &[(&str, Duration)]) -> Duration {
    parts.iter().map(|(_, cpu)| *cpu).sum()
}

/// How long it takes from now on until MySQL has everything.
pub(crate) async fn await_rest(stand: &Stand, yes: u64) -> Result<Duration> {
    let began = Instant::now();
    while !stand.is_at_rest(yes).await? {
        ensure!(
            began.elapsed() < PATIENCE,
            "orders are still missing after {PATIENCE:?}; see {:?}",
            stand.logs()
        );
        sleep(LOOK_EVERY).await;
    }
    Ok(began.elapsed())
}

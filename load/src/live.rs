//! The line that moves while a crowd buys: a bar on a terminal, a plain line a second elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use seckill_load::{Plan, Progress, Snapshot, text};
use std::convert::Infallible;
use std::io::{IsTerminal, Write};
use std::time::Duration;
use tokio::time::interval;

/// Shows `progress` on stderr until it is dropped.
pub(crate) async fn follow(plan: &Plan, progress: &Progress) -> Infallible {
    if std::io::stderr().is_terminal() {
        bar(plan, progress).await
    } else {
        lines(plan, progress).await
    }
}

async fn bar(plan: &Plan, progress: &Progress) -> Infallible {
    let bar = Cleared(ProgressBar::new(match plan.arrivals {
        Some(_) => plan.buyers.into(),
        None => plan.tries_total(),
    }));
    if let Ok(style) = ProgressStyle::with_template("{bar:30.cyan/dim} {msg}") {
        bar.0.set_style(style);
    }
    let mut ticks = interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        let now = progress.read();
        bar.0.set_position(if plan.arrivals.is_some() {
            now.connected
        } else {
            now.tries
        });
        bar.0.set_message(line(plan, now));
    }
}

async fn lines(plan: &Plan, progress: &Progress) -> Infallible {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.tick().await;
    loop {
        ticks.tick().await;
        // Nobody to tell is no reason to stop buying.
        drop(writeln!(
            std::io::stderr(),
            "{}",
            line(plan, progress.read())
        ));
    }
}

fn line(plan: &Plan, now: Snapshot) -> String {
    if plan.arrivals.is_some() {
        return format!(
            "{} of {} buyers have come, {} tries, {} reservations, {} unanswered",
            text::count(now.connected),
            text::count(u64::from(plan.buyers)),
            text::count(now.tries),
            text::count(now.reserved),
            text::count(now.unanswered),
        );
    }
    format!(
        "{} of {} tries, {} reservations, {} unanswered, {} of {} connected at the start",
        text::count(now.tries),
        text::count(plan.tries_total()),
        text::count(now.reserved),
        text::count(now.unanswered),
        text::count(now.connected),
        text::count(u64::from(plan.buyers)),
    )
}

/// A bar that leaves the terminal as it found it.
struct Cleared(ProgressBar);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

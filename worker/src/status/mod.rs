//! `status`: how each sale stands in the module, on the topic and in MySQL.
//!
//! | file | idea |
//! | --- | --- |
//! | `look.rs` | one look at the three servers |
//! | `topics.rs` | Kafka's part of it, on a thread |
//! | `row.rs` | what two looks say of a sale: pure |
//! | `show.rs` | a table, or lines of JSON |
//!
//! It may be run every second in the middle of the evening: one `SECKILL.INFO` a sale, which writes
//! nothing, and one statement over rows by their primary key for all sales. Orders are not counted:
//! the module knows how many of its acceptances MySQL has. An index for counting them by status
//! would cost the order writer more than the figure is worth; `--orders` counts without one.
//!
//! The dashboard looks with the same eyes.

mod look;
mod row;
mod show;
mod topics;

pub(crate) use look::{Counts, Eyes, Look, count_orders};
pub(crate) use row::{Row, rows};
pub(crate) use topics::Topics;

use crate::cli::Status;
use crate::config::{Broker, Config};
use crate::gate::Gate;
use crate::mysql::Session;
use anyhow::{Context, bail};
use console::Term;
use std::io::{IsTerminal, Write, stdout};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

/// Over how long a single look measures the rates.
const SHORT: Duration = Duration::from_secs(1);

/// How long Redis may take to say that it does not know us.
const LOGIN_PATIENCE: Duration = Duration::from_secs(2);

/// Goes to another screen and hides the cursor; and back.
const SCREEN: (&str, &str) = ("\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l");

/// Shows the sales once, or again and again until it is interrupted.
///
/// # Errors
/// If a name or a password is wrong, or neither Redis nor MySQL is there for the only look.
pub(crate) async fn status(config: &Config, chore: &Status) -> anyhow::Result<()> {
    let gate = Gate::new(&config.redis).context("redis.url")?;
    if let Ok(entered) = timeout(LOGIN_PATIENCE, gate.enter()).await {
        entered.context("redis.url")?;
    }
    let topics = match config.broker {
        Broker::Kafka => Some(Topics::start(&config.kafka)?),
        Broker::None => None,
    };
    let mut eyes = Eyes {
        gate,
        session: Session::new(config.mysql.opts.clone()),
        topics,
        sids: chore.sids.clone(),
        count_orders: chore.orders,
    };
    // That a server is away stands in what is shown, and not also in between.
    let shown = async {
        match chore.watch {
            Some(seconds) => watch(&mut eyes, chore.json, seconds.unwrap_or(SHORT)).await,
            None => once(&mut eyes, chore.json).await,
        }
    };
    shown.with_subscriber(NoSubscriber::default()).await
}

async fn once(eyes: &mut Eyes, json: bool) -> anyhow::Result<()> {
    let before = eyes.look().await;
    sleep(SHORT).await;
    let now = eyes.look().await;
    print(&before, &now, json)?;
    if let (Err(redis), Err(mysql)) = (&now.redis, &now.mysql) {
        bail!("nobody is there: Redis: {redis}; MySQL: {mysql}");
    }
    Ok(())
}

fn print(before: &Look, now: &Look, json: bool) -> anyhow::Result<()> {
    let rows = rows(before, now);
    let lines = match json {
        true => show::json(now, &rows)?,
        false => show::text(now, rows, usize::MAX),
    };
    let mut out = stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

async fn watch(eyes: &mut Eyes, json: bool, every: Duration) -> anyhow::Result<()> {
    let on_screen = stdout().is_terminal() && !json;
    if on_screen {
        write!(stdout(), "{}", SCREEN.0)?;
    }
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let shown = tokio::select! {
        shown = watch_on(eyes, json, every, on_screen) => shown,
        _ = interrupted.recv() => Ok(()),
        _ = terminated.recv() => Ok(()),
    };
    if on_screen {
        write!(stdout(), "{}", SCREEN.1)?;
        stdout().flush()?;
    }
    shown
}

async fn watch_on(
    eyes: &mut Eyes,
    json: bool,
    every: Duration,
    on_screen: bool,
) -> anyhow::Result<()> {
    let mut turns = interval(every);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = None;
    loop {
        turns.tick().await;
        let now = eyes.look().await;
        let earlier = before.as_ref().unwrap_or(&now);
        if on_screen {
            draw(earlier, &now)?;
        } else {
            print(earlier, &now, json)?;
        }
        before = Some(now);
    }
}

/// Draws over what stands there, so that nothing flickers.
fn draw(before: &Look, now: &Look) -> anyhow::Result<()> {
    let (height, width) = Term::stdout().size();
    let lines = show::text(now, rows(before, now), height.into());
    let mut screen = String::from("\x1b[H");
    for (n, line) in lines.iter().take(height.into()).enumerate() {
        if n > 0 {
            screen.push_str("\r\n");
        }
        screen.push_str(&console::truncate_str(line, width.into(), "…"));
        screen.push_str("\x1b[K");
    }
    screen.push_str("\x1b[J");
    let mut out = stdout().lock();
    out.write_all(screen.as_bytes())?;
    Ok(out.flush()?)
}

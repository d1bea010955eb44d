//! `seckill-oracle`: whether a sale's promises were kept, from what each source says.
#![forbid(unsafe_code)]

mod cli;

use anyhow::Result;
use clap::Parser;
use cli::Cli;
use seckill_oracle::{Report, Watch, check};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Not all invariants hold.
const BROKEN: u8 = 1;

/// A source could not be read.
const COULD_NOT_LOOK: u8 = 2;

/// Between two looks of `--watch`.
const WATCH_EVERY: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match look(&cli).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(BROKEN),
        Err(error) => {
            // Nobody to tell is no reason to end otherwise.
            drop(writeln!(io::stderr(), "seckill-oracle: {error:#}"));
            ExitCode::from(COULD_NOT_LOOK)
        }
    }
}

/// Whether all holds.
async fn look(cli: &Cli) -> Result<bool> {
    let sources = cli.sources()?;
    let setting = cli.setting();
    let mut holds = true;
    for (n, sid) in cli.sids.iter().enumerate() {
        let watch = cli.watch.map(|_| Watch::start(&sources, sid, WATCH_EVERY));
        if let Some(seconds) = cli.watch {
            tell(&format!("watching sale {sid} for {seconds} s"));
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
        tell(&format!(
            "waiting for sale {sid} to come to rest, and reading"
        ));
        let mut report = check(&sources, sid, &setting, cli.settle()).await?;
        if let Some(watch) = watch {
            report.add(watch.stop().await);
        }
        holds &= report.holds();
        show(cli, &report, n > 0)?;
    }
    Ok(holds)
}

/// What is going on; not part of the result.
fn tell(what: &str) {
    // Nobody to tell is no reason to stop.
    drop(writeln!(io::stderr(), "{what}"));
}

fn show(cli: &Cli, report: &Report, is_next: bool) -> Result<()> {
    let mut out = io::stdout().lock();
    if cli.json {
        serde_json::to_writer(&mut out, report)?;
        writeln!(out)?;
    } else {
        if is_next {
            writeln!(out)?;
        }
        writeln!(out, "{report}")?;
    }
    Ok(())
}

//! `seckill-load`: a rehearsal. Sends a crowd of buyers to a proxy and says what they were told.
//!
//! * `live`: the line that moves while they buy
//! * `table`: what it came to
#![forbid(unsafe_code)]

mod live;
mod table;

use anyhow::{Result, bail};
use clap::Parser;
use seckill_load::{Plan, Progress};
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Sends a crowd of buyers to a proxy, all at once, and says what they were told.
#[derive(Parser)]
#[command(name = "seckill-load", version)]
struct Cli {
    /// Where the proxy is
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Which sale
    #[arg(long)]
    sid: String,
    /// The route to buy through
    #[arg(long, default_value = "/seckill/{sid}")]
    path: String,
    /// How many buyers, each with a connection of his own
    #[arg(long, default_value_t = 300)]
    buyers: u32,
    /// How often each of them tries
    #[arg(long, default_value_t = 3)]
    tries: u32,
    /// The request header that names the buyer
    #[arg(long, default_value = "X-User-Id")]
    buyer_header: String,
    /// Buyers are called <PREFIX>1, <PREFIX>2, …
    #[arg(long, value_name = "PREFIX", default_value = "buyer-")]
    buyer_prefix: String,
    /// Seconds until a question without an answer is asked again
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    timeout: u64,
    /// Seconds until a buyer gives up on a try that gets no answer
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
    /// Send no Idempotency-Key, as the plainest of shop pages would
    #[arg(long)]
    without_keys: bool,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match rehearse(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody to tell is no reason to end otherwise.
            drop(writeln!(std::io::stderr(), "seckill-load: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn rehearse(cli: Cli) -> Result<()> {
    let json = cli.json;
    let plan = cli.into_plan();
    let progress = Arc::new(Progress::default());
    let outcome = tokio::select! {
        outcome = seckill_load::run(&plan, &progress) => outcome?,
        never = live::follow(&plan, &progress) => match never {},
    };
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &outcome)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{}", table::of(&outcome))?;
    }
    if outcome.given_up > 0 {
        bail!("{} tries got no answer at all", outcome.given_up);
    }
    Ok(())
}

// === impl Cli ===

impl Cli {
    fn into_plan(self) -> Plan {
        Plan {
            url: self.url,
            path: self.path,
            sid: self.sid,
            buyers: self.buyers,
            tries: self.tries,
            buyer_header: self.buyer_header,
            buyer_prefix: self.buyer_prefix,
            timeout: Duration::from_secs(self.timeout),
            patience: Duration::from_secs(self.patience),
            keys: !self.without_keys,
            ..Plan::default()
        }
    }
}

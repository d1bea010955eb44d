//! `seckill-load`: a rehearsal. Sends a crowd of buyers to a proxy and says what they were told.
//!
//! * `live`: the line that moves while they buy
//! * `table`: what it came to
//! * `percentiles`: every latency, for a plotter
#![forbid(unsafe_code)]

mod live;
mod percentiles;
mod table;

use anyhow::{Context, Result, bail};
use clap::Parser;
use seckill_load::{Arrivals, Compared, Outcome, Plan, Progress, Servers};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Sends a crowd of buyers to a proxy and says what they were told: all at once, or with --arrivals each
/// at his own time, whatever became of the others.
#[derive(Parser)]
#[command(name = "seckill-load", version)]
struct Cli {
    /// Where the proxy is; several: the buyers take turns
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: Vec<String>,
    /// Which sale
    #[arg(long)]
    sid: String,
    /// The route to buy through
    #[arg(long, default_value = "/seckill/{sid}")]
    path: String,
    /// How many buyers come at once, each with a connection of his own
    #[arg(long, default_value_t = 300, conflicts_with = "arrivals")]
    buyers: u32,
    /// When buyers come instead, a second and for how long: 0-2000/10s,2000/60s,20000/1s is a ramp, then
    /// an even stream, then a spike. Their waiting counts from the moment at which they were to come
    #[arg(long, value_name = "PROFILE")]
    arrivals: Option<Arrivals>,
    /// How many of a hundred are programs, which try as quickly as they can; the others wait as long as
    /// they are told to, and stop when they have a unit
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 0,
        requires = "arrivals"
    )]
    bots: u32,
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
    /// Seconds until a buyer gives up on a try that gets no answer; who is told to wait longer leaves
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
    /// Send no Idempotency-Key, as the plainest of shop pages would
    #[arg(long)]
    without_keys: bool,
    /// The proxy's [admin] listen, as http://host:port, of each proxy: what buyers heard is held against
    /// what was told. Nobody else may buy meanwhile
    #[arg(long, value_name = "URL")]
    admin: Vec<String>,
    /// Write every latency there, as HdrHistogram's plotter reads them
    #[arg(long, value_name = "FILE")]
    histogram: Option<PathBuf>,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    outcome: &'a Outcome,
    #[serde(skip_serializing_if = "<[Compared]>::is_empty")]
    compared: &'a [Compared],
    /// Whether a proxy began anew meanwhile, so that nothing could be compared.
    began_anew: bool,
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
    let servers = Servers::new(&cli.admin, &cli.path)?;
    let (json, histogram) = (cli.json, cli.histogram.clone());
    let plan = cli.into_plan()?;
    let before = servers.count().await?;
    let progress = Arc::new(Progress::default());
    let outcome = tokio::select! {
        outcome = seckill_load::run(&plan, &progress) => outcome?,
        never = live::follow(&plan, &progress) => match never {},
    };
    let (mut compared, mut began_anew) = (Vec::new(), false);
    if !servers.is_empty() {
        let after = servers.count().await?;
        began_anew = after.began_anew_since(&before);
        if began_anew {
            let note = "a proxy began anew meanwhile, and its count with it: nothing to hold against what buyers heard";
            writeln!(std::io::stderr(), "{note}")?;
        } else {
            compared = after.compare(&before, &outcome.answers, outcome.unanswered_total());
        }
    }
    if let Some(file) = histogram {
        percentiles::write(&outcome.latencies, &file)
            .with_context(|| format!("--histogram {}", file.display()))?;
    }
    let mut out = std::io::stdout().lock();
    if json {
        let report = Report {
            outcome: &outcome,
            compared: &compared,
            began_anew,
        };
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{}", table::of(&outcome))?;
        if !compared.is_empty() {
            writeln!(out, "{}", table::of_verdicts(&compared))?;
        }
    }
    if outcome.given_up > 0 {
        bail!("{} tries got no answer at all", outcome.given_up);
    }
    if let Some(wrong) = compared.iter().find(|compared| !compared.fits) {
        let Compared {
            code, heard, told, ..
        } = wrong;
        bail!("buyers heard {code} {heard} times, and the proxies told it {told} times");
    }
    Ok(())
}

// === impl Cli ===

impl Cli {
    fn into_plan(self) -> Result<Plan> {
        let mut urls = self.url.into_iter();
        let buyers = self.arrivals.as_ref().map(Arrivals::count);
        Ok(Plan {
            url: urls.next().context("--url: expected one")?,
            more_urls: urls.collect(),
            path: self.path,
            sid: self.sid,
            buyers: buyers.unwrap_or(self.buyers),
            arrivals: self.arrivals,
            bots_percent: self.bots,
            tries: self.tries,
            buyer_header: self.buyer_header,
            buyer_prefix: self.buyer_prefix,
            timeout: Duration::from_secs(self.timeout),
            patience: Duration::from_secs(self.patience),
            keys: !self.without_keys,
            ..Plan::default()
        })
    }
}

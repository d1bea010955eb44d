//! `seckill-worker`: carries each acceptance from the module through Kafka into an order in MySQL.
//!
//! In the order in which an event meets them:
//!
//! | file | idea |
//! | --- | --- |
//! | `cli.rs`, `config.rs` | the command line, and `worker.toml` |
//! | `schema.rs` | `migrate`: the tables of MySQL |
//! | `warm.rs` | `warm`: a sale in Redis out of a stock row |
//! | `dead.rs` | `dead`: what lies in the dead topic, and what becomes of it |
//! | `status/` | `status`: how each sale stands |
//! | `reconcile/` | `reconcile`: compares module, Kafka and MySQL, and mends |
//! | `books.rs` | what MySQL says of sales in a few figures |
//! | `recover/` | `recover`: a Redis that lost something gets it back from MySQL |
//! | `options/` | the options of a sale, and the table that keeps them |
//! | `run.rs` | `run`: puts the following together |
//! | `gate.rs`, `gate/` | the module, wherever the sales are |
//! | `relay/` | every sale's log to the sink, from where it was |
//! | `kafka/` | the topic: producer, consumer, dead letters |
//! | `delivery.rs` | events on their way to the order writer |
//! | `orders/` | events into MySQL, exactly once; `orders/fold.rs` says what they mean |
//! | `mysql.rs` | connections to MySQL, and what its errors mean |
//! | `figures.rs`, `stop.rs`, `backoff.rs` | the line in the log, the end, the pauses |
//!
//! What holds everywhere: nothing is acknowledged before it lies durably behind; everything may be
//! sent twice; and MySQL's own cursor, locked first in each transaction, decides what is new.
#![forbid(unsafe_code)]

mod backoff;
mod books;
mod cli;
mod config;
mod dead;
mod delivery;
mod figures;
mod gate;
mod kafka;
mod mysql;
mod options;
mod orders;
mod reconcile;
mod recover;
mod relay;
mod run;
mod schema;
mod status;
mod stop;
mod warm;

use clap::{CommandFactory, Parser};
use cli::{Chore, Cli};
use config::Config;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::io::{IsTerminal, stderr, stdout};
use tracing_subscriber::EnvFilter;

/// What is logged unless `RUST_LOG` says otherwise: the migrations are reported by ourselves.
const LOG: &str = "info,refinery_core=warn";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Of several that could be linked; who was first wins, and is the same one.
    let _ = CryptoProvider::install_default(aws_lc_rs::default_provider());
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .with_target(false)
        .init();
    let config = Config::load(&cli.config)?;
    match cli.chore {
        _ if cli.test => Ok(()),
        Some(Chore::Migrate) => {
            schema::migrate(&mysql::options(&config.mysql.url)?, &mut stdout()).await
        }
        Some(Chore::Warm(chore)) => warm::warm(&config, &chore, &mut stdout()).await,
        Some(Chore::Recover(chore)) => recover::recover(&config, &chore, &mut stdout()).await,
        Some(Chore::Run) => run::run(config).await,
        Some(Chore::Dead(chore)) => dead::dead(&config, &chore, &mut stdout()).await,
        Some(Chore::Reconcile(chore)) => {
            let code = reconcile::reconcile(&config, &chore, &mut stdout()).await;
            std::process::exit(code)
        }
        Some(Chore::Status(chore)) => status::status(&config, &chore).await,
        None => {
            let expected =
                "expected one of migrate, warm, recover, run, dead, status, reconcile, or --test";
            let kind = clap::error::ErrorKind::MissingSubcommand;
            Cli::command().error(kind, expected).exit()
        }
    }
}

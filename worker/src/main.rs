//! `seckill-worker`: carries each acceptance from the module through Kafka into an order in MySQL.
//!
//! In the order in which an event meets them:
//!
//! | file | idea |
//! | --- | --- |
//! | `cli.rs`, `config.rs`, `secret.rs` | the command line, `worker.toml`, and what must not stand there |
//! | `print.rs` | shows what is configured |
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
//! | `figures.rs`, `watch.rs`, `standing.rs` | what is counted, how far behind each sale is, what is missing |
//! | `admin.rs`, `log.rs` | shows that to whoever watches, and to whoever reads the log |
//! | `dashboard/` | shows the sales to people in a browser, and does what they ask |
//! | `systemd.rs`, `signs.rs` | what systemd is told, and whether a part hangs |
//! | `stop.rs`, `exit.rs`, `backoff.rs` | the end, what it says to a supervisor, the pauses |
//!
//! What holds everywhere: nothing is acknowledged before it lies durably behind; everything may be
//! sent twice; and MySQL's own cursor, locked first in each transaction, decides what is new.
#![forbid(unsafe_code)]

mod admin;
mod backoff;
mod books;
mod cli;
mod clock;
mod config;
mod dashboard;
mod dead;
mod delivery;
mod exit;
mod figures;
mod gate;
mod kafka;
mod log;
mod mysql;
mod options;
mod orders;
mod print;
mod reconcile;
mod recover;
mod relay;
mod run;
mod schema;
mod shown;
mod signs;
mod standing;
mod status;
mod stop;
mod systemd;
mod warm;
mod watch;

use clap::{CommandFactory, Parser};
use cli::{Chore, Cli};
use config::{Config, Mistakes};
use log::Log;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::io::{Write, stderr, stdout};
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

/// How long a thread that waits for a lost server may delay the end.
const LEFTOVERS_PATIENCE: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    match start(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without stderr there is nobody to tell.
            let _ = writeln!(stderr(), "seckill-worker: {error:#}");
            exit::code(&error).into()
        }
    }
}

fn start(cli: Cli) -> anyhow::Result<()> {
    // Of several that could be linked; who was first wins, and is the same one.
    let _ = CryptoProvider::install_default(aws_lc_rs::default_provider());
    let config = Config::load(&cli.config)?;
    if cli.print_config {
        let text = std::fs::read_to_string(&cli.config)?;
        let all = print::effective(&text, config::environment)?;
        return Ok(stdout().write_all(all.as_bytes())?);
    }
    if cli.test {
        return check(&cli, &config);
    }
    let Some(chore) = cli.chore else {
        let expected =
            "expected one of migrate, warm, recover, run, dead, status, reconcile, or --test";
        let kind = clap::error::ErrorKind::MissingSubcommand;
        Cli::command().error(kind, expected).exit()
    };
    let log = Log::start(config.log.format, config.log.level.clone())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let done = runtime.block_on(async {
        match chore {
            Chore::Migrate => schema::migrate(&config.mysql.opts, &mut stdout()).await,
            Chore::Warm(chore) => warm::warm(&config, &chore, &mut stdout()).await,
            Chore::Run => run::run(config, log).await,
            Chore::Dead(chore) => dead::dead(&config, &chore, &mut stdout()).await,
            Chore::Recover(chore) => recover::recover(&config, &chore, &mut stdout()).await,
            Chore::Reconcile(chore) => {
                let code = reconcile::reconcile(&config, &chore, &mut stdout()).await;
                std::process::exit(code)
            }
            Chore::Status(chore) => status::status(&config, &chore).await,
        }
    });
    runtime.shutdown_timeout(LEFTOVERS_PATIENCE);
    done
}

/// Tries what a start would do besides, as far as it changes nothing: files and certificates were
/// read with the configuration.
fn check(cli: &Cli, config: &Config) -> anyhow::Result<()> {
    let mut mistakes = Mistakes::default();
    if let Some(admin) = &config.admin {
        match TcpListener::bind(admin.listen) {
            // Maybe by the very worker that the configuration is for.
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            Err(error) => mistakes.add(format!("admin.listen: cannot listen there: {error}")),
            Ok(_) => {}
        }
    }
    mistakes.note(kafka::check(&config.kafka));
    mistakes.none_in(&cli.config)?;
    writeln!(stdout(), "{}: ok", cli.config.display())?;
    Ok(())
}

//! `seckill-proxy`: stands before a shop, asks the module who gets a unit, and turns everybody else
//! away.
//!
//! Each file makes one decision about a request, in this order:
//!
//! * `front`: whether its head arrives in time
//! * `route`: whether it is a buy
//! * `client`: where it comes from, and whether that is too often (`limit`)
//! * `buyer`: who buys, by what a peer says, a `token` or a `cookie`, and from whose page (`origin`)
//! * `buy`: how many units, under which token
//! * `gate`: what the module says. `shut` remembers it for a sale that turns everybody away, until
//!   `news` tells of the sale; `convoy` lets tries travel together, over the connection that `link`
//!   keeps; `refusal` and `standing` know how Redis says that it does not decide
//! * `problem`: why it is not served, if it is not, and `statuses` how that is said here
//! * `answer`: what the proxy answers, after `body` has cleared the request out of the way
//! * `sign`: what proves to the shop that it was told by the proxy
//! * `shadow`: what would have become of it, where nothing is decided yet
//! * `callback`: whether it is the shop that says what became of a reservation
//! * `forward`: what the shop's answer makes of a reservation
//!
//! `desk` calls them and decides, `proxy` does it. `config` reads `proxy.toml`, `secret` what must not stand there, `ring` keeps
//! keys by their names, and `live` reads them again when they change; `clock` says when they count.
//! `site` is what can change while buyers buy, and `shop` who answers what is not turned away.
//! `doors` opens, `signals` says when to stop, `sales` keeps what belongs to one sale, `metrics` shows
//! what was counted, `throttle` keeps the log readable, `pauses` says when to try again, and
//! `spelling` which headers a shop could take for each other. `networks` are lists of them.
#![forbid(unsafe_code)]

mod answer;
mod body;
mod buy;
mod buyer;
mod callback;
mod client;
mod clock;
mod config;
mod convoy;
mod cookie;
mod desk;
mod doors;
mod forward;
mod front;
mod gate;
mod limit;
mod link;
mod live;
mod metrics;
mod networks;
mod news;
mod origin;
mod pauses;
mod problem;
mod proxy;
mod refusal;
mod ring;
mod route;
mod sales;
mod secret;
mod shadow;
mod shop;
mod shut;
mod sign;
mod signals;
mod site;
mod spelling;
mod standing;
mod statuses;
mod throttle;
mod token;

use crate::config::{Config, RedisSettings};
use crate::desk::Desk;
use crate::doors::Doors;
use crate::front::Front;
use crate::gate::Gate;
use crate::link::Link;
use crate::metrics::{Metrics, Unreserved};
use crate::news::News;
use crate::proxy::Proxy;
use crate::sales::Sales;
use crate::shadow::Shadows;
use crate::shop::Watch;
use crate::signals::Signals;
use crate::site::Renewal;
use anyhow::Context;
use arc_swap::ArcSwap;
use clap::Parser;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server};
use pingora_core::services::background::background_service;
use pingora_core::services::listening;
use std::io::{IsTerminal, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::Notify;
use tracing::info;
use tracing_subscriber::EnvFilter;

/// After SIGTERM: how long requests under way may take to finish.
const GRACE_S: u64 = 3;

/// Pingora writes a line for each connection that breaks, which is for clients to decide; what
/// matters is written here.
const DEFAULT_LOG: &str = "info,pingora_core=error,pingora_proxy=off";

/// The flash-sale gate in front of a shop.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration; conf/proxy.toml explains every key
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Check the configuration and exit: 0 if a start would accept it
    #[arg(long)]
    test: bool,
}

fn main() -> ExitCode {
    match start(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without stderr there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "seckill-proxy: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &Arguments) -> anyhow::Result<()> {
    let file = arguments.config.display().to_string();
    let config = Config::load(&arguments.config).with_context(|| file.clone())?;
    if arguments.test {
        writeln!(std::io::stdout(), "{file}: ok")?;
        return Ok(());
    }
    start_log();
    run(config, arguments.config.clone())
}

fn start_log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

fn run(config: Config, file: PathBuf) -> anyhow::Result<()> {
    can_listen("listen", config.listen)?;
    if let Some(address) = config.metrics {
        can_listen("metrics.listen", address)?;
    }
    let gate = Arc::new(gate(config.redis).context("redis.url")?);

    let settings = ServerConf {
        threads: config.threads,
        grace_period_seconds: Some(GRACE_S),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, settings);
    server.bootstrap();
    info!(
        listen = %config.listen,
        threads = config.threads,
        shop = %config.site.shop,
        routes = %config.site.routes,
        "seckill-proxy starts"
    );
    let hangup = Arc::new(Notify::new());
    let site = Arc::new(ArcSwap::from_pointee(config.site));
    let renewal = Renewal {
        file,
        fixed: config.fixed,
        current: Arc::clone(&site),
        now: Arc::clone(&hangup),
    };
    let mut renewal = background_service("renewal", renewal);
    renewal.threads = Some(1);
    server.add_service(renewal);
    let mut watch = background_service("shop", Watch::new(Arc::clone(&site)));
    watch.threads = Some(1);
    server.add_service(watch);
    let unreserved = Arc::new(Unreserved::default());
    let shadows = Arc::new(Shadows::default());
    if let Some(address) = config.metrics {
        let metrics = Metrics::new(
            Arc::clone(&gate),
            Arc::clone(&unreserved),
            Arc::clone(&shadows),
        );
        let mut service = listening::Service::new("metrics".to_owned(), metrics);
        service.threads = Some(1);
        service.add_tcp(&address.to_string());
        server.add_service(service);
    }
    let proxy = Proxy::new(
        site,
        Arc::new(Desk::new(Arc::clone(&gate), unreserved, shadows)),
    );
    let front = Front::new(pingora_proxy::http_proxy(&server.configuration, proxy));
    server.add_service(Doors::new(config.listen, front, gate));
    server.run(RunArgs {
        shutdown_signal: Box::new(Signals { hangup }),
    });
    info!("seckill-proxy has stopped");
    Ok(())
}

/// Pingora would panic in a thread of its own; here the reason can still be told.
fn can_listen(key: &str, address: SocketAddr) -> anyhow::Result<()> {
    TcpListener::bind(address)
        .map(drop)
        .with_context(|| format!("{key}: cannot listen on {address}"))
}

fn gate(settings: RedisSettings) -> Result<Gate, redis::RedisError> {
    let link = Link::new(
        settings.server.clone(),
        settings.deadline,
        &settings.key_prefix,
    )?;
    let sales = Sales::new(settings.key_prefix, settings.remember);
    Ok(Gate::new(
        link,
        sales,
        News::new(settings.server)?,
        settings.waiting_max,
        settings.deadline,
    ))
}

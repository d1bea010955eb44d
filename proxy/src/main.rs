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
//!   `news` tells of the sale; `convoy` lets tries travel together. `servers` knows who decides: the
//!   one server that `link` keeps a connection to, the primary that `sentinels` name, or the nodes of
//!   a `cluster`, each for its `slots`. `refusal` and `standing` know how Redis says that it does not
//!   decide, and `copies` whether a replica has what it has decided
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
//! `doors` opens, `signals` says when to stop, `sales` keeps what belongs to one sale, `throttle` keeps
//! the log readable, `pauses` says when to try again, and `spelling` which headers a shop could take
//! for each other. `networks` are lists of them.
//!
//! A request that is over is entered in the `ledger`: it is counted by its `code` in `counters`, and
//! written by `access`. `admin` shows that to whoever watches, and `log_level` is what he can change.
#![forbid(unsafe_code)]

mod access;
mod admin;
mod answer;
mod body;
mod buy;
mod buyer;
mod callback;
mod client;
mod clock;
mod cluster;
mod code;
mod config;
mod convoy;
mod cookie;
mod copies;
mod counters;
mod desk;
mod doors;
mod forward;
mod front;
mod gate;
mod ledger;
mod limit;
mod link;
mod live;
mod log_level;
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
mod sentinels;
mod servers;
mod shadow;
mod shop;
mod shut;
mod sign;
mod signals;
mod site;
mod slots;
mod spelling;
mod standing;
mod statuses;
mod throttle;
mod token;

use crate::access::{Access, Log};
use crate::admin::{Admin, Parts};
use crate::cluster::Cluster;
use crate::config::{Config, Layout, RedisSettings};
use crate::counters::Counters;
use crate::desk::Desk;
use crate::doors::Doors;
use crate::front::Front;
use crate::gate::Gate;
use crate::ledger::Ledger;
use crate::link::{Link, Manner, Way};
use crate::log_level::LogLevel;
use crate::proxy::Proxy;
use crate::sales::Sales;
use crate::sentinels::Sentinels;
use crate::servers::Servers;
use crate::shop::Watch;
use crate::signals::Signals;
use crate::site::Renewal;
use anyhow::Context;
use arc_swap::ArcSwap;
use clap::Parser;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server};
use pingora_core::services::background::background_service;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::Notify;
use tracing::info;

/// After SIGTERM: how long requests under way may take to finish.
const GRACE_S: u64 = 3;

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
    // Libraries that know several would rather stop than choose. It fails if somebody has chosen.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let file = arguments.config.display().to_string();
    let config = Config::load(&arguments.config).with_context(|| file.clone())?;
    if arguments.test {
        writeln!(std::io::stdout(), "{file}: ok")?;
        return Ok(());
    }
    let log_level = LogLevel::start();
    run(config, arguments.config.clone(), log_level)
}

fn run(config: Config, file: PathBuf, log_level: LogLevel) -> anyhow::Result<()> {
    can_listen("listen", config.listen)?;
    if let Some(address) = config.admin {
        can_listen("admin.listen", address)?;
    }
    let counters = Arc::new(Counters::new()?);
    let log = Arc::new(Log::start(Arc::clone(&counters)).context("access_log")?);
    log.open(config.site.access.as_ref().map(Access::target))
        .context("access_log.file")?;
    let gate = Arc::new(gate(config.redis, &counters));

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
        log: Arc::clone(&log),
        counters: Arc::clone(&counters),
    };
    let mut renewal = background_service("renewal", renewal);
    renewal.threads = Some(1);
    server.add_service(renewal);
    let mut watch = background_service("shop", Watch::new(Arc::clone(&site)));
    watch.threads = Some(1);
    server.add_service(watch);
    if let Some(address) = config.admin {
        let parts = Parts {
            gate: Arc::clone(&gate),
            site: Arc::clone(&site),
            counters: Arc::clone(&counters),
            log_level,
        };
        let mut admin = background_service("admin", Admin::new(address, parts));
        admin.threads = Some(1);
        server.add_service(admin);
    }
    let desk = Arc::new(Desk::new(Arc::clone(&gate), Arc::clone(&counters)));
    let ledger = Arc::new(Ledger::new(Arc::clone(&counters), Arc::clone(&log)));
    let proxy = pingora_proxy::http_proxy(&server.configuration, Proxy::new(site, desk, ledger));
    let front = Front::new(proxy, counters);
    server.add_service(Doors::new(config.listen, front, gate));
    server.run(RunArgs {
        shutdown_signal: Box::new(Signals { hangup }),
    });
    log.end();
    info!("seckill-proxy has stopped");
    Ok(())
}

/// Pingora would panic in a thread of its own; here the reason can still be told.
fn can_listen(key: &str, address: SocketAddr) -> anyhow::Result<()> {
    TcpListener::bind(address)
        .map(drop)
        .with_context(|| format!("{key}: cannot listen on {address}"))
}

fn gate(settings: RedisSettings, counters: &Arc<Counters>) -> Gate {
    let manner = Manner {
        deadline: settings.deadline,
        key_prefix: settings.key_prefix.clone(),
        copies: settings.copies,
        counters: Arc::clone(counters),
    };
    let server = settings.server;
    let servers = match settings.layout {
        Layout::One => {
            let way = Way::Fixed(Arc::new(server));
            Servers::One(Arc::new(Link::new(way, manner)))
        }
        Layout::Sentinels { sentinels, master } => {
            let way = Way::Sentinels(Arc::new(Sentinels {
                sentinels,
                master,
                server,
            }));
            Servers::One(Arc::new(Link::new(way, manner)))
        }
        Layout::Cluster { seeds } => {
            Servers::Cluster(Arc::new(Cluster::new(seeds, server, manner)))
        }
    };
    Gate::new(
        servers,
        Sales::new(settings.key_prefix, settings.remember, Arc::clone(counters)),
        settings.waiting_max,
        settings.deadline,
        settings.copies,
        Arc::clone(counters),
    )
}

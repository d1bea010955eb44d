//! `seckill-proxy`: stands before a shop, asks the module who gets a unit, and turns everybody else
//! away.
//!
//! Each file makes one decision about a request, in this order:
//!
//! * `front`: whether there is room for it (`guests`), and whether its head arrives in time, or at
//!   all (`rest`)
//! * `limits`: whether it asks for too much
//! * `fast`: whether it is a plain buy, which is decided before pingora has it
//! * `framing`: whether there is one way to read where it ends
//! * `route`: whether it is a buy
//! * `client`: where it comes from, and whether that is too often (`limit`)
//! * `buyer`: who buys, by what a peer says, a `token` or a `cookie`, and from whose page (`origin`)
//! * `buy`: how many units, under which token
//! * `gate`: what the module says. `shut` remembers it for a sale that turns everybody away, until
//!   `news` tells of the sale; `convoy` lets tries travel together. `servers` knows who decides: the
//!   one server that `link` keeps a connection to, the primary that `sentinels` name, or the nodes of
//!   a `cluster`, each with a `strange_key` of its own. `refusal` and `standing` know how Redis says that it does not
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
//! `doors` opens on the `sockets`, `tls` encrypts, and `preface` is what HTTP/2 begins with. `signals`
//! says when to stop and `closing` how; `upgrade` hands the sockets to the next process, `successor`
//! starts it, and `systemd` hears which one serves. `print` shows
//! what is configured, `sales` keeps what belongs to one sale, `throttle` keeps the log readable,
//! `pauses` says when to try again, and `spelling` which headers a shop could take for each other.
//! `networks` are lists of them.
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
mod caller;
mod client;
mod clock;
mod closing;
mod cluster;
mod code;
mod config;
mod convoy;
mod cookie;
mod copies;
mod counters;
mod date;
mod desk;
mod doors;
mod fast;
mod fields;
mod forward;
mod framing;
mod front;
mod gate;
mod guests;
mod ledger;
mod limit;
mod limits;
mod link;
mod live;
mod log_level;
mod networks;
mod news;
mod origin;
mod page;
mod pauses;
mod preface;
mod print;
mod problem;
mod proxy;
mod refusal;
mod rest;
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

mod sockets;
mod spelling;
mod standing;
mod state;
mod statuses;
mod strange_key;
mod successor;
mod systemd;
mod throttle;
mod timer;
mod tls;
mod token;
mod upgrade;

use crate::access::{Access, Log};
use crate::admin::{Admin, Parts};
use crate::closing::Closing;
use crate::cluster::Cluster;
use crate::config::{Config, Layout, Mistakes, RedisSettings};
use crate::counters::Counters;
use crate::desk::Desk;
use crate::doors::Doors;
use crate::fast::Fast;
use crate::front::{Front, House};
use crate::gate::Gate;
use crate::guests::Guests;
use crate::ledger::Ledger;
use crate::link::{Link, Manner, Way};
use crate::log_level::LogLevel;
use crate::proxy::Proxy;
use crate::sales::Sales;
use crate::sentinels::Sentinels;
use crate::servers::Servers;
use crate::shop::Watch;
use crate::signals::{Deadly, Signals};
use crate::site::Renewal;
use crate::sockets::Sockets;
use crate::throttle::Throttle;
use crate::upgrade::Inheritance;
use anyhow::Context;
use arc_swap::ArcSwap;
use clap::Parser;
use mimalloc::MiMalloc;
use pingora_core::apps::HttpServerOptions;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server};
use pingora_core::services::background::background_service;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::{Mutex, Notify};
use tracing::info;

/// A request is a dozen small allocations, and they show.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

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
    /// Print the configuration with every default, and without secrets, and exit
    #[arg(long, conflicts_with = "test")]
    print_config: bool,
    /// Take over from the proxy that runs with this configuration, which then leaves
    #[arg(long, conflicts_with_all = ["test", "print_config"])]
    upgrade: bool,
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
    tls::install_provider();
    let config = Config::load(&arguments.config)?;
    if arguments.print_config {
        let text = std::fs::read_to_string(&arguments.config)?;
        write!(std::io::stdout(), "{}", print::effective(&text, &config)?)?;
        return Ok(());
    }
    if arguments.test {
        return check(&arguments.config, &config);
    }
    let log_level = LogLevel::start();
    run(config, arguments, log_level)
}

/// Tries what a start would do after the configuration is read; the addresses may be in use, by the
/// very proxy that the configuration is for.
fn check(file: &Path, config: &Config) -> anyhow::Result<()> {
    let mut mistakes = Mistakes::default();
    for (key, address) in addresses(config) {
        match Sockets::open(&[(key, address)], Vec::new()) {
            Err(error) if !is_taken(&error) => mistakes.add(format!("{error:#}")),
            _ => {}
        }
    }
    if let Some(socket) = &config.upgrade {
        let checked = upgrade::check_folder(socket);
        mistakes.note(checked.map_err(|error| format!("{error:#}")));
    }
    mistakes.none_in(file)?;
    writeln!(std::io::stdout(), "{}: ok", file.display())?;
    Ok(())
}

fn is_taken(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
}

fn run(config: Config, arguments: &Arguments, log_level: LogLevel) -> anyhow::Result<()> {
    let deadly = Mutex::new(Deadly::listen()?);
    let addresses = addresses(&config);
    let counters = Arc::new(Counters::new()?);
    let log = Arc::new(Log::start(Arc::clone(&counters)).context("access_log")?);
    log.open(config.site.access.as_ref().map(Access::target))
        .context("access_log.file")?;
    let gate = Arc::new(gate(config.redis, &counters));
    let mut inheritance = match (&config.upgrade, arguments.upgrade) {
        (Some(path), true) => Some(Inheritance::ask(path)?),
        (None, true) => anyhow::bail!("--upgrade: the configuration has no upgrade.socket"),
        (_, false) => None,
    };
    let inherited = inheritance.as_mut().map(Inheritance::take);
    let sockets = Arc::new(Sockets::open(&addresses, inherited.unwrap_or_default())?);
    let tls_listen = config.tls.as_ref().map(|tls| tls.listen);
    let doors: Vec<SocketAddr> = std::iter::once(config.listen).chain(tls_listen).collect();
    let fds = sockets.fds(&doors)?;
    let admin = sockets.copy_of(config.admin)?;
    let is_replaceable = config.upgrade.is_some();
    let replaced = Arc::new(Notify::new());
    if let Some(path) = &config.upgrade {
        upgrade::offer(path, Arc::clone(&sockets), Arc::clone(&replaced))?;
    }
    let guests = Arc::new(Guests::new());
    let closing = Arc::new(Closing::new(Arc::clone(&guests), sockets, config.drain));

    let settings = ServerConf {
        threads: config.threads,
        // Where there is one, there is nobody to take work from.
        work_stealing: config.threads > 1,
        // When pingora hears of the end, everybody is gone.
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, settings);
    server.bootstrap();
    info!(
        listen = %config.listen,
        tls = tls_listen.map(tracing::field::display),
        threads = config.threads,
        shop = %config.site.shop,
        routes = %config.site.routes,
        "seckill-proxy starts"
    );
    let hangup = Arc::new(Notify::new());
    let h2_idle_timeout = Some(config.site.limits.keepalive);
    let site = Arc::new(ArcSwap::from_pointee(config.site));
    let tls = config.tls.map(Arc::new);
    let renewal = Renewal {
        file: arguments.config.clone(),
        fixed: config.fixed,
        current: Arc::clone(&site),
        keys: tls.as_ref().map(|tls| tls.keys()).unwrap_or_default(),
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
    if let Some(listener) = admin {
        let parts = Parts {
            gate: Arc::clone(&gate),
            site: Arc::clone(&site),
            counters: Arc::clone(&counters),
            log_level,
            closing: Arc::clone(&closing),
        };
        let mut admin = background_service("admin", Admin::new(listener, parts)?);
        admin.threads = Some(1);
        server.add_service(admin);
    }
    let desk = Arc::new(Desk::new(Arc::clone(&gate), Arc::clone(&counters)));
    let ledger = Arc::new(Ledger::new(Arc::clone(&counters), Arc::clone(&log)));
    let fast = Fast::new(Arc::clone(&desk), Arc::clone(&ledger));
    let proxy = Proxy::new(Arc::clone(&site), desk, ledger);
    let mut proxy = pingora_proxy::http_proxy(&server.configuration, proxy);
    let mut options = HttpServerOptions::default();
    options.h2_idle_timeout = h2_idle_timeout;
    proxy.server_options = Some(options);
    let house = Arc::new(House {
        fast,
        proxy: Arc::new(proxy),
        site,
        guests,
        counters,
        closing: Arc::clone(&closing),
        full: Throttle::default(),
    });
    let http = (config.listen, Front::new(Arc::clone(&house), None));
    let https = tls.map(|tls| (tls.listen, Front::new(house, Some(tls))));
    let doors = Doors::new(http, https, fds, gate, Arc::clone(&closing), inheritance);
    server.add_service(doors);
    server.run(RunArgs {
        shutdown_signal: Box::new(Signals {
            deadly,
            hangup,
            is_replaceable,
            replaced,
            closing,
        }),
    });
    log.end();
    info!("seckill-proxy has stopped");
    Ok(())
}

/// Where to listen, each with its key.
fn addresses(config: &Config) -> Vec<(&'static str, SocketAddr)> {
    let tls = config.tls.as_ref().map(|tls| ("tls.listen", tls.listen));
    let admin = config.admin.map(|address| ("admin.listen", address));
    let all = [Some(("listen", config.listen)), tls, admin];
    all.into_iter().flatten().collect()
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

//! The shop behind the proxy: its addresses, which of them is asked, and how long it may take.
//!
//! * `address`: one of them, whether it is up, and how much it has to do
//! * `upstream`: what stands for it in the configuration
//! * `balance`: which of those that are up gets a request
//! * `unhurried`: connections for what may become a WebSocket
//! * `call`: a connection for one page, `kept`: those that rest between two
//! * `attempts`: what one request has tried, and what may be tried after a failure
//! * `health`: the check of an address
//! * `watch`: looks after all of them in the background: checks, trials, names

mod address;
mod attempts;
mod balance;
mod call;
mod health;
mod kept;
mod unhurried;
mod upstream;
mod watch;

pub(crate) use crate::shop::attempts::Attempts;
pub(crate) use crate::shop::call::Call;
pub(crate) use crate::shop::watch::Watch;

use crate::callback::CallbackTable;
use crate::config::{Mistakes, milliseconds};
use crate::shop::address::Address;
use crate::shop::balance::Balance;
use crate::shop::health::{Health, HealthTable};
use crate::shop::unhurried::Unhurried;
use crate::shop::upstream::{Upstream, add, authorities};
use crate::sign::SigningTable;
use crate::throttle::Throttle;
use arc_swap::ArcSwap;
use http::header::UPGRADE;
use http::{HeaderMap, Method};
use pingora_core::protocols::l4::socket::SocketAddr as PeerAddr;
use pingora_core::protocols::tls::CaType;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};
use serde::Deserialize;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::warn;

/// For the connection, for one read, for one write, and for how long an idle connection is kept.
/// The last is below what common servers keep theirs, so that it is rarely they who close first.
const CONNECT_MS: u64 = 2_000;
const READ_MS: u64 = 30_000;
const WRITE_MS: u64 = 30_000;
const IDLE_MS: u64 = 4_000;

/// The longest of these that is no mistake: an hour.
const MS_MAX: u64 = 3_600_000;

/// Numbers the connections that are used once. One for all shops that this process has had: the
/// connections that it keeps outlive a configuration.
static ONCE: AtomicU64 = AtomicU64::new(0);

/// `[shop]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShopTable {
    upstream: Option<String>,
    upstreams: Option<Vec<String>>,
    ca: Option<PathBuf>,
    balance: Option<String>,
    connect_ms: Option<u64>,
    read_ms: Option<u64>,
    write_ms: Option<u64>,
    idle_ms: Option<u64>,
    health: Option<HealthTable>,
    /// Checked by its own file.
    pub(crate) signing: Option<SigningTable>,
    /// Checked by its own file.
    pub(crate) callback: Option<CallbackTable>,
}

/// The shop.
pub(crate) struct Shop {
    /// As configured.
    upstreams: Vec<Upstream>,
    /// What they stand for at the moment; never none.
    addresses: ArcSwap<Vec<Arc<Address>>>,
    balance: Balance,
    health: Option<Health>,
    /// Everything about a connection but its address.
    template: HttpPeer,
    watch: watch::Schedule,
    trouble: Throttle,
}

/// How an address of the shop is doing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AddressState {
    /// The address.
    pub(crate) name: SocketAddr,
    /// Whether it is asked, as long as any is.
    pub(crate) up: bool,
    /// How many requests it is busy with, as far as this proxy knows.
    pub(crate) in_flight: usize,
}

// === impl Shop ===

impl Shop {
    /// Checks the table, and looks its names up.
    pub(crate) fn new(table: &ShopTable, mistakes: &mut Mistakes) -> Option<Self> {
        let upstreams = upstreams(table, mistakes);
        let balance = mistakes.note(table.balance.as_deref().unwrap_or("round_robin").parse());
        let health = table
            .health
            .as_ref()
            .map(|table| Health::new(table, mistakes));
        let mut time = |key: &str, ms: Option<u64>, default: u64| {
            let time = milliseconds(&format!("shop.{key}"), ms.unwrap_or(default), 1..=MS_MAX);
            mistakes.note(time)
        };
        let connect = time("connect_ms", table.connect_ms, CONNECT_MS);
        let read = time("read_ms", table.read_ms, READ_MS);
        let write = time("write_ms", table.write_ms, WRITE_MS);
        let idle = time("idle_ms", table.idle_ms, IDLE_MS);

        let (upstreams, addresses) = upstreams?;
        let ca = ca(table.ca.as_deref(), &upstreams, mistakes);
        let mut template = HttpPeer::new(addresses.first()?.address, false, String::new());
        template.options.connection_timeout = connect;
        template.options.total_connection_timeout = connect;
        template.options.read_timeout = read;
        template.options.write_timeout = write;
        template.options.idle_timeout = idle;
        template.options.ca = ca;
        Some(Self {
            upstreams,
            addresses: ArcSwap::from_pointee(addresses),
            balance: balance?,
            health: health.flatten(),
            template,
            watch: watch::Schedule::default(),
            trouble: Throttle::default(),
        })
    }

    /// Goes on with what is known of the addresses that it has in common with the shop before it.
    pub(crate) fn inherit(&self, before: &Self) {
        let known = before.addresses.load();
        let addresses = self.addresses.load();
        let addresses = addresses.iter().map(|own| {
            let known = known.iter().find(|known| known.is_same(own));
            Arc::clone(known.unwrap_or(own))
        });
        let addresses: Vec<_> = addresses.collect();
        if self.health.is_none() {
            addresses.iter().for_each(|address| address.unchecked());
        }
        self.addresses.store(Arc::new(addresses));
    }

    /// Whom to ask a request of this method and with these headers next.
    ///
    /// # Errors
    /// If everything was tried.
    pub(crate) fn peer(
        &self,
        method: &Method,
        headers: &HeaderMap,
        client: Option<IpAddr>,
        attempts: &mut Attempts,
    ) -> Result<Box<HttpPeer>> {
        let chosen = self.choose(client, attempts)?;
        let mut peer = Box::new(self.peer_at(&chosen));
        let may_upgrade = headers.contains_key(UPGRADE);
        if may_upgrade {
            peer.options.custom_l4 = Some(Arc::new(Unhurried));
        }
        if must_not_repeat(method) || attempts.was_stale() || may_upgrade {
            // Connections are kept by this key; no other request has the same.
            peer.group_key = ONCE.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        }
        attempts.begin(chosen);
        Ok(peer)
    }

    /// The address that is asked next.
    ///
    /// # Errors
    /// If everything was tried.
    fn choose(&self, client: Option<IpAddr>, attempts: &Attempts) -> Result<Arc<Address>> {
        let addresses = self.addresses.load();
        let untried = addresses.iter().filter(|a| !attempts.has_tried(a));
        let up = untried.clone().filter(|address| address.is_up());
        self.balance
            .choose(up, client)
            // When all look down, what is wrong may be how they are looked at.
            .or_else(|| self.balance.choose(untried, client))
            .cloned()
            .ok_or_else(|| {
                Error::explain(ErrorType::ConnectError, "no address is left to try").into_up()
            })
    }

    fn peer_at(&self, address: &Address) -> HttpPeer {
        let mut peer = self.template.clone();
        peer._address = PeerAddr::Inet(address.address);
        address.upstream.prepare(&mut peer);
        peer
    }

    /// No connection came about; nothing was sent. Whether to go on to another address.
    pub(crate) fn not_connected(&self, attempts: &mut Attempts, error: &Error) -> bool {
        attempts.not_connected(error)
            && self.addresses.load().iter().any(|a| !attempts.has_tried(a))
    }

    /// Has it told that it does not answer, but not by every request.
    pub(crate) fn tell_of_trouble(&self, error: &Error) {
        if let Some(skipped) = self.trouble.pass() {
            warn!(
                shop = %self,
                skipped, "the shop does not answer: {error}"
            );
        }
    }

    /// How its addresses are doing.
    pub(crate) fn addresses(&self) -> Vec<AddressState> {
        let addresses = self.addresses.load();
        addresses.iter().map(|address| address.state()).collect()
    }
}

/// `127.0.0.1:8000, 127.0.0.1:8001 (down)`
impl fmt::Display for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, address) in self.addresses().iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{}", address.name)?;
            if !address.up {
                f.write_str(" (down)")?;
            }
            if address.in_flight > 0 {
                write!(f, " (requests: {})", address.in_flight)?;
            }
        }
        Ok(())
    }
}

/// A request that must not be repeated gets a connection of its own: one that was kept could have
/// been closed by the shop this very moment, and then nobody knows whether it was carried out.
pub(crate) fn must_not_repeat(method: &Method) -> bool {
    !method.is_idempotent()
}

type Upstreams = (Vec<Upstream>, Vec<Arc<Address>>);

fn upstreams(table: &ShopTable, mistakes: &mut Mistakes) -> Option<Upstreams> {
    let texts = match (&table.upstream, &table.upstreams) {
        (Some(one), None) => vec![("shop.upstream".to_owned(), one)],
        (None, Some(some)) if !some.is_empty() => {
            let numbered = some.iter().enumerate();
            numbered
                .map(|(at, text)| (format!("shop.upstreams[{at}]"), text))
                .collect()
        }
        _ => {
            mistakes.add(
                "shop: expected either upstream = \"host:port\" or upstreams = [\"host:port\", …]"
                    .to_owned(),
            );
            return None;
        }
    };
    let mut upstreams = Vec::new();
    let mut addresses = Vec::new();
    let mut right = true;
    for (key, text) in texts {
        // Looked up here at the start, and later in the background: a lookup while buyers wait would
        // stop a whole thread.
        match mistakes.note(Upstream::new(&key, text)) {
            Some((upstream, found)) => {
                add(&mut addresses, &upstream, found, &[]);
                upstreams.push(upstream);
            }
            None => right = false,
        }
    }
    right.then_some((upstreams, addresses))
}

fn ca(file: Option<&Path>, upstreams: &[Upstream], mistakes: &mut Mistakes) -> Option<Arc<CaType>> {
    let file = file?;
    if !upstreams.iter().any(Upstream::is_tls) {
        mistakes.add("shop.ca: only for an upstream that begins with https://".to_owned());
    }
    mistakes.note(authorities(file))
}

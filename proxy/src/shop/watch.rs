//! Looks after the shop's addresses in the background: checks them, tries those that are left out,
//! and looks their names up again.
//!
//! Nothing here makes a request wait, and it goes on with whatever site is in force.

use crate::shop::Shop;
use crate::shop::address::Address;
use crate::shop::upstream::add;
use crate::site::{Current, Site};
use crate::throttle::now_ms;
use async_trait::async_trait;
use pingora_core::connectors::http::v1::Connector;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tracing::{info, warn};

/// Between two looks at what is due.
const TICK: Duration = Duration::from_millis(100);

/// Between two lookups of the names, and how long one may take.
const LOOK_UP_EVERY_MS: u64 = 10_000;
const LOOK_UP_LIMIT: Duration = Duration::from_secs(5);

/// Looks after the shop of the site that is in force.
pub(crate) struct Watch {
    current: Current,
}

/// When the names are due.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    look_up_at_ms: AtomicU64,
    /// So that a name that cannot be looked up is told once.
    unknown: AtomicBool,
}

// === impl Watch ===

impl Watch {
    /// Looks after the shop of this site, and of what replaces it.
    pub(crate) const fn new(current: Current) -> Self {
        Self { current }
    }
}

#[async_trait]
impl BackgroundService for Watch {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let connector = Arc::new(Connector::new(None));
        loop {
            tokio::select! {
                () = tokio::time::sleep(TICK) => look_after(&self.current.load_full(), &connector),
                _ = shutdown.changed() => return,
            }
        }
    }
}

fn look_after(site: &Arc<Site>, connector: &Arc<Connector>) {
    let shop = &site.shop;
    let idle = shop.template.options.idle_timeout.unwrap_or_default();
    for address in shop.addresses.load().iter() {
        address.kept.tidy(idle);
        let due = shop.health.as_ref().map(|health| health.every);
        if due.is_some_and(|every| address.is_check_due(every)) {
            let (site, connector) = (Arc::clone(site), Arc::clone(connector));
            let address = Arc::clone(address);
            tokio::spawn(async move { site.shop.check(&address, &connector).await });
        }
        if address.is_trial_due() {
            let (site, connector) = (Arc::clone(site), Arc::clone(connector));
            let address = Arc::clone(address);
            tokio::spawn(async move { site.shop.try_again(&address, &connector).await });
        }
    }
    if shop.watch.is_look_up_due() {
        let site = Arc::clone(site);
        tokio::spawn(async move { site.shop.look_up().await });
    }
}

// === impl Schedule ===

impl Schedule {
    fn is_look_up_due(&self) -> bool {
        let at = self.look_up_at_ms.load(Ordering::Relaxed);
        let now = now_ms();
        let next = now.saturating_add(LOOK_UP_EVERY_MS);
        if now < at {
            return false;
        }
        self.look_up_at_ms.store(next, Ordering::Relaxed);
        // The first comes after the start's own.
        at > 0
    }
}

// === impl Shop ===

impl Shop {
    async fn check(&self, address: &Address, connector: &Connector) {
        if let Some(health) = &self.health {
            let peer = self.peer_at(address);
            let result = health.check(connector, &peer, &address.upstream.host).await;
            address.checked(result, health);
        }
    }

    /// What has a check is tried with it: a server that accepts connections may yet not answer.
    async fn try_again(&self, address: &Address, connector: &Connector) {
        let peer = self.peer_at(address);
        let passed = match &self.health {
            Some(health) => health
                .check(connector, &peer, &address.upstream.host)
                .await
                .is_ok(),
            None => connector.get_http_session(&peer).await.is_ok(),
        };
        if passed {
            address.trial_passed();
        }
    }

    /// Looks its names up again. A name that cannot be looked up stands for what it stood for.
    async fn look_up(&self) {
        let before = self.addresses.load_full();
        let mut after = Vec::new();
        let mut unknown = None;
        for upstream in &self.upstreams {
            let found = match look_up(&upstream.name).await {
                Ok(found) => found,
                Err(reason) => {
                    unknown = Some(format!("{}: {reason}", upstream.name));
                    let own = before.iter().filter(|known| &known.upstream == upstream);
                    own.map(|known| known.address).collect()
                }
            };
            add(&mut after, upstream, found, &before);
        }
        match unknown {
            Some(reason) if !self.watch.unknown.swap(true, Ordering::Relaxed) => {
                warn!(
                    "the shop's name cannot be looked up, and stands for what it stood for: {reason}"
                );
            }
            Some(_) => {}
            None => self.watch.unknown.store(false, Ordering::Relaxed),
        }
        let is_in = |all: &[Arc<Address>], one: &Address| all.iter().any(|a| a.is_same(one));
        if before.len() != after.len() || !after.iter().all(|address| is_in(&before, address)) {
            self.addresses.store(Arc::new(after));
            info!(shop = %self, "the shop's name stands for other addresses now");
        }
    }
}

async fn look_up(name: &str) -> Result<Vec<SocketAddr>, String> {
    let lookup = tokio::net::lookup_host(name);
    let found: Vec<_> = match tokio::time::timeout(LOOK_UP_LIMIT, lookup).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err("no answer in time".to_owned()),
    };
    if found.is_empty() {
        return Err("no address".to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Mistakes;
    use crate::shop::ShopTable;
    use crate::shop::upstream::Upstream;

    fn shop(text: &str) -> Shop {
        let table: ShopTable = toml::from_str(text).unwrap();
        Shop::new(&table, &mut Mistakes::default()).unwrap()
    }

    fn known(shop: &Shop, upstream: &Upstream, address: &str) -> Arc<Address> {
        let address = Arc::new(Address::new(address.parse().unwrap(), upstream));
        let mut addresses: Vec<_> = shop.addresses.load().to_vec();
        addresses.push(Arc::clone(&address));
        shop.addresses.store(Arc::new(addresses));
        address
    }

    #[tokio::test]
    async fn a_name_that_stands_for_other_addresses_is_followed() {
        let shop = shop("upstream = \"localhost:8000\"");
        let stayed = shop.addresses.load().to_vec();
        stayed[0].begin();
        known(&shop, &shop.upstreams[0], "127.0.0.9:8000");
        shop.look_up().await;
        let now = shop.addresses.load();
        assert_eq!(now.len(), stayed.len());
        assert!(now.iter().any(|address| address.in_flight() == 1));
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_looked_up_stands_for_what_it_stood_for() {
        let mut shop = shop("upstreams = [\"127.0.0.1:8000\", \"127.0.0.9:8000\"]");
        shop.upstreams[1].name = "shop.invalid:8000".to_owned();
        shop.addresses
            .store(Arc::new(shop.addresses.load()[..1].to_vec()));
        let last = known(&shop, &shop.upstreams[1], "127.0.0.9:8000");
        shop.look_up().await;
        let now = shop.addresses.load();
        assert_eq!(now.len(), 2);
        assert!(Arc::ptr_eq(&now[1], &last));
        assert!(shop.watch.unknown.load(Ordering::Relaxed));
    }
}

//! What can change while buyers buy: SIGHUP has the configuration read again, and a request that has
//! begun goes on with what it began with.
//!
//! A configuration with a mistake changes nothing; what only a restart can change is told.

use crate::access::{Access, Log};
use crate::buyer::Buyers;
use crate::callback::Callback;
use crate::client::Clients;
use crate::config::{Config, Fixed};
use crate::counters::{Counters, Tally};
use crate::limits::Limits;
use crate::live::Look;
use crate::route::Routes;
use crate::shop::Shop;
use crate::sign::Signing;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tracing::{error, info, warn};

/// Between two looks at the files of keys.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Everything about a request that is not about Redis.
pub(crate) struct Site {
    /// The paths that sell.
    pub(crate) routes: Routes,
    /// Who may say who the buyer is, and how.
    pub(crate) buyers: Buyers,
    /// The shop behind the proxy.
    pub(crate) shop: Shop,
    /// How much one client may ask for.
    pub(crate) limits: Limits,
    /// What the shop is told is signed with this, if at all.
    pub(crate) signing: Option<Signing>,
    /// What proves that the shop speaks, if it may.
    pub(crate) callback: Option<Callback>,
    /// Where requests come from.
    pub(crate) clients: Clients,
    /// Whether a limit is told in headers.
    pub(crate) tells_limits: bool,
    /// What has a line in the access log, if there is one.
    pub(crate) access: Option<Access>,
    /// Where its requests are counted.
    pub(crate) tally: Tally,
}

/// The site that is in force.
pub(crate) type Current = Arc<ArcSwap<Site>>;

/// Replaces the site when told, and its keys when their files change.
pub(crate) struct Renewal {
    /// The configuration.
    pub(crate) file: PathBuf,
    /// What the rest of the program began with.
    pub(crate) fixed: Fixed,
    /// What is in force.
    pub(crate) current: Current,
    /// Keys besides the site's.
    pub(crate) keys: Vec<Arc<dyn Look>>,
    /// Tells to read it again.
    pub(crate) now: Arc<Notify>,
    /// The access log, which is opened again.
    pub(crate) log: Arc<Log>,
    /// What is counted.
    pub(crate) counters: Arc<Counters>,
}

// === impl Site ===

impl Site {
    /// The keys that it was made with.
    fn keys(&self) -> impl Iterator<Item = Arc<dyn Look>> {
        let signing = self.signing.as_ref().map(Signing::keys);
        let callback = self.callback.as_ref().map(Callback::keys);
        let buyers = self.buyers.keys();
        buyers.into_iter().chain(signing).chain(callback)
    }
}

// === impl Renewal ===

impl Renewal {
    fn renew(&self) {
        let config = match Config::load(&self.file) {
            Ok(config) => config,
            Err(mistakes) => {
                error!("{mistakes}; the configuration from before stays in force");
                self.counters.reloads_failed.inc();
                told_of_access_log(self.log.reopen());
                return;
            }
        };
        let changed = self.fixed.changed(&config.fixed);
        if !changed.is_empty() {
            let keys = changed.join(", ");
            warn!("{keys}: changed, and takes a restart; the rest is in force");
        }
        config.site.shop.inherit(&self.current.load().shop);
        let target = config.site.access.as_ref().map(Access::target);
        told_of_access_log(self.log.open(target));
        let site = Arc::new(config.site);
        self.current.store(Arc::clone(&site));
        self.counters.reloads.inc();
        info!(routes = %site.routes, "the configuration was read again");
    }
}

fn told_of_access_log(opened: io::Result<()>) {
    if let Err(error) = opened {
        error!("access_log.file: {error}; the access log goes on where it was");
    }
}

#[async_trait]
impl BackgroundService for Renewal {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        loop {
            tokio::select! {
                () = self.now.notified() => self.renew(),
                () = tokio::time::sleep(LOOK_EVERY) => {
                    let site = self.current.load();
                    let others = self.keys.iter().map(Arc::clone);
                    for keys in site.keys().chain(others) {
                        keys.look();
                    }
                    site.clients.tidy();
                }
                _ = shutdown.changed() => return,
            }
        }
    }
}

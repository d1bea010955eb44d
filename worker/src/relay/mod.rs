//! The relay: every sale's log to the sink, from where it was.
//!
//! | file | idea |
//! | --- | --- |
//! | `sink.rs` | where the events go: to the broker, or directly to the order writer |
//! | `lease.rs` | which of several workers relays a sale |
//! | `sale.rs` | one sale: read, hand over, acknowledge |
//! | `mod.rs` | finds the sales, and gives each a task |

mod lease;
mod sale;
mod sink;

pub(crate) use lease::Leases;
pub(crate) use sink::Sink;

use crate::figures::Figures;
use crate::gate::Gate;
use crate::options::Keeper;
use crate::orders::Stored;
use crate::signs::Part;
use sale::relay_sale;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;
use tracing::{error, info};

/// How often new sales are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long to wait after an answer that asking again does not change.
const TROUBLE_PAUSE: Duration = Duration::from_secs(5);

/// What every sale's task needs.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) gate: Arc<Gate>,
    pub(crate) sink: Sink,
    pub(crate) leases: Arc<Leases>,
    pub(crate) stored: Stored,
    pub(crate) figures: Arc<Figures>,
    pub(crate) keeper: Keeper,
    /// How many sales there are: the more, the less often each idle one is asked.
    pub(crate) sales: AtomicUsize,
}

// === impl Relay ===

impl Relay {
    /// Relays, for ever. When this is dropped, so are the sales' tasks; what was handed over and not
    /// acknowledged by then is handed over again by the next start.
    pub(crate) async fn run(self) {
        let relay = Arc::new(self);
        let mut tasks: JoinSet<String> = JoinSet::new();
        let mut running: HashMap<String, AbortHandle> = HashMap::new();
        loop {
            let sids = relay.gate.sales_in_reach().await;
            relay.figures.signs.of_life(Part::Relay);
            while let Some(ended) = tasks.try_join_next() {
                match ended {
                    Ok(sid) => info!("sale {sid} is gone"),
                    Err(ended) => error!("a sale's relay ended: {ended}"),
                }
            }
            running.retain(|_, task| !task.is_finished());
            match sids {
                Ok(sids) => {
                    for sid in sids {
                        running.entry(sid).or_insert_with_key(|sid| {
                            tasks.spawn(relay_sale(Arc::clone(&relay), sid.clone()))
                        });
                    }
                }
                Err(refused) => {
                    error!(kind = "unseen", "ALARM: cannot look for sales: {refused}");
                    sleep(TROUBLE_PAUSE).await;
                }
            }
            relay.sales.store(running.len(), Relaxed);
            relay.leases.count();
            let relayed = i64::try_from(relay.leases.held()).unwrap_or(i64::MAX);
            relay.figures.sales_relayed.set(relayed);
            sleep(LOOK_EVERY).await;
        }
    }
}

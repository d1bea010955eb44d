//! What is counted, for whoever watches this worker, and the line of figures in the log.
//!
//! A part that counts has the [`Figures`] and adds to the one that is its own. Labels are bounded:
//! of sales, [`sales`] gives a name to the first thousand.

mod sales;

pub(crate) use sales::{Behind, Lag, Sales};

use crate::mysql::Failure;
use crate::signs::{Part, Signs};
use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{LabelPair, MetricFamily};
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, exponential_buckets,
};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::info;

/// The first part of every name.
pub(crate) const NAMESPACE: &str = "seckill_worker";

/// How often the line is written while something happens.
const EVERY: Duration = Duration::from_secs(10);

/// Upper bounds in seconds: a commit waits for a disk, an order also for what was decided before it.
const COMMIT_S: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];
const ORDER_S: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3600.0,
];

/// Everything that is counted.
pub(crate) struct Figures {
    registry: Registry,
    alarms: IntCounterVec,
    relayed: IntCounter,
    applied: IntCounter,
    orders: IntCounter,
    batch_events: Histogram,
    commit_seconds: Histogram,
    order_seconds: Histogram,
    retries: IntCounterVec,
    /// Transactions begun again because somebody else had changed a stock row.
    pub(crate) overtaken: IntCounter,
    /// Messages that went to the dead topic.
    pub(crate) dead_letters: IntCounter,
    /// How often partitions were shared out anew.
    pub(crate) rebalances: IntCounter,
    /// Partitions of the topic that are ours.
    pub(crate) partitions: IntGauge,
    /// Messages on their way to the broker.
    pub(crate) producer_queue: IntGauge,
    /// Reservations that MySQL refused and the module has not cancelled yet.
    pub(crate) refusals_owed: IntGauge,
    /// Sales whose log is relayed.
    pub(crate) sales_relayed: IntGauge,
    /// Sales that stand still at the order writer.
    pub(crate) sales_halted: IntGauge,
    /// 1 for each server that does what is asked of it.
    pub(crate) up: IntGaugeVec,
    /// How far behind each sale is.
    pub(crate) sales: Sales,
    /// Whether the parts are alive.
    pub(crate) signs: Signs,
    silent_seconds: GaugeVec,
    slowest_ms: AtomicU64,
    /// What the last line said.
    said: Mutex<Totals>,
}

#[derive(Clone, Copy, Default)]
struct Totals {
    relayed: u64,
    applied: u64,
    orders: u64,
    transactions: u64,
}

// === impl Figures ===

impl Figures {
    /// Everything at zero. `alarms` are counted by the log, in which they stand.
    ///
    /// # Errors
    /// Two of them have one name.
    pub(crate) fn new(alarms: IntCounterVec) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let family = |name: &str, help: &str, labels: &[&str]| {
            registered(&registry, IntCounterVec::new(opts(name, help), labels)?)
        };
        let counter = |name: &str, help: &str| {
            registered(&registry, IntCounter::with_opts(opts(name, help))?)
        };
        let gauge =
            |name: &str, help: &str| registered(&registry, IntGauge::with_opts(opts(name, help))?);
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            registered(&registry, IntGaugeVec::new(opts(name, help), labels)?)
        };
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            let opts = HistogramOpts::from(opts(name, help)).buckets(buckets);
            registered(&registry, Histogram::with_opts(opts)?)
        };
        registry.register(Box::new(alarms.clone()))?;
        let build = gauges("build_info", "1, with what this program is.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(ProcessCollector::for_self()))?;
        Ok(Self {
            alarms,
            relayed: counter(
                "events_relayed_total",
                "Events that the sink has: the broker, or without one MySQL.",
            )?,
            applied: counter("events_applied_total", "Events that MySQL has.")?,
            orders: counter("orders_total", "Orders that were written.")?,
            batch_events: histogram(
                "batch_events",
                "Events that were handed to one transaction.",
                exponential_buckets(1.0, 2.0, 13)?,
            )?,
            commit_seconds: histogram(
                "commit_seconds",
                "From the beginning of a transaction to the answer to its commit.",
                COMMIT_S.to_vec(),
            )?,
            order_seconds: histogram(
                "order_seconds",
                "From the decision to the commit, of the earliest event of each transaction.",
                ORDER_S.to_vec(),
            )?,
            retries: family(
                "retries_total",
                "Transactions begun again, by the reason.",
                &["reason"],
            )?,
            overtaken: counter(
                "overtaken_total",
                "Transactions begun again because somebody else had changed a stock row.",
            )?,
            dead_letters: counter(
                "dead_letters_total",
                "Messages that went to the dead topic.",
            )?,
            rebalances: counter(
                "rebalances_total",
                "How often partitions came to this worker or left it.",
            )?,
            partitions: gauge("partitions", "Partitions of the topic that are ours.")?,
            producer_queue: gauge("producer_queue", "Messages on their way to the broker.")?,
            refusals_owed: gauge(
                "refusals_owed",
                "Reservations that MySQL refused and the module has not cancelled yet.",
            )?,
            sales_relayed: gauge("sales_relayed", "Sales whose log is relayed.")?,
            sales_halted: gauge(
                "sales_halted",
                "Sales that stand still at the order writer.",
            )?,
            up: gauges(
                "up",
                "1 for each server that does what is asked of it.",
                &["server"],
            )?,
            sales: Sales::new(&registry)?,
            signs: Signs::new(),
            silent_seconds: registered(
                &registry,
                GaugeVec::new(
                    opts(
                        "silent_seconds",
                        "Since the last sign of life of each part.",
                    ),
                    &["part"],
                )?,
            )?,
            slowest_ms: AtomicU64::new(0),
            said: Mutex::default(),
            registry,
        })
    }

    /// The sink has these many events more.
    pub(crate) fn relayed(&self, events: u64) {
        self.relayed.inc_by(events);
    }

    /// A transaction that was handed so many events is committed.
    pub(crate) fn committed(&self, events: usize, took: Duration) {
        // Far below 2^52.
        #[expect(clippy::cast_precision_loss, reason = "a batch is thousands of events")]
        self.batch_events.observe(events as f64);
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// MySQL has so many events and orders more, the earliest event decided at `earliest_ms`.
    pub(crate) fn stored(&self, events: u64, orders: u64, earliest_ms: Option<u64>) {
        self.applied.inc_by(events);
        self.orders.inc_by(orders);
        if let Some(earliest_ms) = earliest_ms {
            let lag_ms = unix_ms().saturating_sub(earliest_ms);
            self.order_seconds
                .observe(Duration::from_millis(lag_ms).as_secs_f64());
            self.slowest_ms.fetch_max(lag_ms, Relaxed);
        }
    }

    /// A transaction is begun again.
    pub(crate) fn retried(&self, because: &Failure) {
        self.retries.with_label_values(&[because.reason()]).inc();
    }

    /// The alarms that were raised, by their kind.
    pub(crate) fn alarms(&self) -> BTreeMap<String, u64> {
        let families = self.alarms.collect();
        let metrics = families.iter().flat_map(MetricFamily::get_metric);
        let alarms = metrics.map(|metric| {
            let kind = metric.get_label().first().map(LabelPair::value);
            // Whole, and far below 2^52.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count"
            )]
            let count = metric.get_counter().get_value() as u64;
            (kind.unwrap_or_default().to_owned(), count)
        });
        alarms.collect()
    }

    /// All of it, as it is now.
    pub(crate) fn gather(&self) -> Vec<MetricFamily> {
        for part in Part::ALL {
            if let Some(silent) = self.signs.silent(part) {
                let gauge = self.silent_seconds.with_label_values(&[part.word()]);
                gauge.set(silent.as_secs_f64());
            }
        }
        self.registry.gather()
    }

    /// Writes the lines, for ever.
    pub(crate) async fn report(&self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.line();
        }
    }

    /// Writes one line, if something happened since the last.
    pub(crate) fn line(&self) {
        let now = self.totals();
        let before = std::mem::replace(
            &mut *self.said.lock().unwrap_or_else(PoisonError::into_inner),
            now,
        );
        let relayed = now.relayed.saturating_sub(before.relayed);
        let applied = now.applied.saturating_sub(before.applied);
        let orders = now.orders.saturating_sub(before.orders);
        let transactions = now.transactions.saturating_sub(before.transactions);
        let slowest_ms = self.slowest_ms.swap(0, Relaxed);
        if relayed + transactions > 0 {
            info!(
                "relayed {relayed} events; applied {applied} events, {orders} orders, in \
                 {transactions} transactions; slowest {slowest_ms} ms from decision to commit"
            );
        }
    }

    fn totals(&self) -> Totals {
        Totals {
            relayed: self.relayed.get(),
            applied: self.applied.get(),
            orders: self.orders.get(),
            transactions: self.commit_seconds.get_sample_count(),
        }
    }
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Figures").finish_non_exhaustive()
    }
}

/// A name and what it means.
pub(crate) fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace(NAMESPACE)
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

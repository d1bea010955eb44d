//! What is counted, for whoever watches this proxy.
//!
//! Counting happens for every request, and so costs an atomic addition each and looks nothing up:
//! the counters of a route and of a sale are found once and then kept beside it. A part that counts
//! has the [`Counters`] and adds to the one that is its own.
//!
//! Labels are bounded: routes are those of the configuration, codes those of [`Code`], and of sales
//! the first thousand that turned somebody away have a name.

use crate::code::Code;
use crate::route::Routes;
use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    exponential_buckets,
};
use std::collections::HashSet;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The first part of every name.
const NAMESPACE: &str = "seckill_proxy";

/// What has no route, or no name of its own.
const OTHER: &str = "other";

/// So many sales have a label of their own.
const SALES_MAX: usize = 1000;

/// The verdicts that the proxy gives by itself, in the order of [`EdgeRejections::of`].
pub(crate) const EDGE_VERDICTS: [Code; 4] =
    [Code::SoldOut, Code::Ended, Code::Paused, Code::NotStarted];

/// Upper bounds in seconds: Redis answers within a millisecond or is in trouble, a shop takes its
/// time.
const REDIS_S: [f64; 12] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
];
const SHOP_S: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// Everything that is counted.
pub(crate) struct Counters {
    registry: Registry,
    requests: IntCounterVec,
    /// The requests that are on no route.
    elsewhere: ByCode,
    /// The buys of routes that only look on.
    shadow: ByCode,
    /// Buyers turned away without asking Redis.
    pub(crate) edge_rejections: EdgeRejections,
    /// Buyers told to come again because too many others were waiting for Redis.
    pub(crate) overloaded: IntCounter,
    /// Buys forwarded to the shop without a reservation.
    pub(crate) unreserved: IntCounter,
    /// How long Redis took over a question.
    pub(crate) redis_seconds: Histogram,
    /// How many tries travelled together.
    pub(crate) convoy_tries: Histogram,
    /// How often the connection to Redis was given up.
    pub(crate) breaker_openings: IntCounter,
    /// How long the shop took until its answer began.
    pub(crate) shop_seconds: Histogram,
    /// Buyers' connections.
    pub(crate) connections: IntGauge,
    /// Configurations that were read again and are in force.
    pub(crate) reloads: IntCounter,
    /// Configurations that were read again and have a mistake.
    pub(crate) reloads_failed: IntCounter,
    /// Lines of the access log that nobody will read.
    pub(crate) access_log_dropped: IntCounter,
    /// 1 while every question fails at once.
    pub(crate) breaker_open: IntGauge,
    /// Questions that wait for Redis.
    pub(crate) questions_waiting: IntGauge,
    /// 1 while the news of sales is listened to.
    pub(crate) news_up: IntGauge,
}

/// A counter for each [`Code`], at its number.
type ByCode = [IntCounter; Code::ALL.len()];

/// The counters of the routes of one configuration. Another one with the same paths goes on with
/// the same counters.
pub(crate) struct Tally(Vec<(String, OnceLock<ByCode>)>);

/// Buyers turned away without asking Redis, by sale and verdict.
#[derive(Debug)]
pub(crate) struct EdgeRejections {
    family: IntCounterVec,
    named: Mutex<HashSet<Box<str>>>,
}

/// Counts as long as it lives.
pub(crate) struct Present(IntGauge);

// === impl Counters ===

impl Counters {
    /// Everything at zero.
    ///
    /// # Errors
    /// Two of them have one name.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let family = |name: &str, help: &str, labels: &[&str]| {
            registered(&registry, IntCounterVec::new(opts(name, help), labels)?)
        };
        let counter = |name: &str, help: &str| {
            registered(&registry, IntCounter::with_opts(opts(name, help))?)
        };
        let gauge =
            |name: &str, help: &str| registered(&registry, IntGauge::with_opts(opts(name, help))?);
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            let opts = HistogramOpts::from(opts(name, help)).buckets(buckets);
            registered(&registry, Histogram::with_opts(opts)?)
        };

        let requests = family(
            "requests_total",
            "Requests that were answered, by the route they were on and what they came to.",
            &["route", "code"],
        )?;
        let shadow = family(
            "shadow_total",
            "What would have become of the buys of shadow routes.",
            &["code"],
        )?;
        let edge_rejections = family(
            "edge_rejections_total",
            "Buyers turned away without asking Redis: hits of what is remembered of a sale.",
            &["sale", "verdict"],
        )?;
        let reloads = family(
            "config_reloads_total",
            "Configurations read again, by whether they are in force.",
            &["result"],
        )?;
        let build = registered(
            &registry,
            IntGaugeVec::new(
                opts("build_info", "1, with what this program is."),
                &["version"],
            )?,
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(ProcessCollector::for_self()))?;

        Ok(Self {
            elsewhere: by_code(&requests, OTHER),
            requests,
            shadow: Code::ALL.map(|code| shadow.with_label_values(&[code.word()])),
            edge_rejections: EdgeRejections {
                family: edge_rejections,
                named: Mutex::default(),
            },
            overloaded: counter(
                "overloaded_total",
                "Buyers told to come again because too many others were waiting for Redis.",
            )?,
            unreserved: counter(
                "unreserved_total",
                "Buys forwarded to the shop without a reservation.",
            )?,
            redis_seconds: histogram(
                "redis_seconds",
                "From a question to Redis to its answer, or to the deadline.",
                REDIS_S.to_vec(),
            )?,
            convoy_tries: histogram(
                "convoy_tries",
                "Tries for one sale that were asked in one command.",
                exponential_buckets(1.0, 2.0, 8)?,
            )?,
            breaker_openings: counter(
                "breaker_openings_total",
                "How often Redis was given up, until it decides again.",
            )?,
            shop_seconds: histogram(
                "shop_seconds",
                "From a request to the shop to the head of its answer.",
                SHOP_S.to_vec(),
            )?,
            connections: gauge("connections", "Connections of buyers.")?,
            reloads_failed: reloads.with_label_values(&["failed"]),
            reloads: reloads.with_label_values(&["ok"]),
            access_log_dropped: counter(
                "access_log_dropped_total",
                "Lines of the access log that could not be written.",
            )?,
            breaker_open: gauge(
                "breaker_open",
                "1 while Redis is given up and no question is asked.",
            )?,
            questions_waiting: gauge("questions_waiting", "Questions that wait for Redis.")?,
            news_up: gauge("news_up", "1 while the news of sales is listened to.")?,
            registry,
        })
    }

    /// One more request on a route, or on none, that came to `code`.
    pub(crate) fn answered(&self, tally: &Tally, route: Option<usize>, code: Code) {
        let route = route.and_then(|at| tally.0.get(at));
        let counters = match route {
            Some((name, counters)) => counters.get_or_init(|| by_code(&self.requests, name)),
            None => &self.elsewhere,
        };
        if let Some(counter) = counters.get(code as usize) {
            counter.inc();
        }
    }

    /// One more request was refused before it was read as one: it is on no route.
    pub(crate) fn refused_unread(&self, code: Code) {
        if let Some(counter) = self.elsewhere.get(code as usize) {
            counter.inc();
        }
    }

    /// One more buy would have come to `code`, if its route did not only look on.
    pub(crate) fn shadowed(&self, code: Code) {
        if let Some(counter) = self.shadow.get(code as usize) {
            counter.inc();
        }
    }

    /// All of it.
    pub(crate) const fn registry(&self) -> &Registry {
        &self.registry
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace(NAMESPACE)
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn by_code(requests: &IntCounterVec, route: &str) -> ByCode {
    Code::ALL.map(|code| requests.with_label_values(&[route, code.word()]))
}

// === impl Tally ===

impl Tally {
    /// For these routes, by their places.
    pub(crate) fn of(routes: &Routes) -> Self {
        let names = routes.patterns().map(ToString::to_string);
        Self(names.map(|name| (name, OnceLock::new())).collect())
    }

    /// What a route is called.
    pub(crate) fn name(&self, route: usize) -> Option<&str> {
        self.0.get(route).map(|(name, _)| name.as_str())
    }
}

// === impl EdgeRejections ===

impl EdgeRejections {
    /// The counters of a sale that exists, in the order of [`EDGE_VERDICTS`].
    pub(crate) fn of(&self, sid: &str) -> [IntCounter; EDGE_VERDICTS.len()] {
        let label = if self.has_name(sid) { sid } else { OTHER };
        EDGE_VERDICTS.map(|code| self.family.with_label_values(&[label, code.word()]))
    }

    fn has_name(&self, sid: &str) -> bool {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() < SALES_MAX {
            named.insert(sid.into());
        }
        named.contains(sid)
    }
}

// === impl Present ===

impl Present {
    /// One more.
    pub(crate) fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Mode, Route};
    use crate::statuses::Statuses;

    fn tally(paths: &[&str]) -> Tally {
        let route = |path: &&str| Route {
            pattern: path.parse().unwrap(),
            mode: Mode::Queue,
            statuses: Statuses::default(),
            show_units: false,
        };
        Tally::of(&Routes::new(paths.iter().map(route).collect()))
    }

    fn requests(counters: &Counters, route: &str, code: Code) -> u64 {
        let labels = [route, code.word()];
        counters.requests.with_label_values(&labels).get()
    }

    #[test]
    fn a_route_goes_on_with_its_counters_in_another_configuration() {
        let counters = Counters::new().unwrap();
        let before = tally(&["/a/{sid}", "/b/{sid}"]);
        counters.answered(&before, Some(1), Code::SoldOut);
        let after = tally(&["/b/{sid}"]);
        counters.answered(&after, Some(0), Code::SoldOut);
        counters.answered(&after, None, Code::Passed);
        // A request that began with a configuration ends with it.
        counters.answered(&before, Some(0), Code::Accepted);
        assert_eq!(requests(&counters, "/b/{sid}", Code::SoldOut), 2);
        assert_eq!(requests(&counters, "/a/{sid}", Code::Accepted), 1);
        assert_eq!(requests(&counters, OTHER, Code::Passed), 1);
    }

    #[test]
    fn a_thousand_sales_have_a_name_and_the_rest_share_one() {
        let counters = Counters::new().unwrap();
        for sid in 0..SALES_MAX + 5 {
            let [sold_out, ..] = counters.edge_rejections.of(&sid.to_string());
            sold_out.inc();
        }
        let [first, ..] = counters.edge_rejections.of("0");
        assert_eq!(first.get(), 1, "a name stays");
        let [rest, ..] = counters.edge_rejections.of(&(SALES_MAX + 1).to_string());
        assert_eq!(rest.get(), 5);
    }
}

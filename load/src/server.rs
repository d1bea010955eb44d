//! What the proxies themselves have counted, to hold against what buyers heard.

use crate::connection::Connection;
use crate::outcome::Answers;
use crate::plan::{PlanError, authority};
use http::uri::Authority;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;
use tokio::time::timeout;

/// What is counted of each request, with the route and the code that it came to.
const COUNTER: &str = "seckill_proxy_requests_total{";

/// When the process began.
const BEGAN: &str = "process_start_time_seconds ";

/// How long a proxy may take to say it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The admin addresses of all proxies that the crowd asks.
pub struct Servers {
    all: Vec<(String, Authority)>,
    route: String,
}

/// Requests of a route by their code, over all proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    codes: BTreeMap<String, u64>,
    /// When each process began, and with it its count.
    began: Vec<String>,
}

/// One verdict, from both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// The code of the answer.
    pub code: &'static str,
    /// So many buyers heard it.
    pub heard: u64,
    /// So often the proxies have told it.
    pub told: u64,
    /// Whether both fit: every one that was heard was told, and more were told only as often as a
    /// question stayed without an answer.
    pub fits: bool,
}

/// Why the proxies' counts cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is none.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Nobody answers there.
    #[error("cannot read {url}/metrics: {reason}; it is the proxy's [admin] listen")]
    Away {
        /// Where.
        url: String,
        /// What happened.
        reason: io::Error,
    },
    /// Somebody else answers there.
    #[error("{url}/metrics has no figures of a proxy's route {route:?}")]
    Strange {
        /// Where.
        url: String,
        /// Which route was looked for.
        route: String,
    },
}

// === impl Servers ===

impl Servers {
    /// The proxies with these admin addresses, and the route that the crowd buys through.
    ///
    /// # Errors
    /// An address is not `http://host:port`.
    pub fn new(urls: &[String], route: &str) -> Result<Self, ServerError> {
        let all: Result<Vec<_>, PlanError> = urls
            .iter()
            .map(|url| Ok((url.clone(), authority(url)?)))
            .collect();
        Ok(Self {
            all: all?,
            route: route.to_owned(),
        })
    }

    /// Whether there is none to ask.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What they have counted until now.
    ///
    /// # Errors
    /// One does not say it.
    pub async fn count(&self) -> Result<Counted, ServerError> {
        let mut counted = Counted::default();
        for (url, authority) in &self.all {
            let reading = timeout(PATIENCE, read(authority)).await;
            let text = reading
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                .map_err(|reason| ServerError::Away {
                    url: url.clone(),
                    reason,
                })?;
            if !counted.add(&text, &self.route) && !text.contains("seckill_proxy_") {
                return Err(ServerError::Strange {
                    url: url.clone(),
                    route: self.route.clone(),
                });
            }
        }
        Ok(counted)
    }
}

async fn read(authority: &Authority) -> io::Result<String> {
    let port = authority.port_u16().unwrap_or(80);
    let mut addresses = tokio::net::lookup_host((authority.host(), port)).await?;
    let address = addresses.next().ok_or(io::ErrorKind::NotFound)?;
    Connection::open(address)
        .await?
        .get(authority, "/metrics")
        .await
}

// === impl Counted ===

impl Counted {
    /// Adds the counters of a route. Returns whether there were any.
    fn add(&mut self, metrics: &str, route: &str) -> bool {
        let began = metrics.lines().find_map(|line| line.strip_prefix(BEGAN));
        self.began.extend(began.map(str::to_owned));
        let route = format!("route=\"{route}\"");
        let mut found = false;
        for line in metrics.lines().filter(|line| line.contains(&route)) {
            let Some((labels, value)) = line
                .strip_prefix(COUNTER)
                .and_then(|rest| rest.split_once("} "))
            else {
                continue;
            };
            let code = labels
                .split_once("code=\"")
                .and_then(|(_, rest)| rest.split_once('"'));
            if let (Some((code, _)), Ok(value)) = (code, value.parse::<u64>()) {
                *self.codes.entry(code.to_owned()).or_default() += value;
                found = true;
            }
        }
        found
    }

    /// Whether a proxy was replaced or started again since `before`: what the one from before has
    /// told, nobody can say any more.
    #[must_use]
    pub fn began_anew_since(&self, before: &Self) -> bool {
        self.began != before.began
    }

    /// Holds what was counted since `before` against what buyers heard.
    #[must_use]
    pub fn compare(&self, before: &Self, heard: &Answers, unanswered: u64) -> Vec<Compared> {
        let now = |code: &str| self.codes.get(code).copied().unwrap_or(0);
        let then = |code: &str| before.codes.get(code).copied().unwrap_or(0);
        let codes = [
            ("accepted", heard.accepted),
            ("duplicate", heard.duplicate),
            ("sold_out", heard.sold_out),
            ("limited", heard.limited),
            ("not_started", heard.not_started),
            ("ended", heard.ended),
            ("paused", heard.paused),
        ];
        let compared = codes.map(|(code, heard)| {
            let told = now(code).saturating_sub(then(code));
            Compared {
                code,
                heard,
                told,
                fits: heard <= told && told - heard <= unanswered,
            }
        });
        let happened = |compared: &Compared| compared.heard + compared.told > 0;
        compared.into_iter().filter(happened).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "\
process_start_time_seconds 1763800000
# TYPE seckill_proxy_requests_total counter
seckill_proxy_requests_total{code=\"sold_out\",route=\"/seckill/{sid}\"} 7
seckill_proxy_requests_total{code=\"sold_out\",route=\"/other/{sid}\"} 900
seckill_proxy_redis_seconds_count 4
";
    const AFTER: &str = "\
process_start_time_seconds 1763800000
seckill_proxy_requests_total{code=\"accepted\",route=\"/seckill/{sid}\"} 100
seckill_proxy_requests_total{code=\"sold_out\",route=\"/seckill/{sid}\"} 17
seckill_proxy_requests_total{code=\"passed\",route=\"/seckill/{sid}\"} 3
";

    fn counted(text: &str) -> Counted {
        let mut counted = Counted::default();
        assert!(counted.add(text, "/seckill/{sid}"));
        counted
    }

    fn heard(accepted: u64, sold_out: u64) -> Answers {
        Answers {
            accepted,
            sold_out,
            ..Answers::default()
        }
    }

    #[test]
    fn what_was_told_meanwhile_is_held_against_what_was_heard() {
        let (before, after) = (counted(BEFORE), counted(AFTER));
        let fits = |accepted, sold_out, unanswered| {
            let compared = after.compare(&before, &heard(accepted, sold_out), unanswered);
            assert_eq!(compared.len(), 2);
            compared.iter().all(|compared| compared.fits)
        };
        assert!(fits(100, 10, 0));
        assert!(!fits(99, 10, 0), "an acceptance that nobody heard of");
        assert!(fits(99, 10, 1), "its answer was lost");
        assert!(!fits(101, 10, 1), "heard and never told");
        assert!(!fits(100, 9, 0));
    }

    #[test]
    fn a_proxy_that_began_anew_counts_from_nothing() {
        let (before, after) = (counted(BEFORE), counted(AFTER));
        assert!(!after.began_anew_since(&before));
        let another = AFTER.replace("1763800000", "1763800060");
        assert!(counted(&another).began_anew_since(&before));
    }

    #[test]
    fn other_figures_are_none_of_a_proxy() {
        assert!(!Counted::default().add("node_load1 0.3\n", "/seckill/{sid}"));
    }
}

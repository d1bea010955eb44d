//! What a crowd is to do.

use crate::arrivals::Arrivals;
use http::uri::{Authority, Scheme};
use http::{HeaderName, HeaderValue, Uri};
use seckill_protocol::Uid;
use std::time::Duration;

/// What a crowd is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the proxy is: `http://host:port`.
    pub url: String,
    /// More proxies in front of the same sale: the buyers take turns.
    pub more_urls: Vec<String>,
    /// The buy's path; `{sid}` stands for the sale.
    pub path: String,
    /// Which sale.
    pub sid: String,
    /// When buyers come. `None`: all at once, each with a connection that was opened before.
    pub arrivals: Option<Arrivals>,
    /// How many buyers, each with a connection of his own; with `arrivals`, as many as come.
    pub buyers: u32,
    /// How many questions each of them has.
    pub tries: u32,
    /// How many buyers of a hundred are programs: they try as quickly as they can, as often as they
    /// may. People, who come by `arrivals`, wait between two tries as long as the answer says, and a few
    /// seconds at least, and stop when they have a unit or the sale is over.
    pub bots_percent: u32,
    /// The request header that names the buyer.
    pub buyer_header: String,
    /// Buyers are called `<prefix>1`, `<prefix>2`, …
    pub buyer_prefix: String,
    /// How long one question waits for its answer before it is asked again.
    pub timeout: Duration,
    /// How long a question is asked again before its buyer gives up on it.
    pub patience: Duration,
    /// Whether each try has an `Idempotency-Key`. Without one, a question that got no answer and is
    /// asked again is answered as a second try.
    pub keys: bool,
    /// Whether a buyer who is told that the sale is paused asks again, as if there had been no answer:
    /// where a replica takes over, that lasts a moment.
    pub waits_out_pauses: bool,
}

/// Why a plan cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The address is not `http://host[:port]`.
    #[error("url {0:?}: expected http://host:port, without a path (TLS ends before the proxy)")]
    Url(String),
    /// The path does not make a request target.
    #[error("path {0:?}: expected an absolute path such as /seckill/{{sid}}")]
    Path(String),
    /// Not a header name.
    #[error("buyer header {0:?}: expected the name of an HTTP header such as X-User-Id")]
    Header(String),
    /// Not the beginning of a buyer's id.
    #[error("buyer prefix {0:?}: expected printable ASCII, short enough for an id of 128 bytes")]
    Prefix(String),
    /// More than all.
    #[error("bots: {0} of a hundred; expected 0 to 100")]
    Bots(u32),
    /// Nothing to do.
    #[error("{0}: expected at least 1")]
    Zero(&'static str),
}

/// A plan that was found to make sense, in the form in which buyers use it.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) authority: Authority,
    pub(crate) host: HeaderValue,
    pub(crate) target: Uri,
    pub(crate) buyer_header: HeaderName,
    pub(crate) tries: u32,
    pub(crate) timeout: Duration,
    pub(crate) patience: Duration,
    pub(crate) keys: bool,
    pub(crate) waits_out_pauses: bool,
}

// === impl Plan ===

impl Default for Plan {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8080".to_owned(),
            more_urls: Vec::new(),
            path: "/seckill/{sid}".to_owned(),
            sid: "1001".to_owned(),
            arrivals: None,
            buyers: 300,
            bots_percent: 0,
            tries: 3,
            buyer_header: "X-User-Id".to_owned(),
            buyer_prefix: "buyer-".to_owned(),
            timeout: Duration::from_secs(5),
            patience: Duration::from_secs(60),
            keys: true,
            waits_out_pauses: false,
        }
    }
}

impl Plan {
    /// Tries of all buyers together.
    #[must_use]
    pub fn tries_total(&self) -> u64 {
        u64::from(self.buyers) * u64::from(self.tries)
    }

    /// Whether a buyer is a program: they are spread evenly.
    pub(crate) fn is_bot(&self, number: u32) -> bool {
        let before = |number: u32| u64::from(number) * u64::from(self.bots_percent) / 100;
        before(number) != before(number.saturating_sub(1))
    }

    /// Buyer number `number`, as the outcome and as the buyer's header names him.
    pub(crate) fn buyer(&self, number: u32) -> Result<(Uid, HeaderValue), PlanError> {
        let uid = format!("{}{number}", self.buyer_prefix);
        match (Uid::new(uid.as_bytes()), HeaderValue::try_from(&uid)) {
            (Ok(uid), Ok(header)) => Ok((uid, header)),
            _ => Err(PlanError::Prefix(self.buyer_prefix.clone())),
        }
    }

    pub(crate) fn course(&self) -> Result<Course, PlanError> {
        for (name, value) in [("buyers", self.buyers), ("tries", self.tries)] {
            if value == 0 {
                return Err(PlanError::Zero(name));
            }
        }
        if self.bots_percent > 100 {
            return Err(PlanError::Bots(self.bots_percent));
        }
        let authority = authority(&self.url)?;
        let host = HeaderValue::from_str(authority.as_str())
            .map_err(|_| PlanError::Url(self.url.clone()))?;
        let buyer_header = HeaderName::try_from(self.buyer_header.as_str())
            .map_err(|_| PlanError::Header(self.buyer_header.clone()))?;
        // The last buyer has the longest name.
        self.buyer(self.buyers)?;
        Ok(Course {
            authority,
            host,
            target: self.target()?,
            buyer_header,
            tries: self.tries,
            timeout: self.timeout,
            patience: self.patience,
            keys: self.keys,
            waits_out_pauses: self.waits_out_pauses,
        })
    }

    fn target(&self) -> Result<Uri, PlanError> {
        let path = self.path.replace("{sid}", &self.sid);
        if !path.starts_with('/') {
            return Err(PlanError::Path(path));
        }
        path.parse().map_err(|_| PlanError::Path(path))
    }
}

/// Whom a url names.
pub(crate) fn authority(url: &str) -> Result<Authority, PlanError> {
    let refused = || PlanError::Url(url.to_owned());
    let uri = url.parse::<Uri>().map_err(|_| refused())?;
    let parts = uri.into_parts();
    let bare = parts.path_and_query.is_none_or(|path| path == "/");
    match (parts.scheme, parts.authority) {
        (Some(scheme), Some(authority))
            if scheme == Scheme::HTTP && bare && !authority.as_str().contains('@') =>
        {
            Ok(authority)
        }
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_as_it_comes_is_one_that_can_be_carried_out() {
        let course = Plan::default().course().unwrap();
        assert_eq!(course.authority, "127.0.0.1:8080");
        assert_eq!(course.target, "/seckill/1001");
    }

    #[test]
    fn a_plan_that_makes_no_sense_says_which_part() {
        let bad = |change: fn(&mut Plan)| {
            let mut plan = Plan::default();
            change(&mut plan);
            plan.course().unwrap_err().to_string()
        };
        assert!(bad(|plan| plan.url = "https://shop.example".into()).starts_with("url"));
        assert!(bad(|plan| plan.url = "http://shop.example/base".into()).starts_with("url"));
        assert!(bad(|plan| plan.url = "shop".into()).starts_with("url"));
        assert!(bad(|plan| plan.sid = "a b".into()).starts_with("path"));
        assert!(bad(|plan| plan.path = "seckill".into()).starts_with("path"));
        assert!(bad(|plan| plan.buyer_header = "X User".into()).starts_with("buyer header"));
        assert!(bad(|plan| plan.buyer_prefix = "b\n".into()).starts_with("buyer prefix"));
        assert!(bad(|plan| plan.buyers = 0).starts_with("buyers"));
        assert!(bad(|plan| plan.tries = 0).starts_with("tries"));
        assert!(bad(|plan| plan.bots_percent = 101).starts_with("bots"));
    }

    #[test]
    fn programs_are_spread_evenly_among_people() {
        let plan = Plan {
            bots_percent: 30,
            ..Plan::default()
        };
        let bots: Vec<u32> = (1..=10).filter(|number| plan.is_bot(*number)).collect();
        assert_eq!(bots, [4, 7, 10]);
    }
}

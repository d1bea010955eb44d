//! The last thing that is done about a request: it is counted, and written into the access log.

use crate::access::{Line, Log};
use crate::code::Code;
use crate::counters::Counters;
use crate::fields::Fields;
use crate::route::Place;
use crate::site::Site;
use http::{Method, StatusCode, Version};
use seckill_protocol::{ReservationId, Uid};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Where requests are entered when they are over.
///
/// Whoever answers buyers makes [`Notes`] when a request begins, hands them to the desk that
/// decides, and calls [`Ledger::enter`] once, when the answer has left. For a rejection that is not
/// drawn for the access log this costs one atomic addition, and nothing is allocated.
pub(crate) struct Ledger {
    counters: Arc<Counters>,
    log: Arc<Log>,
}

/// What is noted of a request on its way.
pub(crate) struct Notes {
    began: Instant,
    /// Its route, by its place; `None` where nobody guards.
    pub(crate) route: Option<usize>,
    /// What it came to. The shop has it unless somebody says otherwise.
    pub(crate) code: Code,
    /// The reservation that it is about.
    pub(crate) rid: Option<ReservationId>,
    /// Who buys, if the access log is to say so.
    pub(crate) uid: Option<Uid>,
    /// How long it waited for Redis, if it did.
    pub(crate) redis: Option<Duration>,
    shop_asked: Option<Instant>,
    /// How long it waited for the shop's answer to begin, if it did.
    pub(crate) shop: Option<Duration>,
    /// Whether it was not the first on its connection.
    pub(crate) reused: bool,
}

/// What was said on the wire.
pub(crate) struct Exchange<'a> {
    /// Who has connected.
    pub(crate) peer: Option<IpAddr>,
    pub(crate) method: &'a Method,
    /// Without the query.
    pub(crate) path: &'a str,
    /// Of the request.
    pub(crate) headers: &'a Fields<'a>,
    pub(crate) version: Version,
    /// `None` if the client was gone before there was an answer.
    pub(crate) status: Option<StatusCode>,
    /// Of the answer's body.
    pub(crate) bytes: usize,
}

// === impl Ledger ===

impl Ledger {
    /// Counts in `counters`, and writes into `log`.
    pub(crate) const fn new(counters: Arc<Counters>, log: Arc<Log>) -> Self {
        Self { counters, log }
    }

    /// What else is counted.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Enters a request that is over.
    pub(crate) fn enter(&self, site: &Site, notes: &Notes, exchange: &Exchange<'_>) {
        self.counters.answered(&site.tally, notes.route, notes.code);
        let Some(access) = &site.access else { return };
        if !access.wants(notes.code) {
            return;
        }
        let duration = notes.began.elapsed();
        let sid = match site.routes.find(exchange.path).place {
            Place::Sale { sid, .. }
            | Place::State { sid, .. }
            | Place::Reservation { sid, .. }
            | Place::Confirmation { sid, .. } => Some(sid),
            Place::BadSid | Place::Disguised | Place::Elsewhere => None,
        };
        let pattern = notes.route.and_then(|at| site.tally.name(at));
        self.log.write(&Line {
            at: SystemTime::now()
                .checked_sub(duration)
                .unwrap_or(SystemTime::UNIX_EPOCH),
            // A gateway that does not say for whom it speaks is better than nobody.
            client: site
                .clients
                .address(exchange.peer, exchange.headers)
                .or(exchange.peer),
            method: exchange.method.as_str(),
            route: pattern.unwrap_or(exchange.path),
            sid,
            code: notes.code.word(),
            status: exchange.status.map(|status| status.as_u16()),
            rid: notes.rid,
            uid: notes.uid.as_ref().map(Uid::as_str),
            duration,
            redis: notes.redis,
            shop: notes.shop,
            bytes: exchange.bytes,
            version: exchange.version,
            reused: notes.reused,
        });
    }
}

// === impl Notes ===

impl Notes {
    /// Of a request that begins now.
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            route: None,
            code: Code::Passed,
            rid: None,
            uid: None,
            redis: None,
            shop_asked: None,
            shop: None,
            reused: false,
        }
    }

    /// When the request began.
    pub(crate) const fn began(&self) -> Instant {
        self.began
    }

    /// Waits for an answer of Redis.
    pub(crate) async fn while_redis_answers<T>(&mut self, answer: impl Future<Output = T>) -> T {
        let since = Instant::now();
        let answer = answer.await;
        let waited = self.redis.unwrap_or_default();
        self.redis = Some(waited.saturating_add(since.elapsed()));
        answer
    }

    /// The shop is asked now, unless it was before.
    pub(crate) fn shop_is_asked(&mut self) {
        self.shop_asked.get_or_insert_with(Instant::now);
    }

    /// The shop's answer begins now. Returns how long that took.
    pub(crate) fn shop_answers(&mut self) -> Option<Duration> {
        self.shop = self.shop_asked.map(|since| since.elapsed());
        self.shop
    }
}

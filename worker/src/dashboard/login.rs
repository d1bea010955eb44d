//! Who may come in: whoever shows the token gets a cookie for an evening.

use super::Dashboard;
use super::answer::{Question, answer, bad_question};
use super::visitor::{Page, Visitor};
use crate::admin::problem;
use crate::config::Token;
use crate::shown::shown;
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{ConnectInfo, State};
use axum::http::header::{COOKIE, ORIGIN, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use serde::Deserialize;
use serde_json::json;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How long a login lasts.
const EVENING: Duration = Duration::from_secs(12 * 3600);

/// Logins at the same time; one more ends the one that would end first.
const LOGINS_MAX: usize = 1000;

/// The characters of a name.
const NAME_CHARS_MAX: usize = 64;

/// From one address: so many tries at once, and one more each so often.
const TRIES_AT_ONCE: NonZeroU32 = NonZeroU32::MIN.saturating_add(7);
const TRY_EVERY: Duration = Duration::from_secs(10);

/// So many addresses are kept before those that may try again are forgotten.
const ADDRESSES: usize = 1000;

/// Those who are in.
pub(super) struct Logins {
    token: Token,
    /// Cookies are shared by all ports of a machine, and each may have a worker.
    cookie: String,
    /// By the hash of the cookie's value: how long a look takes says nothing of one.
    open: Mutex<HashMap<[u8; 32], Login>>,
    limiter: DefaultKeyedRateLimiter<IpAddr>,
}

struct Login {
    name: String,
    until: Instant,
}

/// What is asked with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Given {
    name: String,
    token: String,
}

// === impl Logins ===

impl Logins {
    pub(super) fn new(token: Token, port: u16) -> Self {
        let quota = Quota::with_period(TRY_EVERY).unwrap_or(Quota::per_minute(TRIES_AT_ONCE));
        Self {
            token,
            cookie: format!("seckill_{port}"),
            open: Mutex::default(),
            limiter: RateLimiter::keyed(quota.allow_burst(TRIES_AT_ONCE)),
        }
    }

    /// Who has one of our cookies.
    pub(super) fn name(&self, headers: &HeaderMap) -> Option<String> {
        let key = hash(self.cookie_of(headers)?);
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let login = open.get(&key)?;
        (Instant::now() < login.until).then(|| login.name.clone())
    }

    fn cookie_of<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let cookies = headers.get_all(COOKIE).into_iter();
        let mut pairs = cookies
            .filter_map(|cookies| cookies.to_str().ok())
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        pairs.find_map(|(name, value)| (name == self.cookie).then_some(value))
    }

    /// Counts a try.
    ///
    /// # Errors
    /// How long to wait before the next.
    fn admit(&self, peer: IpAddr) -> Result<(), Duration> {
        if self.limiter.len() > ADDRESSES {
            self.limiter.retain_recent();
        }
        let admitted = self.limiter.check_key(&customer(peer));
        admitted.map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }

    /// Lets somebody in, and returns the cookie's value.
    fn open(&self, name: String) -> Option<String> {
        let mut id = [0; 32];
        aws_lc_rs::rand::fill(&mut id).ok()?;
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let now = Instant::now();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, login| now < login.until);
        if open.len() >= LOGINS_MAX {
            let first = open.iter().min_by_key(|(_, login)| login.until);
            if let Some(first) = first.map(|(key, _)| *key) {
                open.remove(&first);
            }
        }
        let until = now + EVENING;
        open.insert(hash(&id), Login { name, until });
        Some(id)
    }

    fn close(&self, headers: &HeaderMap) {
        if let Some(id) = self.cookie_of(headers) {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.remove(&hash(id));
        }
    }

    fn set_cookie(&self, id: &str, seconds: u64, headers: &HeaderMap) -> Option<HeaderValue> {
        let name = &self.cookie;
        // Behind somebody who speaks TLS, the browser says so.
        let origin = headers.get(ORIGIN).map(HeaderValue::as_bytes);
        let secure = match origin.is_some_and(|origin| origin.starts_with(b"https://")) {
            true => "; Secure",
            false => "",
        };
        let cookie =
            format!("{name}={id}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
        cookie.parse().ok()
    }
}

/// Whether somebody is in, and who.
pub(super) async fn session(
    State(dashboard): State<Arc<Dashboard>>,
    headers: HeaderMap,
) -> Response {
    let name = dashboard.logins.name(&headers);
    answer(&json!({ "configured": true, "name": name }))
}

/// There is no token, so there is no dashboard.
pub(super) async fn nobody() -> Response {
    answer(&json!({ "configured": false, "name": null }))
}

/// Lets in whoever has the token.
pub(super) async fn enter(
    State(dashboard): State<Arc<Dashboard>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    _: Page,
    headers: HeaderMap,
    Question(given): Question<Given>,
) -> Response {
    let logins = &dashboard.logins;
    let peer = peer.ip().to_canonical();
    if let Err(wait) = logins.admit(peer) {
        let seconds = wait.as_secs() + 1;
        let detail = format!("Too many tries from your address: again in {seconds} s.");
        let mut refused = problem(StatusCode::TOO_MANY_REQUESTS, "Wait", Some(&detail));
        refused.headers_mut().insert(RETRY_AFTER, seconds.into());
        return refused;
    }
    let name = given.name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.contains(char::is_control) {
        let detail = "name: expected 1 to 64 characters; it stands in the audit log";
        return bad_question(detail);
    }
    if !logins.token.is(&given.token) {
        warn!(%peer, name = shown(name, NAME_CHARS_MAX), "the dashboard refused a wrong token");
        let detail = "That is not the token of admin.token.";
        return problem(StatusCode::UNAUTHORIZED, "Wrong token", Some(detail));
    }
    let id = logins.open(name.to_owned());
    let cookie = id.and_then(|id| logins.set_cookie(&id, EVENING.as_secs(), &headers));
    let Some(cookie) = cookie else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    info!(%peer, name, "logged in at the dashboard");
    let mut entered = answer(&json!({ "configured": true, "name": name }));
    entered.headers_mut().insert(SET_COOKIE, cookie);
    entered
}

/// Ends a login.
pub(super) async fn leave(
    State(dashboard): State<Arc<Dashboard>>,
    _: Page,
    _: Visitor,
    headers: HeaderMap,
) -> Response {
    dashboard.logins.close(&headers);
    let mut left = answer(&json!({ "configured": true, "name": null }));
    if let Some(cookie) = dashboard.logins.set_cookie("", 0, &headers) {
        left.headers_mut().insert(SET_COOKIE, cookie);
    }
    left
}

fn hash(id: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, id.as_bytes()).as_ref());
    bytes
}

/// One customer has a whole /64 of IPv6.
fn customer(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

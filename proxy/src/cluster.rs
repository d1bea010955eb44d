//! A Redis Cluster: each sale is asked about at the node that has its slot.
//!
//! Each primary has a connection with a breaker of its own, so that one that is lost stops its own
//! sales and no others. Who has which slots is asked for again every few seconds, when a node is
//! lost, and when one sends a question elsewhere. A question that was sent elsewhere was not carried
//! out, so that it may be asked there.

use crate::link::{Answered, Knock, Link, Manner, Trouble};
use crate::pauses::{Pauses, jittered};
use crate::refusal::Refusal;
use crate::sentinels::at;
use crate::strange_key::strange_key;
use crate::throttle::Throttle;
use redis::{Client, Cmd, ConnectionAddr, ConnectionInfo, RedisError, Value};
use seckill_daemon::slots::{self, Range, sent_to};
use seckill_protocol::{SLOTS, slot};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{info, warn};

/// Between two looks at who has which slots, if nothing hints at a change.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Between two looks when every question hints at a change.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// Between two looks that failed: first, and at most.
const PAUSES: Pauses = Pauses::new(Duration::from_millis(100), Duration::from_millis(500));

/// For a look over a connection of its own.
const PATIENCE: Duration = Duration::from_secs(1);

/// So often a question goes where it was sent: to where the slot is, and ahead of it.
const HOPS_MAX: usize = 4;

/// The nodes of a cluster.
pub(crate) struct Cluster {
    /// The nodes to ask first who the others are.
    seeds: Vec<ConnectionInfo>,
    /// How a node is greeted, wherever it is.
    server: ConnectionInfo,
    manner: Manner,
    /// `None` until the first look.
    map: watch::Sender<Option<Arc<Map>>>,
    /// Nodes that a question was sent to and that have no slots yet.
    guests: Mutex<HashMap<String, Guest>>,
    /// Something hints at a change.
    astray: Arc<Notify>,
    lost: Throttle,
    incomplete: Throttle,
}

/// Who has which slots.
#[derive(Default)]
struct Map {
    /// In their order.
    ranges: Vec<(Range, Arc<Link>)>,
}

struct Guest {
    link: Arc<Link>,
    /// Whether it was asked since the last look.
    was_asked: bool,
}

#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("{0}")]
    Failed(#[from] RedisError),
    #[error("{0}")]
    Unanswered(#[from] Trouble),
    #[error("no node answers")]
    Nobody,
    #[error("an unexpected answer to CLUSTER SLOTS")]
    Odd,
}

// === impl Cluster ===

impl Cluster {
    /// Prepares to find the nodes by asking `seeds`; [`Self::begin`] does. Each is greeted like
    /// `server`.
    pub(crate) fn new(seeds: Vec<ConnectionInfo>, server: ConnectionInfo, manner: Manner) -> Self {
        Self {
            seeds,
            server,
            manner,
            map: watch::Sender::new(None),
            guests: Mutex::default(),
            astray: Arc::default(),
            lost: Throttle::default(),
            incomplete: Throttle::default(),
        }
    }

    /// Begins to follow who has which slots, on the runtime that this is called from.
    pub(crate) fn begin(self: &Arc<Self>) {
        tokio::spawn(Arc::clone(self).follow());
    }

    /// The connection to the node that has a key; `None` if no node has it, or if that is not known
    /// yet.
    pub(crate) fn link(&self, key: &str) -> Option<Arc<Link>> {
        self.map.borrow().as_ref()?.link(slot(key))
    }

    /// Whether a question about a key would fail at once.
    pub(crate) fn is_away(&self, key: &str) -> bool {
        match &*self.map.borrow() {
            Some(map) => map.link(slot(key)).is_none_or(|link| link.is_away()),
            None => false,
        }
    }

    /// Why no node decides anything; `None` if one does, or nobody has asked one yet.
    pub(crate) fn trouble(&self) -> Option<&'static str> {
        let map = self.map.borrow().clone();
        let Some(map) = map else {
            return Some("its nodes are not known yet");
        };
        if map.ranges.is_empty() {
            return Some("its nodes are not known");
        }
        let troubles: Option<Vec<_>> = map
            .ranges
            .iter()
            .map(|(_, link)| link.is_away().then(|| link.trouble()).flatten())
            .collect();
        troubles?.first().copied()
    }

    /// Whether questions to some node fail at once.
    pub(crate) fn is_open_somewhere(&self) -> bool {
        match &*self.map.borrow() {
            Some(map) => map.ranges.iter().any(|(_, link)| link.is_away()),
            None => false,
        }
    }

    /// Asks the node that has a key one question.
    ///
    /// # Errors
    /// [`Trouble`], at the latest when the deadline has passed.
    pub(crate) async fn ask(&self, key: &str, question: &Cmd) -> Answered {
        let until = Instant::now() + self.manner.deadline;
        let mut link = match self.link(key) {
            Some(link) => link,
            None => self.first_link(key, until).await?,
        };
        let mut answer = link.ask_until(question, until).await;
        for _ in 0..HOPS_MAX {
            let Err(Trouble::Failed(error)) = &answer else {
                return answer;
            };
            let Some((address, _)) = error.redirect_node() else {
                return answer;
            };
            let is_ahead = error.code() == Some("ASK");
            let Some(node) = self.node(address, &link) else {
                break;
            };
            link = node;
            answer = if is_ahead {
                link.ask_ahead(question, until).await
            } else {
                link.ask_until(question, until).await
            };
        }
        match answer {
            Err(Trouble::Failed(error)) if error.redirect_node().is_some() => {
                Err(Trouble::Refused(Refusal::Elsewhere))
            }
            answer => answer,
        }
    }

    /// A node to hear news from: all of them tell the news of all.
    pub(crate) fn any_server(&self) -> Option<Arc<ConnectionInfo>> {
        let map = self.map.borrow().clone()?;
        let there: Vec<_> = map.ranges.iter().filter(|(_, l)| !l.is_away()).collect();
        let chosen = fastrand::usize(..there.len().max(1));
        there.get(chosen).and_then(|(_, link)| link.server())
    }

    /// Returns when a node is no longer a primary of the cluster.
    pub(crate) async fn left(&self, server: &ConnectionAddr) {
        let mut watch = self.map.subscribe();
        let has_left = |map: &Option<Arc<Map>>| match map {
            Some(map) => !map.ranges.iter().any(|(_, link)| is_at(link, server)),
            None => false,
        };
        // The guard that `wait_for` gives back must not outlive this line: it locks the map.
        let _ = watch.wait_for(has_left).await.map(drop);
    }

    /// Waits for the first look.
    async fn first_link(&self, key: &str, until: Instant) -> Result<Arc<Link>, Trouble> {
        let mut watch = self.map.subscribe();
        let _ = timeout_at(until, watch.wait_for(Option::is_some))
            .await
            .map(drop);
        self.link(key).ok_or(Trouble::Away)
    }

    /// The node that another one has sent to.
    fn node(&self, address: &str, asked: &Link) -> Option<Arc<Link>> {
        let asked = asked.server()?;
        let (host, port) = sent_to(address, host_of(asked.addr()))?;
        let server = at(&self.server, host, port);
        if let Some(map) = &*self.map.borrow()
            && let Some((_, link)) = map.ranges.iter().find(|(_, l)| is_at(l, server.addr()))
        {
            return Some(Arc::clone(link));
        }
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        let guest = guests
            .entry(server.addr().to_string())
            .or_insert_with(|| Guest {
                link: self.connect(server),
                was_asked: true,
            });
        guest.was_asked = true;
        Some(Arc::clone(&guest.link))
    }

    fn connect(&self, server: ConnectionInfo) -> Arc<Link> {
        let (manner, astray) = (self.manner.clone(), Arc::clone(&self.astray));
        Arc::new(Link::to_node(Arc::new(server), manner, astray))
    }

    async fn follow(self: Arc<Self>) {
        let mut pauses = PAUSES;
        loop {
            match self.look().await {
                Ok(ranges) => {
                    pauses = PAUSES;
                    self.take(ranges);
                    sleep(LOOK_PAUSE).await;
                    let _ = timeout(LOOK_EVERY, self.astray.notified()).await;
                }
                Err(lost) => {
                    if let Some(skipped) = self.lost.pass() {
                        warn!(
                            skipped,
                            "the nodes of the cluster are not known ({lost}); what was known goes on"
                        );
                    }
                    self.map.send_if_modified(|map| {
                        let first = map.is_none();
                        map.get_or_insert_default();
                        first
                    });
                    sleep(jittered(pauses.take())).await;
                }
            }
        }
    }

    /// Asks who has which slots: a node that is connected, or else any.
    async fn look(&self) -> Result<Vec<Range>, Lost> {
        let mut links: Vec<Arc<Link>> = Vec::new();
        if let Some(map) = &*self.map.borrow() {
            let all = map.ranges.iter().map(|(_, link)| link);
            links.extend(all.filter(|link| link.life() != 0).cloned());
        }
        // What one node says of others may be old.
        fastrand::shuffle(&mut links);
        let mut lost = Lost::Nobody;
        for link in links {
            match look_over(&link).await {
                Ok(ranges) => return Ok(ranges),
                Err(error) => lost = error,
            }
        }
        let mut servers = self.seeds.clone();
        if let Some(map) = &*self.map.borrow() {
            let known = map.ranges.iter().filter_map(|(_, link)| link.server());
            servers.extend(known.map(|server| ConnectionInfo::clone(&server)));
        }
        for server in servers {
            match timeout(PATIENCE, look_at(&server)).await {
                Ok(Ok(ranges)) if !ranges.is_empty() => return Ok(ranges),
                Ok(Err(error)) => lost = error,
                // A node that knows nobody, or does not answer.
                _ => {}
            }
        }
        Err(lost)
    }

    fn take(&self, ranges: Vec<Range>) {
        let served: usize = ranges
            .iter()
            .map(|r| usize::from(r.last - r.first) + 1)
            .sum();
        if served < usize::from(SLOTS)
            && let Some(skipped) = self.incomplete.pass()
        {
            warn!(
                skipped,
                served, "the cluster does not serve all {SLOTS} slots"
            );
        }
        let before = self.map.borrow().clone().unwrap_or_default();
        let mut links: HashMap<String, Arc<Link>> = HashMap::new();
        for (_, link) in &before.ranges {
            if let Some(server) = link.server() {
                links.insert(server.addr().to_string(), Arc::clone(link));
            }
        }
        let known = links.len();
        {
            let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
            guests.retain(|address, guest| {
                links
                    .entry(address.clone())
                    .or_insert_with(|| Arc::clone(&guest.link));
                std::mem::replace(&mut guest.was_asked, false)
            });
        }
        let mut map = Map::default();
        let mut nodes: HashMap<String, Arc<Link>> = HashMap::new();
        for range in ranges {
            let server = at(&self.server, &range.host, range.port);
            let address = server.addr().to_string();
            let link = nodes.entry(address).or_insert_with_key(|address| {
                let link = links.get(address).cloned();
                link.unwrap_or_else(|| self.connect(server))
            });
            map.ranges.push((range, Arc::clone(link)));
        }
        for link in nodes.values() {
            self.teach(link, &map);
        }
        if nodes.len() != known {
            info!(
                primaries = nodes.len(),
                "the nodes of the cluster are known"
            );
        }
        self.map.send_replace(Some(Arc::new(map)));
    }

    /// Has a node asked, for a sign of life, about something that is its own.
    fn teach(&self, link: &Arc<Link>, map: &Map) {
        let is_own = |slot: u16| map.link(slot).is_some_and(|own| Arc::ptr_eq(&own, link));
        let knock = link.knock();
        if knock.load().home().is_some_and(|key| is_own(slot(key))) {
            return;
        }
        let key = strange_key(&self.manner.key_prefix, is_own);
        let elsewhere = || Knock::anywhere(&self.manner.key_prefix);
        knock.store(Arc::new(key.map_or_else(elsewhere, Knock::at_home)));
    }
}

// === impl Map ===

impl Map {
    fn link(&self, slot: u16) -> Option<Arc<Link>> {
        let after = self
            .ranges
            .partition_point(|(range, _)| range.first <= slot);
        let (range, link) = self.ranges.get(after.checked_sub(1)?)?;
        range.has(slot).then(|| Arc::clone(link))
    }
}

fn is_at(link: &Link, address: &ConnectionAddr) -> bool {
    link.server().is_some_and(|server| server.addr() == address)
}

fn host_of(address: &ConnectionAddr) -> &str {
    match address {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host,
        _ => "",
    }
}

fn who_has_what() -> Cmd {
    let mut question = redis::cmd("CLUSTER");
    question.arg("SLOTS");
    question
}

async fn look_over(link: &Arc<Link>) -> Result<Vec<Range>, Lost> {
    let (_, answer) = link.ask(&who_has_what()).await?;
    let server = link.server().ok_or(Lost::Nobody)?;
    slots::read(&answer, host_of(server.addr())).ok_or(Lost::Odd)
}

async fn look_at(server: &ConnectionInfo) -> Result<Vec<Range>, Lost> {
    let client = Client::open(server.clone())?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let answer = who_has_what().query_async::<Value>(&mut connection).await?;
    slots::read(&answer, host_of(server.addr())).ok_or(Lost::Odd)
}

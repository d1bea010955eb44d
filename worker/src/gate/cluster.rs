//! A Redis Cluster: each sale is asked about at the node that has its slot.
//!
//! A node that is lost stops its own sales and no others. Who has which slots is asked for again
//! when sales are looked for, and when a node does not answer; a question that a node sends
//! elsewhere follows at once.

use super::link::{Link, Question};
use super::{host_of, key_of};
use crate::config::at;
use redis::{Cmd, ConnectionInfo, ErrorKind, RedisError, RedisResult, Value};
use seckill_daemon::slots::{self, Range, sent_to};
use seckill_protocol::slot;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tracing::{info, warn};

/// How long a node may take to say who has which slots, before another one is asked.
const LOOK_PATIENCE: Duration = Duration::from_secs(1);

/// Between two looks when every question hints at a change.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// So often a question goes where it was sent: to where the slot is, and ahead of it.
const HOPS_MAX: usize = 4;

/// The nodes of a cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    /// Some of its nodes, to ask first who the others are.
    seeds: Vec<Arc<Link>>,
    /// How a node is greeted, wherever it is.
    server: ConnectionInfo,
    map: Mutex<Map>,
    /// When somebody last looked.
    looked: tokio::sync::Mutex<Looked>,
}

/// What is known of the nodes.
#[derive(Debug, Default)]
struct Map {
    ranges: Vec<(Range, Arc<Link>)>,
    /// Also those that a question was sent to and that have no slots yet.
    nodes: HashMap<String, Arc<Link>>,
}

#[derive(Debug, Default)]
struct Looked {
    at: Option<Instant>,
    /// Counts the looks: what one node says of others may be old, so that each is asked in turn.
    count: usize,
    /// Whether the log says that nobody knows.
    lost: bool,
}

// === impl Cluster ===

impl Cluster {
    pub(super) fn new(seeds: Vec<ConnectionInfo>, server: ConnectionInfo) -> RedisResult<Self> {
        let seeds = seeds.into_iter().map(|seed| Link::new(seed).map(Arc::new));
        Ok(Self {
            seeds: seeds.collect::<RedisResult<_>>()?,
            server,
            map: Mutex::default(),
            looked: tokio::sync::Mutex::default(),
        })
    }

    /// The primaries, as they are now.
    ///
    /// # Errors
    /// If no node says so and none was known before.
    pub(super) async fn primaries(&self) -> RedisResult<Vec<Arc<Link>>> {
        let looked = self.look().await;
        let mut primaries: Vec<Arc<Link>> = Vec::new();
        for (_, link) in &self.map().ranges {
            if !primaries.iter().any(|known| Arc::ptr_eq(known, link)) {
                primaries.push(Arc::clone(link));
            }
        }
        match looked {
            Err(error) if primaries.is_empty() => Err(error),
            _ => Ok(primaries),
        }
    }

    /// Asks once, and follows where the question is sent.
    pub(super) async fn ask(&self, command: &Cmd) -> RedisResult<Value> {
        let slot = slot(key_of(command));
        let mut link = match self.home(slot) {
            Some(link) => link,
            None => {
                self.look().await?;
                self.home(slot).ok_or_else(nobody)?
            }
        };
        let mut answer = link.ask(Question::Plain(command)).await;
        for _ in 0..HOPS_MAX {
            let Err(error) = &answer else {
                return answer;
            };
            let Some((address, _)) = error.redirect_node() else {
                break;
            };
            let Some((host, port)) = sent_to(address, host_of(link.address())) else {
                break;
            };
            let question = if error.code() == Some("ASK") {
                Question::Ahead(command)
            } else {
                Question::Plain(command)
            };
            link = self.node(host, port)?;
            answer = link.ask(question).await;
        }
        if answer.is_err() {
            // Whatever is wrong: another node may have the slot by now. If nobody knows, the next
            // attempt tells.
            let _ = self.look().await;
        }
        answer
    }

    fn map(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn home(&self, slot: u16) -> Option<Arc<Link>> {
        let map = self.map();
        let found = map.ranges.iter().find(|(range, _)| range.has(slot));
        found.map(|(_, link)| Arc::clone(link))
    }

    fn node(&self, host: &str, port: u16) -> RedisResult<Arc<Link>> {
        self.map().node(at(&self.server, host, port))
    }

    /// Asks who has which slots, unless somebody just did.
    async fn look(&self) -> RedisResult<()> {
        let mut looked = self.looked.lock().await;
        if looked.at.is_some_and(|at| at.elapsed() < LOOK_PAUSE) {
            return Ok(());
        }
        looked.count = looked.count.wrapping_add(1);
        let answer = self.ask_in_turn(looked.count).await;
        looked.at = Some(Instant::now());
        match answer.and_then(|ranges| self.take(ranges)) {
            Ok(()) => {
                looked.lost = false;
                Ok(())
            }
            Err(error) => {
                if !looked.lost {
                    warn!("no node of the Redis Cluster says who has which slots: {error}");
                    looked.lost = true;
                }
                Err(error)
            }
        }
    }

    async fn ask_in_turn(&self, turn: usize) -> RedisResult<Vec<Range>> {
        let mut nodes: Vec<Arc<Link>> = self.map().nodes.values().cloned().collect();
        let turns = turn.checked_rem(nodes.len()).unwrap_or(0);
        nodes.rotate_left(turns);
        nodes.extend(self.seeds.iter().cloned());
        let mut question = redis::cmd("CLUSTER");
        question.arg("SLOTS");
        let mut lost = nobody();
        for node in nodes {
            let Ok(answer) = timeout(LOOK_PATIENCE, node.ask(Question::Plain(&question))).await
            else {
                continue;
            };
            match answer.map(|answer| slots::read(&answer, host_of(node.address()))) {
                // A node that has just begun knows nobody.
                Ok(Some(ranges)) if !ranges.is_empty() => return Ok(ranges),
                Ok(_) => {}
                Err(error) => lost = error,
            }
        }
        Err(lost)
    }

    fn take(&self, ranges: Vec<Range>) -> RedisResult<()> {
        let mut map = self.map();
        let is_known = map.ranges.iter().map(|(range, _)| range).eq(&ranges);
        if is_known {
            return Ok(());
        }
        let mut taken = Vec::new();
        for range in ranges {
            let link = map.node(at(&self.server, &range.host, range.port))?;
            taken.push((range, link));
        }
        map.ranges = taken;
        let Map { ranges, nodes } = &mut *map;
        nodes.retain(|_, node| ranges.iter().any(|(_, link)| Arc::ptr_eq(link, node)));
        info!("the Redis Cluster has {} primaries", nodes.len());
        Ok(())
    }
}

// === impl Map ===

impl Map {
    fn node(&mut self, server: ConnectionInfo) -> RedisResult<Arc<Link>> {
        let address = server.addr().to_string();
        if let Some(link) = self.nodes.get(&address) {
            return Ok(Arc::clone(link));
        }
        let link = Arc::new(Link::new(server)?);
        self.nodes.insert(address, Arc::clone(&link));
        Ok(link)
    }
}

/// Passes, like the server's own word for it.
fn nobody() -> RedisError {
    (ErrorKind::Io, "no node has this slot").into()
}

//! A Redis Cluster of three primaries, and how a slot of it is moved.

use std::ops::RangeInclusive;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use redis::{Cmd, Connection, FromRedisValue};

use crate::part::{Part, Seal};
use crate::place::Place;
use crate::port::Port;
use crate::process::Process;
use crate::redis::{Redis, User};

const NODES: usize = 3;
const SLOTS: u16 = 16384;

/// A primary that has just begun waits two seconds before it takes part.
const AGREEMENT_LIMIT: Duration = Duration::from_secs(20);

/// How many keys are asked for, and moved, at a time.
const KEYS_AT_A_TIME: usize = 100;

/// Three primaries that share all slots. Each node is a server as it ships, with the same passwords.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    redis: Redis,
    id: String,
    bus_port: Port,
}

impl Cluster {
    /// Starts the nodes of a new cluster, gives each a third of the slots, introduces them to each other, and waits
    /// until each of them says that the cluster is well.
    ///
    /// # Errors
    /// If a node does not start, or if they do not agree in time.
    pub fn start(place: &Place) -> Result<Self> {
        let mut nodes: Vec<Node> = Vec::new();
        for _ in 0..NODES {
            let first = nodes.first().map(|node| &node.redis);
            let (redis, bus_port) = Redis::start_cluster_node(place, first)?;
            let id = query(&redis, redis::cmd("CLUSTER").arg("MYID"))?;
            nodes.push(Node {
                redis,
                id,
                bus_port,
            });
        }
        let cluster = Self { nodes };
        cluster.share_slots()?;
        cluster.introduce()?;
        cluster.await_agreement()?;
        Ok(cluster)
    }

    fn share_slots(&self) -> Result<()> {
        for (index, node) in self.nodes.iter().enumerate() {
            let bound = |index: usize| usize::from(SLOTS) * index / NODES;
            let (first, last) = (bound(index), bound(index + 1) - 1);
            let mut assign = redis::cmd("CLUSTER");
            assign.arg("ADDSLOTSRANGE").arg(first).arg(last);
            query::<()>(&node.redis, &assign)?;
            // Nodes that begin with the same epoch would first have to settle which of them is older.
            let mut age = redis::cmd("CLUSTER");
            age.arg("SET-CONFIG-EPOCH").arg(index + 1);
            query::<()>(&node.redis, &age)?;
        }
        Ok(())
    }

    fn introduce(&self) -> Result<()> {
        for (index, node) in self.nodes.iter().enumerate() {
            for other in self.nodes.iter().skip(index + 1) {
                let mut meet = redis::cmd("CLUSTER");
                meet.arg("MEET").arg("127.0.0.1").arg(other.redis.port());
                meet.arg(other.bus_port.number());
                query::<()>(&node.redis, &meet)?;
            }
        }
        Ok(())
    }

    /// Starts a replica of a node, and waits until it has its data. It takes the place of the node
    /// when the others have missed that for longer than `cluster-node-timeout`.
    ///
    /// # Errors
    /// If it does not start, or if the nodes do not agree in time.
    pub fn start_replica(&self, place: &Place, of: usize) -> Result<Redis> {
        let primary = self.numbered(of)?;
        let (replica, _) = Redis::start_cluster_node(place, Some(&primary.redis))?;
        let mut meet = redis::cmd("CLUSTER");
        meet.arg("MEET").arg("127.0.0.1").arg(primary.redis.port());
        meet.arg(primary.bus_port.number());
        query::<()>(&replica, &meet)?;
        let deadline = Instant::now() + AGREEMENT_LIMIT;
        let mut follow = redis::cmd("CLUSTER");
        follow.arg("REPLICATE").arg(&primary.id);
        // It has to hear of the node first.
        while let Err(error) = query::<()>(&replica, &follow) {
            ensure!(Instant::now() < deadline, "no replica: {error:#}");
            thread::sleep(Duration::from_millis(20));
        }
        replica.await_link()?;
        await_well(&replica, deadline)?;
        // Who does not know it does not vote for it.
        let id: String = query(&replica, redis::cmd("CLUSTER").arg("MYID"))?;
        for node in self.nodes() {
            loop {
                let table: String = query(node, redis::cmd("CLUSTER").arg("NODES"))?;
                let mut lines = table.lines().filter(|line| line.starts_with(&id));
                if lines.any(|line| line.contains("slave")) {
                    break;
                }
                ensure!(Instant::now() < deadline, "a stranger:\n{table}");
                thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(replica)
    }

    /// Waits until each node says that the cluster is well: at the start, and after a node's restart.
    ///
    /// # Errors
    /// If that takes too long; the message is what the node says instead.
    pub fn await_agreement(&self) -> Result<()> {
        let deadline = Instant::now() + AGREEMENT_LIMIT;
        for node in &self.nodes {
            await_well(&node.redis, deadline)?;
        }
        Ok(())
    }

    /// The nodes. Elsewhere they go by their place in this order, from 0.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Redis> {
        self.nodes.iter().map(|node| &node.redis)
    }

    /// A node.
    ///
    /// # Errors
    /// If there is no such node.
    pub fn node(&self, index: usize) -> Result<&Redis> {
        Ok(&self.numbered(index)?.redis)
    }

    /// A node, to kill or to restart it.
    ///
    /// # Errors
    /// If there is no such node.
    pub fn node_mut(&mut self, index: usize) -> Result<&mut Redis> {
        let node = self.nodes.get_mut(index);
        Ok(&mut node.with_context(|| format!("no node {index}"))?.redis)
    }

    /// The nodes as parts, each to be killed and restarted by itself.
    pub fn into_parts(self) -> impl Iterator<Item = Box<dyn Part + Send>> {
        let boxed = |node| -> Box<dyn Part + Send> { Box::new(node) };
        self.nodes.into_iter().map(boxed)
    }

    fn numbered(&self, index: usize) -> Result<&Node> {
        let node = self.nodes.get(index);
        node.with_context(|| format!("no node {index}"))
    }

    /// The slot of a key.
    ///
    /// # Errors
    /// If the first node does not answer.
    pub fn slot_of(&self, key: &str) -> Result<u16> {
        query(self.node(0)?, redis::cmd("CLUSTER").arg("KEYSLOT").arg(key))
    }

    /// The number of the node that serves a slot. While the slot is on its way it is the old one.
    ///
    /// # Errors
    /// If a node does not answer, or if none serves the slot.
    pub fn owner_of(&self, slot: u16) -> Result<usize> {
        for (index, node) in self.nodes.iter().enumerate() {
            // What a node says of others' slots may be old; what it says of its own is not.
            let table: String = query(&node.redis, redis::cmd("CLUSTER").arg("NODES"))?;
            let own = table.lines().find(|line| line.contains("myself"));
            if own_slots(own.unwrap_or_default()).any(|range| range.contains(&slot)) {
                return Ok(index);
            }
        }
        bail!("no node serves slot {slot}")
    }

    /// A new connection to the node that serves a key.
    ///
    /// # Errors
    /// If it is not there.
    pub fn connect(&self, key: &str, user: User) -> Result<Connection> {
        let owner = self.owner_of(self.slot_of(key)?)?;
        self.node(owner)?.connect(user)
    }

    /// Moves the keys of a slot to a node, and leaves the slot open: the old node answers `ASK` for
    /// what has left it, until [`SlotMove::close`].
    ///
    /// # Errors
    /// If a node refuses its part.
    pub fn open_move(&self, slot: u16, to: usize) -> Result<SlotMove<'_>> {
        let from = self.owner_of(slot)?;
        let (old, new) = (self.numbered(from)?, self.numbered(to)?);
        set_slot(new, slot, &["IMPORTING", &old.id])?;
        set_slot(old, slot, &["MIGRATING", &new.id])?;
        loop {
            let mut list = redis::cmd("CLUSTER");
            list.arg("GETKEYSINSLOT").arg(slot).arg(KEYS_AT_A_TIME);
            let keys: Vec<Vec<u8>> = query(&old.redis, &list)?;
            if keys.is_empty() {
                break;
            }
            old.redis.migrate(&keys, &new.redis)?;
        }
        Ok(SlotMove {
            cluster: self,
            slot,
            to,
        })
    }
}

impl Seal for Node {
    fn process(&self) -> &Process {
        self.redis.process()
    }

    fn process_mut(&mut self) -> &mut Process {
        self.redis.process_mut()
    }
}

impl Part for Node {}

/// A slot whose keys are with the new node, while the old one still answers for it.
#[derive(Debug)]
#[must_use = "the slot stays open until it is closed"]
pub struct SlotMove<'a> {
    cluster: &'a Cluster,
    slot: u16,
    to: usize,
}

impl SlotMove<'_> {
    /// Tells every node whose the slot is now, the new one first.
    ///
    /// # Errors
    /// If a node does not take it.
    pub fn close(self) -> Result<()> {
        let new = self.cluster.numbered(self.to)?;
        set_slot(new, self.slot, &["NODE", &new.id])?;
        for other in self.cluster.nodes.iter().filter(|node| node.id != new.id) {
            set_slot(other, self.slot, &["NODE", &new.id])?;
        }
        Ok(())
    }
}

/// The slots in a line of `CLUSTER NODES`: after eight other fields, as `0-5460` or `7`. A slot that
/// is on its way is there once more in brackets.
fn own_slots(line: &str) -> impl Iterator<Item = RangeInclusive<u16>> {
    line.split(' ').skip(8).filter_map(|field| {
        let (first, last) = field.split_once('-').unwrap_or((field, field));
        Some(first.parse().ok()?..=last.parse().ok()?)
    })
}

fn await_well(node: &Redis, deadline: Instant) -> Result<()> {
    loop {
        let info: String = query(node, redis::cmd("CLUSTER").arg("INFO"))?;
        if info.contains("cluster_state:ok") {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "no agreement:\n{info}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn set_slot(node: &Node, slot: u16, words: &[&str]) -> Result<()> {
    let mut command = redis::cmd("CLUSTER");
    command.arg("SETSLOT").arg(slot).arg(words);
    query(&node.redis, &command)
}

fn query<T: FromRedisValue>(redis: &Redis, command: &Cmd) -> Result<T> {
    Ok(command.query(&mut redis.connect(User::Anything)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slots_of_a_node_are_read() {
        let line = "07c3 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-5 7 [9->-292f] 11-12";
        let slots: Vec<_> = own_slots(line).collect();
        assert_eq!(slots, [0..=5, 7..=7, 11..=12]);
    }
}

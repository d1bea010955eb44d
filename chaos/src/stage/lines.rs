//! The wires, and where each leads.

use crate::fault::Line;
use crate::schedule::PAIR;
use crate::wire::{Trouble, Wire};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Every wire of a round. Whoever connects knows the address of a wire and no other: Kafka announces
/// it to its clients, and a replica is told it as its primary's.
#[derive(Clone)]
pub(crate) struct Lines(Arc<BTreeMap<Line, Wire>>);

impl Lines {
    /// Wires that lead nowhere yet.
    ///
    /// # Errors
    /// If there is no port for one.
    pub(crate) async fn open() -> Result<Self> {
        let mut wires = BTreeMap::new();
        for line in Line::all() {
            wires.insert(line, Wire::open().await?);
        }
        Ok(Self(Arc::new(wires)))
    }

    /// One of them.
    ///
    /// # Errors
    /// If there is none of this number.
    pub(crate) fn wire(&self, line: Line) -> Result<&Wire> {
        self.0.get(&line).with_context(|| format!("no wire {line}"))
    }

    /// Begins a trouble.
    ///
    /// # Errors
    /// If there is no such wire.
    pub(crate) fn trouble(&self, line: Line, trouble: Trouble) -> Result<()> {
        self.wire(line).map(|wire| wire.trouble(trouble))
    }

    /// Every wire is well.
    pub(crate) fn heal_all(&self) {
        self.0.values().for_each(Wire::heal);
    }

    /// A wire leads to a port of this machine.
    ///
    /// # Errors
    /// If there is no such wire.
    pub(crate) fn lead(&self, line: Line, port: u16) -> Result<()> {
        self.wire(line).map(|wire| wire.lead_to(port))
    }

    /// An address moves: who asks for it anew is led there, and what is connected is cut.
    ///
    /// # Errors
    /// If there is no such wire.
    pub(crate) fn move_to(&self, line: Line, port: u16) -> Result<()> {
        self.lead(line, port)?;
        self.trouble(line, Trouble::Cut)
    }

    /// The ports that Kafka announces, one for each worker.
    ///
    /// # Errors
    /// If there is no such wire.
    pub(crate) fn kafka_ports(&self) -> Result<Vec<u16>> {
        let port = |number| Ok(self.wire(Line::WorkerToKafka(number))?.port());
        (0..PAIR).map(port).collect()
    }

    /// A URL that names a server's port, by a wire instead.
    ///
    /// # Errors
    /// If it does not name that port, or there is no such wire.
    pub(crate) fn in_url(&self, url: &str, port: u16, line: Line) -> Result<String> {
        let (server, wire) = (format!(":{port}/"), self.wire(line)?.port());
        ensure!(url.contains(&server), "a URL does not name port {port}");
        Ok(url.replace(&server, &format!(":{wire}/")))
    }
}

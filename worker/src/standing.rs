//! How it stands with everything that the worker needs: whether it is ready, and if not, why.

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What can be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Need {
    /// The start is not over.
    Starting,
    /// The sales.
    Redis,
    /// The orders.
    Mysql,
    /// The topic.
    Kafka,
    /// The tables that this program knows.
    Schema,
    /// The end has begun.
    Stopping,
}

/// What is missing, and why.
#[derive(Debug)]
pub(crate) struct Standing(Mutex<BTreeMap<Need, String>>);

// === impl Need ===

impl Need {
    /// The servers.
    pub(crate) const SERVERS: [Self; 3] = [Self::Redis, Self::Mysql, Self::Kafka];

    /// How it is called in a label.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Redis => "redis",
            Self::Mysql => "mysql",
            Self::Kafka => "kafka",
            Self::Schema => "schema",
            Self::Stopping => "stopping",
        }
    }
}

// === impl Standing ===

impl Standing {
    /// Before the start.
    pub(crate) fn new() -> Self {
        let reason = "waiting for what a start needs".to_owned();
        Self(Mutex::new(BTreeMap::from([(Need::Starting, reason)])))
    }

    /// This is missing.
    pub(crate) fn lacks(&self, need: Need, why: &impl ToString) {
        self.with(|missing| missing.insert(need, why.to_string()));
    }

    /// This is there.
    pub(crate) fn has(&self, need: Need) {
        self.with(|missing| missing.remove(&need));
    }

    /// Everything that is missing.
    pub(crate) fn missing(&self) -> BTreeMap<Need, String> {
        self.with(|missing| missing.clone())
    }

    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<Need, String>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

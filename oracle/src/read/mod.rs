//! Reads the sources, each by its own client.
//!
//! | file | of |
//! | --- | --- |
//! | `mysql.rs` | the shop's database, in one snapshot |
//! | `kafka.rs` | the topic, from its first offset |
//! | `module.rs` | the sale in Redis |

pub(crate) mod kafka;
pub(crate) mod module;
pub(crate) mod mysql;

use crate::record::{Call, Record};
use crate::seen::Seen;
use anyhow::Result;
use std::path::PathBuf;

/// How often a sale that changes while it is read is read again.
const LOOKS: u32 = 5;

/// Where to look.
#[derive(Clone, Debug)]
pub struct Sources {
    /// `redis://user:password@host:port/`: the primary that has the sale. The user needs
    /// `SECKILL.INFO`, `RESERVATIONS`, `EVENTS` and `AUDIT`, as `operator` and `worker` have.
    pub redis: String,
    /// What stands before the sid in the key.
    pub key_prefix: String,
    /// `mysql://user:password@host:port/database`. The user needs `SELECT`.
    pub mysql: String,
    /// The topic; `None`: the worker runs with `broker = "none"`.
    pub kafka: Option<Brokers>,
    /// What clients were told, one file a process; `None`: nobody kept a record. All clients of the
    /// sale have to be there: who is not, cannot have asked.
    pub records: Option<Vec<PathBuf>>,
}

/// Where the topic is.
#[derive(Clone, Debug)]
pub struct Brokers {
    /// `host:port,host:port`
    pub brokers: String,
    /// Its name.
    pub topic: String,
    /// More settings of librdkafka, as for TLS: name and value.
    pub settings: Vec<(String, String)>,
}

// === impl Brokers ===

impl Brokers {
    /// The topic `seckill.events` there.
    #[must_use]
    pub fn at(brokers: &str) -> Self {
        Self {
            brokers: brokers.to_owned(),
            topic: "seckill.events".to_owned(),
            settings: Vec::new(),
        }
    }
}

/// Reads everything of a sale, as of one place in its log; what changes all the time is marked so.
///
/// MySQL is read before Kafka, and Kafka before the module: what the first has, the next had before.
///
/// # Errors
/// If a source cannot be read; the source is named.
pub async fn look(sources: &Sources, sid: &str) -> Result<Seen> {
    let calls = match &sources.records {
        Some(paths) => Some(calls(paths, sid)?),
        None => None,
    };
    let mut gate = module::Gate::connect(sources, sid).await?;
    let mut looks = 0;
    loop {
        let before = gate.info().await?;
        let books = mysql::read(&sources.mysql, sid).await?;
        let topic = match &sources.kafka {
            Some(brokers) => Some(kafka::read(brokers, sid).await?),
            None => None,
        };
        let module = module::read(&mut gate, before.as_ref()).await?;
        looks += 1;
        let is_moving = module.as_ref().is_some_and(|module| module.is_moving);
        if !is_moving || looks >= LOOKS {
            return Ok(Seen {
                sid: sid.to_owned(),
                books,
                topic,
                module,
                calls,
            });
        }
    }
}

fn calls(paths: &[PathBuf], sid: &str) -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    for path in paths {
        let record = Record::read(path)?;
        calls.extend(record.calls.into_iter().filter(|call| call.sid == sid));
    }
    calls.sort_by_key(|call| call.began_at);
    Ok(calls)
}

//! `[kafka]`: the broker, and how the connection is proven and secured.

use super::Mistakes;
use super::tls::{Tls, TlsTable};
use seckill_daemon::secret::Source;
use serde::Deserialize;

/// How a user can be proven. What takes more than a password is not among them.
const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// `[kafka]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct KafkaTable {
    brokers: String,
    topic: String,
    dead_topic: String,
    group: String,
    partitions: i32,
    tls: Option<TlsTable>,
    sasl: Option<SaslTable>,
}

/// `[kafka.sasl]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SaslTable {
    mechanism: String,
    user: String,
    password: Source,
}

/// The broker.
#[derive(Clone, Debug)]
pub(crate) struct Kafka {
    pub(crate) brokers: String,
    pub(crate) topic: String,
    pub(crate) dead_topic: String,
    pub(crate) group: String,
    pub(crate) partitions: i32,
    pub(crate) tls: Option<Tls>,
    pub(crate) sasl: Option<Sasl>,
}

/// Who we are.
#[derive(Clone)]
pub(crate) struct Sasl {
    pub(crate) mechanism: String,
    pub(crate) user: String,
    pub(crate) password: String,
}

// === impl Kafka ===

impl Kafka {
    /// Checks the table.
    pub(super) fn new(table: KafkaTable, mistakes: &mut Mistakes) -> Option<Self> {
        for (key, text) in [
            ("brokers", &table.brokers),
            ("topic", &table.topic),
            ("dead_topic", &table.dead_topic),
            ("group", &table.group),
        ] {
            if text.is_empty() {
                mistakes.add(format!("kafka.{key}: is empty"));
            }
        }
        if table.topic == table.dead_topic {
            let why = "is the same as kafka.topic: dead letters would be read as events";
            mistakes.add(format!("kafka.dead_topic: {why}"));
        }
        let partitions = table.partitions;
        if !(1..=1000).contains(&partitions) {
            mistakes.add(format!(
                "kafka.partitions: expected 1 to 1000, not {partitions}"
            ));
        }
        let tls = table
            .tls
            .map(|table| Tls::new("kafka.tls", &table, mistakes));
        let sasl = table.sasl.map(|table| Sasl::new(table, mistakes));
        Some(Self {
            brokers: table.brokers,
            topic: table.topic,
            dead_topic: table.dead_topic,
            group: table.group,
            partitions,
            tls: tls.map_or(Some(None), |tls| tls.map(Some))?,
            sasl: sasl.map_or(Some(None), |sasl| sasl.map(Some))?,
        })
    }
}

impl Default for KafkaTable {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            topic: "seckill.events".to_owned(),
            dead_topic: "seckill.events.dead".to_owned(),
            group: "seckill-orders".to_owned(),
            partitions: 8,
            tls: None,
            sasl: None,
        }
    }
}

// === impl Sasl ===

impl Sasl {
    fn new(table: SaslTable, mistakes: &mut Mistakes) -> Option<Self> {
        if !MECHANISMS.contains(&table.mechanism.as_str()) {
            mistakes.add(format!(
                "kafka.sasl.mechanism: expected one of {}, not {:?}",
                MECHANISMS.join(", "),
                table.mechanism
            ));
        }
        if table.user.is_empty() {
            mistakes.add("kafka.sasl.user: is empty".to_owned());
        }
        let password = mistakes.note(table.password.password("kafka.sasl.password"))?;
        Some(Self {
            mechanism: table.mechanism,
            user: table.user,
            password,
        })
    }
}

impl std::fmt::Debug for Sasl {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sasl")
            .field("mechanism", &self.mechanism)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

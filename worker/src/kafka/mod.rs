//! The broker: settings in one place, and the two ends of the topic.
//!
//! | file | idea |
//! | --- | --- |
//! | `topics.rs` | creates the topics |
//! | `producer.rs` | batches into the topic, with a receipt for each |
//! | `dead_letters.rs` | what is no message or no order, with its reason and origin |
//! | `letters.rs` | reads them again, for a person |
//! | `consumer.rs` | the topic to the order writer |
//! | `reader.rs` | partitions that come and go |
//! | `reread.rs` | when a partition is read once more |
//! | `stall.rs` | partitions that stand still |
//! | `probe.rs` | whether the brokers are there |
//! | `look.rs` | a look at the topics from outside the group |

mod consumer;
mod dead_letters;
mod letters;
mod look;
mod probe;
mod producer;
mod reader;
mod reread;
mod stall;
mod topics;

pub(crate) use consumer::spawn_consumer;
pub(crate) use dead_letters::{DeadLetters, Letter};
pub(crate) use letters::{KeptLetter, read_letters};
pub(crate) use look::{TopicFigures, TopicLook};
pub(crate) use probe::Probe;
pub(crate) use producer::{Message, Producer};
pub(crate) use topics::create_topics;

use crate::config::Kafka;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::{debug, warn};

fn common(kafka: &Kafka) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &kafka.brokers);
    config.set("client.id", "seckill-worker");
    config.set("allow.auto.create.topics", "false");
    config.set("log.connection.close", "false");
    // The default, 10 s, is how long orders would wait after the broker is back.
    config.set("reconnect.backoff.max.ms", "2000");
    secure(&mut config, kafka);
    config
}

/// TLS, and who we are.
fn secure(config: &mut ClientConfig, kafka: &Kafka) {
    let protocol = match (&kafka.tls, &kafka.sasl) {
        (None, None) => "plaintext",
        (Some(_), None) => "ssl",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    };
    config.set("security.protocol", protocol);
    if let Some(tls) = &kafka.tls {
        let identity = tls.identity.as_ref();
        for (key, pem) in [
            ("ssl.ca.pem", tls.ca.as_ref()),
            ("ssl.certificate.pem", identity.map(|own| &own.cert)),
            ("ssl.key.pem", identity.map(|own| &own.key)),
        ] {
            if let Some(pem) = pem {
                config.set(key, String::from_utf8_lossy(pem));
            }
        }
    }
    if let Some(sasl) = &kafka.sasl {
        config.set("sasl.mechanism", &sasl.mechanism);
        config.set("sasl.username", &sasl.user);
        config.set("sasl.password", &sasl.password);
    }
}

/// Whether the library takes the settings; nobody is connected to.
///
/// # Errors
/// What it does not take.
pub(crate) fn check(kafka: &Kafka) -> Result<(), String> {
    for config in [for_producer(kafka), for_consumer(kafka)] {
        let native = config.create_native_config();
        native.map_err(|error| format!("kafka: {error}"))?;
    }
    Ok(())
}

/// For the producer. With idempotence the broker keeps the order of a partition and drops
/// repetitions, with several messages under way.
fn for_producer(kafka: &Kafka) -> ClientConfig {
    let mut config = common(kafka);
    config.set("enable.idempotence", "true");
    config.set("acks", "all");
    config.set("linger.ms", "2");
    config.set("compression.type", "lz4");
    // So long the broker may take to acknowledge a message before the relay sends it again.
    config.set("delivery.timeout.ms", "30000");
    // What Java clients use: any other producer of the topic finds the same partition.
    config.set("partitioner", "murmur2_random");
    config
}

/// For the consumer. Offsets are stored by hand, after the commit in MySQL; a group that is new
/// begins with the first message.
fn for_consumer(kafka: &Kafka) -> ClientConfig {
    let mut config = common(kafka);
    config.set("group.id", &kafka.group);
    config.set("auto.offset.reset", "earliest");
    config.set("enable.auto.commit", "true");
    config.set("auto.commit.interval.ms", "1000");
    config.set("enable.auto.offset.store", "false");
    config.set("partition.assignment.strategy", "cooperative-sticky");
    config.set("session.timeout.ms", "6000");
    config.set("heartbeat.interval.ms", "2000");
    // The reader polls whatever else happens; the longest it does not is while it drains a partition
    // that goes. One that hangs is replaced as soon as that is certain.
    config.set("max.poll.interval.ms", "15000");
    config.set("statistics.interval.ms", "5000");
    config.set("fetch.wait.max.ms", "100");
    config.set("fetch.queue.backoff.ms", "50");
    config.set("queued.max.messages.kbytes", "16384");
    config.set("check.crcs", "true");
    config
}

/// For whoever looks at the topic without taking part in the group: it commits nothing.
pub(crate) fn for_reader(kafka: &Kafka) -> ClientConfig {
    let mut config = common(kafka);
    config.set("group.id", &kafka.group);
    config.set("enable.auto.commit", "false");
    config.set("auto.offset.reset", "earliest");
    config.set("fetch.wait.max.ms", "100");
    config
}

/// What the client library calls back, of every client: here, what it says goes into our log, at
/// our levels; what a producer and a consumer hear besides stands in their files.
#[derive(Clone, Copy, Debug, Default)]
struct Callbacks;

impl ClientContext for Callbacks {
    /// The library logs each failed connection; what matters of it arrives as an error.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        debug!("librdkafka {level:?} {facility}: {message}");
    }

    /// That a broker is away is said many times a second, and once by who watches.
    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown) => {
                debug!("Kafka: {error}: {reason}");
            }
            _ => warn!("Kafka: {error}: {reason}"),
        }
    }
}

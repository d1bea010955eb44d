//! Whether the brokers are there and have the topic.
//!
//! With a client of its own: a producer that has once heard that the topic is missing may send its
//! first messages in another order.

use super::{Callbacks, for_reader};
use crate::config::Kafka;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use std::sync::Arc;
use std::time::Duration;

/// Asks for the topic.
pub(crate) struct Probe {
    client: Arc<BaseConsumer<Callbacks>>,
    topic: String,
}

// === impl Probe ===

impl Probe {
    /// A probe that will connect to the brokers.
    ///
    /// # Errors
    /// If the settings make no client.
    pub(crate) fn new(kafka: &Kafka) -> KafkaResult<Self> {
        let client = BaseConsumer::from_config_and_context(&for_reader(kafka), Callbacks)?;
        Ok(Self {
            client: Arc::new(client),
            topic: kafka.topic.clone(),
        })
    }

    /// Asks once.
    ///
    /// # Errors
    /// Why the topic cannot be written to.
    pub(crate) async fn ask(&self, patience: Duration) -> Result<(), String> {
        let (client, topic) = (Arc::clone(&self.client), self.topic.clone());
        // The library waits.
        let asked = tokio::task::spawn_blocking(move || {
            let metadata = client.fetch_metadata(Some(&topic), patience);
            // What else the library has to say, such as that the password is wrong, it says then.
            while client.poll(Duration::ZERO).is_some() {}
            let metadata = metadata.map_err(|error| error.to_string())?;
            let error = metadata.topics().iter().find_map(MetadataTopic::error);
            error.map_or(Ok(()), |error| {
                Err(format!("topic {topic}: {}", RDKafkaErrorCode::from(error)))
            })
        });
        asked.await.map_err(|error| error.to_string())?
    }
}

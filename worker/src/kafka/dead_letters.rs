//! What is no message for us, kept with its reason and origin for a person to look at.

use super::producer::{Message, Producer};
use crate::backoff::Backoff;
use rdkafka::Message as _;
use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};
use tracing::warn;

/// Writes to the dead topic.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    producer: Producer,
    topic: String,
}

// === impl DeadLetters ===

impl DeadLetters {
    /// Writes to `topic`.
    pub(crate) const fn new(producer: Producer, topic: String) -> Self {
        Self { producer, topic }
    }

    /// Returns when the broker has it: only then may its offset be passed.
    pub(crate) async fn send(&self, message: &OwnedMessage, reason: &str) {
        let partition = message.partition().to_string();
        let offset = message.offset().to_string();
        let header = |key, value| Header {
            key,
            value: Some(value),
        };
        let headers = OwnedHeaders::new()
            .insert(header("topic", message.topic()))
            .insert(header("partition", &partition))
            .insert(header("offset", &offset))
            .insert(header("error", reason));
        let letter = Message {
            topic: &self.topic,
            key: message.key().unwrap_or_default(),
            payload: message.payload().unwrap_or_default(),
            headers: Some(&headers),
        };
        let mut backoff = Backoff::for_server();
        loop {
            let reason = match self.producer.send(letter).await.await {
                Ok(Ok(())) => return,
                Ok(Err(undelivered)) => undelivered.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            warn!("a dead letter is sent again: {reason}");
            tokio::time::sleep(backoff.pause()).await;
        }
    }
}

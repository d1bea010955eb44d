//! What is no message for us, or no order for MySQL, kept with its reason and origin for a person to
//! look at.

use super::producer::{Message, Producer};
use crate::backoff::Backoff;
use rdkafka::Message as _;
use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};
use seckill_protocol::EventId;
use tracing::warn;

/// The names of a letter's headers.
pub(crate) mod header {
    /// The topic, partition and offset of the message that it comes from.
    pub(crate) const TOPIC: &str = "topic";
    pub(crate) const PARTITION: &str = "partition";
    pub(crate) const OFFSET: &str = "offset";
    /// Why it is dead.
    pub(crate) const ERROR: &str = "error";
    /// The reservation, if it is an acceptance that MySQL takes no order for: then it is refused and
    /// cancelled. Without this header the letter is a whole message that nobody has acted on.
    pub(crate) const RID: &str = "rid";
}

/// Writes to the dead topic.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    producer: Producer,
    topic: String,
}

/// What is to be kept.
#[derive(Debug)]
pub(crate) struct Letter<'a> {
    /// The message that it comes from.
    pub(crate) origin: &'a OwnedMessage,
    pub(crate) key: &'a [u8],
    pub(crate) payload: &'a [u8],
    /// The reservation that was refused, if it is one acceptance of the message.
    pub(crate) rid: Option<EventId>,
    /// Why.
    pub(crate) reason: &'a str,
}

// === impl Letter ===

impl<'a> Letter<'a> {
    /// A whole message.
    pub(crate) fn of_message(message: &'a OwnedMessage, reason: &'a str) -> Self {
        Self {
            origin: message,
            key: message.key().unwrap_or_default(),
            payload: message.payload().unwrap_or_default(),
            rid: None,
            reason,
        }
    }
}

// === impl DeadLetters ===

impl DeadLetters {
    /// Writes to `topic`.
    pub(crate) const fn new(producer: Producer, topic: String) -> Self {
        Self { producer, topic }
    }

    /// Returns when the broker has it: only then may it be passed.
    pub(crate) async fn send(&self, letter: &Letter<'_>) {
        let partition = letter.origin.partition().to_string();
        let offset = letter.origin.offset().to_string();
        let header = |key, value| Header {
            key,
            value: Some(value),
        };
        let mut headers = OwnedHeaders::new()
            .insert(header(header::TOPIC, letter.origin.topic()))
            .insert(header(header::PARTITION, &partition))
            .insert(header(header::OFFSET, &offset))
            .insert(header(header::ERROR, letter.reason));
        if let Some(rid) = letter.rid {
            headers = headers.insert(header(header::RID, &rid.to_string()));
        }
        let message = Message {
            topic: &self.topic,
            key: letter.key,
            payload: letter.payload,
            headers: Some(&headers),
        };
        let mut backoff = Backoff::for_server();
        loop {
            let reason = match self.producer.send(message).await.await {
                Ok(Ok(())) => return,
                Ok(Err(undelivered)) => undelivered.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            warn!("a dead letter is sent again: {reason}");
            tokio::time::sleep(backoff.pause()).await;
        }
    }
}

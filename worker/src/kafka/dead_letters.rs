//! What is no message for us, or no order for MySQL, kept with its reason and origin for a person to
//! look at.

use super::producer::{Message, Producer};
use crate::backoff::Backoff;
use crate::delivery::Undelivered;
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
    /// How many bytes the message has, if only its beginning is here.
    pub(crate) const CUT: &str = "cut";
}

/// What is kept of a message, and of its key, to which the rest of a letter cannot be added: somebody
/// has made it as large as the broker takes.
const BEGINNING_BYTES: usize = 64 * 1024;
const KEY_BYTES: usize = 1024;

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

    fn headers(&self, is_cut: bool) -> OwnedHeaders {
        let partition = self.origin.partition().to_string();
        let offset = self.origin.offset().to_string();
        let mut headers = OwnedHeaders::new()
            .insert(header(header::TOPIC, self.origin.topic()))
            .insert(header(header::PARTITION, &partition))
            .insert(header(header::OFFSET, &offset))
            .insert(header(header::ERROR, self.reason));
        if let Some(rid) = self.rid {
            headers = headers.insert(header(header::RID, &rid.to_string()));
        }
        if is_cut {
            headers = headers.insert(header(header::CUT, &self.payload.len().to_string()));
        }
        headers
    }
}

// === impl DeadLetters ===

impl DeadLetters {
    /// Writes to `topic`.
    pub(crate) const fn new(producer: Producer, topic: String) -> Self {
        Self { producer, topic }
    }

    /// Returns when the broker has it: only then may the message be passed. What is too large for the
    /// topic is cut, because the next message must not wait for it.
    pub(crate) async fn send(&self, letter: &Letter<'_>) {
        let mut is_cut = false;
        let mut backoff = Backoff::for_server();
        loop {
            let headers = letter.headers(is_cut);
            let message = Message {
                topic: &self.topic,
                key: beginning(letter.key, KEY_BYTES, is_cut),
                payload: beginning(letter.payload, BEGINNING_BYTES, is_cut),
                headers: Some(&headers),
            };
            let reason = match self.producer.send(message).await.await {
                Ok(Ok(())) => return,
                Ok(Err(Undelivered::TooLarge)) if !is_cut => {
                    is_cut = true;
                    continue;
                }
                Ok(Err(undelivered)) => undelivered.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            warn!("a dead letter is sent again: {reason}");
            tokio::time::sleep(backoff.pause()).await;
        }
    }
}

const fn header<'a>(key: &'a str, value: &'a str) -> Header<'a, &'a str> {
    Header {
        key,
        value: Some(value),
    }
}

fn beginning(bytes: &[u8], most: usize, is_cut: bool) -> &[u8] {
    let most = if is_cut { most } else { bytes.len() };
    bytes.get(..most).unwrap_or(bytes)
}

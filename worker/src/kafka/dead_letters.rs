//! What is no message for us, or no order for MySQL, kept with its reason and origin for a person to
//! look at.

use super::producer::{Message, Producer};
use crate::backoff::Backoff;
use crate::delivery::{Receipt, Undelivered};
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

/// A letter that the broker does not have yet.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    letter: &'a Letter<'a>,
    /// Whether only its beginning is sent.
    is_cut: bool,
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

    /// Returns when the broker has them all: only then may their messages be passed. They are on their
    /// way together, because a topic full of garbage would else wait for the broker once for each. What
    /// is too large for the topic is cut, because the next message must not wait for it.
    pub(crate) async fn send(&self, letters: &[Letter<'_>]) {
        let mut left: Vec<Attempt<'_>> = letters.iter().map(Attempt::whole).collect();
        let mut backoff = Backoff::for_server();
        loop {
            let mut under_way = Vec::with_capacity(left.len());
            for attempt in left {
                under_way.push((attempt, self.begin(attempt).await));
            }
            left = Vec::new();
            let mut undelivered = None;
            for (attempt, receipt) in under_way {
                undelivered = Some(match receipt.await {
                    Ok(Ok(())) => continue,
                    Ok(Err(Undelivered::TooLarge)) if !attempt.is_cut => {
                        left.push(attempt.cut());
                        continue;
                    }
                    Ok(Err(undelivered)) => undelivered.to_string(),
                    Err(_) => "no answer".to_owned(),
                });
                left.push(attempt);
            }
            if left.is_empty() {
                return;
            }
            if let Some(reason) = undelivered {
                warn!(
                    "dead letters are sent again, {} of them: {reason}",
                    left.len()
                );
                tokio::time::sleep(backoff.pause()).await;
            }
        }
    }

    async fn begin(&self, attempt: Attempt<'_>) -> Receipt {
        let Attempt { letter, is_cut } = attempt;
        let headers = letter.headers(is_cut);
        let message = Message {
            topic: &self.topic,
            key: beginning(letter.key, KEY_BYTES, is_cut),
            payload: beginning(letter.payload, BEGINNING_BYTES, is_cut),
            headers: Some(&headers),
        };
        self.producer.send(message).await
    }
}

// === impl Attempt ===

impl<'a> Attempt<'a> {
    const fn whole(letter: &'a Letter<'a>) -> Self {
        Self {
            letter,
            is_cut: false,
        }
    }

    const fn cut(self) -> Self {
        Self {
            is_cut: true,
            ..self
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

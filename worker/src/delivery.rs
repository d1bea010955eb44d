//! Events on their way to MySQL, and the answers that come back.

use rdkafka::message::OwnedMessage;
use seckill_protocol::EventBatch;
use tokio::sync::oneshot;

/// A run of events for the order writer.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// The sale's name without prefix and its events, or why the message is none.
    pub(crate) events: Result<(Box<str>, EventBatch), String>,
    /// Where it came from, and so who waits for the answer.
    pub(crate) origin: Origin,
}

/// Where a delivery came from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// From the relay of this process (`broker = "none"`), which waits for the commit.
    Relay(oneshot::Sender<Result<(), Undelivered>>),
    /// From the topic; its offset is stored when it is dealt with.
    Topic {
        /// As it came.
        message: Box<OwnedMessage>,
        /// Which assignment of its partition it was read in: see [`Offsets`](crate::orders::Offsets).
        assignment: u64,
    },
}

/// The answer to a batch that the relay handed to a sink: `Ok` once it lies there durably.
pub(crate) type Receipt = oneshot::Receiver<Result<(), Undelivered>>;

/// Why a batch did not get to where it was to go. It has to be sent again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Undelivered {
    /// The broker did not take it.
    #[error("the broker did not take it: {0}")]
    Broker(String),
    /// It is larger than the broker takes, and will be the next time, too.
    #[error("it is larger than the broker takes")]
    TooLarge,
    /// The sale stands still; the order writer has said why.
    #[error("the sale stands still")]
    Halted,
}

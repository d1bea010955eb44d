//! Where the events go. Either way the receipt says when they lie there durably.

use crate::delivery::{Delivery, Origin, Receipt};
use crate::kafka::{Message, Producer};
use seckill_protocol::EventBatch;
use tokio::sync::{mpsc, oneshot};

/// Where the events go.
#[derive(Debug)]
pub(crate) enum Sink {
    /// To the broker.
    Topic { producer: Producer, topic: String },
    /// Directly to the order writer; durable means committed.
    Orders(mpsc::Sender<Delivery>),
}

// === impl Sink ===

impl Sink {
    /// Hands a batch over, behind those handed over before. Waits while the sink is full.
    pub(crate) async fn send(&self, sid: &str, batch: EventBatch) -> Receipt {
        match self {
            Self::Topic { producer, topic } => match batch.to_json(sid) {
                Ok(json) => {
                    let message = Message {
                        topic,
                        key: sid.as_bytes(),
                        payload: &json,
                        headers: None,
                    };
                    producer.send(message).await
                }
                // The sender is dropped: the receipt fails.
                Err(_) => oneshot::channel().1,
            },
            Self::Orders(orders) => {
                let (answer, receipt) = oneshot::channel();
                let delivery = Delivery {
                    events: Ok((sid.into(), batch)),
                    origin: Origin::Relay(answer),
                };
                // A writer that is gone drops the answer: the receipt fails.
                let _ = orders.send(delivery).await;
                receipt
            }
        }
    }
}

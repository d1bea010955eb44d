//! Batches into the topic, with a receipt for each.

use super::{Callbacks, for_producer};
use crate::config::Kafka;
use crate::delivery::{Receipt, Undelivered};
use crate::figures::Figures;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer,
};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::{error, warn};

/// How long a full queue of ours may take to get room again before we look once more.
const QUEUE_PAUSE: Duration = Duration::from_millis(20);

/// How often what is under way is counted.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// Sends messages. Clones share one connection to the brokers.
#[derive(Clone)]
pub(crate) struct Producer(Arc<Inner>);

struct Inner {
    config: ClientConfig,
    current: Mutex<Arc<Native>>,
}

type Native = ThreadedProducer<Deliveries>;

/// What becomes of the messages of one of the library's producers.
#[derive(Debug, Default)]
struct Deliveries {
    /// One of them was given up although it was tried for as long as a delivery may take. The library may
    /// then go on doing nothing, also when the broker is there: it was seen to after a broker that was
    /// frozen and a clock that was set back.
    is_stuck: AtomicBool,
}

/// One message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) topic: &'a str,
    pub(crate) key: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) headers: Option<&'a OwnedHeaders>,
}

// === impl Producer ===

impl Producer {
    /// A producer that will connect to the brokers.
    ///
    /// # Errors
    /// If the settings make no client.
    pub(crate) fn new(kafka: &Kafka) -> KafkaResult<Self> {
        let config = for_producer(kafka);
        let native = Native::from_config_and_context(&config, Deliveries::default())?;
        let current = Mutex::new(Arc::new(native));
        Ok(Self(Arc::new(Inner { config, current })))
    }

    /// Takes a message on its way. Those of one key arrive in the order of the calls, as long as
    /// none fails. Waits while too many are under way.
    pub(crate) async fn send(&self, message: Message<'_>) -> Receipt {
        let (mut answer, receipt) = oneshot::channel();
        loop {
            let native = self.native();
            if native.client().context().is_stuck.load(Relaxed) {
                self.replace(&native);
                continue;
            }
            let mut record = BaseRecord::with_opaque_to(message.topic, Box::new(answer))
                .key(message.key)
                .payload(message.payload);
            if let Some(headers) = message.headers {
                record = record.headers(headers.clone());
            }
            let Err((error, record)) = native.send(record) else {
                return receipt;
            };
            answer = *record.delivery_opaque;
            match error {
                KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => {}
                // After such an error the library takes nothing more: a new producer has to go on.
                KafkaError::MessageProduction(RDKafkaErrorCode::Fatal) => self.replace(&native),
                error => {
                    // The receiver is ours, and alive.
                    let _ = answer.send(Err(undelivered(&error)));
                    return receipt;
                }
            }
            tokio::time::sleep(QUEUE_PAUSE).await;
        }
    }

    /// Waits for what is under way, for a moment.
    pub(crate) fn flush(&self, patience: Duration) {
        if let Err(error) = self.native().flush(patience) {
            // The relay did not acknowledge it, so the next start sends it again.
            tracing::debug!("not everything was flushed: {error}");
        }
    }

    /// Counts the messages that the broker has not acknowledged yet, for ever.
    pub(crate) async fn count(&self, figures: &Figures) {
        loop {
            let queue = self.native().in_flight_count();
            figures.producer_queue.set(queue.into());
            tokio::time::sleep(COUNT_EVERY).await;
        }
    }

    fn native(&self) -> Arc<Native> {
        let current = self
            .0
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    /// Puts a new producer in the place of `broken`, unless somebody did already.
    fn replace(&self, broken: &Arc<Native>) {
        let mut current = self
            .0
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&current, broken) {
            return;
        }
        match broken.client().fatal_error() {
            Some((_, reason)) => error!("the Kafka producer is broken and replaced: {reason}"),
            None => warn!("the Kafka producer gets nothing through and is replaced"),
        }
        match Native::from_config_and_context(&self.0.config, Deliveries::default()) {
            Ok(native) => {
                let broken = std::mem::replace(&mut *current, Arc::new(native));
                // What it still holds fails now and is sent again, in order, by the new one. It
                // waits, so it does so elsewhere.
                std::thread::spawn(move || {
                    broken.purge(PurgeConfig::default().queue().inflight());
                    let _ = broken.flush(Duration::from_secs(5));
                });
            }
            Err(error) => {
                // The old one is tried again.
                broken.client().context().is_stuck.store(false, Relaxed);
                error!("no new Kafka producer: {error}");
            }
        }
    }
}

fn undelivered(error: &KafkaError) -> Undelivered {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => Undelivered::TooLarge,
        _ => Undelivered::Broker(error.to_string()),
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").finish_non_exhaustive()
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Callbacks.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Callbacks.error(error, reason);
    }
}

/// Answers each message's receipt.
impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<oneshot::Sender<Result<(), Undelivered>>>;

    fn delivery(&self, result: &DeliveryResult<'_>, answer: Self::DeliveryOpaque) {
        let result = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => {
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageTimedOut) {
                    self.is_stuck.store(true, Relaxed);
                }
                Err(undelivered(error))
            }
        };
        // A relay that stopped waiting sends again.
        let _ = answer.send(result);
    }
}

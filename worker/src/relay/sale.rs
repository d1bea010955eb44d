//! One sale: read, hand over, acknowledge.
//!
//! Several batches may be on their way to the sink. `RELAYED` follows the unbroken row of those
//! that arrived; after a failure everything behind it is read and sent again, in order.

use super::{Relay, TROUBLE_PAUSE};
use crate::backoff::Backoff;
use crate::delivery::{Receipt, Undelivered};
use crate::gate::{Cursor, Places, Refused};
use seckill_protocol::EventId;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info, warn};

/// Events of one batch: at most about 250 KiB as a message, a quarter of what brokers take.
const EVENTS_MAX: usize = 500;

/// Batches on their way at once.
const UNDER_WAY_MAX: usize = 5;

/// The pauses of a sale in which nothing happens.
const IDLE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

/// How many questions a second idle sales may ask together.
const IDLE_QUESTIONS_A_SECOND: usize = 2000;

/// How often an idle sale's places are looked at: a person may have set `RELAYED` back, or another
/// sale may have come in its place.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Why a run from a place ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// This worker has more than its share, and stays away so long that another one can take it.
    GivenUp(Duration),
    /// Another worker, named here, has the lease: this one was asleep.
    Taken(String),
    /// The module's places are others than ours: begin again from them.
    Moved,
    /// The sink did not take a batch.
    Undelivered(Undelivered),
    /// The module did not do as asked.
    Refused(Refused),
}

/// The batches on their way.
struct UnderWay<'a> {
    relay: &'a Relay,
    sid: &'a str,
    /// The last event of each, how many it has, and its receipt.
    batches: VecDeque<(EventId, u64, Receipt)>,
    /// The end of the unbroken row of those that arrived.
    arrived: EventId,
}

/// Relays a sale until it is gone; returns its name.
pub(super) async fn relay_sale(relay: Arc<Relay>, sid: String) -> String {
    let mut backoff = Backoff::new(Duration::from_millis(200), TROUBLE_PAUSE);
    let mut in_trouble = false;
    loop {
        let began = Instant::now();
        let Err(ended) = turn(&relay, &sid).await;
        if began.elapsed() > TROUBLE_PAUSE * 2 {
            backoff.reset();
            in_trouble = false;
        }
        match ended {
            Ended::Refused(Refused::NoSale) => {
                relay.leases.forget(&sid);
                return sid;
            }
            Ended::GivenUp(stay_away) => {
                sleep(stay_away).await;
                continue;
            }
            Ended::Taken(worker) => {
                info!("sale {sid} is relayed by {worker} now");
                continue;
            }
            Ended::Moved => info!("sale {sid}: the log is sent again from RELAYED"),
            // The order writer has raised an alarm.
            Ended::Undelivered(Undelivered::Halted) => {}
            Ended::Undelivered(reason) => {
                warn!("sale {sid}: the log is sent again from RELAYED: {reason}");
            }
            Ended::Refused(refused) if in_trouble => debug!("sale {sid}: {refused}"),
            Ended::Refused(refused) => {
                error!(
                    kind = "unrelayed",
                    sale = sid,
                    "ALARM: sale {sid} cannot be relayed: {refused}"
                );
                in_trouble = true;
            }
        }
        sleep(backoff.pause()).await;
    }
}

/// Waits for the lease, and relays for as long as it lasts and all goes well.
async fn turn(relay: &Relay, sid: &str) -> Result<Infallible, Ended> {
    relay.leases.take(&relay.gate, sid).await?;
    let places = relay.gate.places(sid).await?;
    relay.keeper.saw(sid, places.seen);
    let mut under_way = UnderWay {
        relay,
        sid,
        batches: VecDeque::new(),
        arrived: places.relayed,
    };
    let ended = tokio::select! {
        Err(ended) = read_on(&mut under_way, places.relayed) => ended,
        ended = relay.leases.keep(&relay.gate, sid) => ended,
    };
    // What is still under way must not overtake what is sent again.
    under_way.wait_for_all().await;
    Err(ended)
}

/// Reads behind `read`, and hands over, for as long as that goes well.
async fn read_on(under_way: &mut UnderWay<'_>, mut read: EventId) -> Result<Infallible, Ended> {
    let UnderWay { relay, sid, .. } = *under_way;
    let mut idle_pause = IDLE.0;
    let mut looked = Instant::now();
    loop {
        let batch = if under_way.batches.len() < UNDER_WAY_MAX {
            relay.gate.events(sid, read, EVENTS_MAX).await?
        } else {
            None
        };
        if let Some(batch) = batch
            && let Some(last) = batch.last_id()
        {
            read = last;
            let count = batch.events.len() as u64;
            let receipt = relay.sink.send(sid, batch).await;
            under_way.batches.push_back((last, count, receipt));
            under_way.settle(Duration::ZERO).await?;
            idle_pause = IDLE.0;
            continue;
        }
        if under_way.batches.is_empty() {
            if looked.elapsed() > LOOK_EVERY {
                looked = Instant::now();
                under_way.look().await?;
            }
            sleep(idle_pause).await;
            idle_pause = (idle_pause * 2).min(longest_idle_pause(relay));
        } else {
            // Not longer than this, because more events may come meanwhile.
            under_way.settle(IDLE.0).await?;
        }
    }
}

fn longest_idle_pause(relay: &Relay) -> Duration {
    let sales = relay.sales.load(Relaxed);
    let share_ms = sales.saturating_mul(1000) / IDLE_QUESTIONS_A_SECOND;
    let share = Duration::from_millis(u64::try_from(share_ms).unwrap_or(u64::MAX));
    IDLE.1.max(share)
}

// === impl UnderWay ===

impl UnderWay<'_> {
    /// Takes the receipts that came, and tells the module. Waits for the first one, but not longer
    /// than `patience`.
    async fn settle(&mut self, mut patience: Duration) -> Result<(), Ended> {
        let before = self.arrived;
        let mut failed = None;
        while let Some((last, count, receipt)) = self.batches.front_mut() {
            match timeout(patience, receipt).await {
                Err(_) => break,
                Ok(Ok(Ok(()))) => {
                    self.arrived = *last;
                    self.relay.figures.relayed(*count);
                    self.batches.pop_front();
                }
                Ok(answer) => {
                    self.batches.pop_front();
                    failed = Some(answer.unwrap_or_else(|_| Err(no_answer())));
                    break;
                }
            }
            patience = Duration::ZERO;
        }
        if self.arrived != before {
            // A person may have set it back, to have events sent again: that must not get lost. And
            // another worker may be ahead of us.
            let places = self.compare(before).await?;
            if places.relayed < self.arrived {
                let gate = &self.relay.gate;
                gate.ack(self.sid, Cursor::Relayed, self.arrived).await?;
            }
        }
        match failed {
            Some(Err(undelivered)) => Err(Ended::Undelivered(undelivered)),
            _ => Ok(()),
        }
    }

    /// Looks at the places while the sale is idle.
    async fn look(&self) -> Result<(), Ended> {
        let places = self.compare(self.arrived).await?;
        if places.stored < places.relayed
            && let Ok(sid) = self.sid.parse()
        {
            self.relay.stored.look_up(sid);
        }
        Ok(())
    }

    /// Makes sure that the module's places are not behind what we told it.
    async fn compare(&self, told: EventId) -> Result<Places, Ended> {
        let places = self.relay.gate.places(self.sid).await?;
        self.relay.keeper.saw(self.sid, places.seen);
        if places.relayed < told || places.head < told {
            return Err(Ended::Moved);
        }
        Ok(places)
    }

    /// Waits until nothing is under way any more.
    async fn wait_for_all(self) {
        for (.., receipt) in self.batches {
            let _ = receipt.await;
        }
    }
}

fn no_answer() -> Undelivered {
    Undelivered::Broker("no answer".to_owned())
}

impl From<Refused> for Ended {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

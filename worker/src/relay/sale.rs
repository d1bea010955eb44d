//! One sale: read, hand over, acknowledge.
//!
//! What is read next and what is acknowledged, `seckill_orders::relay` says: here it is done.

use super::{Relay, TROUBLE_PAUSE};
use crate::backoff::Backoff;
use crate::delivery::{Receipt, Undelivered};
use crate::gate::{Cursor, Places, Refused};
use seckill_orders::relay::{EVENTS_MAX, Moved, Run};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info, warn};

/// The pauses of a sale in which nothing happens.
const IDLE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

/// What comes so soon after a batch that was not full waits for company. Each batch is a question to the
/// module, a message, a fetch and a transaction, whatever is in it: at 15,000 acceptances a second this
/// halves what they cost Kafka and the worker. A single acceptance waits for nobody.
const GATHER: Duration = Duration::from_millis(20);

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
    run: Run<Receipt>,
}

/// Relays a sale until it is gone; returns its name.
pub(super) async fn relay_sale(relay: Arc<Relay>, sid: String) -> String {
    let mut backoff = Backoff::new(Duration::from_millis(200), TROUBLE_PAUSE);
    let mut refusals: u32 = 0;
    loop {
        let began = Instant::now();
        let Err(ended) = turn(&relay, &sid).await;
        if began.elapsed() > TROUBLE_PAUSE * 2 {
            backoff.reset();
            refusals = 0;
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
            Ended::Refused(refused) => {
                refusals = refusals.saturating_add(1);
                match refusals {
                    // `recover` may have given the log another beginning than the one that was read.
                    1 => warn!("sale {sid}: the log is sent again from RELAYED: {refused}"),
                    2 => error!(
                        kind = "unrelayed",
                        sale = sid,
                        "ALARM: sale {sid} cannot be relayed: {refused}"
                    ),
                    _ => debug!("sale {sid}: {refused}"),
                }
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
        run: Run::from(places.log.relayed),
    };
    let ended = tokio::select! {
        Err(ended) = read_on(&mut under_way) => ended,
        ended = relay.leases.keep(&relay.gate, sid) => ended,
    };
    // What is still under way must not overtake what is sent again.
    under_way.wait_for_all().await;
    Err(ended)
}

/// Reads on, and hands over, for as long as that goes well.
async fn read_on(under_way: &mut UnderWay<'_>) -> Result<Infallible, Ended> {
    let UnderWay { relay, sid, .. } = *under_way;
    let mut idle_pause = IDLE.0;
    let mut looked = Instant::now();
    loop {
        let batch = match under_way.run.wants() {
            Some(read) => relay.gate.events(sid, read, EVENTS_MAX).await?,
            None => None,
        };
        if let Some(batch) = batch
            && let Some(last) = batch.last_id()
        {
            let count = batch.events.len();
            let receipt = relay.sink.send(sid, batch).await;
            under_way.run.sent(last, count as u64, receipt);
            if count < EVENTS_MAX {
                sleep(GATHER).await;
            }
            under_way.settle(Duration::ZERO).await?;
            idle_pause = IDLE.0;
            continue;
        }
        if under_way.run.is_idle() {
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
        let mut failed = None;
        while let Some(receipt) = self.run.first() {
            match timeout(patience, receipt).await {
                Err(_) => break,
                Ok(Ok(Ok(()))) => {
                    let events = self.run.first_arrived();
                    self.relay.figures.relayed(events);
                }
                Ok(answer) => {
                    self.run.first_failed();
                    failed = Some(answer.unwrap_or_else(|_| Err(no_answer())));
                    break;
                }
            }
            patience = Duration::ZERO;
        }
        if self.run.has_to_tell() {
            let places = self.places().await?;
            if let Some(arrived) = self.run.compare(places.log)? {
                let gate = &self.relay.gate;
                gate.ack(self.sid, Cursor::Relayed, arrived).await?;
            }
            self.run.told();
        }
        match failed {
            Some(Err(undelivered)) => Err(Ended::Undelivered(undelivered)),
            _ => Ok(()),
        }
    }

    /// Looks at the places while the sale is idle.
    async fn look(&self) -> Result<(), Ended> {
        let places = self.places().await?;
        self.run.compare(places.log)?;
        if places.log.is_storing()
            && let Ok(sid) = self.sid.parse()
        {
            self.relay.stored.look_up(sid);
        }
        Ok(())
    }

    async fn places(&self) -> Result<Places, Ended> {
        let places = self.relay.gate.places(self.sid).await?;
        self.relay.keeper.saw(self.sid, places.seen);
        Ok(places)
    }

    /// Waits until nothing is under way any more.
    async fn wait_for_all(self) {
        for receipt in self.run.rest() {
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

impl From<Moved> for Ended {
    fn from(Moved: Moved) -> Self {
        Self::Moved
    }
}

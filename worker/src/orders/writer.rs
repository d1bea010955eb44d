//! Gathers deliveries, commits them, and answers whoever waits.

use super::StockId;
use super::alarms::Alarms;
use super::fold::{Halt, Outcome, Unwritable};
use super::poison::{Found, IN_A_ROW_MAX};
use super::progress::{Offsets, Progress};
use super::pulse::Pulse;
use super::refusals::Refusals;
use super::stored::Stored;
use super::transaction::{self, Ended, Outcomes, Poison, Reading, Work};
use crate::backoff::Backoff;
use crate::delivery::{Delivery, Origin, Undelivered};
use crate::figures::Figures;
use crate::kafka::{DeadLetters, Letter};
use crate::mysql::{Failure, KEEPALIVE, Session};
use crate::signs::Part;
use crate::stop::Stop;
use rdkafka::Message;
use rdkafka::message::OwnedMessage;
use seckill_protocol::{EventBatch, EventId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{debug, info, warn};

/// From so many events on, a transaction takes no further delivery.
const EVENTS_MAX: usize = 2000;

/// The order writer.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) intake: mpsc::Receiver<Delivery>,
    pub(crate) session: Session,
    /// Where messages go that are none; there are none without a broker.
    pub(crate) dead_letters: Option<DeadLetters>,
    pub(crate) offsets: Offsets,
    pub(crate) pulse: Pulse,
    pub(crate) stored: Stored,
    pub(crate) refusals: Refusals,
    pub(crate) figures: Arc<Figures>,
    pub(crate) stop: Stop,
    pub(crate) memory: Memory,
}

/// What the writer remembers from batch to batch. None of it decides what is written.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Sales that stand still.
    halted: Alarms,
    /// MySQL's cursor where they do, if it is known.
    halted_at: HashMap<StockId, Option<EventId>>,
    /// Tables or rights that are not what they have to be.
    unfit: Alarms,
    progress: Progress,
    /// How many orders of a sale in a row, up to the last one, MySQL did not take.
    refused_in_a_row: HashMap<StockId, usize>,
    /// Whether the log says that MySQL is away.
    away: bool,
}

/// A delivery whose sale is looked at.
struct Sorted {
    delivery: Delivery,
    /// The sale, or why the delivery cannot be applied and never will be.
    sale: Result<StockId, String>,
    /// Whether it was dealt with before, and comes because its partition is read once more.
    is_known: bool,
}

/// A message that was looked at.
struct Looked {
    message: Box<OwnedMessage>,
    /// Which assignment of its partition it was read in.
    assignment: u64,
    fate: Fate,
}

/// What becomes of a message.
enum Fate {
    /// Its events are applied.
    Done,
    /// Its sale stands still; its last event is this.
    Aside(StockId, EventId),
    /// It is none for us.
    Dead(String),
}

/// The program is to stop; what was not committed is read again by the next start.
struct Stopped;

// === impl Writer ===

impl Writer {
    /// Writes until the stop, or until nobody delivers any more.
    pub(crate) async fn run(mut self) {
        while let Some(deliveries) = self.gather().await {
            self.pulse.begins();
            let taken = self.take(deliveries).await;
            self.pulse.ends();
            if taken.is_err() {
                return;
            }
        }
    }

    /// What lies there: nothing is waited for, so one event is written at once, and while a
    /// transaction is under way the next one grows.
    async fn gather(&mut self) -> Option<Vec<Delivery>> {
        let first = loop {
            self.figures.signs.of_life(Part::Writer);
            self.memory.halted.raise_foreseen();
            let alarm = self.memory.halted.pause().unwrap_or(KEEPALIVE);
            tokio::select! {
                biased;
                () = self.stop.asked() => return None,
                next = timeout(alarm.min(KEEPALIVE), self.intake.recv()) => match next {
                    Ok(first) => break first?,
                    Err(_) => tokio::select! {
                        () = self.session.keep_alive() => {}
                        () = self.stop.asked() => return None,
                    },
                },
            }
        };
        let mut events = count_events(&first);
        let mut deliveries = vec![first];
        while events < EVENTS_MAX
            && let Ok(next) = self.intake.try_recv()
        {
            events += count_events(&next);
            deliveries.push(next);
        }
        Some(deliveries)
    }

    async fn take(&mut self, deliveries: Vec<Delivery>) -> Result<(), Stopped> {
        for partition in self.offsets.take_left() {
            self.memory.progress.forget(partition);
        }
        let sorted: Vec<Sorted> = deliveries
            .into_iter()
            .map(|delivery| self.sort(delivery))
            .collect();
        let mut work = Work::new();
        for item in sorted.iter().filter(|item| !item.is_known) {
            if let (Ok(sid), Ok((_, batch))) = (&item.sale, &item.delivery.events) {
                work.entry(*sid).or_default().push(batch);
            }
        }
        let outcomes = if work.is_empty() {
            Outcomes::new()
        } else {
            self.store(&work, &sorted).await?
        };
        drop(work);
        self.tell(&outcomes);
        let looked: Vec<Looked> = sorted
            .into_iter()
            .filter_map(|item| self.settle(item, &outcomes))
            .collect();
        self.pass(looked).await?;
        let halted = i64::try_from(self.memory.halted.count()).unwrap_or(i64::MAX);
        self.figures.sales_halted.set(halted);
        self.offsets.set(&self.memory.progress);
        Ok(())
    }

    /// Commits the work. If the database refuses its data, each sale is tried alone, so that only
    /// the one at fault stands still.
    async fn store(&mut self, work: &Work<'_>, sorted: &[Sorted]) -> Result<Outcomes, Stopped> {
        match self.commit(work, sorted).await? {
            Ok(outcomes) => Ok(outcomes),
            Err(refused) if work.len() == 1 => {
                let halted = Outcome::halted(EventId::ZERO, Halt::Database(refused));
                Ok(work.keys().map(|sid| (*sid, halted.clone())).collect())
            }
            Err(_) => {
                let mut all = Outcomes::new();
                for (sid, batches) in work {
                    let alone = Work::from([(*sid, batches.clone())]);
                    all.extend(Box::pin(self.store(&alone, sorted)).await?);
                }
                Ok(all)
            }
        }
    }

    /// Tries until it is committed or the database refuses the data. A COMMIT whose answer was lost
    /// needs no care: the cursor says whether it took place.
    async fn commit(
        &mut self,
        work: &Work<'_>,
        sorted: &[Sorted],
    ) -> Result<Result<Outcomes, String>, Stopped> {
        let mut backoff = Backoff::for_server();
        let mut lost_race = Backoff::new(Duration::from_millis(5), Duration::from_millis(200));
        let mut reading = Reading::Optimistic;
        let mut poison = Poison::new();
        let events = work
            .values()
            .flatten()
            .map(|batch| batch.events.len())
            .sum();
        loop {
            self.figures.signs.of_life(Part::Writer);
            let began = Instant::now();
            let applying = self
                .session
                .work(async |conn| transaction::apply(conn, work, reading, &poison).await);
            let ended = tokio::select! {
                ended = applying => ended,
                // Whether it is committed, the cursor says to the next start.
                () = self.stop.is_over() => return Err(Stopped),
            };
            if let Err(failure) = &ended {
                self.figures.retried(failure);
            }
            match ended {
                Ok(Ended::Committed(outcomes)) => {
                    self.is_back();
                    self.figures.committed(events, began.elapsed());
                    self.count_refused(&outcomes, &poison);
                    return Ok(Ok(outcomes));
                }
                Ok(Ended::Poisoned(sid, found)) => {
                    if let Some(reason) = self.table_at_fault(sid, &found) {
                        return Ok(Err(reason));
                    }
                    // Kept before the cursor passes it.
                    self.keep_poison(sorted, sid, &found.unwritable).await?;
                    poison.entry(sid).or_default().extend(found.unwritable);
                }
                Ok(Ended::Overtaken) => {
                    self.figures.overtaken.inc();
                    reading = Reading::Locked;
                }
                Err(Failure::Data(refused)) => return Ok(Err(refused.to_string())),
                Err(Failure::Again(error)) => {
                    debug!("the transaction is run again: {error}");
                    if !self.stop.pause(lost_race.pause()).await {
                        return Err(Stopped);
                    }
                }
                Err(failure) => self.is_away(&failure, &mut backoff).await?,
            }
        }
    }

    /// Why the orders that MySQL does not take are not to blame, if they are not.
    fn table_at_fault(&self, sid: StockId, found: &Found) -> Option<String> {
        let before = self.memory.refused_in_a_row.get(&sid).copied();
        let in_a_row = (before.unwrap_or(0) + found.from_the_first).max(found.in_a_row);
        let last = found.unwritable.values().next_back()?;
        (in_a_row > IN_A_ROW_MAX).then(|| {
            format!("more than {IN_A_ROW_MAX} orders in a row, so it is not their fault: {last}")
        })
    }

    fn count_refused(&mut self, outcomes: &Outcomes, poison: &Poison) {
        for (sid, outcome) in outcomes {
            if !outcome.orders.is_empty() {
                self.memory.refused_in_a_row.remove(sid);
            } else if let Some(unwritable) = poison.get(sid) {
                *self.memory.refused_in_a_row.entry(*sid).or_default() += unwritable.len();
            }
        }
    }

    /// Puts acceptances that MySQL takes no order for into the dead topic. Without a broker the log
    /// and `stock_order_event` have to do.
    async fn keep_poison(
        &self,
        sorted: &[Sorted],
        sid: StockId,
        unwritable: &Unwritable,
    ) -> Result<(), Stopped> {
        let named = sid.to_string();
        let found: Vec<_> = unwritable
            .iter()
            .filter_map(|(rid, reason)| {
                let (alone, message) = sorted.iter().find_map(|item| item.with_event(sid, *rid))?;
                let payload = alone.to_json(&named).ok()?;
                Some((*rid, reason, message, payload))
            })
            .collect();
        let letters: Vec<Letter<'_>> = found
            .iter()
            .map(|(rid, reason, message, payload)| Letter {
                origin: message,
                key: named.as_bytes(),
                payload,
                rid: Some(*rid),
                reason,
            })
            .collect();
        self.send(&letters).await
    }

    /// Returns when the dead topic has them.
    async fn send(&self, letters: &[Letter<'_>]) -> Result<(), Stopped> {
        if let Some(dead_letters) = &self.dead_letters {
            tokio::select! {
                () = dead_letters.send(letters) => {}
                // What was not passed is read, and sent, once more by the next start.
                () = self.stop.is_over() => return Err(Stopped),
            }
        }
        self.figures.dead_letters.inc_by(letters.len() as u64);
        Ok(())
    }

    /// Says what came out, to the log and to the module.
    fn tell(&mut self, outcomes: &Outcomes) {
        let mut events = 0;
        let mut orders = 0;
        let mut earliest_ms: Option<u64> = None;
        for (sid, outcome) in outcomes {
            self.memory.progress.applied(*sid, outcome.cursor);
            match &outcome.halt {
                // Said where the delivery is answered: it may become a dead letter.
                Some(Halt::NoStock) => {}
                Some(halt) => {
                    let cause = format!("stands still: {halt}");
                    let hole = matches!(halt, Halt::Hole { .. });
                    let named = sid.to_string();
                    if hole {
                        self.memory.halted.foresee(&named, halt.kind(), &cause);
                    } else {
                        self.memory.halted.raise(&named, halt.kind(), &cause);
                    }
                    let known = !matches!(halt, Halt::Database(_));
                    let cursor = known.then_some(outcome.cursor);
                    self.memory.halted_at.insert(*sid, cursor);
                    self.stored.stands_still(*sid, cursor, hole);
                }
                // Only old events came, which says nothing.
                None if self.memory.halted_at.get(sid) == Some(&Some(outcome.cursor)) => {}
                None => {
                    self.memory.halted_at.remove(sid);
                    if self.memory.halted.clear(&sid.to_string()) {
                        info!("sale {sid} goes on");
                        let cursor = outcome.cursor;
                        if self.memory.progress.has_aside(*sid, cursor) {
                            // What overtook others on the topic does not come again by itself.
                            self.stored.stands_still(*sid, Some(cursor), true);
                        } else {
                            self.stored.goes_on(*sid);
                        }
                    }
                }
            }
            if !outcome.refusals.is_empty() {
                self.refusals.ring();
            }
            if !outcome.refunds.is_empty() {
                let due = outcome.refunds.len();
                warn!("sale {sid}: payments to be refunded, new in stock_refund: {due}");
            }
            self.stored.has(*sid, outcome.cursor);
            events += outcome.applied;
            orders += outcome.orders.len() as u64;
            earliest_ms = match (earliest_ms, outcome.earliest_ms) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        if events > 0 {
            self.figures.stored(events, orders, earliest_ms);
        }
    }

    /// Answers a relay that waits. Returns what becomes of a message.
    fn settle(&mut self, item: Sorted, outcomes: &Outcomes) -> Option<Looked> {
        let Sorted {
            delivery,
            sale,
            is_known,
        } = item;
        let outcome = sale.as_ref().ok().and_then(|sid| outcomes.get(sid));
        let homeless = outcome.is_some_and(|outcome| outcome.halt == Some(Halt::NoStock));
        let sale = if homeless {
            Err(Halt::NoStock.to_string())
        } else {
            sale
        };
        let batch = delivery.events.as_ref().ok().map(|(_, batch)| batch);
        let last = batch.and_then(EventBatch::last_id).unwrap_or_default();
        let applied = outcome.is_some_and(|outcome| last <= outcome.cursor);
        match (delivery.origin, sale) {
            (Origin::Relay(receipt), Ok(_)) => {
                let answer = if applied {
                    Ok(())
                } else {
                    Err(Undelivered::Halted)
                };
                // A relay that stopped waiting asks again.
                let _ = receipt.send(answer);
                None
            }
            (Origin::Relay(receipt), Err(reason)) => {
                let sid = delivery
                    .events
                    .map_or_else(|_| Box::default(), |(sid, _)| sid);
                let cause = format!("stands still: {reason}");
                self.memory.halted.raise(&sid, Halt::NoStock.kind(), &cause);
                let _ = receipt.send(Err(Undelivered::Halted));
                None
            }
            (
                Origin::Topic {
                    message,
                    assignment,
                },
                sale,
            ) => Some(Looked {
                message,
                assignment,
                fate: match sale {
                    _ if is_known || applied => Fate::Done,
                    Ok(sid) => Fate::Aside(sid, last),
                    Err(reason) => Fate::Dead(reason),
                },
            }),
        }
    }

    /// Passes messages, in their order; what is none for us when the dead topic has it.
    async fn pass(&mut self, looked: Vec<Looked>) -> Result<(), Stopped> {
        let letters: Vec<Letter<'_>> = looked.iter().filter_map(Looked::letter).collect();
        self.send(&letters).await?;
        for Looked {
            message,
            assignment,
            fate,
        } in &looked
        {
            let (partition, offset) = (message.partition(), message.offset());
            if let Fate::Dead(reason) = fate {
                warn!("dead letter: partition {partition}, offset {offset}: {reason}");
            }
            if !self.is_ours(message, *assignment) {
                // Its offset is another worker's, or is read once more.
            } else if let Fate::Aside(sid, last) = fate {
                self.memory.progress.aside(partition, offset, *sid, *last);
            } else {
                self.memory.progress.done(partition, offset);
            }
        }
        Ok(())
    }

    fn sort(&self, delivery: Delivery) -> Sorted {
        let sale = match &delivery.events {
            Ok((sid, _)) => sid.parse::<StockId>().map_err(|error| error.to_string()),
            Err(reason) => Err(reason.clone()),
        };
        let sid = sale.as_ref().ok().copied();
        let is_known = match &delivery.origin {
            Origin::Topic {
                message,
                assignment,
            } => {
                let (partition, offset) = (message.partition(), message.offset());
                self.is_ours(message, *assignment)
                    && self.memory.progress.is_known(partition, offset, sid)
            }
            Origin::Relay(_) => false,
        };
        Sorted {
            delivery,
            sale,
            is_known,
        }
    }

    /// Whether a message was read while its partition was ours as it is now.
    fn is_ours(&self, message: &OwnedMessage, assignment: u64) -> bool {
        assignment == self.offsets.assignment(message.partition())
    }

    /// Says once that MySQL is away, and waits a little.
    async fn is_away(&mut self, failure: &Failure, backoff: &mut Backoff) -> Result<(), Stopped> {
        if let Failure::Unfit(error) = failure {
            let cause = format!("MySQL is not what it was, nothing can be written: {error}");
            self.memory.unfit.raise_for_all("unfit", &cause);
        } else if !self.memory.away {
            warn!("MySQL is away, going on when it is back: {failure}");
        }
        self.memory.away = true;
        if self.stop.pause(backoff.pause()).await {
            Ok(())
        } else {
            Err(Stopped)
        }
    }

    fn is_back(&mut self) {
        if self.memory.away {
            info!("MySQL is back");
            self.memory.away = false;
            self.memory.unfit.clear_for_all();
        }
    }
}

// === impl Sorted ===

impl Sorted {
    /// An event of its sale, alone, and the message that brought it.
    fn with_event(&self, sid: StockId, id: EventId) -> Option<(EventBatch, &OwnedMessage)> {
        let (Ok(sale), Ok((_, batch)), Origin::Topic { message, .. }) =
            (&self.sale, &self.delivery.events, &self.delivery.origin)
        else {
            return None;
        };
        if *sale != sid || batch.epoch != id.epoch {
            return None;
        }
        let event = batch.events.iter().find(|event| event.seq == id.seq)?;
        let alone = EventBatch {
            epoch: id.epoch,
            events: vec![event.clone()],
        };
        Some((alone, message))
    }
}

// === impl Looked ===

impl Looked {
    fn letter(&self) -> Option<Letter<'_>> {
        match &self.fate {
            Fate::Dead(reason) => Some(Letter::of_message(&self.message, reason)),
            Fate::Done | Fate::Aside(..) => None,
        }
    }
}

fn count_events(delivery: &Delivery) -> usize {
    delivery
        .events
        .as_ref()
        .map_or(1, |(_, batch)| batch.events.len())
}

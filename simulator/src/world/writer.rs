//! The order writer's next step: a transaction, statement by statement.

use super::{Answer, World};
use crate::mysql::Mysql;
use crate::settings::{Broker, Hazard};
use crate::story::say;
use crate::worker::{Again, Delivery, Origin, PARTITION, Transaction};
use seckill_orders::StockId;
use seckill_orders::fold::{Before, Halt, Outcome, Stock, fold, older_orders};
use seckill_protocol::{EventBatch, EventId, ReservationId};
use seckill_sale::Cursor;

const SID: StockId = StockId(1);

/// The pauses before a log is sent again, ms.
const AGAIN_MS: (u64, u64) = (5000, 120_000);

impl World {
    pub(super) fn write(&mut self, w: usize) -> Result<(), String> {
        match std::mem::take(&mut self.workers[w].writer.transaction) {
            Transaction::None if self.workers[w].writer.batch.is_empty() => {
                self.gather(w);
                Ok(())
            }
            Transaction::None => {
                self.fold(w);
                Ok(())
            }
            Transaction::Folded {
                outcome,
                stock,
                version,
            } => {
                self.statements(w, outcome, stock, version);
                Ok(())
            }
            Transaction::Written { outcome, stock } => self.commit(w, outcome, stock),
            Transaction::Committed(outcome) => {
                self.tell(w, &outcome);
                Ok(())
            }
        }
    }

    fn gather(&mut self, w: usize) {
        let count = 1 + self.dice.below(4);
        let worker = &mut self.workers[w];
        let writer = &mut worker.writer;
        for _ in worker.reader.offsets.take_left() {
            writer.progress.forget(PARTITION);
        }
        let count = count.min(writer.intake.len());
        writer.batch = writer.intake.drain(..count).collect();
        let (offsets, progress) = (&worker.reader.offsets, &mut writer.progress);
        writer.batch.retain(|delivery| {
            let Origin::Topic(offset, assignment) = delivery.origin else {
                return true;
            };
            let offset = i64::try_from(offset).unwrap_or(i64::MAX);
            let is_known = assignment == offsets.assignment(PARTITION)
                && progress.is_known(PARTITION, offset, Some(SID));
            if is_known {
                progress.done(PARTITION, offset);
            }
            !is_known
        });
        offsets.set(progress);
        writer.locks_stock = false;
        writer.poison.clear();
    }

    /// Locks the cursor, reads, and folds.
    fn fold(&mut self, w: usize) {
        if self.mysql.lock.is_some() {
            // Waits; a lock that is not given up in time is a lost race, and tried again.
            return;
        }
        self.mysql.lock = Some(w);
        let writer = &mut self.workers[w].writer;
        let batches: Vec<&EventBatch> = writer
            .batch
            .iter()
            .map(|delivery| &*delivery.events)
            .collect();
        let mysql = &self.mysql;
        let before = Before {
            cursor: mysql.cursor,
            stock: mysql.stock(),
            older: mysql.older(older_orders(mysql.cursor, &batches)),
            unwritable: writer.poison.clone(),
        };
        let outcome = Box::new(fold(&before, &batches));
        let (stock, version) = (mysql.stock(), mysql.version);
        say!(
            self,
            "w{w} folds {} events over {}: {}",
            outcome.applied,
            before.cursor,
            outcome.cursor
        );
        self.workers[w].writer.transaction = Transaction::Folded {
            outcome,
            stock,
            version,
        };
    }

    /// Everything but the `COMMIT`.
    fn statements(&mut self, w: usize, outcome: Box<Outcome>, stock: Stock, version: i64) {
        let poisons = self.hazard(Hazard::Poison) > 0;
        let writer = &mut self.workers[w].writer;
        if poisons {
            let refused = Mysql::refuses(&outcome.orders);
            if !refused.is_empty() {
                writer.poison.extend(refused);
                writer.roll_back(w, &mut self.mysql);
                return;
            }
        }
        if outcome.touches_stock(stock) && version != self.mysql.version {
            say!(self, "w{w} was overtaken");
            writer.locks_stock = true;
            writer.roll_back(w, &mut self.mysql);
            return;
        }
        writer.transaction = Transaction::Written { outcome, stock };
    }

    fn commit(&mut self, w: usize, outcome: Box<Outcome>, stock: Stock) -> Result<(), String> {
        let is_lost = self.loses();
        if is_lost && self.dice.coin() {
            say!(
                self,
                "w{w}: the connection to MySQL breaks before the COMMIT"
            );
            self.workers[w].writer.roll_back(w, &mut self.mysql);
            return Ok(());
        }
        self.mysql.commit(&outcome, stock)?;
        self.mysql.lock = None;
        self.oracle.committed(&outcome)?;
        self.mysql.check()?;
        if !self.oracle.has_lost_facts() {
            self.mysql.check_limit(self.settings.limit)?;
        }
        say!(self, "w{w} commits up to {}", outcome.cursor);
        self.workers[w].writer.transaction = if is_lost {
            say!(self, "w{w} does not hear that it is committed");
            Transaction::None
        } else {
            Transaction::Committed(outcome)
        };
        Ok(())
    }

    /// Tells the module, and answers whoever waits.
    fn tell(&mut self, w: usize, outcome: &Outcome) {
        let writer = &mut self.workers[w].writer;
        writer.progress.applied(SID, outcome.cursor);
        match &outcome.halt {
            Some(halt) => {
                writer.halted_at = Some(outcome.cursor);
                self.stands_still(w, halt, outcome.cursor);
            }
            None if writer.halted_at.is_some_and(|at| at != outcome.cursor) => {
                writer.halted_at = None;
                self.workers[w].again = None;
                let progress = &self.workers[w].writer.progress;
                if progress.has_aside(SID, outcome.cursor) {
                    self.sent_again_from(w, outcome.cursor, self.now);
                }
            }
            None => {}
        }
        let worker = &mut self.workers[w];
        worker.stored.cursor = worker.stored.cursor.max(Some(outcome.cursor));
        for Delivery { events, origin } in std::mem::take(&mut worker.writer.batch) {
            let last = events.last_id().unwrap_or_default();
            let applied = last <= outcome.cursor;
            match origin {
                Origin::Relay(receipt) => self.kafka.answer(receipt, applied),
                Origin::Topic(offset, assignment) => {
                    let offset = i64::try_from(offset).unwrap_or(i64::MAX);
                    let progress = &mut worker.writer.progress;
                    if assignment != worker.reader.offsets.assignment(PARTITION) {
                        // Its offset is another worker's, or is read once more.
                    } else if applied {
                        progress.done(PARTITION, offset);
                    } else {
                        progress.aside(PARTITION, offset, SID, last);
                    }
                }
            }
        }
        worker.reader.offsets.set(&worker.writer.progress);
    }

    /// A hole needs nobody to mend it, so its log is sent again at once.
    fn stands_still(&mut self, w: usize, halt: &Halt, cursor: EventId) {
        say!(self, "w{w}: the sale stands still: {halt}");
        let is_hole = matches!(halt, Halt::Hole { .. });
        let pause_ms = if is_hole { 0 } else { AGAIN_MS.0 };
        self.sent_again_from(w, cursor, self.now + pause_ms);
    }

    /// The log is to be sent again from MySQL's cursor, unless it is already.
    fn sent_again_from(&mut self, w: usize, cursor: EventId, next_ms: u64) {
        let again = &mut self.workers[w].again;
        if again.is_none_or(|again| again.cursor != cursor) {
            *again = Some(Again {
                cursor,
                next_ms,
                pause_ms: AGAIN_MS.0,
                was_tried: false,
            });
        }
    }

    /// From where the log is to be sent again, if its time has come.
    fn sends_again(&mut self, w: usize) -> Option<EventId> {
        let now = self.now;
        let again = self.workers[w].again.as_mut()?;
        if again.next_ms > now {
            return None;
        }
        again.next_ms = now + again.pause_ms;
        again.pause_ms = (again.pause_ms * 2).min(AGAIN_MS.1);
        let was_tried = std::mem::replace(&mut again.was_tried, true);
        if again.cursor != self.mysql.cursor {
            self.workers[w].again = None;
            return None;
        }
        if was_tried {
            self.workers[w].reader.offsets.read_again(SID);
        }
        Some(self.mysql.cursor)
    }

    /// The reader of the topic: fetches, and stores offsets.
    pub(super) fn read_topic(&mut self, w: usize) -> Result<(), String> {
        if self.settings.broker == Broker::None {
            return Ok(());
        }
        if self.kafka.owner.is_none() {
            self.kafka.owner = Some(w);
        }
        let is_owner = self.kafka.owner == Some(w);
        let worker = &mut self.workers[w];
        if let Some(from) = worker.reader.offsets.take_again().get(&PARTITION)
            && worker.reader.position.is_some()
        {
            worker.reader.position = usize::try_from(*from).ok();
            say!(self, "w{w} reads again from offset {from}");
            return Ok(());
        }
        match worker.reader.position {
            None if is_owner => {
                worker.reader.position = Some(self.kafka.committed);
                say!(self, "w{w} reads from offset {}", self.kafka.committed);
            }
            // It lets go of what it has dealt with; its offsets are another's now.
            Some(_) if !is_owner && worker.reader.offsets.is_drained(PARTITION) => {
                worker.reader.position = None;
                worker.reader.offsets.leave(PARTITION);
            }
            Some(position) if is_owner && self.dice.below(4) > 0 => {
                if worker.writer.intake.len() < 8
                    && let Some(events) = self.kafka.log.get(position)
                {
                    worker.writer.intake.push_back(Delivery {
                        events: events.clone(),
                        origin: Origin::Topic(
                            position,
                            worker.reader.offsets.assignment(PARTITION),
                        ),
                    });
                    let offset = i64::try_from(position).unwrap_or(i64::MAX);
                    worker.reader.offsets.given(PARTITION, offset);
                    worker.reader.position = Some(position + 1);
                }
            }
            Some(_) if is_owner => {
                if let Some(offset) = worker.reader.offsets.take().get(&PARTITION) {
                    let before = self.kafka.committed;
                    self.kafka.committed = usize::try_from(*offset).unwrap_or(0);
                    let cursor = self.mysql.cursor;
                    let dealt_with = self.kafka.log.get(before..self.kafka.committed);
                    let mut last = dealt_with.unwrap_or_default().iter();
                    if let Some(missing) =
                        last.find_map(|batch| batch.last_id().filter(|id| *id > cursor))
                    {
                        return Err(format!(
                            "offset {offset} is stored, and MySQL has not taken up {missing}, which is before it"
                        ));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// `SECKILL.ACK … STORED`, and what MySQL is asked for it.
    pub(super) fn announce(&mut self, w: usize) -> Result<(), String> {
        if let Some(cursor) = self.sends_again(w) {
            say!(self, "w{w} has the log sent again from {cursor}");
            self.ack(w, Cursor::Relayed, cursor)?;
            return Ok(());
        }
        let stored = &mut self.workers[w].stored;
        if std::mem::take(&mut stored.look_up) {
            stored.cursor = stored.cursor.max(Some(self.mysql.cursor));
        }
        if let Some(cursor) = self.workers[w].stored.cursor.take()
            && cursor != EventId::ZERO
            && self.ack(w, Cursor::Stored, cursor)? == Answer::Unknown
        {
            self.refresh_view(w);
            let stored = &mut self.workers[w].stored;
            stored.cursor = stored.cursor.max(Some(cursor));
        }
        Ok(())
    }

    /// Cancels in the module what MySQL refused.
    pub(super) fn cancel_refused(&mut self, w: usize) -> Result<(), String> {
        let owed: Vec<_> = self.mysql.refusals.iter().copied().collect();
        let Some(id) = self.dice.pick(&owed) else {
            return Ok(());
        };
        if self.cancel(self.workers[w].view, ReservationId(id))? == Answer::Unknown {
            self.refresh_view(w);
        } else if !self.loses() {
            self.mysql.refusals.remove(&id);
        }
        Ok(())
    }
}

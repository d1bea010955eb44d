//! `recover`, by its own rules: look, do the next step, look again; cut off anywhere.

use super::World;
use crate::story::say;
use seckill_orders::compare::{self, Order};
use seckill_orders::diagnosis::{Copy, Message, Next, Seen, Step, next_step, reach};
use seckill_orders::fold::Stock;
use seckill_orders::status::Status;
use seckill_protocol::{EventBatch, EventId, ReservationId, ReservationState, UidRef};
use seckill_sale::restore::Step as Restore;
use seckill_sale::{Cursor, Refusal, Reservation, Sale};
use std::collections::{BTreeSet, HashMap, VecDeque};

/// How often it looks before it gives up waiting.
const PATIENCE: usize = 60;

/// One run of it.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    /// It has put everything back.
    is_filled: bool,
    /// The messages on the topic, when it looked.
    topic: Option<Vec<Message>>,
    /// What is still to be put back, and where MySQL was when it began with that.
    puts: VecDeque<Put>,
    cursor: EventId,
    /// Where Redis was then, and MySQL's stock row.
    head: EventId,
    stock: Option<Stock>,
    is_filling: bool,
    joins: bool,
    waited: usize,
}

/// One fact.
#[derive(Clone, Copy, Debug)]
enum Put {
    Order(EventId),
    Units { total: i64 },
}

impl World {
    /// `recover` begins, does its next step, or is cut off.
    pub(super) fn recover(&mut self) -> Result<(), String> {
        let Some(mut recovery) = self.recovery.take() else {
            self.recovery = Some(Recovery::default());
            return Ok(());
        };
        if !self.is_healed && self.dice.one_in(100) {
            say!(self, "recover is cut off");
            return Ok(());
        }
        let goes_on = match recovery.puts.pop_front() {
            Some(put) => self.put(&recovery, put)?,
            None if recovery.is_filling => self.close(&mut recovery)?,
            None => self.next_step(&mut recovery)?,
        };
        if goes_on {
            self.recovery = Some(recovery);
        }
        Ok(())
    }

    /// False: it is done, or gives up.
    fn next_step(&mut self, recovery: &mut Recovery) -> Result<bool, String> {
        let Some(seen) = self.see(recovery)? else {
            return Ok(false);
        };
        let step = next_step(&seen);
        say!(self, "recover: {step:?}");
        match step {
            Step::AwaitTopic(_) | Step::AwaitLog(_) | Step::AwaitFence => {
                recovery.waited += 1;
                if let Step::AwaitLog(EventId { seq: 1, .. }) = step
                    && recovery.waited.is_multiple_of(20)
                {
                    let cursor = seen.cursor;
                    self.command(self.official, |now, sale, change, _| {
                        sale.perform(now, change, |sale| sale.decide_ack(Cursor::Relayed, cursor))
                    })?;
                }
                Ok(recovery.waited < PATIENCE)
            }
            Step::PutBack | Step::Fill => {
                recovery.joins = step == Step::PutBack;
                self.fill(recovery)
            }
            Step::GoOn => {
                let resumed = self.command(self.official, |now, sale, change, _| {
                    sale.perform(now, change, Sale::decide_resume)
                })?;
                if resumed.is_some() {
                    self.mysql.recovering = false;
                }
                Ok(false)
            }
            Step::Nothing => Ok(false),
            // What a replaced primary began after the other had taken over is in MySQL.
            Step::SetBack { .. } => self.begin_epoch(seen.cursor),
            Step::Create | Step::NeverBegan | Step::MysqlLost { .. } => Err(format!(
                "recover finds that it should be {step:?}: {seen:?}"
            )),
        }
    }

    /// Redis has to be behind MySQL by an epoch of its own, to be joined.
    fn begin_epoch(&mut self, cursor: EventId) -> Result<bool, String> {
        let Some((shared, _)) = self.look_at(self.official, |sale| log(sale, cursor)) else {
            return Ok(false);
        };
        let orders = self.orders(compare::orders_of(cursor, &shared, &[]));
        if let Err(reason) = compare::set_back(&shared, &orders) {
            return Err(format!("recover: {reason}"));
        }
        if self.look_at(self.official, stands_still) == Some(false) {
            return Err("a sale that was set back sells".to_owned());
        }
        self.now += 1;
        self.command(self.official, |now, sale, change, _| {
            sale.perform(now, change, |sale| sale.decide_epoch(now, now))
        })?;
        Ok(true)
    }

    fn see(&mut self, recovery: &mut Recovery) -> Result<Option<Seen>, String> {
        let cursor = self.mysql.cursor;
        // Reading events is a command: a copy that was inherited is taken over first.
        self.command(self.official, |_, _, _, _| Ok(()))?;
        let copy = self.look_at(self.official, |sale| Copy {
            is_fenced: sale.is_fenced(),
            head: sale.head(),
            next: next_event(sale, cursor),
        });
        let Some(copy) = copy else {
            return Ok(None);
        };
        let mut seen = Seen {
            cursor,
            sale: self.mysql.sale,
            copy: Some(copy),
            on_topic: None,
            recovering: self.mysql.recovering,
            is_filled: recovery.is_filled,
        };
        if next_step(&seen).needs_the_topic() {
            let log = self.kafka.log.get(self.kafka.committed..);
            let log = log.unwrap_or_default();
            let messages = log.iter().filter_map(|batch| Message::of(batch));
            let topic = recovery.topic.get_or_insert_with(|| messages.collect());
            let next = seen.copy.as_ref().and_then(|copy| copy.next);
            let before = topic.iter().copied();
            let before = before.filter(|message| next.is_none_or(|next| message.last < next.id));
            seen.on_topic = reach(cursor, &before.collect::<Vec<_>>());
        }
        Ok(Some(seen))
    }

    /// Begins to put back what MySQL has.
    fn fill(&mut self, recovery: &mut Recovery) -> Result<bool, String> {
        if self.weigh()?.is_none() {
            return Ok(false);
        }
        let stands = self.look_at(self.official, stands_still);
        match stands {
            None => return Ok(false),
            Some(true) => {}
            Some(false) => {
                self.mysql.recovering = true;
                self.command(self.official, |now, sale, change, _| {
                    sale.perform(now, change, Sale::decide_pause)
                })?;
                return Ok(true);
            }
        }
        let head = self.look_at(self.official, Sale::head);
        let (Some(rest), Some(head)) = (self.weigh()?, head) else {
            return Ok(false);
        };
        let mysql = &self.mysql;
        recovery.cursor = mysql.cursor;
        recovery.head = head;
        recovery.stock = Some(mysql.stock());
        recovery.is_filling = true;
        let orders = |wanted: bool| {
            let rows = mysql.orders.range(EventId::new(mysql.opened, 0)..);
            let rows = rows.filter(move |(_, row)| state(row.status).is_live() == wanted);
            rows.map(|(id, _)| Put::Order(*id)).collect::<Vec<_>>()
        };
        let rowless = mysql.rowless.keys().map(|id| Put::Order(*id));
        let total = mysql.count + rest.restocked;
        recovery.puts.extend(orders(false));
        recovery.puts.extend(rowless);
        recovery.puts.push_back(Put::Units { total });
        recovery.puts.extend(orders(true));
        Ok(true)
    }

    fn put(&mut self, recovery: &Recovery, put: Put) -> Result<bool, String> {
        let mysql = &self.mysql;
        let (row, rowless) = match put {
            Put::Order(id) => (
                mysql.orders.get(&id).cloned(),
                mysql.rowless.get(&id).cloned(),
            ),
            Put::Units { .. } => (None, None),
        };
        let no_row = match (put, &rowless) {
            (Put::Order(id), Some((uid, qty, status))) => Some(Reservation {
                rid: ReservationId(id),
                uid: UidRef::new(uid.as_bytes()).map_err(|error| error.to_string())?,
                qty: *qty,
                state: state(*status),
                at_ms: 0,
                hold_ms: 0,
                token: None,
                restored: true,
            }),
            _ => None,
        };
        let restored = row.as_ref().and_then(|row| {
            let order = &row.order;
            Some(Reservation {
                rid: ReservationId(order.id),
                uid: UidRef::new(order.uid.as_str().as_bytes()).ok()?,
                qty: order.qty,
                state: state(row.status),
                at_ms: order.at_ms,
                hold_ms: order
                    .deadline_ms
                    .map_or(0, |deadline| deadline - order.at_ms),
                token: order.token.as_ref().map(|token| token.as_str().as_bytes()),
                restored: true,
            })
        });
        let (count, sold) = match put {
            Put::Order(_) => (0, 0),
            Put::Units { total } => {
                let paid = self.look_at(self.official, |sale| self.paid_and_refused(sale));
                let sold = self.mysql.sale - self.mysql.live_units - paid.unwrap_or(0);
                match (u64::try_from(total), u64::try_from(sold.max(0))) {
                    (Ok(total), Ok(sold)) => (total, sold),
                    _ => return Err("recover: MySQL's books do not close".to_owned()),
                }
            }
        };
        let done = self.command(self.official, |now, sale, change, _| {
            let step = match restored.or(no_row) {
                Some(restored) => Some(Restore::Reservation(restored)),
                None => match put {
                    Put::Units { .. } => Some(Restore::Units {
                        total: count,
                        sold_before: sold,
                    }),
                    Put::Order(_) => None,
                },
            };
            sale.perform_restore(now, change, step, now).map(drop)
        })?;
        say!(self, "recover puts {put:?} back: {done:?}");
        self.goes_on(recovery, done)
    }

    /// Whether it goes on after an answer.
    fn goes_on(
        &mut self,
        recovery: &Recovery,
        done: Option<Result<(), Refusal>>,
    ) -> Result<bool, String> {
        match done {
            None => Ok(false),
            Some(Ok(())) => Ok(true),
            // Resumed by somebody, or taken over once more.
            Some(Err(Refusal::Selling)) => Ok(false),
            Some(Err(_)) if self.mysql.cursor != recovery.cursor => Ok(false),
            // Another copy has taken over, and lacks what was put back into the one before.
            Some(Err(_)) if self.epoch() != Some(recovery.head.epoch) => Ok(false),
            Some(Err(refusal)) => Err(format!("recover is refused: {refusal}")),
        }
    }

    fn epoch(&self) -> Option<u64> {
        self.look_at(self.official, |sale| sale.head().epoch)
    }

    /// Everything is put back: joins.
    fn close(&mut self, recovery: &mut Recovery) -> Result<bool, String> {
        recovery.is_filling = false;
        let cursor = recovery.cursor;
        if self.mysql.cursor != cursor || self.epoch() != Some(recovery.head.epoch) {
            return Ok(true);
        }
        match self.is_whole()? {
            Some(true) => {}
            // Units that were added after they were counted, or sold elsewhere.
            Some(false)
                if self.look_at(self.official, Sale::head) != Some(recovery.head)
                    || recovery.stock != Some(self.mysql.stock()) =>
            {
                return Ok(true);
            }
            Some(false) => {
                return Err("recover: Redis has other facts than MySQL".to_owned());
            }
            None => return Ok(false),
        }
        recovery.is_filled = true;
        if !recovery.joins {
            return Ok(true);
        }
        // No two nodes begin an epoch in one millisecond.
        self.now += 1;
        let done = self.command(self.official, |now, sale, change, _| {
            let join = [Restore::Join(cursor)];
            sale.perform_restore(now, change, join, now).map(drop)
        })?;
        say!(self, "recover joins at {cursor}: {done:?}");
        match done {
            Some(Err(_)) if self.mysql.cursor != cursor => {
                recovery.is_filled = false;
                Ok(true)
            }
            done => self.goes_on(recovery, done),
        }
    }

    /// Recounts the sale, and compares it with MySQL.
    fn is_whole(&mut self) -> Result<Option<bool>, String> {
        let Some(rest) = self.weigh()? else {
            return Ok(None);
        };
        let mysql = &self.mysql;
        Ok(self.look_at(self.official, |sale| {
            let orders = mysql.orders.len() + usize::try_from(rest.accepted).unwrap_or(0);
            let found = usize::try_from(sale.reservation_count()).unwrap_or(0);
            let taken = i64::try_from(sale.held() + sale.sold()).unwrap_or(i64::MAX);
            let total = i64::try_from(sale.total()).unwrap_or(i64::MAX);
            let beyond = self.paid_and_refused(sale) - (mysql.sale - mysql.live_units);
            sale.audit().is_ok()
                && (orders..=orders + mysql.rowless.len()).contains(&found)
                && total == mysql.count + rest.restocked
                && rest
                    .sale
                    .is_none_or(|expected| taken == expected + beyond.max(0))
        }))
    }

    /// Units of reservations that MySQL refused and that are paid for in Redis.
    fn paid_and_refused(&self, sale: &Sale) -> i64 {
        let mysql = &self.mysql;
        let refused = mysql.orders.iter();
        let refused = refused.filter(|(_, row)| row.status == Status::Refused);
        let refused = refused.map(|(id, _)| id).chain(mysql.rowless.keys());
        let found = refused.filter_map(|id| sale.reservation(ReservationId(*id)));
        let paid = found.filter(|found| found.state == ReservationState::Confirmed);
        paid.map(|found| i64::from(found.qty)).sum()
    }

    /// What the rest of the log will make of MySQL's figures, or that both exclude each other.
    fn weigh(&mut self) -> Result<Option<compare::Rest>, String> {
        let cursor = self.mysql.cursor;
        let Some((shared, rest)) = self.look_at(self.official, |sale| log(sale, cursor)) else {
            return Ok(None);
        };
        let ids: BTreeSet<EventId> = compare::orders_of(cursor, &shared, &rest);
        let orders = self.orders(ids);
        let weighed = compare::shared(&shared, &orders)
            .and_then(|()| compare::rest(cursor, self.mysql.stock(), &orders, rest));
        weighed
            .map(Some)
            .map_err(|reason| format!("recover: {reason}"))
    }

    fn orders(&self, ids: BTreeSet<EventId>) -> HashMap<EventId, Order> {
        let older = self.mysql.older(ids).into_iter();
        let orders = older.map(|(id, older)| {
            let order = Order {
                uid: older.uid.to_string(),
                qty: older.qty,
                status: older.status,
                has_row: older.has_row,
            };
            (id, order)
        });
        orders.collect()
    }
}

/// Whether it is fenced or paused.
pub(super) fn stands_still(sale: &Sale) -> bool {
    sale.is_fenced()
        || sale
            .decide_pause()
            .is_ok_and(|(_, effect)| effect.is_none())
}

fn state(status: Status) -> ReservationState {
    match status {
        Status::Held => ReservationState::Held,
        Status::Confirmed => ReservationState::Confirmed,
        Status::Cancelled | Status::Refused => ReservationState::Cancelled,
        Status::Expired => ReservationState::Expired,
    }
}

fn next_event(sale: &Sale, cursor: EventId) -> Option<Next> {
    let batch = sale.events_after(cursor, 1)?;
    let event = batch.events.first()?;
    Some(Next::new(EventId::new(batch.epoch, event.seq), &event.fact))
}

/// The log: what MySQL has of it, too, and what not.
fn log(sale: &Sale, cursor: EventId) -> (Vec<EventBatch>, Vec<EventBatch>) {
    let (mut shared, mut rest) = (Vec::new(), Vec::new());
    let mut after = sale.stored();
    while let Some(batch) = sale.events_after(after, 1000) {
        after = batch.last_id().unwrap_or(after);
        let (before, behind) = compare::split(batch, cursor);
        shared.extend(before);
        rest.extend(behind);
    }
    (shared, rest)
}

//! `recover`, by its own rules: look, do the next step, look again; cut off anywhere.

use super::World;
use crate::story::say;
use seckill_orders::compare::{self, Order};
use seckill_orders::diagnosis::{Copy, Message, Next, Seen, Step, next_step, reach};
use seckill_orders::status::Status;
use seckill_protocol::{EventBatch, EventId, ReservationId, ReservationState, UidRef};
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
    epoch: u64,
    is_filling: bool,
    joins: bool,
    waited: usize,
}

/// One fact.
#[derive(Clone, Copy, Debug)]
enum Put {
    Order(EventId),
    Units { total: u64, sold: u64 },
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
            Step::SetBack { .. } => self.gives_up(format!("recover: {step:?}")),
            Step::Create | Step::NeverBegan | Step::MysqlLost { .. } => Err(format!(
                "recover finds that it should be {step:?}: {seen:?}"
            )),
        }
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
        let epoch = self.look_at(self.official, |sale| sale.head().epoch);
        let (Some(rest), Some(epoch)) = (self.weigh()?, epoch) else {
            return Ok(false);
        };
        let mysql = &self.mysql;
        recovery.cursor = mysql.cursor;
        recovery.epoch = epoch;
        recovery.is_filling = true;
        let orders = |wanted: bool| {
            let rows = mysql.orders.range(EventId::new(mysql.opened, 0)..);
            let rows = rows.filter(move |(_, row)| state(row.status).is_live() == wanted);
            rows.map(|(id, _)| Put::Order(*id)).collect::<Vec<_>>()
        };
        let total = u64::try_from(mysql.count + rest.restocked);
        let sold = u64::try_from(mysql.sale - mysql.live_units);
        let (Ok(total), Ok(sold)) = (total, sold) else {
            return self.gives_up("recover: MySQL's books do not close".to_owned());
        };
        recovery.puts.extend(orders(false));
        recovery.puts.push_back(Put::Units { total, sold });
        recovery.puts.extend(orders(true));
        Ok(true)
    }

    fn put(&mut self, recovery: &Recovery, put: Put) -> Result<bool, String> {
        let mysql = &self.mysql;
        let row = match put {
            Put::Order(id) => mysql.orders.get(&id).cloned(),
            Put::Units { .. } => None,
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
        let done = self.command(self.official, |now, sale, change, _| {
            let units = [put];
            match restored {
                Some(restored) => sale
                    .perform_each(now, change, [restored], |sale, restored| {
                        sale.decide_restore(&restored)
                            .map(|(_, effect)| ((), effect))
                    })
                    .map(drop),
                None => sale
                    .perform_each(now, change, units, |sale, put| match put {
                        Put::Units { total, sold } => sale.decide_recount(total, sold),
                        Put::Order(_) => Ok(((), None)),
                    })
                    .map(drop),
            }
        })?;
        self.restored_is_durable()?;
        self.goes_on(recovery, done)
    }

    /// What is put back is no event, so that a copy that lost it again cannot be told from one that has
    /// it. That hole is known, and not played: the disk and the replica have it at once.
    fn restored_is_durable(&mut self) -> Result<(), String> {
        self.nodes[self.official].sync();
        while self.link.is_synced && !self.link.backlog.is_empty() {
            if !self.link.is_up || !self.nodes[1 - self.official].is_up {
                self.link.is_synced = false;
            }
            self.replicate()?;
        }
        Ok(())
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
            Some(Err(refusal)) => self.gives_up(format!("recover is refused: {refusal}")),
        }
    }

    /// Everything is put back: joins.
    fn close(&mut self, recovery: &mut Recovery) -> Result<bool, String> {
        recovery.is_filling = false;
        let cursor = recovery.cursor;
        let epoch = self.look_at(self.official, |sale| sale.head().epoch);
        if self.mysql.cursor != cursor || epoch != Some(recovery.epoch) {
            return Ok(true);
        }
        if !self.is_whole()? {
            return Ok(false);
        }
        recovery.is_filled = true;
        if !recovery.joins {
            return Ok(true);
        }
        let done = self.command(self.official, |now, sale, change, _| {
            sale.perform_each(now, change, [cursor], Sale::decide_join)
                .map(drop)
        })?;
        self.restored_is_durable()?;
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
    fn is_whole(&mut self) -> Result<bool, String> {
        let Some(rest) = self.weigh()? else {
            return Ok(false);
        };
        let mysql = &self.mysql;
        let whole = self.look_at(self.official, |sale| {
            let orders = mysql.orders.len() + usize::try_from(rest.accepted).unwrap_or(0);
            let found = usize::try_from(sale.reservation_count()).unwrap_or(0);
            let taken = i64::try_from(sale.held() + sale.sold()).unwrap_or(i64::MAX);
            let total = i64::try_from(sale.total()).unwrap_or(i64::MAX);
            sale.audit().is_ok()
                && (orders..=orders + mysql.rowless.len()).contains(&found)
                && total == mysql.count + rest.restocked
                && rest.sale.is_none_or(|expected| taken == expected)
        });
        if whole == Some(false) && self.mysql.refusals.is_empty() {
            return self.gives_up("recover: Redis has other facts than MySQL".to_owned());
        }
        Ok(whole == Some(true))
    }

    /// What the rest of the log will make of MySQL's figures, or that both exclude each other.
    fn weigh(&mut self) -> Result<Option<compare::Rest>, String> {
        let cursor = self.mysql.cursor;
        let Some((shared, rest)) = self.look_at(self.official, |sale| log(sale, cursor)) else {
            return Ok(None);
        };
        let ids: BTreeSet<EventId> = compare::orders_of(cursor, &shared, &rest);
        let older = self.mysql.older(ids);
        let orders: HashMap<EventId, Order> = older
            .into_iter()
            .map(|(id, older)| {
                let order = Order {
                    uid: older.uid.to_string(),
                    qty: older.qty,
                    status: older.status,
                    has_row: older.has_row,
                };
                (id, order)
            })
            .collect();
        let weighed = compare::shared(&shared, &orders)
            .and_then(|()| compare::rest(cursor, self.mysql.stock(), &orders, rest));
        match weighed {
            Ok(rest) => Ok(Some(rest)),
            Err(reason) => {
                self.gives_up(format!("recover: {reason}"))?;
                Ok(None)
            }
        }
    }

    /// Redis and MySQL have facts that exclude each other, and only a person can say which are
    /// right: that may be where facts were lost, and only there. Nothing is sold meanwhile.
    fn gives_up(&mut self, reason: String) -> Result<bool, String> {
        let stands = self.look_at(self.official, stands_still) != Some(false);
        if !self.oracle.has_lost_facts() || !stands {
            return Err(reason);
        }
        say!(self, "{reason}: a person has to say which is right");
        if self.is_healed {
            self.stopped = Some(reason);
        }
        Ok(false)
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

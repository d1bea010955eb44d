//! MySQL, as far as one sale needs it: rows, one lock, and transactions that are whole or nothing.

use seckill_orders::fold::{Older, Order, Outcome, Stock, Unwritable};
use seckill_orders::history::{Reason, Transition};
use seckill_orders::status::Status;
use seckill_protocol::EventId;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// An order.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) order: Order,
    pub(crate) status: Status,
}

/// The tables.
#[derive(Debug, Default)]
pub(crate) struct Mysql {
    pub(crate) cursor: EventId,
    pub(crate) count: i64,
    pub(crate) sale: i64,
    pub(crate) version: i64,
    pub(crate) orders: BTreeMap<EventId, Row>,
    /// Acceptances without an order: whose they are, and how many units.
    pub(crate) rowless: BTreeMap<EventId, (String, u32, Status)>,
    pub(crate) refusals: BTreeSet<EventId>,
    pub(crate) refunds: BTreeMap<EventId, Reason>,
    /// Steps, by the event that caused them.
    pub(crate) history: BTreeMap<EventId, (EventId, Status)>,
    /// Units that somebody else sold.
    pub(crate) elsewhere: i64,
    /// The epoch in which the sale was created.
    pub(crate) opened: u64,
    /// Whether `recover` has paused the sale.
    pub(crate) recovering: bool,
    /// Who has the lock on the cursor.
    pub(crate) lock: Option<usize>,
    /// Live units of each buyer.
    pub(crate) live: BTreeMap<Box<str>, i64>,
    pub(crate) live_units: i64,
}

// === impl Mysql ===

impl Mysql {
    pub(crate) fn stock(&self) -> Stock {
        Stock {
            count: self.count,
            sale: self.sale,
        }
    }

    pub(crate) fn older(&self, ids: BTreeSet<EventId>) -> HashMap<EventId, Older> {
        ids.into_iter()
            .filter_map(|id| Some((id, self.older_one(id)?)))
            .collect()
    }

    fn older_one(&self, id: EventId) -> Option<Older> {
        if let Some(row) = self.orders.get(&id) {
            return Some(Older {
                uid: row.order.uid.as_str().into(),
                qty: row.order.qty,
                status: row.status,
                has_row: true,
            });
        }
        let (uid, qty, status) = self.rowless.get(&id)?;
        Some(Older {
            uid: uid.as_str().into(),
            qty: *qty,
            status: *status,
            has_row: false,
        })
    }

    /// The orders that it takes no row for.
    pub(crate) fn refuses(orders: &[Order]) -> Unwritable {
        let bad = orders
            .iter()
            .filter(|order| order.uid.as_str().ends_with('!'));
        bad.map(|order| (order.id, "no".to_owned())).collect()
    }

    /// `COMMIT` of all that a batch changes.
    pub(crate) fn commit(&mut self, outcome: &Outcome, read: Stock) -> Result<(), String> {
        if outcome.cursor < self.cursor {
            return Err(format!(
                "MySQL's cursor goes back from {} to {}",
                self.cursor, outcome.cursor
            ));
        }
        for order in &outcome.orders {
            let row = Row {
                order: order.clone(),
                status: order.status,
            };
            self.count_live(&row.order, None, row.status);
            if self.orders.insert(order.id, row).is_some() || self.rowless.contains_key(&order.id) {
                return Err(format!("order {} is written twice", order.id));
            }
        }
        for (id, status) in &outcome.moves {
            self.put(*id, *status)?;
        }
        for step in &outcome.transitions {
            self.note(step)?;
        }
        self.refusals.extend(&outcome.refusals);
        for refund in &outcome.refunds {
            self.refunds.entry(refund.rid).or_insert(refund.reason);
        }
        self.cursor = outcome.cursor;
        if outcome.touches_stock(read) {
            self.count += outcome.stock.count - read.count;
            self.sale += outcome.stock.sale - read.sale;
            self.version += 1;
        }
        Ok(())
    }

    fn put(&mut self, id: EventId, status: Status) -> Result<(), String> {
        let Some(row) = self.orders.get_mut(&id) else {
            // Its history tells; there is no row to change.
            return Ok(());
        };
        let before = std::mem::replace(&mut row.status, status);
        let forward = match before {
            Status::Held => status != Status::Held,
            Status::Expired | Status::Refused => {
                matches!(status, Status::Confirmed | Status::Refused)
            }
            Status::Confirmed | Status::Cancelled => false,
        };
        if !forward {
            return Err(format!("order {id} goes from {before} to {status}"));
        }
        let order = row.order.clone();
        self.count_live(&order, Some(before), status);
        Ok(())
    }

    fn count_live(&mut self, order: &Order, before: Option<Status>, after: Status) {
        let lives = |status| i64::from(matches!(status, Status::Held | Status::Confirmed));
        let change = (lives(after) - before.map_or(0, lives)) * i64::from(order.qty);
        if change != 0 {
            self.live_units += change;
            *self.live.entry(order.uid.as_str().into()).or_default() += change;
        }
    }

    fn note(&mut self, step: &Transition) -> Result<(), String> {
        if let Some((uid, qty)) = &step.rowless {
            let row = (uid.as_str().to_owned(), *qty, step.to);
            self.rowless.insert(step.rid, row);
        }
        if self
            .history
            .insert(step.event, (step.rid, step.to))
            .is_some()
        {
            return Err(format!("two steps of orders by one event, {}", step.event));
        }
        Ok(())
    }

    /// What must be true whenever nothing is under way.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self { count, sale, .. } = *self;
        if sale < 0 || sale > count {
            return Err(format!("stock.sale is {sale} of {count}"));
        }
        let live = self.live_units + self.elsewhere;
        if sale != live {
            return Err(format!(
                "stock.sale is {sale}, but orders have {} units and {} were sold elsewhere",
                self.live_units, self.elsewhere
            ));
        }
        Ok(())
    }

    /// Whether nobody has more than he may. Where facts were lost he may: two answers were given that
    /// exclude each other.
    pub(crate) fn check_limit(&self, limit: u32) -> Result<(), String> {
        if limit > 0
            && let Some((uid, units)) = self.live.iter().find(|(_, units)| **units > limit.into())
        {
            return Err(format!(
                "{uid} has orders for {units} units, and may have {limit}"
            ));
        }
        Ok(())
    }
}

//! What a run of events means for the tables of one sale. Pure: no clock, no SQL, no I/O.
//!
//! [`fold`] walks the events in order over what MySQL has now and says what to write. Its answer
//! does not depend on how the events were cut into batches or how often they were sent: what is at
//! or before the cursor is skipped, and what does not follow it is left for later.

use crate::history::{Reason, Refund, Transition, Who};
use crate::status::Status;
use seckill_protocol::{Event, EventBatch, EventId, Fact, ReservationId, Token, Uid};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// The notes of the history.
const NO_UNITS: &str = "no units";
const TO_BE_REFUNDED: &str = "paid for and not to be had: to be refunded";

/// The figures of a stock row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock {
    /// All units.
    pub count: i64,
    /// Units that are gone.
    pub sale: i64,
}

/// An order that is in MySQL already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Older {
    /// Who buys.
    pub uid: Box<str>,
    /// Units.
    pub qty: u32,
    /// Where it stands.
    pub status: Status,
    /// Whether it has a row. MySQL may have refused it one: then only its history knows of it.
    pub has_row: bool,
}

/// What MySQL has of a sale before the events.
#[derive(Clone, Debug)]
pub struct Before {
    /// The last event that was applied.
    pub cursor: EventId,
    /// The stock row.
    pub stock: Stock,
    /// The orders that the events speak of: see [`older_orders`].
    pub older: HashMap<EventId, Older>,
    /// Acceptances for which MySQL does not take a row, whatever is tried, and why.
    pub unwritable: Unwritable,
}

/// Acceptances that MySQL takes no order for, and why.
pub type Unwritable = BTreeMap<EventId, String>;

/// An order to insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The event that granted the units; also the reservation's id.
    pub id: EventId,
    /// Who buys.
    pub uid: Uid,
    /// Units.
    pub qty: u32,
    /// Where it stands after all the events.
    pub status: Status,
    /// Until when the units are held, Unix time in milliseconds.
    pub deadline_ms: Option<u64>,
    /// What the buyer asked with.
    pub token: Option<Token>,
    /// When it was decided, Unix time in milliseconds.
    pub at_ms: u64,
}

/// What to write, and what to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The last event applied.
    pub cursor: EventId,
    /// The stock row after the events.
    pub stock: Stock,
    /// Orders to insert, oldest first.
    pub orders: Vec<Order>,
    /// Orders in MySQL that change their status.
    pub moves: BTreeMap<EventId, Status>,
    /// Reservations that MySQL has no unit, or no row, for: the module has to cancel them.
    pub refusals: Vec<EventId>,
    /// What became of orders, in the order of the events.
    pub transitions: Vec<Transition>,
    /// Payments to be refunded.
    pub refunds: Vec<Refund>,
    /// How many events took effect.
    pub applied: u64,
    /// When the earliest of them was decided, Unix time in milliseconds.
    pub earliest_ms: Option<u64>,
    /// What a person has to know.
    pub alarms: Vec<Alarm>,
    /// Why the sale stands still, if it does.
    pub halt: Option<Halt>,
}

/// Why a sale stands still until somebody mends it. Its cursor stays before the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// Events are missing between MySQL's cursor and what arrived.
    Hole {
        /// What MySQL has.
        cursor: EventId,
        /// What arrived.
        found: EventId,
    },
    /// An epoch does not begin with `opened` or `epoch`, or one of them stands elsewhere.
    Beginning {
        /// What arrived.
        found: EventId,
    },
    /// A sale began with other figures than the stock row has.
    Opened {
        /// What arrived.
        found: EventId,
        /// Units that are gone, MySQL says.
        stock_sale: i64,
        /// Units that were gone, the module said.
        opened_sold: u64,
    },
    /// A node took over with a copy that lacks events that MySQL has.
    TakenOver {
        /// What arrived.
        found: EventId,
        /// What MySQL has.
        cursor: EventId,
        /// The last event of the copy.
        previous: EventId,
    },
    /// An event speaks of an order that MySQL does not have.
    UnknownOrder {
        /// What arrived.
        found: EventId,
        /// The reservation that it speaks of.
        rid: EventId,
    },
    /// An event cannot follow what MySQL has of the order.
    Contradiction {
        /// What arrived.
        found: EventId,
        /// The reservation that it speaks of.
        rid: EventId,
        /// Where its order stands.
        status: Status,
        /// Where the event would have it stand.
        becomes: Status,
    },
    /// The database refuses what the events say.
    Database(String),
    /// There is no stock row of this id.
    NoStock,
}

/// What a person has to know although the sale goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// MySQL has no unit left for an acceptance.
    Refused {
        /// Which reservation.
        rid: EventId,
        /// Its units.
        qty: u32,
        /// What MySQL has.
        stock: Stock,
    },
    /// A buyer paid for units that MySQL does not have.
    PaidWithoutUnits {
        /// Which reservation.
        rid: EventId,
        /// Its units.
        qty: u32,
        /// What MySQL has.
        stock: Stock,
    },
    /// More units were taken away in the module than MySQL has left.
    TakenTooMany {
        /// How many.
        delta: i64,
        /// What MySQL has.
        stock: Stock,
    },
    /// MySQL takes no order for an acceptance.
    Unwritable {
        /// Which reservation.
        rid: EventId,
        /// What it says.
        reason: String,
    },
}

/// The orders in MySQL that the events speak of: the caller reads them for [`Before::older`].
pub fn older_orders(cursor: EventId, batches: &[&EventBatch]) -> BTreeSet<EventId> {
    new_events(cursor, batches)
        .filter_map(|(_, event)| match &event.fact {
            Fact::Confirmed { rid }
            | Fact::Cancelled { rid }
            | Fact::Expired { rid }
            | Fact::LatePayment { rid } => Some(rid.0),
            _ => None,
        })
        .filter(|rid| *rid <= cursor)
        .collect()
}

/// Walks the events over what MySQL has.
pub fn fold(before: &Before, batches: &[&EventBatch]) -> Outcome {
    let mut walk = Walk {
        older: &before.older,
        unwritable: &before.unwritable,
        fresh: HashMap::new(),
        rowless: HashMap::new(),
        outcome: Outcome::untouched(before.cursor, before.stock),
    };
    // The furthest event that was left aside, and why the first one was.
    let mut left_aside: Option<EventId> = None;
    let mut halt: Option<Halt> = None;
    for (id, event) in new_events(before.cursor, batches) {
        if id <= walk.outcome.cursor {
            continue;
        }
        if let Err(reason) = walk.step(id, event) {
            left_aside = left_aside.max(Some(id));
            halt.get_or_insert(reason);
        }
    }
    // What was left aside may have come again, in order, later in the same run.
    if left_aside > Some(walk.outcome.cursor) {
        walk.outcome.halt = halt;
    }
    walk.outcome
}

fn new_events<'a>(
    cursor: EventId,
    batches: &'a [&EventBatch],
) -> impl Iterator<Item = (EventId, &'a Event)> {
    batches
        .iter()
        .flat_map(|batch| {
            let id = |event: &Event| EventId::new(batch.epoch, event.seq);
            batch.events.iter().map(move |event| (id(event), event))
        })
        .filter(move |(id, _)| *id > cursor)
}

/// A fold on its way.
struct Walk<'a> {
    older: &'a HashMap<EventId, Older>,
    unwritable: &'a Unwritable,
    /// Where in `outcome.orders` an order of this run is.
    fresh: HashMap<EventId, usize>,
    /// Orders of this run that have no row.
    rowless: HashMap<EventId, Older>,
    outcome: Outcome,
}

/// An event that changes an order.
#[derive(Clone, Copy)]
struct Cause {
    id: EventId,
    at_ms: u64,
    rid: EventId,
}

// === impl Walk ===

impl Walk<'_> {
    /// Applies one event completely, or says why not and changes nothing.
    fn step(&mut self, id: EventId, event: &Event) -> Result<(), Halt> {
        let cursor = self.outcome.cursor;
        let in_epoch = id.epoch == cursor.epoch && cursor.seq.checked_add(1) == Some(id.seq);
        let begins_epoch = id.epoch > cursor.epoch && id.seq == 1;
        if !in_epoch && !begins_epoch {
            return Err(Halt::Hole { cursor, found: id });
        }
        let may_begin = matches!(event.fact, Fact::Opened { .. } | Fact::Epoch { .. });
        if may_begin != (id.seq == 1) {
            return Err(Halt::Beginning { found: id });
        }
        let cause = |rid: &ReservationId| Cause {
            id,
            at_ms: event.at,
            rid: rid.0,
        };
        match &event.fact {
            Fact::Opened { sold, .. } => self.opened(id, *sold)?,
            Fact::Epoch { previous } if *previous > cursor => {
                return Err(Halt::Hole { cursor, found: id });
            }
            Fact::Epoch { previous } if *previous < cursor => {
                return Err(Halt::TakenOver {
                    found: id,
                    cursor,
                    previous: *previous,
                });
            }
            Fact::Epoch { .. } | Fact::Closed => {}
            Fact::Accepted {
                uid,
                qty,
                deadline,
                token,
            } => self.accepted(Order {
                id,
                uid: uid.clone(),
                qty: *qty,
                status: deadline.map_or(Status::Confirmed, |_| Status::Held),
                deadline_ms: *deadline,
                token: token.clone(),
                at_ms: event.at,
            }),
            Fact::Confirmed { rid } => self.confirmed(cause(rid))?,
            Fact::Cancelled { rid } => self.released(cause(rid), Status::Cancelled)?,
            Fact::Expired { rid } => self.released(cause(rid), Status::Expired)?,
            Fact::LatePayment { rid } => self.paid_late(cause(rid))?,
            Fact::Restocked { delta } => self.restocked(*delta),
        }
        self.outcome.cursor = id;
        self.outcome.applied += 1;
        let earliest_ms = self.outcome.earliest_ms.unwrap_or(event.at);
        self.outcome.earliest_ms = Some(earliest_ms.min(event.at));
        Ok(())
    }

    /// What was sold elsewhere since the sale was made from the stock row would be sold twice.
    fn opened(&self, found: EventId, opened_sold: u64) -> Result<(), Halt> {
        let stock_sale = self.outcome.stock.sale;
        if i64::try_from(opened_sold) == Ok(stock_sale) {
            return Ok(());
        }
        Err(Halt::Opened {
            found,
            stock_sale,
            opened_sold,
        })
    }

    fn accepted(&mut self, mut order: Order) {
        let (rid, qty) = (order.id, order.qty);
        let cause = Cause {
            id: rid,
            at_ms: order.at_ms,
            rid,
        };
        if let Some(reason) = self.unwritable.get(&rid) {
            self.refuse(&order, Reason::NoOrder);
            let reason = reason.clone();
            let step = cause.step(None, Status::Refused, Who::Worker, &reason);
            self.note(Transition {
                rowless: Some((order.uid.clone(), qty)),
                ..step
            });
            let order = Older {
                uid: order.uid.as_str().into(),
                qty,
                status: Status::Refused,
                has_row: false,
            };
            self.rowless.insert(rid, order);
            self.outcome.alarms.push(Alarm::Unwritable { rid, reason });
            return;
        }
        if !self.take(qty) {
            self.refuse(&order, Reason::NoUnits);
            self.note(cause.step(None, Status::Refused, Who::Worker, NO_UNITS));
            let stock = self.outcome.stock;
            self.outcome.alarms.push(Alarm::Refused { rid, qty, stock });
            order.status = Status::Refused;
        }
        self.fresh.insert(rid, self.outcome.orders.len());
        self.outcome.orders.push(order);
    }

    /// The module has to cancel it. What it sold at once it cannot: that is paid for.
    fn refuse(&mut self, order: &Order, reason: Reason) {
        self.outcome.refusals.push(order.id);
        if order.deadline_ms.is_none() {
            self.outcome.refunds.push(Refund {
                rid: order.id,
                uid: order.uid.as_str().into(),
                qty: order.qty,
                at_ms: order.at_ms,
                reason,
            });
        }
    }

    fn confirmed(&mut self, cause: Cause) -> Result<(), Halt> {
        let order = self.order(cause)?;
        let becomes = Status::Confirmed;
        match order.status {
            Status::Held => self.put(cause, Status::Held, becomes),
            Status::Confirmed => {}
            Status::Expired | Status::Refused if !order.has_row => {
                self.refund(cause, &order, Reason::NoOrder);
                let status = order.status;
                self.note(cause.step(Some(status), status, Who::Worker, TO_BE_REFUNDED));
            }
            // The module took the units again; so does MySQL, if it has them.
            status @ (Status::Expired | Status::Refused) => {
                if self.take(order.qty) {
                    self.put(cause, status, becomes);
                } else {
                    let stock = self.outcome.stock;
                    let (rid, qty) = (cause.rid, order.qty);
                    let alarm = Alarm::PaidWithoutUnits { rid, qty, stock };
                    self.outcome.alarms.push(alarm);
                    self.refund(cause, &order, Reason::NoUnits);
                    self.set(cause.rid, Status::Refused);
                    let refused = Status::Refused;
                    self.note(cause.step(Some(status), refused, Who::Worker, TO_BE_REFUNDED));
                }
            }
            status @ Status::Cancelled => return Err(contradiction(cause, status, becomes)),
        }
        Ok(())
    }

    /// A hold that ended: `becomes` is `cancelled` or `expired`.
    fn released(&mut self, cause: Cause, becomes: Status) -> Result<(), Halt> {
        let order = self.order(cause)?;
        match order.status {
            Status::Held => {
                self.outcome.stock.sale -= i64::from(order.qty);
                self.put(cause, Status::Held, becomes);
            }
            // Never had units in MySQL, or gave them back already.
            Status::Refused | Status::Cancelled | Status::Expired => {}
            status @ Status::Confirmed => return Err(contradiction(cause, status, becomes)),
        }
        Ok(())
    }

    /// A payment that the module did not take. The order stays what it is.
    fn paid_late(&mut self, cause: Cause) -> Result<(), Halt> {
        let order = self.order(cause)?;
        match order.status {
            status @ (Status::Refused | Status::Cancelled | Status::Expired) => {
                self.refund(cause, &order, Reason::LatePayment);
                self.note(cause.step(Some(status), status, Who::Module, TO_BE_REFUNDED));
                Ok(())
            }
            status @ (Status::Held | Status::Confirmed) => {
                Err(contradiction(cause, status, Status::Refused))
            }
        }
    }

    fn note(&mut self, step: Transition) {
        self.outcome.transitions.push(step);
    }

    fn refund(&mut self, cause: Cause, order: &Older, reason: Reason) {
        self.outcome.refunds.push(Refund {
            rid: cause.rid,
            uid: order.uid.clone(),
            qty: order.qty,
            at_ms: cause.at_ms,
            reason,
        });
    }

    fn restocked(&mut self, delta: i64) {
        let Stock { count, sale } = self.outcome.stock;
        let wanted = count.saturating_add(delta);
        if wanted < sale && delta < 0 {
            let stock = self.outcome.stock;
            self.outcome
                .alarms
                .push(Alarm::TakenTooMany { delta, stock });
            self.outcome.stock.count = count.min(sale);
        } else {
            self.outcome.stock.count = wanted;
        }
    }

    /// Takes units, if MySQL has them.
    fn take(&mut self, qty: u32) -> bool {
        let Stock { count, sale } = self.outcome.stock;
        let wanted = sale.saturating_add(i64::from(qty));
        let fits = wanted <= count;
        if fits {
            self.outcome.stock.sale = wanted;
        }
        fits
    }

    /// An order of this run or of MySQL, as it stands now.
    fn order(&self, cause: Cause) -> Result<Older, Halt> {
        let (found, rid) = (cause.id, cause.rid);
        let place = self.fresh.get(&rid);
        if let Some(order) = place.and_then(|place| self.outcome.orders.get(*place)) {
            return Ok(Older {
                uid: order.uid.as_str().into(),
                qty: order.qty,
                status: order.status,
                has_row: true,
            });
        }
        let older = self.rowless.get(&rid).or_else(|| self.older.get(&rid));
        let mut order = older.ok_or(Halt::UnknownOrder { found, rid })?.clone();
        if let Some(status) = self.outcome.moves.get(&rid) {
            order.status = *status;
        }
        Ok(order)
    }

    /// A step that the module decided.
    fn put(&mut self, cause: Cause, from: Status, to: Status) {
        self.set(cause.rid, to);
        self.note(cause.step(Some(from), to, Who::Module, ""));
    }

    fn set(&mut self, rid: EventId, status: Status) {
        let fresh = self.fresh.get(&rid).copied();
        match fresh.and_then(|place| self.outcome.orders.get_mut(place)) {
            Some(order) => order.status = status,
            None => {
                self.outcome.moves.insert(rid, status);
            }
        }
    }
}

// === impl Cause ===

impl Cause {
    fn step(self, from: Option<Status>, to: Status, who: Who, note: &str) -> Transition {
        Transition {
            rid: self.rid,
            event: self.id,
            at_ms: self.at_ms,
            from,
            to,
            who,
            note: note.to_owned(),
            rowless: None,
        }
    }
}

fn contradiction(cause: Cause, status: Status, becomes: Status) -> Halt {
    Halt::Contradiction {
        found: cause.id,
        rid: cause.rid,
        status,
        becomes,
    }
}

// === impl Outcome ===

impl Outcome {
    /// Nothing applied, and nothing wrong.
    const fn untouched(cursor: EventId, stock: Stock) -> Self {
        Self {
            cursor,
            stock,
            orders: Vec::new(),
            moves: BTreeMap::new(),
            refusals: Vec::new(),
            transitions: Vec::new(),
            refunds: Vec::new(),
            applied: 0,
            earliest_ms: None,
            alarms: Vec::new(),
            halt: None,
        }
    }

    /// A sale of which nothing was applied.
    pub fn halted(cursor: EventId, halt: Halt) -> Self {
        Self {
            halt: Some(halt),
            ..Self::untouched(cursor, Stock { count: 0, sale: 0 })
        }
    }

    /// Whether anything changes that the stock row's version has to show.
    pub fn touches_stock(&self, before: Stock) -> bool {
        self.stock != before || !self.orders.is_empty() || !self.moves.is_empty()
    }
}

impl Halt {
    /// Its kind, in a word for a label.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Hole { .. } => "hole",
            Self::Beginning { .. } => "beginning",
            Self::Opened { .. } => "opened",
            Self::TakenOver { .. } => "taken_over",
            Self::UnknownOrder { .. } => "unknown_order",
            Self::Contradiction { .. } => "contradiction",
            Self::Database(_) => "database",
            Self::NoStock => "no_stock",
        }
    }
}

impl Alarm {
    /// Its kind, in a word for a label.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::PaidWithoutUnits { .. } => "paid_without_units",
            Self::TakenTooMany { .. } => "taken_too_many",
            Self::Unwritable { .. } => "unwritable",
        }
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hole { cursor, found } => write!(
                f,
                "event {found} arrived, but MySQL has the log only up to {cursor}: events are \
                 missing; SECKILL.ACK … RELAYED {} {} sends them again if the module still has them",
                cursor.epoch, cursor.seq
            ),
            Self::Beginning { found } => write!(
                f,
                "event {found} breaks the log: an epoch begins with `opened` or `epoch`, and they \
                 stand nowhere else"
            ),
            Self::Opened {
                found,
                stock_sale,
                opened_sold,
            } => write!(
                f,
                "the sale was opened at {found} with SOLD {opened_sold}, but stock.sale is \
                 {stock_sale}: make them equal, or delete the sale and warm it again"
            ),
            Self::TakenOver {
                found,
                cursor,
                previous,
            } => write!(
                f,
                "a node took over at {found} with a copy that ends at {previous}, but MySQL has \
                 the log up to {cursor}: the module knows nothing of the orders in between; \
                 `seckill-worker recover` puts them back"
            ),
            Self::UnknownOrder { found, rid } => write!(
                f,
                "event {found} speaks of reservation {rid}, which stock_order does not have"
            ),
            Self::Contradiction {
                found,
                rid,
                status,
                becomes,
            } => write!(
                f,
                "event {found} makes reservation {rid} {becomes}, but its order is {status}"
            ),
            Self::Database(error) => write!(f, "MySQL refuses the batch: {error}"),
            Self::NoStock => write!(f, "there is no stock row of this id"),
        }
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = |stock: &Stock| format!("stock.sale {} of {}", stock.sale, stock.count);
        match self {
            Self::Refused { rid, qty, stock } => write!(
                f,
                "no units for reservation {rid} of {qty} ({}): the order is refused and its \
                 reservation will be cancelled",
                figures(stock)
            ),
            Self::PaidWithoutUnits { rid, qty, stock } => write!(
                f,
                "reservation {rid} of {qty} was paid for and MySQL has no units for it ({}): its \
                 order is refused and the buyer is to be refunded",
                figures(stock)
            ),
            Self::Unwritable { rid, reason } => write!(
                f,
                "MySQL takes no order for reservation {rid}: {reason}; it is refused and will be \
                 cancelled"
            ),
            Self::TakenTooMany { delta, stock } => write!(
                f,
                "a RESTOCK of {delta} takes more than MySQL has left ({}): somebody else sold \
                 units of it; stock.count stops at stock.sale",
                figures(stock)
            ),
        }
    }
}

#[cfg(test)]
mod tests;

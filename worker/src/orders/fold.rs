//! What a run of events means for the tables of one sale. Pure: no clock, no SQL, no I/O.
//!
//! [`fold`] walks the events in order over what MySQL has now and says what to write. Its answer
//! does not depend on how the events were cut into batches or how often they were sent: what is at
//! or before the cursor is skipped, and what does not follow it is left for later.

use super::status::Status;
use seckill_protocol::{Event, EventBatch, EventId, Fact, Token, Uid};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// The figures of a stock row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stock {
    /// All units.
    pub(crate) count: i64,
    /// Units that are gone.
    pub(crate) sale: i64,
}

/// An order that is in MySQL already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Older {
    /// Units.
    pub(crate) qty: u32,
    /// Where it stands.
    pub(crate) status: Status,
}

/// What MySQL has of a sale before the events.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    /// The last event that was applied.
    pub(crate) cursor: EventId,
    /// The stock row.
    pub(crate) stock: Stock,
    /// The orders that the events speak of: see [`older_orders`].
    pub(crate) older: HashMap<EventId, Older>,
}

/// An order to insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// The event that granted the units; also the reservation's id.
    pub(crate) id: EventId,
    /// Who buys.
    pub(crate) uid: Uid,
    /// Units.
    pub(crate) qty: u32,
    /// Where it stands after all the events.
    pub(crate) status: Status,
    /// Until when the units are held, Unix time in milliseconds.
    pub(crate) deadline_ms: Option<u64>,
    /// What the buyer asked with.
    pub(crate) token: Option<Token>,
    /// When it was decided, Unix time in milliseconds.
    pub(crate) at_ms: u64,
}

/// What to write, and what to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The last event applied.
    pub(crate) cursor: EventId,
    /// The stock row after the events.
    pub(crate) stock: Stock,
    /// Orders to insert, oldest first.
    pub(crate) orders: Vec<Order>,
    /// Orders in MySQL that change their status.
    pub(crate) moves: BTreeMap<EventId, Status>,
    /// Reservations that MySQL has no unit for: the module has to cancel them.
    pub(crate) refusals: Vec<EventId>,
    /// How many events took effect.
    pub(crate) applied: u64,
    /// When the earliest of them was decided, Unix time in milliseconds.
    pub(crate) earliest_ms: Option<u64>,
    /// What a person has to know.
    pub(crate) alarms: Vec<Alarm>,
    /// Why the sale stands still, if it does.
    pub(crate) halt: Option<Halt>,
}

/// Why a sale stands still until somebody mends it. Its cursor stays before the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// Events are missing between MySQL's cursor and what arrived.
    Hole { cursor: EventId, found: EventId },
    /// An epoch does not begin with `opened` or `epoch`, or one of them stands elsewhere.
    Beginning { found: EventId },
    /// A sale began with other figures than the stock row has.
    Opened {
        found: EventId,
        stock_sale: i64,
        opened_sold: u64,
    },
    /// A node took over with a copy that lacks events that MySQL has.
    TakenOver {
        found: EventId,
        cursor: EventId,
        previous: EventId,
    },
    /// An event speaks of an order that MySQL does not have.
    UnknownOrder { found: EventId, rid: EventId },
    /// An event cannot follow what MySQL has of the order.
    Contradiction {
        found: EventId,
        rid: EventId,
        status: Status,
        becomes: Status,
    },
    /// The database refuses what the events say.
    Database(String),
    /// There is no stock row of this id.
    NoStock,
}

/// What a person has to know although the sale goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// MySQL has no unit left for an acceptance.
    Refused {
        rid: EventId,
        qty: u32,
        stock: Stock,
    },
    /// A buyer paid for units that MySQL does not have.
    PaidWithoutUnits {
        rid: EventId,
        qty: u32,
        stock: Stock,
    },
    /// More units were taken away in the module than MySQL has left.
    TakenTooMany { delta: i64, stock: Stock },
}

/// The orders in MySQL that the events speak of: the caller reads them for [`Before::older`].
pub(crate) fn older_orders(cursor: EventId, batches: &[&EventBatch]) -> BTreeSet<EventId> {
    new_events(cursor, batches)
        .filter_map(|(_, event)| match &event.fact {
            Fact::Confirmed { rid } | Fact::Cancelled { rid } | Fact::Expired { rid } => {
                Some(rid.0)
            }
            _ => None,
        })
        .filter(|rid| *rid <= cursor)
        .collect()
}

/// Walks the events over what MySQL has.
pub(crate) fn fold(before: &Before, batches: &[&EventBatch]) -> Outcome {
    let mut walk = Walk {
        older: &before.older,
        fresh: HashMap::new(),
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
    /// Where in `outcome.orders` an order of this run is.
    fresh: HashMap<EventId, usize>,
    outcome: Outcome,
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
            Fact::Confirmed { rid } => self.confirmed(id, rid.0)?,
            Fact::Cancelled { rid } => self.released(id, rid.0, Status::Cancelled)?,
            Fact::Expired { rid } => self.released(id, rid.0, Status::Expired)?,
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
        if !self.take(qty) {
            self.outcome.refusals.push(rid);
            let stock = self.outcome.stock;
            self.outcome.alarms.push(Alarm::Refused { rid, qty, stock });
            order.status = Status::Refused;
        }
        self.fresh.insert(rid, self.outcome.orders.len());
        self.outcome.orders.push(order);
    }

    fn confirmed(&mut self, found: EventId, rid: EventId) -> Result<(), Halt> {
        let Older { qty, status } = self.order(found, rid)?;
        match status {
            Status::Held => self.put(rid, Status::Confirmed),
            Status::Confirmed => {}
            // The module took the units again; so does MySQL, if it has them.
            Status::Expired | Status::Refused => {
                if self.take(qty) {
                    self.put(rid, Status::Confirmed);
                } else {
                    let stock = self.outcome.stock;
                    let alarm = Alarm::PaidWithoutUnits { rid, qty, stock };
                    self.outcome.alarms.push(alarm);
                    self.put(rid, Status::Refused);
                }
            }
            Status::Cancelled => {
                return Err(Halt::Contradiction {
                    found,
                    rid,
                    status,
                    becomes: Status::Confirmed,
                });
            }
        }
        Ok(())
    }

    /// A hold that ended: `becomes` is `cancelled` or `expired`.
    fn released(&mut self, found: EventId, rid: EventId, becomes: Status) -> Result<(), Halt> {
        let Older { qty, status } = self.order(found, rid)?;
        match status {
            Status::Held => {
                self.outcome.stock.sale -= i64::from(qty);
                self.put(rid, becomes);
            }
            // Never had units in MySQL, or gave them back already.
            Status::Refused | Status::Cancelled | Status::Expired => {}
            Status::Confirmed => {
                return Err(Halt::Contradiction {
                    found,
                    rid,
                    status,
                    becomes,
                });
            }
        }
        Ok(())
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
    fn order(&self, found: EventId, rid: EventId) -> Result<Older, Halt> {
        if let Some(order) = self
            .fresh
            .get(&rid)
            .and_then(|place| self.outcome.orders.get(*place))
        {
            let &Order { qty, status, .. } = order;
            return Ok(Older { qty, status });
        }
        let &Older { qty, status } = self
            .older
            .get(&rid)
            .ok_or(Halt::UnknownOrder { found, rid })?;
        let status = self.outcome.moves.get(&rid).copied().unwrap_or(status);
        Ok(Older { qty, status })
    }

    fn put(&mut self, rid: EventId, status: Status) {
        let fresh = self.fresh.get(&rid).copied();
        match fresh.and_then(|place| self.outcome.orders.get_mut(place)) {
            Some(order) => order.status = status,
            None => {
                self.outcome.moves.insert(rid, status);
            }
        }
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
            applied: 0,
            earliest_ms: None,
            alarms: Vec::new(),
            halt: None,
        }
    }

    /// A sale of which nothing was applied.
    pub(crate) fn halted(cursor: EventId, halt: Halt) -> Self {
        Self {
            halt: Some(halt),
            ..Self::untouched(cursor, Stock { count: 0, sale: 0 })
        }
    }

    /// Whether anything changes that the stock row's version has to show.
    pub(crate) fn touches_stock(&self, before: Stock) -> bool {
        self.stock != before || !self.orders.is_empty() || !self.moves.is_empty()
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
                 the log up to {cursor}: the module knows nothing of the orders in between; settle \
                 them, then set stock_cursor to {previous}"
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

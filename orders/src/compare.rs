//! Whether the log in Redis and the orders in MySQL can be of one sale. Pure.
//!
//! A copy that was set back and then sold on has other facts under numbers that MySQL knows. Nobody
//! but a person can say which are the right ones, so that such a sale is not touched.

use crate::fold::{Before, Older, Stock, Unwritable, fold, older_orders};
use crate::status::Status;
use seckill_protocol::{EventBatch, EventId, Fact};
use std::collections::{BTreeSet, HashMap};

/// An order of MySQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Who buys.
    pub uid: String,
    /// Units.
    pub qty: u32,
    /// Where it stands.
    pub status: Status,
    /// Whether it has a row in `stock_order`; else only its history knows of it.
    pub has_row: bool,
}

/// What the rest of the log will make of MySQL's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// Acceptances in it.
    pub accepted: u64,
    /// Units that are added, or taken away.
    pub restocked: i64,
    /// Units that are gone when MySQL has taken it all up, if there is a unit for everything.
    pub sale: Option<i64>,
}

/// What of a batch MySQL has, up to its `cursor`, and what not; where there is anything.
#[must_use]
pub fn split(mut batch: EventBatch, cursor: EventId) -> (Option<EventBatch>, Option<EventBatch>) {
    let epoch = batch.epoch;
    let at = batch
        .events
        .partition_point(|event| EventId::new(epoch, event.seq) <= cursor);
    let events = batch.events.split_off(at);
    let behind = EventBatch { epoch, events };
    let has_any = |batch: &EventBatch| !batch.events.is_empty();
    (Some(batch).filter(has_any), Some(behind).filter(has_any))
}

/// The orders that have to be known for [`shared`] and [`rest`].
pub fn orders_of(cursor: EventId, shared: &[EventBatch], rest: &[EventBatch]) -> BTreeSet<EventId> {
    let rest: Vec<&EventBatch> = rest.iter().collect();
    let mut ids = older_orders(cursor, &rest);
    ids.extend(facts(shared).filter_map(|(id, fact)| match fact {
        Fact::Accepted { .. } => Some(id),
        Fact::Confirmed { rid }
        | Fact::Cancelled { rid }
        | Fact::Expired { rid }
        | Fact::LatePayment { rid } => Some(rid.0),
        _ => None,
    }));
    ids
}

/// What of the log MySQL has too: whether it has the same.
///
/// # Errors
/// Names the first event of which MySQL has another fact.
pub fn shared(log: &[EventBatch], orders: &HashMap<EventId, Order>) -> Result<(), String> {
    for (id, fact) in facts(log) {
        let (rid, fits): (EventId, &[Status]) = match fact {
            Fact::Accepted { .. } => (id, &[]),
            Fact::Confirmed { rid } => (rid.0, &[Status::Confirmed, Status::Refused]),
            Fact::Cancelled { rid } => (rid.0, &[Status::Cancelled, Status::Refused]),
            Fact::Expired { rid } => (
                rid.0,
                &[Status::Expired, Status::Confirmed, Status::Refused],
            ),
            // From then on no payment is taken for it.
            Fact::LatePayment { rid } => (
                rid.0,
                &[Status::Expired, Status::Cancelled, Status::Refused],
            ),
            _ => continue,
        };
        let Some(order) = orders.get(&rid) else {
            return Err(format!(
                "event {id} is in Redis and MySQL has the log beyond it, but not the order {rid}"
            ));
        };
        if let Fact::Accepted { uid, qty, .. } = fact {
            if uid.as_str() != order.uid || *qty != order.qty {
                return Err(format!(
                    "reservation {id} is {qty} of {uid} in Redis, and {} of {} in MySQL",
                    order.qty, order.uid
                ));
            }
        } else if !fits.contains(&order.status) {
            return Err(format!(
                "event {id} in Redis is about the end of the reservation {rid}, and its order in \
                 MySQL is {}",
                order.status
            ));
        }
    }
    Ok(())
}

/// Of a log that ends before MySQL's cursor, although no node took over: whether MySQL has all of it.
///
/// # Errors
/// Names the first event that it does not have, or of which nobody can say whether it does.
pub fn set_back(log: &[EventBatch], orders: &HashMap<EventId, Order>) -> Result<(), String> {
    shared(log, orders)?;
    let restocked = facts(log).find(|(_, fact)| matches!(fact, Fact::Restocked { .. }));
    restocked.map_or(Ok(()), |(id, _)| {
        Err(format!(
            "event {id} in Redis adds units or takes some away, and nothing says whether MySQL has \
             it"
        ))
    })
}

/// The rest of the log, behind MySQL's cursor: whether MySQL will take it up from where it is, and
/// what comes out.
///
/// # Errors
/// Says where the order writer would stop, and why.
pub fn rest(
    cursor: EventId,
    stock: Stock,
    orders: &HashMap<EventId, Order>,
    mut log: Vec<EventBatch>,
) -> Result<Rest, String> {
    // What JOIN will make of the first event.
    if let Some(first) = log.first_mut().and_then(|batch| batch.events.first_mut())
        && matches!(first.fact, Fact::Opened { .. } | Fact::Epoch { .. })
    {
        first.fact = Fact::Epoch { previous: cursor };
    }
    let accepted = facts(&log).filter(|(_, fact)| matches!(fact, Fact::Accepted { .. }));
    let accepted = accepted.count() as u64;
    let restocked = facts(&log).fold(0_i64, |sum, (_, fact)| match fact {
        Fact::Restocked { delta } => sum.saturating_add(*delta),
        _ => sum,
    });
    let older = orders.iter().map(|(id, order)| {
        let older = Older {
            uid: order.uid.as_str().into(),
            qty: order.qty,
            status: order.status,
            has_row: order.has_row,
        };
        (*id, older)
    });
    let before = Before {
        cursor,
        stock,
        older: older.collect(),
        unwritable: Unwritable::new(),
    };
    let batches: Vec<&EventBatch> = log.iter().collect();
    let outcome = fold(&before, &batches);
    if let Some(halt) = outcome.halt {
        return Err(halt.to_string());
    }
    let fits = outcome.refusals.is_empty() && outcome.alarms.is_empty();
    Ok(Rest {
        accepted,
        restocked,
        sale: fits.then_some(outcome.stock.sale),
    })
}

fn facts(log: &[EventBatch]) -> impl Iterator<Item = (EventId, &Fact)> {
    log.iter().flat_map(|batch| {
        let id = |seq| EventId::new(batch.epoch, seq);
        batch
            .events
            .iter()
            .map(move |event| (id(event.seq), &event.fact))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use seckill_protocol::{Event, ReservationId, Uid};

    const EPOCH: u64 = 5;

    fn at(seq: u64) -> EventId {
        EventId::new(EPOCH, seq)
    }

    fn accepted(uid: &str) -> Fact {
        Fact::Accepted {
            uid: Uid::new(uid.as_bytes()).unwrap(),
            qty: 1,
            deadline: Some(9),
            token: None,
        }
    }

    fn rid(seq: u64) -> ReservationId {
        ReservationId(at(seq))
    }

    fn log(epoch: u64, first: u64, facts: Vec<Fact>) -> Vec<EventBatch> {
        let events = (first..).zip(facts);
        let events = events.map(|(seq, fact)| Event { seq, at: 1, fact });
        vec![EventBatch {
            epoch,
            events: events.collect(),
        }]
    }

    fn orders(of: &[(u64, &str, Status)]) -> HashMap<EventId, Order> {
        let order = |(seq, uid, status): &(u64, &str, Status)| {
            let order = Order {
                uid: (*uid).to_owned(),
                qty: 1,
                status: *status,
                has_row: true,
            };
            (at(*seq), order)
        };
        of.iter().map(order).collect()
    }

    #[test]
    fn the_same_facts_are_of_one_sale_whatever_came_later_in_mysql() {
        let log = log(
            EPOCH,
            2,
            vec![
                accepted("u1"),
                accepted("u2"),
                Fact::Expired { rid: rid(2) },
            ],
        );
        let mysql = orders(&[(2, "u1", Status::Confirmed), (3, "u2", Status::Refused)]);
        assert_eq!(shared(&log, &mysql), Ok(()));
        assert_eq!(orders_of(at(9), &log, &[]), BTreeSet::from([at(2), at(3)]));
    }

    #[test]
    fn other_facts_under_the_same_number_are_named() {
        let sold = log(EPOCH, 2, vec![accepted("u1")]);
        let complaint = |mysql: &[(u64, &str, Status)]| shared(&sold, &orders(mysql)).unwrap_err();
        assert!(complaint(&[(2, "u7", Status::Held)]).contains("1 of u1 in Redis, and 1 of u7"));
        assert!(complaint(&[]).contains("not the order 5-2"));
        let paid = log(EPOCH, 3, vec![Fact::Confirmed { rid: rid(2) }]);
        let complaint = shared(&paid, &orders(&[(2, "u1", Status::Cancelled)])).unwrap_err();
        assert!(complaint.contains("MySQL is cancelled"), "{complaint}");
    }

    #[test]
    fn a_log_that_was_set_back_is_mysqls_if_nothing_in_it_may_be_missing_there() {
        let sold = |fact| log(EPOCH, 2, vec![accepted("u1"), fact]);
        let mysql = orders(&[(2, "u1", Status::Confirmed)]);
        assert_eq!(set_back(&sold(Fact::Closed), &mysql), Ok(()));
        let complaint = set_back(&sold(Fact::Restocked { delta: 5 }), &mysql).unwrap_err();
        assert!(complaint.contains("event 5-3"), "{complaint}");
        let paid_late = sold(Fact::LatePayment { rid: rid(2) });
        let complaint = set_back(&paid_late, &mysql).unwrap_err();
        assert!(complaint.contains("MySQL is confirmed"), "{complaint}");
    }

    #[test]
    fn what_happened_since_the_takeover_is_tried_before_it_is_joined() {
        let stock = Stock { count: 10, sale: 2 };
        let since = || {
            log(
                EPOCH + 1,
                1,
                vec![
                    Fact::Epoch { previous: at(3) },
                    Fact::Confirmed { rid: rid(2) },
                    Fact::Restocked { delta: 5 },
                ],
            )
        };
        let held = orders(&[(2, "u1", Status::Held)]);
        assert_eq!(
            rest(at(7), stock, &held, since()),
            Ok(Rest {
                accepted: 0,
                restocked: 5,
                sale: Some(2)
            })
        );
        let cancelled = orders(&[(2, "u1", Status::Cancelled)]);
        let complaint = rest(at(7), stock, &cancelled, since()).unwrap_err();
        assert!(complaint.contains("its order is cancelled"), "{complaint}");
    }
}

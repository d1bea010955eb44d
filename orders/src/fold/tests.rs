//! The rules as tables, and the promise that cuts and repetitions change nothing.

use super::*;
use proptest::prelude::*;
use seckill_protocol::ReservationId;

const EPOCH: u64 = 1000;
const NEXT_EPOCH: u64 = 2000;

fn at(seq: u64) -> EventId {
    EventId::new(EPOCH, seq)
}

fn rid(seq: u64) -> ReservationId {
    ReservationId::new(EPOCH, seq)
}

fn opened() -> Fact {
    Fact::Opened {
        name: "Lamp".into(),
        total: 10,
        sold: 0,
    }
}

fn accepted(qty: u32) -> Fact {
    Fact::Accepted {
        uid: Uid::new(b"u7").unwrap(),
        qty,
        deadline: Some(9),
        token: None,
    }
}

fn sold(qty: u32) -> Fact {
    Fact::Accepted {
        uid: Uid::new(b"u7").unwrap(),
        qty,
        deadline: None,
        token: None,
    }
}

fn confirmed(seq: u64) -> Fact {
    Fact::Confirmed { rid: rid(seq) }
}

fn cancelled(seq: u64) -> Fact {
    Fact::Cancelled { rid: rid(seq) }
}

fn expired(seq: u64) -> Fact {
    Fact::Expired { rid: rid(seq) }
}

fn paid_late(seq: u64) -> Fact {
    Fact::LatePayment { rid: rid(seq) }
}

fn batch(epoch: u64, first_seq: u64, facts: Vec<Fact>) -> EventBatch {
    let events = (first_seq..)
        .zip(facts)
        .map(|(seq, fact)| Event { seq, at: seq, fact })
        .collect();
    EventBatch { epoch, events }
}

/// The tables of one sale, as far as the fold knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tables {
    cursor: EventId,
    stock: Stock,
    orders: BTreeMap<EventId, (u32, Status)>,
    /// Orders that MySQL has no row for.
    rowless: BTreeMap<EventId, u32>,
    refusals: BTreeSet<EventId>,
    /// By event: of which reservation, from where, to where.
    history: BTreeMap<EventId, (EventId, Option<Status>, Status)>,
    refunds: BTreeMap<EventId, Reason>,
    /// What MySQL takes no order for.
    unwritable: Unwritable,
}

impl Tables {
    fn new(count: i64) -> Self {
        Self {
            cursor: EventId::ZERO,
            stock: Stock { count, sale: 0 },
            orders: BTreeMap::new(),
            rowless: BTreeMap::new(),
            refusals: BTreeSet::new(),
            history: BTreeMap::new(),
            refunds: BTreeMap::new(),
            unwritable: Unwritable::new(),
        }
    }

    /// With event 1 applied.
    fn open(count: i64) -> Self {
        let mut tables = Self::new(count);
        tables.apply(&[&batch(EPOCH, 1, vec![opened()])]);
        tables
    }

    fn apply(&mut self, batches: &[&EventBatch]) -> Outcome {
        let older = older_orders(self.cursor, batches)
            .into_iter()
            .filter_map(|id| {
                let row = self.orders.get(&id);
                let rowless = self.rowless.get(&id);
                let &(qty, status) = row.or(rowless.map(|&qty| (qty, Status::Refused)).as_ref())?;
                let order = Older {
                    uid: "u7".into(),
                    qty,
                    status,
                    has_row: row.is_some(),
                };
                Some((id, order))
            })
            .collect();
        let before = Before {
            cursor: self.cursor,
            stock: self.stock,
            older,
            unwritable: self.unwritable.clone(),
        };
        let outcome = fold(&before, batches);
        assert!(outcome.cursor >= self.cursor);
        self.cursor = outcome.cursor;
        self.stock = outcome.stock;
        for order in &outcome.orders {
            let twice = self.orders.insert(order.id, (order.qty, order.status));
            assert_eq!(twice, None, "{} is inserted twice", order.id);
        }
        for (id, status) in &outcome.moves {
            self.orders.get_mut(id).unwrap().1 = *status;
        }
        self.refusals.extend(&outcome.refusals);
        for step in &outcome.transitions {
            let row = (step.rid, step.from, step.to);
            let twice = self.history.insert(step.event, row);
            assert_eq!(twice, None, "{} is written twice", step.event);
            if let Some((_, qty)) = &step.rowless {
                self.rowless.insert(step.rid, *qty);
            }
        }
        for refund in &outcome.refunds {
            self.refunds.entry(refund.rid).or_insert(refund.reason);
        }
        outcome
    }

    /// An order's steps lead from what its row says of the first one to where it stands.
    fn assert_history_leads_to_orders(&self, began: impl Fn(EventId) -> Status) {
        let rowless = self
            .rowless
            .iter()
            .map(|(id, qty)| (id, (*qty, Status::Refused)));
        let all = self
            .orders
            .iter()
            .map(|(id, order)| (id, *order))
            .chain(rowless);
        for (id, (_, status)) in all {
            let steps = self.history.values().filter(|(rid, ..)| rid == id);
            let mut at = None;
            for (_, from, to) in steps {
                assert_eq!(*from, at.or(from.map(|_| began(*id))), "{id}");
                at = Some(*to);
            }
            assert_eq!(at.unwrap_or_else(|| began(*id)), status, "{id}");
        }
    }

    fn live_units(&self) -> i64 {
        let live = |status| matches!(status, Status::Held | Status::Confirmed);
        let orders = self.orders.values();
        orders
            .filter(|(_, status)| live(*status))
            .map(|(qty, _)| i64::from(*qty))
            .sum()
    }
}

#[test]
fn an_order_goes_through_its_states() {
    use Status::{Cancelled, Confirmed, Expired, Held};
    let rows: [(&str, Vec<Fact>, Status, i64); 6] = [
        ("held", vec![accepted(2)], Held, 2),
        ("sold at once", vec![sold(2)], Confirmed, 2),
        ("paid", vec![accepted(2), confirmed(2)], Confirmed, 2),
        ("given up", vec![accepted(2), cancelled(2)], Cancelled, 0),
        ("not paid", vec![accepted(2), expired(2)], Expired, 0),
        (
            "paid late",
            vec![accepted(2), expired(2), confirmed(2)],
            Confirmed,
            2,
        ),
    ];
    for (name, facts, status, sale) in rows {
        let mut at_once = Tables::open(10);
        let outcome = at_once.apply(&[&batch(EPOCH, 2, facts.clone())]);
        assert_eq!(
            outcome.orders.len(),
            1,
            "{name}: inserted with its last status"
        );
        assert_eq!(outcome.moves.len(), 0, "{name}");
        assert_eq!(at_once.orders[&at(2)], (2, status), "{name}");
        assert_eq!(at_once.stock, Stock { count: 10, sale }, "{name}");

        let mut one_by_one = Tables::open(10);
        for (seq, fact) in (2..).zip(facts) {
            one_by_one.apply(&[&batch(EPOCH, seq, vec![fact])]);
        }
        assert_eq!(one_by_one, at_once, "{name}");
    }
}

#[test]
fn the_earliest_acceptances_get_the_last_units_and_the_others_are_refused() {
    let mut tables = Tables::open(5);
    let facts = vec![
        accepted(3),
        accepted(3),
        accepted(2),
        cancelled(2),
        accepted(1),
    ];
    let outcome = tables.apply(&[&batch(EPOCH, 2, facts)]);
    let statuses: Vec<Status> = outcome.orders.iter().map(|order| order.status).collect();
    use Status::{Cancelled, Held, Refused};
    assert_eq!(statuses, [Cancelled, Refused, Held, Held]);
    assert_eq!(outcome.refusals, [at(3)]);
    assert_eq!(tables.stock.sale, 3);
    assert!(matches!(
        outcome.alarms[..],
        [Alarm::Refused { qty: 3, .. }]
    ));
}

#[test]
fn what_ends_a_refused_order_in_the_module_changes_nothing() {
    for end in [cancelled(2), expired(2)] {
        let mut tables = Tables::open(1);
        tables.apply(&[&batch(EPOCH, 2, vec![accepted(2)])]);
        let before = tables.clone();
        let outcome = tables.apply(&[&batch(EPOCH, 3, vec![end])]);
        assert_eq!(tables.orders, before.orders);
        assert_eq!(tables.stock, before.stock);
        assert_eq!((outcome.halt, tables.cursor), (None, at(3)));
    }
}

#[test]
fn a_payment_that_mysql_has_no_unit_for_is_an_alarm() {
    let mut tables = Tables::open(2);
    let facts = vec![accepted(2), expired(2), sold(1)];
    tables.apply(&[&batch(EPOCH, 2, facts)]);
    let outcome = tables.apply(&[&batch(EPOCH, 5, vec![confirmed(2)])]);
    assert!(matches!(
        outcome.alarms[..],
        [Alarm::PaidWithoutUnits { qty: 2, .. }]
    ));
    assert_eq!(tables.orders[&at(2)], (2, Status::Refused));
    assert_eq!(tables.stock.sale, 1);
}

#[test]
fn each_step_of_an_order_is_kept_and_the_first_is_its_row() {
    use Status::{Confirmed, Expired, Held};
    let mut tables = Tables::open(10);
    let facts = vec![accepted(1), accepted(1), expired(2), confirmed(3)];
    let outcome = tables.apply(&[&batch(EPOCH, 2, facts)]);
    tables.apply(&[&batch(EPOCH, 6, vec![confirmed(2)])]);
    let expected = BTreeMap::from([
        (at(4), (at(2), Some(Held), Expired)),
        (at(5), (at(3), Some(Held), Confirmed)),
        (at(6), (at(2), Some(Expired), Confirmed)),
    ]);
    assert_eq!(tables.history, expected);
    let first = &outcome.transitions[0];
    assert_eq!((first.at_ms, first.who), (4, Who::Module));
}

#[test]
fn what_mysql_refuses_is_kept_as_a_first_step() {
    let mut tables = Tables::open(1);
    let outcome = tables.apply(&[&batch(EPOCH, 2, vec![accepted(2)])]);
    assert_eq!(tables.history[&at(2)], (at(2), None, Status::Refused));
    let step = &outcome.transitions[0];
    assert_eq!((step.who, &*step.note), (Who::Worker, NO_UNITS));
}

#[test]
fn payments_that_get_no_unit_are_to_be_refunded_and_each_once() {
    type Row = (&'static str, i64, Vec<Fact>, Option<Reason>, Status);
    let rows: Vec<Row> = vec![
        (
            "paid late",
            2,
            vec![accepted(2), expired(2), paid_late(2)],
            Some(Reason::LatePayment),
            Status::Expired,
        ),
        (
            "paid after it was given up",
            2,
            vec![accepted(2), cancelled(2), paid_late(2)],
            Some(Reason::LatePayment),
            Status::Cancelled,
        ),
        (
            "paid late, and MySQL has fewer units than the module",
            2,
            vec![accepted(2), expired(2), sold(1), confirmed(2)],
            Some(Reason::NoUnits),
            Status::Refused,
        ),
        (
            "refused, and paid before it could be cancelled",
            1,
            vec![accepted(2), confirmed(2)],
            Some(Reason::NoUnits),
            Status::Refused,
        ),
        (
            "refused, and paid after it was cancelled",
            1,
            vec![accepted(2), cancelled(2), paid_late(2)],
            Some(Reason::LatePayment),
            Status::Refused,
        ),
        (
            "sold at once, and refused",
            1,
            vec![sold(2)],
            Some(Reason::NoUnits),
            Status::Refused,
        ),
        (
            "refused, and not paid",
            1,
            vec![accepted(2), cancelled(2)],
            None,
            Status::Refused,
        ),
        (
            "paid late and taken",
            2,
            vec![accepted(2), expired(2), confirmed(2)],
            None,
            Status::Confirmed,
        ),
    ];
    for (name, count, facts, reason, status) in rows {
        let mut at_once = Tables::open(count);
        at_once.apply(&[&batch(EPOCH, 2, facts.clone())]);
        assert_eq!(at_once.refunds.get(&at(2)), reason.as_ref(), "{name}");
        assert_eq!(at_once.orders[&at(2)], (2, status), "{name}");
        let mut one_by_one = Tables::open(count);
        for (seq, fact) in (2..).zip(facts) {
            one_by_one.apply(&[&batch(EPOCH, seq, vec![fact])]);
        }
        assert_eq!(one_by_one, at_once, "{name}");
    }
}

#[test]
fn an_order_that_mysql_takes_no_row_for_is_refused_and_takes_no_units() {
    let mut tables = Tables::open(10);
    tables.unwritable = Unwritable::from([(at(3), "too long".to_owned())]);
    let facts = vec![accepted(1), accepted(2), accepted(3), cancelled(3)];
    let outcome = tables.apply(&[&batch(EPOCH, 2, facts)]);
    assert_eq!(outcome.halt, None);
    assert_eq!(
        tables.orders.keys().copied().collect::<Vec<_>>(),
        [at(2), at(4)]
    );
    assert_eq!(
        (tables.stock.sale, &outcome.refusals[..]),
        (4, &[at(3)][..])
    );
    let step = &outcome.transitions[0];
    assert_eq!((step.to, &*step.note), (Status::Refused, "too long"));
    let buyer = Uid::new(b"u7").unwrap();
    assert_eq!(step.rowless, Some((buyer, 2)), "nobody is forgotten");
    assert!(tables.refunds.is_empty(), "nobody has paid");

    // He pays before the module hears of it.
    for again in [confirmed(3), paid_late(3)] {
        let mut tables = Tables::open(10);
        tables.unwritable = Unwritable::from([(at(3), "too long".to_owned())]);
        tables.apply(&[&batch(EPOCH, 2, vec![accepted(1), accepted(2)])]);
        let outcome = tables.apply(&[&batch(EPOCH, 4, vec![again])]);
        assert_eq!((outcome.halt, tables.stock.sale), (None, 1));
        assert_eq!(outcome.refunds[0].qty, 2);
        assert!(tables.refunds.contains_key(&at(3)));
    }
}

#[test]
fn count_follows_restock_but_not_below_what_is_sold() {
    for (delta, count, alarms) in [(5, 15, 0), (-6, 4, 0), (-7, 4, 1), (0, 10, 0)] {
        let mut tables = Tables::open(10);
        tables.apply(&[&batch(EPOCH, 2, vec![accepted(4)])]);
        let outcome = tables.apply(&[&batch(EPOCH, 3, vec![Fact::Restocked { delta }])]);
        assert_eq!(tables.stock, Stock { count, sale: 4 }, "{delta}");
        assert_eq!(outcome.alarms.len(), alarms, "{delta}");
    }
}

#[test]
fn what_does_not_fit_halts_the_sale_before_the_event() {
    let opened_at = |sold| Fact::Opened {
        name: "Lamp".into(),
        total: 10,
        sold,
    };
    let epoch_after = |previous| Fact::Epoch { previous };
    type Row = (&'static str, EventBatch, fn(&Halt) -> bool);
    let rows: Vec<Row> = vec![
        ("a hole", batch(EPOCH, 4, vec![accepted(1)]), |halt| {
            matches!(halt, Halt::Hole { .. })
        }),
        (
            "an epoch's hole",
            batch(NEXT_EPOCH, 2, vec![accepted(1)]),
            |halt| matches!(halt, Halt::Hole { .. }),
        ),
        (
            "an epoch that begins with a sale",
            batch(NEXT_EPOCH, 1, vec![accepted(1)]),
            |halt| matches!(halt, Halt::Beginning { .. }),
        ),
        (
            "an opening in the middle",
            batch(EPOCH, 3, vec![opened_at(1)]),
            |halt| matches!(halt, Halt::Beginning { .. }),
        ),
        (
            "other figures",
            batch(NEXT_EPOCH, 1, vec![opened_at(0)]),
            |halt| {
                matches!(
                    halt,
                    Halt::Opened {
                        stock_sale: 1,
                        opened_sold: 0,
                        ..
                    }
                )
            },
        ),
        (
            "an epoch after events that are missing",
            batch(NEXT_EPOCH, 1, vec![epoch_after(at(3))]),
            |halt| matches!(halt, Halt::Hole { .. }),
        ),
        (
            "a copy that lacks events",
            batch(NEXT_EPOCH, 1, vec![epoch_after(at(1))]),
            |halt| matches!(halt, Halt::TakenOver { .. }),
        ),
        (
            "an unknown order",
            batch(EPOCH, 3, vec![confirmed(1)]),
            |halt| matches!(halt, Halt::UnknownOrder { .. }),
        ),
        (
            "a paid order that expires",
            batch(EPOCH, 3, vec![expired(2)]),
            |halt| matches!(halt, Halt::Contradiction { .. }),
        ),
    ];
    for (name, events, expected) in rows {
        let mut tables = Tables::open(10);
        tables.apply(&[&batch(EPOCH, 2, vec![sold(1)])]);
        let before = tables.clone();
        let outcome = tables.apply(&[&events]);
        assert!(
            outcome.halt.as_ref().is_some_and(expected),
            "{name}: {:?}",
            outcome.halt
        );
        assert_eq!(tables, before, "{name}");
    }
}

#[test]
fn another_epoch_goes_on_where_mysql_is() {
    let mut tables = Tables::open(10);
    tables.apply(&[&batch(EPOCH, 2, vec![accepted(1)])]);
    let took_over = Fact::Epoch { previous: at(2) };
    let outcome = tables.apply(&[&batch(NEXT_EPOCH, 1, vec![took_over, confirmed(2)])]);
    assert_eq!(outcome.halt, None);
    assert_eq!(tables.orders[&at(2)], (1, Status::Confirmed));

    let again = Fact::Opened {
        name: "Lamp".into(),
        total: 10,
        sold: 1,
    };
    let outcome = tables.apply(&[&batch(NEXT_EPOCH + 1, 1, vec![again])]);
    assert_eq!(
        outcome.halt, None,
        "the sale was made again from its stock row"
    );
}

#[test]
fn missing_events_that_come_in_the_same_run_close_the_hole() {
    let mut tables = Tables::open(10);
    let late = batch(EPOCH, 3, vec![accepted(1), accepted(1)]);
    let missing = batch(EPOCH, 2, vec![accepted(1)]);
    let outcome = tables.apply(&[&late, &missing]);
    assert!(outcome.halt.is_some(), "event 4 is still aside");
    assert_eq!(tables.cursor, at(2));
    let outcome = tables.apply(&[&late, &missing, &late]);
    assert_eq!(outcome.halt, None);
    assert_eq!(tables.cursor, at(4));
}

/// What a module may do, by dice: which, to whom, how many.
fn log_of(dice: &[(u8, usize, u32)], total: i64) -> Vec<(EventId, Event)> {
    let mut log: Vec<(EventId, Event)> = Vec::new();
    let mut last = EventId::new(EPOCH, 0);
    let mut available = total;
    let mut reservations: Vec<(ReservationId, u32, Status)> = Vec::new();
    let mut paid: BTreeSet<ReservationId> = BTreeSet::new();
    let mut push = |last: &mut EventId, fact| {
        last.seq += 1;
        let (seq, at) = (last.seq, log.len() as u64);
        log.push((*last, Event { seq, at, fact }));
    };
    let total = u64::try_from(total).unwrap();
    let name = "Lamp".into();
    push(
        &mut last,
        Fact::Opened {
            name,
            total,
            sold: 0,
        },
    );
    for &(kind, pick, qty) in dice {
        let count = reservations.len();
        let picked = reservations.get_mut(pick % count.max(1));
        match (kind % 8, picked) {
            (0..=2, _) if available >= i64::from(qty) => {
                available -= i64::from(qty);
                let held = kind % 8 != 2;
                let deadline = held.then_some(5);
                let uid = Uid::new(format!("u{pick}").as_bytes()).unwrap();
                push(
                    &mut last,
                    Fact::Accepted {
                        uid,
                        qty,
                        deadline,
                        token: None,
                    },
                );
                let status = if held {
                    Status::Held
                } else {
                    Status::Confirmed
                };
                reservations.push((ReservationId(last), qty, status));
            }
            (3, Some((rid, _, status @ Status::Held))) => {
                *status = Status::Confirmed;
                push(&mut last, Fact::Confirmed { rid: *rid });
            }
            (4, Some((rid, qty, status @ Status::Held))) => {
                *status = Status::Cancelled;
                available += i64::from(*qty);
                push(&mut last, Fact::Cancelled { rid: *rid });
            }
            (5, Some((rid, qty, status @ Status::Held))) => {
                *status = Status::Expired;
                available += i64::from(*qty);
                push(&mut last, Fact::Expired { rid: *rid });
            }
            (5, Some((rid, qty, status @ Status::Expired)))
                if available >= i64::from(*qty) && !paid.contains(rid) =>
            {
                *status = Status::Confirmed;
                available -= i64::from(*qty);
                push(&mut last, Fact::Confirmed { rid: *rid });
            }
            (4 | 5, Some((rid, _, Status::Cancelled | Status::Expired))) if paid.insert(*rid) => {
                push(&mut last, Fact::LatePayment { rid: *rid });
            }
            (6, _) => {
                let delta = i64::from(qty) - 2;
                if available + delta >= 0 {
                    available += delta;
                    push(&mut last, Fact::Restocked { delta });
                }
            }
            (7, _) if qty == 3 => {
                let previous = last;
                last = EventId::new(last.epoch + 1, 0);
                push(&mut last, Fact::Epoch { previous });
            }
            _ => {}
        }
    }
    log
}

/// A part of the log as the relay hands it over: a batch is of one epoch.
fn batches(part: &[(EventId, Event)]) -> Vec<EventBatch> {
    part.chunk_by(|(a, _), (b, _)| a.epoch == b.epoch)
        .map(|run| EventBatch {
            epoch: run[0].0.epoch,
            events: run.iter().map(|(_, event)| event.clone()).collect(),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever parts arrive, in whatever order and however often: when all of the log has arrived
    /// in order, the tables are those of applying it event by event.
    #[test]
    fn cuts_repetitions_and_holes_change_nothing(
        dice in prop::collection::vec((any::<u8>(), 0_usize..40, 1_u32..4), 0..120),
        // MySQL may have fewer units than the module: then some are refused.
        count in 0_i64..40,
        parts in prop::collection::vec((0_usize..120, 1_usize..30, 1_usize..4), 0..12),
        cuts in prop::collection::vec(1_usize..20, 1..12),
        // And it may take no row for some.
        poison in prop::collection::vec(0_usize..120, 0..3),
    ) {
        let log = log_of(&dice, 30);
        let ids = poison.iter().filter_map(|n| Some((log.get(*n)?.0, "no".to_owned())));
        let unwritable: Unwritable = ids.collect();
        let mut expected = Tables::new(count);
        expected.unwritable = unwritable.clone();
        for event in &log {
            let one = batches(std::slice::from_ref(event));
            let outcome = expected.apply(&one.iter().collect::<Vec<_>>());
            prop_assert_eq!(outcome.halt, None);
            prop_assert_eq!(expected.live_units(), expected.stock.sale);
            prop_assert!(expected.stock.sale <= expected.stock.count.max(0));
        }

        expected.assert_history_leads_to_orders(|id| {
            let accepted = &log.iter().find(|(found, _)| *found == id).unwrap().1.fact;
            match accepted {
                Fact::Accepted { deadline: None, .. } => Status::Confirmed,
                _ => Status::Held,
            }
        });
        let mut tables = Tables::new(count);
        tables.unwritable = unwritable;
        for (start, length, times) in parts {
            let start = start.min(log.len());
            let end = (start + length).min(log.len());
            let part = batches(&log[start..end]);
            let run: Vec<&EventBatch> = part.iter().cycle().take(part.len() * times).collect();
            tables.apply(&run);
            prop_assert_eq!(tables.live_units(), tables.stock.sale);
        }
        let mut rest = &log[..];
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (part, left) = rest.split_at(cut.min(rest.len()));
            tables.apply(&batches(part).iter().collect::<Vec<_>>());
            rest = left;
        }
        prop_assert_eq!(tables, expected);
    }
}

//! Effects that do not fit the copy that they reach: refused whole, with nothing changed.

use crate::common::{EPOCH, Node, bytes, uid};
use seckill_protocol::{EventId, ReservationId, ReservationState};
use seckill_sale::{ApplyError, Effect, Options, Reservation};

/// The latest epoch that a sale may have.
const EPOCH_MAX: u64 = i64::MAX as u64;

/// Applies an effect that has to be refused.
fn refused(node: &mut Node, effect: &Effect<'_>) -> ApplyError {
    let before = bytes(&node.sale);
    let error = node.sale.apply(effect).expect_err("it does not fit");
    assert_eq!(bytes(&node.sale), before, "{effect:?}: {error}");
    error
}

fn order(rid: ReservationId, buyer: &str, qty: u32) -> Reservation<'_> {
    Reservation {
        rid,
        uid: uid(buyer),
        qty,
        state: ReservationState::Confirmed,
        at_ms: EPOCH,
        hold_ms: 900_000,
        token: None,
        restored: true,
    }
}

#[test]
fn an_epoch_begins_above_the_one_before_and_not_above_what_a_reply_holds() {
    let mut node = Node::open(5, Options::default());
    let took_over = |epoch| Effect::TookOver {
        epoch,
        at_ms: EPOCH,
        fenced: false,
    };
    for epoch in [EPOCH, EPOCH_MAX + 1] {
        let error = refused(&mut node, &took_over(epoch));
        assert_eq!(error, ApplyError::BadEffect("tookover.epoch"));
    }
    node.sale.apply(&took_over(EPOCH_MAX)).unwrap();
    assert_eq!(node.sale.head(), EventId::new(EPOCH_MAX, 1));
}

#[test]
fn what_is_put_back_is_who_and_what_it_was_and_no_later_than_the_last_event() {
    let mut node = Node::open(5, Options::default());
    let rid = node.accepted(EPOCH, "u1");
    let beyond = ReservationId::new(EPOCH, 3);
    for (order, part) in [
        (order(rid, "u2", 1), "restored"),
        (order(rid, "u1", 2), "restored"),
        (order(beyond, "u2", 1), "restored.rid"),
    ] {
        let error = refused(&mut node, &Effect::Restored(order));
        assert_eq!(error, ApplyError::BadEffect(part));
    }
    node.perform(EPOCH, |s, _| s.decide_restock(EPOCH, 1))
        .unwrap();
    let last = ReservationId(node.sale.head());
    assert_eq!(last, beyond);
    let put_back = Effect::Restored(order(last, "u2", 1));
    node.sale.apply(&put_back).unwrap();
    assert_eq!((node.sale.sold(), node.sale.held()), (1, 1));
}

#[test]
fn units_that_were_sold_elsewhere_are_counted_once_however_often_it_is_said() {
    let mut node = Node::open(5, Options::default());
    node.accepted(EPOCH, "u1");
    let recounted = |total, sold_before| Effect::Recounted { total, sold_before };
    for (total, sold_before) in [(6, 2), (9, 4), (5, 1)] {
        node.sale.apply(&recounted(total, sold_before)).unwrap();
        let figures = node.sale.audit().unwrap();
        assert_eq!((figures.sold, figures.held), (sold_before, 1));
        assert_eq!(figures.available, total - sold_before - 1);
        assert_eq!(node.sale.sold_before(), sold_before);
    }
    let error = refused(&mut node, &recounted(5, 5));
    assert!(matches!(error, ApplyError::Units(_)));
}

#[test]
fn events_get_other_numbers_only_in_a_later_epoch_and_only_where_nobody_was_told_theirs() {
    let place = EventId::new(EPOCH - 1, 7);
    let rebased = |previous, epoch| Effect::Rebased {
        previous,
        epoch,
        at_ms: EPOCH,
    };
    let is_refused = |node: &mut Node, previous, epoch| {
        let error = refused(node, &rebased(previous, epoch));
        assert_eq!(error, ApplyError::BadEffect("rebased"));
    };

    let mut node = Node::open(5, Options::default());
    for epoch in [EPOCH - 1, EPOCH, EPOCH_MAX + 1] {
        is_refused(&mut node, place, epoch);
    }
    let no_joint = node.sale.head();
    is_refused(&mut node, no_joint, EPOCH + 1);
    node.sale.apply(&rebased(place, EPOCH_MAX)).unwrap();
    assert_eq!(node.sale.head(), EventId::new(EPOCH_MAX, 1));

    let mut node = Node::open(5, Options::default());
    node.accepted(EPOCH, "u1");
    is_refused(&mut node, place, EPOCH + 1);
}

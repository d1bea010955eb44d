//! What is read off a sale, by `SECKILL.INFO`, by an operator and by the worker.

use crate::common::{EPOCH, Node, uid};
use seckill_protocol::{EventId, ReservationId};
use seckill_sale::{Cursor, Options, Phase};

#[test]
fn a_phase_is_what_stops_the_sale_first() {
    let options = Options {
        start_ms: EPOCH + 10,
        end_ms: EPOCH + 20,
        ..Options::default()
    };
    let mut node = Node::open(1, options);
    let phases = |node: &Node| [0, 9, 10, 19, 20].map(|at| node.sale.phase(EPOCH + at).as_str());
    assert_eq!(
        phases(&node),
        ["waiting", "waiting", "open", "open", "ended"]
    );
    let rid = node.accepted(EPOCH + 10, "u1");
    assert_eq!(
        phases(&node),
        ["waiting", "waiting", "soldout", "soldout", "ended"]
    );
    node.perform(EPOCH + 10, |s, _| s.decide_cancel(EPOCH + 10, rid))
        .unwrap();
    node.perform(EPOCH + 10, |s, _| s.decide_pause()).unwrap();
    assert_eq!(phases(&node), ["paused"; 5]);
    node.take_over(EPOCH + 11, EPOCH + 11, true);
    assert_eq!(phases(&node), ["fenced"; 5]);
    node.perform(EPOCH + 11, |s, _| s.decide_close(EPOCH + 11))
        .unwrap();
    assert_eq!(phases(&node), ["closed"; 5]);
    assert_eq!(node.sale.phase(0), Phase::Closed);
}

#[test]
fn what_mysql_does_not_have_is_counted_and_has_an_age() {
    let mut node = Node::open(9, Options::default());
    let figures = |node: &Node| {
        let sale = &node.sale;
        (
            sale.acceptances_pending(),
            sale.first_unordered_ms(),
            sale.first_event_ms_after(sale.stored()),
        )
    };
    assert_eq!(figures(&node), (0, None, Some(EPOCH)));
    let [first, second] =
        [(5, "u1"), (7, "u2")].map(|(after_ms, buyer)| node.accepted(EPOCH + after_ms, buyer));
    assert_eq!(figures(&node), (2, Some(EPOCH + 5), Some(EPOCH)));
    assert_eq!(node.sale.first_event_ms_after(first.0), Some(EPOCH + 7));

    for (stored, expected) in [
        (1, (2, Some(EPOCH + 5), Some(EPOCH + 5))),
        (2, (1, Some(EPOCH + 7), Some(EPOCH + 7))),
        (3, (0, None, None)),
    ] {
        node.perform(EPOCH + 9, |s, _| {
            s.decide_ack(Cursor::Stored, EventId::new(EPOCH, stored))
        })
        .unwrap();
        assert_eq!(figures(&node), expected, "MySQL has {stored}");
        let has = |rid: ReservationId| node.sale.is_stored(rid);
        assert_eq!([first, second].map(has), [stored >= 2, stored >= 3]);
    }
    // What was before the place where MySQL is, is not kept.
    assert_eq!(node.sale.first_event_ms_after(EventId::ZERO), None);
}

#[test]
fn reservations_are_listed_as_they_came_and_of_a_buyer_latest_first() {
    let options = Options {
        limit: 0,
        ..Options::default()
    };
    let mut node = Node::open(9, options);
    let bought = ["u1", "u2", "u1"].map(|buyer| node.accepted(EPOCH, buyer));
    assert_eq!(node.sale.reservation_count(), 3);
    let from = |first| {
        let reservations = node.sale.reservations_from(first);
        reservations.map(|one| one.rid).collect::<Vec<_>>()
    };
    assert_eq!(from(0), bought);
    assert_eq!(from(2), bought[2..]);
    assert_eq!(from(3), []);
    let of = |buyer| {
        let reservations = node.sale.reservations_of(uid(buyer));
        reservations.map(|one| one.rid).collect::<Vec<_>>()
    };
    assert_eq!(of("u1"), [bought[2], bought[0]]);
    assert_eq!(of("u2"), [bought[1]]);
    assert_eq!(of("u3"), []);
}

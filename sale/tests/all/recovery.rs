//! Putting back what MySQL has: a copy that lost its last facts, or all of them, becomes the sale that
//! it should be.

use crate::common::{EPOCH, Node, apply, bytes, created, uid};
use crate::replay::{call, options, run};
use proptest::prelude::*;
use seckill_protocol::{EventId, Fact, ReservationId, ReservationState, Verdict};
use seckill_sale::decide::IfLate;
use seckill_sale::restore::Step;
use seckill_sale::{Cursor, Options, Put, Refusal, Reservation, Sale, Soft};

/// A node that has only the first `kept` changes of another, and takes over with them.
fn survivor(node: &Node, kept: usize, now_ms: u64) -> Node {
    let mut copy = created(&node.payloads[0], 5);
    for payload in &node.payloads[1..kept] {
        apply(&mut copy, payload).unwrap();
    }
    let mut survivor = Node {
        sale: copy,
        soft: Soft::new(),
        payloads: node.payloads[..kept].to_vec(),
    };
    let epoch = node.sale.head().epoch + 1;
    survivor.take_over(now_ms, epoch, true);
    survivor
}

/// Every reservation of a sale, found by the ids of its events.
fn reservations(sale: &Sale) -> Vec<Reservation<'_>> {
    let mut found: Vec<_> = (0..12)
        .flat_map(|n| sale.reservations_of(uid(BUYERS[n])))
        .collect();
    found.sort_by_key(|reservation| reservation.rid);
    found
}

const BUYERS: [&str; 12] = [
    "u0", "u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8", "u9", "u10", "u11",
];

fn restore(node: &mut Node, now_ms: u64, reservation: &Reservation<'_>) -> Result<Put, Refusal> {
    node.perform(now_ms, |s, _| s.decide_restore(reservation))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_copy_that_lost_its_last_facts_becomes_what_mysql_has(
        total in 0..20_u64,
        options in options(),
        calls in prop::collection::vec(call(), 0..60),
        kept in any::<prop::sample::Index>(),
    ) {
        let full = run(total, options, calls);
        let now_ms = EPOCH + 100_000;
        let kept = 1 + kept.index(full.payloads.len());
        let mut copy = survivor(&full, kept, now_ms);
        // Put back the units first, then the reservations, in any order of their ids.
        let sold_before = 0;
        let mut pending: Vec<_> = reservations(&full.sale);
        let counted = |s: &Sale, _: &mut Soft| {
            s.decide_recount(full.sale.total().max(s.held() + s.sold()), sold_before)
        };
        copy.perform(now_ms, counted).unwrap();
        // What the copy still counts as live may be gone in MySQL: those that end go first.
        pending.sort_by_key(|r| r.state.is_live());
        for reservation in &pending {
            let put = restore(&mut copy, now_ms, reservation);
            let here = copy.sale.reservation(reservation.rid);
            match (put, here) {
                (Ok(_), Some(here)) => prop_assert_eq!(here.state, reservation.state),
                (put, here) => prop_assert!(false, "{put:?} {here:?}"),
            }
            prop_assert_eq!(restore(&mut copy, now_ms, reservation), Ok(Put::Known));
        }
        copy.sale.audit().unwrap();
        let previous = full.sale.head();
        if kept < full.payloads.len() && copy.sale.stored() <= previous {
            copy.perform(now_ms, |s, _| s.decide_join(now_ms, previous, now_ms)).unwrap();
            copy.sale.audit().unwrap();
            prop_assert_eq!(copy.sale.stored(), previous);
            let first = copy.sale.events_after(previous, 1).unwrap();
            prop_assert_eq!(&first.events[0].fact, &Fact::Epoch { previous });
            prop_assert_eq!(first.events[0].seq, 1);
        }
        let replica = copy.replica();
        prop_assert_eq!(bytes(&replica), bytes(&copy.sale), "a replica follows");
        let loaded = crate::common::reloaded(&copy.sale);
        prop_assert_eq!(bytes(&loaded), bytes(&copy.sale), "it is saved and loaded");
        loaded.audit().unwrap();
    }
}

/// A sale that a Redis which lost everything begins with.
fn begun_again(total: u64) -> Node {
    let mut node = Node::open(total, Options::default());
    node.perform(EPOCH, |s, _| s.decide_pause()).unwrap();
    node
}

const LOST_EPOCH: u64 = EPOCH - 1_000_000;

fn order(seq: u64, buyer: &str, state: ReservationState) -> Reservation<'_> {
    Reservation {
        rid: ReservationId::new(LOST_EPOCH, seq),
        uid: uid(buyer),
        qty: 1,
        state,
        at_ms: LOST_EPOCH,
        hold_ms: 1_500_000,
        token: Some(b"t"),
        restored: true,
    }
}

#[test]
fn a_redis_that_lost_everything_is_filled_from_mysql() {
    let mut node = begun_again(0);
    node.perform(EPOCH, |s, _| s.decide_recount(5, 1)).unwrap();
    for (seq, buyer, state) in [
        (2, "u1", ReservationState::Confirmed),
        (3, "u2", ReservationState::Held),
        (4, "u3", ReservationState::Cancelled),
    ] {
        assert_eq!(
            restore(&mut node, EPOCH, &order(seq, buyer, state)),
            Ok(Put::Added)
        );
    }
    let place = EventId::new(LOST_EPOCH, 7);
    node.perform(EPOCH, |s, _| s.decide_join(EPOCH, place, EPOCH))
        .unwrap();
    let figures = node.sale.audit().unwrap();
    assert_eq!(
        (figures.total, figures.available, figures.held, figures.sold),
        (5, 2, 1, 2)
    );
    assert!(node.sale.is_fenced());

    let log = node.sale.events_after(EventId::ZERO, 10).unwrap();
    assert_eq!(log.events.len(), 1, "what MySQL has is in no log");
    assert_eq!(log.events[0].fact, Fact::Epoch { previous: place });

    // The buyer who lost his answer asks again, with the token that he had.
    assert_eq!(
        node.ask(EPOCH, "u2", 1, Some("t")),
        Ok(Verdict::Duplicate(ReservationId::new(LOST_EPOCH, 3)))
    );
    // MySQL takes up the epoch, the fence falls, and the operator goes on.
    let epoch = node.sale.head();
    assert!(!is_fenced_with(&mut node, EPOCH, epoch));
    assert_eq!(node.buy(EPOCH, "u9"), Verdict::Paused);
    node.perform(EPOCH, |s, _| s.decide_resume()).unwrap();
    assert_eq!(
        node.buy(EPOCH, "u1"),
        Verdict::Duplicate(ReservationId::new(LOST_EPOCH, 2))
    );
    node.accepted(EPOCH, "u9");
    // A restored hold lapses like any other, and its end is an event.
    let lapsed = LOST_EPOCH + 1_500_000;
    node.buy(lapsed, "u8");
    let sold = EventId::new(epoch.epoch, 2);
    let log = node.sale.events_after(sold, 10).unwrap();
    let rid = ReservationId::new(LOST_EPOCH, 3);
    assert_eq!(log.events[0].fact, Fact::Expired { rid });
    node.sale.audit().unwrap();
}

#[test]
fn facts_are_put_back_only_while_nothing_is_sold_and_only_if_they_fit() {
    let mut node = Node::open(2, Options::default());
    let held = node.accepted(EPOCH, "u1");
    let known = |state| Reservation {
        rid: held,
        ..order(0, "u1", state)
    };
    assert_eq!(
        restore(&mut node, EPOCH, &known(ReservationState::Confirmed)),
        Err(Refusal::Selling)
    );
    node.perform(EPOCH, |s, _| s.decide_pause()).unwrap();
    let beyond = ReservationId::new(EPOCH, 9);
    let cases = [
        (
            Reservation {
                rid: beyond,
                ..order(0, "u9", ReservationState::Held)
            },
            Refusal::RestoreBeyondHead {
                rid: beyond,
                head: node.sale.head(),
            },
        ),
        (
            Reservation {
                uid: uid("u2"),
                ..known(ReservationState::Held)
            },
            Refusal::RestoreOther(held),
        ),
        (
            Reservation {
                qty: 2,
                ..order(1, "u9", ReservationState::Held)
            },
            Refusal::RestoreUnits { available: 1 },
        ),
    ];
    for (restored, refusal) in cases {
        assert_eq!(restore(&mut node, EPOCH, &restored), Err(refusal));
    }
    assert_eq!(
        node.perform(EPOCH, |s, _| s.decide_recount(3, 3)),
        Err(Refusal::RestoreTotal {
            total: 3,
            sold_before: 3,
            taken: 1
        })
    );
    // A state goes forward only.
    let confirmed = known(ReservationState::Confirmed);
    assert_eq!(restore(&mut node, EPOCH, &confirmed), Ok(Put::Moved));
    for state in [ReservationState::Held, ReservationState::Cancelled] {
        assert_eq!(restore(&mut node, EPOCH, &known(state)), Ok(Put::Known));
    }
    assert_eq!((node.sale.sold(), node.sale.held()), (1, 0));
    node.sale.audit().unwrap();
}

#[test]
fn what_lapsed_here_and_is_paid_for_in_mysql_takes_its_units_again() {
    let mut node = Node::open(1, Options::default());
    let gone = node.accepted(EPOCH, "u1");
    let lapsed = EPOCH + Options::default().hold_ms;
    let held = node.accepted(lapsed, "u2");
    node.perform(lapsed, |s, _| s.decide_pause()).unwrap();
    let paid = Reservation {
        rid: gone,
        ..order(0, "u1", ReservationState::Confirmed)
    };
    assert_eq!(
        restore(&mut node, lapsed, &paid),
        Err(Refusal::RestoreUnits { available: 0 })
    );
    node.perform(lapsed, |s, _| s.decide_cancel(lapsed, held))
        .unwrap();
    assert_eq!(restore(&mut node, lapsed, &paid), Ok(Put::Moved));
    assert_eq!((node.sale.sold(), node.sale.available()), (1, 0));
    node.sale.audit().unwrap();
}

#[test]
fn the_first_step_that_is_refused_ends_a_restore_and_what_came_before_stays() {
    let mut node = begun_again(0);
    let units = |total| Step::Units {
        total,
        sold_before: 0,
    };
    let held = Step::Reservation(order(2, "u1", ReservationState::Held));
    let steps = [units(1), held, held, units(2)];
    let done = node.restore(EPOCH, steps, EPOCH + 1);
    assert_eq!(
        done,
        Ok(vec![None, Some(Put::Added), Some(Put::Known), None])
    );
    let steps = [units(3), units(0), units(4)];
    let done = node.restore(EPOCH, steps, EPOCH + 1);
    let refusal = Refusal::RestoreTotal {
        total: 0,
        sold_before: 0,
        taken: 1,
    };
    assert_eq!(done, Err(refusal));
    assert_eq!(node.sale.total(), 3);
    // An epoch that MySQL has more of than is known here.
    let later = [Step::Epoch(EPOCH + 7)];
    node.restore(EPOCH, later, EPOCH + 1).unwrap();
    assert_eq!(node.sale.head(), EventId::new(EPOCH + 8, 1));
}

#[test]
fn a_sale_is_joined_only_where_mysql_has_lost_nothing_of_it() {
    let mut node = Node::open(5, Options::default());
    for buyer in ["u1", "u2", "u3"] {
        node.accepted(EPOCH, buyer);
    }
    let mut copy = survivor(&node, 4, EPOCH);
    // MySQL has less than the copy: it reads on, and joining would take events away from it.
    let behind = EventId::new(EPOCH, 2);
    let refused = copy.perform(EPOCH, |s, _| s.decide_join(EPOCH, behind, EPOCH));
    assert_eq!(
        refused,
        Err(Refusal::NoJoint {
            previous: behind,
            next: EventId::new(EPOCH, 3)
        })
    );
    let beyond = EventId::new(EPOCH + 1, 9);
    assert!(
        copy.perform(EPOCH, |s, _| s.decide_join(EPOCH, beyond, EPOCH))
            .is_err()
    );
    // MySQL has more.
    let ahead = EventId::new(EPOCH, 60);
    copy.perform(EPOCH, |s, _| s.decide_join(EPOCH, ahead, EPOCH))
        .unwrap();
    copy.sale.audit().unwrap();
    // Twice is like once.
    copy.perform(EPOCH, |s, _| s.decide_join(EPOCH, ahead, EPOCH))
        .unwrap();
    // An older place would have MySQL forget what it has.
    let older = EventId::new(EPOCH, 59);
    let taken_up = copy.sale.head();
    assert_eq!(
        copy.perform(EPOCH, |s, _| s.decide_join(EPOCH, older, EPOCH)),
        Err(Refusal::NoJoint {
            previous: older,
            next: taken_up
        })
    );
    assert!(!is_fenced_with(&mut copy, EPOCH, taken_up));
    copy.perform(EPOCH, |s, _| s.decide_pause()).unwrap();
    assert!(
        copy.perform(EPOCH, |s, _| s.decide_join(EPOCH, ahead, EPOCH))
            .is_err()
    );
}

#[test]
fn a_payment_that_is_to_be_refunded_is_not_taken_after_a_recovery_either() {
    let mut node = begun_again(5);
    for (seq, buyer, state) in [
        (2, "u2", ReservationState::Expired),
        (3, "u3", ReservationState::Cancelled),
        (4, "u4", ReservationState::Confirmed),
        (5, "u5", ReservationState::Expired),
    ] {
        restore(&mut node, EPOCH, &order(seq, buyer, state)).unwrap();
    }
    let rid = |seq| ReservationId::new(LOST_EPOCH, seq);
    let refund = |node: &mut Node, seq| {
        let before = bytes(&node.sale);
        node.perform(EPOCH, |s, _| s.decide_restore_refund(rid(seq)))
            .map(|()| bytes(&node.sale) != before)
    };
    assert_eq!(refund(&mut node, 2), Ok(true));
    assert_eq!(refund(&mut node, 2), Ok(false), "twice is like once");
    assert_eq!(refund(&mut node, 3), Ok(true));
    assert_eq!(refund(&mut node, 4), Ok(false), "what is sold is paid for");
    assert_eq!(refund(&mut node, 9), Err(Refusal::NoReservation));
    node.perform(EPOCH, |s, _| s.decide_resume()).unwrap();
    assert_eq!(refund(&mut node, 5), Err(Refusal::Selling));
    node.sale.audit().unwrap();
    assert_eq!(bytes(&node.replica()), bytes(&node.sale));

    let mut node = Node {
        sale: crate::common::reloaded(&node.sale),
        ..node
    };
    let head = node.sale.head();
    let gone = |state| Err(Refusal::Gone(state));
    for if_late in [IfLate::Take, IfLate::Refund] {
        let (expired, cancelled) = (ReservationState::Expired, ReservationState::Cancelled);
        assert_eq!(node.confirm(EPOCH, rid(2), if_late), gone(expired));
        assert_eq!(node.confirm(EPOCH, rid(3), if_late), gone(cancelled));
    }
    assert_eq!(node.sale.head(), head, "MySQL knows of the refunds");
    assert_eq!(node.confirm(EPOCH, rid(5), IfLate::Take), Ok(()));
}

/// Joins as the module does it.
fn join(node: &mut Node, now_ms: u64, previous: EventId, epoch: u64) {
    node.restore(now_ms, [Step::Join(previous)], epoch).unwrap();
}

fn facts(sale: &Sale, after: EventId) -> (u64, Vec<Fact>) {
    let batch = sale.events_after(after, 9).unwrap();
    let facts = batch.events.into_iter().map(|event| event.fact);
    (batch.epoch, facts.collect())
}

fn is_fenced_with(node: &mut Node, now_ms: u64, stored: EventId) -> bool {
    node.perform(now_ms, |s, _| s.decide_ack(Cursor::Stored, stored))
        .unwrap();
    node.sale.is_fenced()
}

/// What a copy has that lost what was put back is no part of the log that MySQL takes up.
#[test]
fn what_happened_since_a_takeover_gets_other_numbers_when_it_is_joined() {
    let mut node = Node::open(5, Options::default());
    node.accepted(EPOCH, "u1");
    let previous = node.sale.head();
    let mut copy = survivor(&node, 1, EPOCH + 5);
    copy.perform(EPOCH + 6, |s, _| s.decide_restock(EPOCH + 6, 2))
        .unwrap();
    copy.take_over(EPOCH + 7, EPOCH + 7, true);
    copy.perform(EPOCH + 8, |s, _| s.decide_close(EPOCH + 8))
        .unwrap();
    let lost = copy.sale.head();
    // A clock that was set back gives no epoch that was there already.
    join(&mut copy, EPOCH + 9, previous, EPOCH);
    let epoch = EPOCH + 8;
    let since = vec![
        Fact::Epoch { previous },
        Fact::Restocked { delta: 2 },
        Fact::Closed,
    ];
    assert_eq!(facts(&copy.sale, previous), (epoch, since));
    assert_eq!(copy.sale.events_pending(), 3);
    assert!(copy.sale.head() > lost && copy.sale.relayed() == previous);
    copy.sale.audit().unwrap();
    assert_eq!(bytes(&copy.replica()), bytes(&copy.sale));
    assert!(!is_fenced_with(
        &mut copy,
        EPOCH + 9,
        EventId::new(epoch, 1)
    ));
}

/// A person has lifted the fence of a copy that lacks something, and it has sold since.
#[test]
fn what_was_granted_since_keeps_its_number_and_an_epoch_follows() {
    let mut node = Node::open(5, Options::default());
    node.accepted(EPOCH, "u1");
    let previous = node.sale.head();
    let mut copy = survivor(&node, 1, EPOCH + 5);
    copy.perform(EPOCH + 6, |s, _| s.decide_resume()).unwrap();
    let rid = copy.accepted(EPOCH + 6, "u2");
    copy.perform(EPOCH + 7, |s, _| s.decide_pause()).unwrap();
    let lost = copy.sale.head();
    join(&mut copy, EPOCH + 9, previous, EPOCH + 9);
    let (epoch, since) = facts(&copy.sale, previous);
    assert_eq!((epoch, since.len()), (EPOCH + 1, 2));
    assert_eq!(since[0], Fact::Epoch { previous });
    assert_eq!(bytes(&copy.replica()), bytes(&copy.sale));
    assert_eq!(rid.0, lost);
    let after = (EPOCH + 9, vec![Fact::Epoch { previous: lost }]);
    assert_eq!(facts(&copy.sale, lost), after);
    assert!(
        is_fenced_with(&mut copy, EPOCH + 9, lost),
        "it may be lost again"
    );
    assert!(!is_fenced_with(
        &mut copy,
        EPOCH + 9,
        EventId::new(EPOCH + 9, 1)
    ));
}

/// A node that was replaced and did not know it began an epoch, and MySQL has that.
#[test]
fn what_another_lineage_has_in_mysql_trims_nothing_here() {
    let mut node = Node::open(10, Options::default());
    node.accepted(EPOCH, "u1");
    node.take_over(EPOCH + 5, EPOCH + 5, true);
    node.perform(EPOCH + 6, |s, _| s.decide_restock(EPOCH + 6, 1))
        .unwrap();
    node.take_over(EPOCH + 9, EPOCH + 9, true);
    let stored = |epoch, seq| {
        move |s: &Sale, _: &mut Soft| s.decide_ack(Cursor::Stored, EventId::new(epoch, seq))
    };
    for foreign in [EPOCH + 1, EPOCH + 7] {
        let refusal = node.perform(EPOCH + 9, stored(foreign, 1));
        assert_eq!(refusal, Err(Refusal::ForeignEpoch(foreign)));
        let relayed = EventId::new(foreign, 1);
        let refusal = node.perform(EPOCH + 9, |s, _| s.decide_ack(Cursor::Relayed, relayed));
        assert_eq!(refusal, Err(Refusal::ForeignEpoch(foreign)));
    }
    assert_eq!(node.sale.events_pending(), 5, "the new unit among them");
    for (epoch, left) in [(EPOCH, 3), (EPOCH + 5, 1), (EPOCH + 9, 0)] {
        let seq = if epoch == EPOCH + 9 { 1 } else { 2 };
        node.perform(EPOCH + 9, stored(epoch, seq)).unwrap();
        assert_eq!(node.sale.events_pending(), left);
    }
    assert!(!node.sale.is_fenced());
}

//! The order of a TRY's tests, and the rules of a reservation's life.

use crate::common::{EPOCH, Node, bytes, reloaded, uid};
use seckill_protocol::{EventId, Fact, ReservationId, ReservationState, Verdict};
use seckill_sale::decide::{Decision, FENCE_GRACE_MS, IfLate};
use seckill_sale::{Change, Cursor, News, Options, Rate, Refusal, Sale, Try, UNITS_MAX};

const HOLD_MS: u64 = 900_000;

fn options() -> Options {
    Options {
        name: "Lamp".into(),
        ..Options::default()
    }
}

#[test]
fn a_buyer_gets_a_unit_and_the_next_one_does_not() {
    let mut node = Node::open(1, options());
    assert_eq!(
        node.buy(EPOCH, "u1"),
        Verdict::Accepted(ReservationId::new(EPOCH, 2))
    );
    assert_eq!(
        node.buy(EPOCH + 10, "u2"),
        Verdict::SoldOut {
            wait_ms: Some(HOLD_MS - 10)
        }
    );
    assert_eq!(node.sale.available(), 0);
    assert_eq!(node.sale.held(), 1);
}

#[test]
fn a_lost_answer_can_be_asked_for_again_whatever_happened_since() {
    let mut node = Node::open(5, options());
    let first = node.ask(EPOCH, "u1", 1, Some("t1")).unwrap();
    let Verdict::Accepted(rid) = first else {
        panic!("{first:?}")
    };
    let again = Ok(Verdict::Duplicate(rid));
    assert_eq!(node.ask(EPOCH, "u1", 1, Some("t1")), again);

    node.perform(EPOCH, |sale, _| sale.decide_cancel(EPOCH, rid))
        .unwrap();
    assert_eq!(
        node.ask(EPOCH, "u1", 1, Some("t1")),
        again,
        "after a cancel"
    );

    node.perform(EPOCH, |sale, _| sale.decide_pause()).unwrap();
    assert_eq!(node.ask(EPOCH, "u1", 1, Some("t1")), again, "while paused");
    node.perform(EPOCH, |sale, _| sale.decide_close(EPOCH))
        .unwrap();
    assert_eq!(
        node.ask(EPOCH, "u1", 1, Some("t1")),
        again,
        "after the close"
    );

    assert_eq!(
        node.ask(EPOCH, "u2", 1, Some("t1")),
        Ok(Verdict::Paused),
        "a token is its buyer's own"
    );
}

#[test]
fn the_tests_come_in_their_documented_order() {
    // Everything is wrong at once; each step mends the first thing that is.
    let mut node = Node::open(
        1,
        Options {
            start_ms: EPOCH + 100,
            end_ms: EPOCH + 200,
            rate: Some(Rate {
                per_second: 1,
                burst: 1,
            }),
            ..options()
        },
    );
    node.perform(EPOCH, |sale, _| sale.decide_pause()).unwrap();
    assert_eq!(node.buy(EPOCH, "u1"), Verdict::Paused);
    node.perform(EPOCH, |sale, _| sale.decide_resume()).unwrap();
    assert_eq!(node.buy(EPOCH, "u1"), Verdict::NotStarted { wait_ms: 100 });
    assert_eq!(node.buy(EPOCH + 200, "u1"), Verdict::Ended);
    let rid = node.accepted(EPOCH + 100, "u1");
    assert_eq!(node.buy(EPOCH + 100, "u1"), Verdict::Duplicate(rid));
    assert!(matches!(
        node.buy(EPOCH + 100, "u2"),
        Verdict::SoldOut { .. }
    ));
    node.perform(EPOCH, |sale, _| sale.decide_restock(EPOCH, 1))
        .unwrap();
    assert_eq!(
        node.buy(EPOCH + 100, "u2"),
        Verdict::Limited { wait_ms: 1000 }
    );
    assert_eq!(node.soft.counters.tries, 7);
    assert_eq!(node.soft.counters.accepted, 1);
}

#[test]
fn the_limit_counts_a_buyers_live_units() {
    let mut node = Node::open(
        10,
        Options {
            limit: 3,
            ..options()
        },
    );
    assert_eq!(
        node.ask(EPOCH, "u1", 4, None),
        Err(Refusal::QuantityAboveLimit { limit: 3 })
    );
    let Ok(Verdict::Accepted(two)) = node.ask(EPOCH, "u1", 2, None) else {
        panic!("two of three")
    };
    assert_eq!(node.ask(EPOCH, "u1", 2, None), Ok(Verdict::Duplicate(two)));
    let Ok(Verdict::Accepted(one)) = node.ask(EPOCH, "u1", 1, None) else {
        panic!("the third")
    };
    assert_eq!(node.ask(EPOCH, "u1", 1, None), Ok(Verdict::Duplicate(one)));
    node.perform(EPOCH, |sale, _| sale.decide_cancel(EPOCH, two))
        .unwrap();
    assert!(matches!(
        node.ask(EPOCH, "u1", 2, None),
        Ok(Verdict::Accepted(_))
    ));
}

#[test]
fn more_than_is_left_is_sold_out_and_less_is_not() {
    let mut node = Node::open(
        3,
        Options {
            limit: 0,
            hold_ms: 0,
            ..options()
        },
    );
    assert!(matches!(
        node.ask(EPOCH, "u1", 2, None),
        Ok(Verdict::Accepted(_))
    ));
    assert_eq!(
        node.ask(EPOCH, "u1", 2, None),
        Ok(Verdict::SoldOut { wait_ms: None })
    );
    assert!(matches!(
        node.ask(EPOCH, "u1", 1, None),
        Ok(Verdict::Accepted(_))
    ));
    assert_eq!((node.sale.sold(), node.sale.held()), (3, 0));
}

#[test]
fn an_unpaid_hold_lapses_at_its_deadline_and_not_before() {
    let mut node = Node::open(1, options());
    let rid = node.accepted(EPOCH, "u1");
    assert!(matches!(
        node.buy(EPOCH + HOLD_MS - 1, "u2"),
        Verdict::SoldOut { wait_ms: Some(1) }
    ));
    node.accepted(EPOCH + HOLD_MS, "u2");
    assert_eq!(
        node.sale.reservation(rid).unwrap().state,
        ReservationState::Expired
    );
    assert_eq!(
        node.perform(EPOCH, |sale, _| sale.decide_confirm(EPOCH, rid, false)),
        Err(Refusal::Gone(ReservationState::Expired))
    );
    assert_eq!(
        node.perform(EPOCH, |sale, _| sale.decide_confirm(EPOCH, rid, true)),
        Err(Refusal::NoStock { available: 0 })
    );
}

#[test]
fn a_late_payment_takes_the_units_again_if_they_are_there() {
    let mut node = Node::open(1, options());
    let rid = node.accepted(EPOCH, "u1");
    let late = EPOCH + HOLD_MS;
    let confirm = |late_flag| {
        move |sale: &seckill_sale::Sale, _: &mut seckill_sale::Soft| {
            sale.decide_confirm(late, rid, late_flag)
        }
    };
    assert!(node.perform(late, confirm(false)).is_err());
    assert_eq!(node.perform(late, confirm(true)), Ok(()));
    assert_eq!((node.sale.sold(), node.sale.available()), (1, 0));
    assert_eq!(node.buy(late, "u1"), Verdict::Duplicate(rid));
    node.sale.audit().unwrap();
}

#[test]
fn a_payment_that_is_not_taken_is_to_be_refunded_once_and_then_for_ever() {
    let late = EPOCH + HOLD_MS;
    let gone = |state| Err(Refusal::Gone(state));
    let expired = ReservationState::Expired;
    let events = |node: &Node| {
        let batch = node.sale.events_after(EventId::ZERO, 100).unwrap();
        let facts = batch.events.into_iter().map(|event| event.fact);
        let payments = facts.filter(|fact| matches!(fact, Fact::LatePayment { .. }));
        payments.count()
    };

    let mut node = Node::open(1, options());
    let rid = node.accepted(EPOCH, "u1");
    let other = node.accepted(late, "u2");
    assert_eq!(node.confirm(late, rid, IfLate::Refuse), gone(expired));
    assert_eq!(events(&node), 0, "nobody said what to do with it");
    let no_stock = Err(Refusal::NoStock { available: 0 });
    assert_eq!(node.confirm(late, rid, IfLate::Take), no_stock);
    assert_eq!(events(&node), 1);
    // The unit comes back, but the money is on its way to the buyer.
    node.perform(late, |s, _| s.decide_cancel(late, other))
        .unwrap();
    for if_late in [IfLate::Take, IfLate::Refund, IfLate::Take] {
        assert_eq!(node.confirm(late, rid, if_late), gone(expired));
    }
    assert_eq!((events(&node), node.sale.available()), (1, 1));

    // Given up, and paid for all the same.
    let cancelled = gone(ReservationState::Cancelled);
    assert_eq!(node.confirm(late, other, IfLate::Take), cancelled);
    assert_eq!(events(&node), 2);

    // Not taken although there is a unit.
    let mut node = Node::open(2, options());
    let rid = node.accepted(EPOCH, "u1");
    for _ in 0..2 {
        assert_eq!(node.confirm(late, rid, IfLate::Refund), gone(expired));
    }
    assert_eq!((events(&node), node.sale.available()), (1, 2));
    let paid = node.accepted(late, "u2");
    assert_eq!(node.confirm(late, paid, IfLate::Refund), Ok(()));
    assert_eq!(events(&node), 1, "in time");

    for copy in [node.replica(), reloaded(&node.sale)] {
        assert_eq!(bytes(&copy), bytes(&node.sale));
        assert!(copy.is_refund_due(rid) && !copy.is_refund_due(paid));
    }
    node.sale.audit().unwrap();
}

#[test]
fn each_step_of_a_reservation_happens_once_and_may_be_repeated() {
    let mut node = Node::open(2, options());
    let paid = node.accepted(EPOCH, "u1");
    let given_up = node.accepted(EPOCH, "u2");
    for _ in 0..2 {
        assert_eq!(
            node.perform(EPOCH, |s, _| s.decide_confirm(EPOCH, paid, false)),
            Ok(())
        );
        assert_eq!(
            node.perform(EPOCH, |s, _| s.decide_cancel(EPOCH, given_up)),
            Ok(())
        );
    }
    assert_eq!(
        node.perform(EPOCH, |s, _| s.decide_cancel(EPOCH, paid)),
        Err(Refusal::Gone(ReservationState::Confirmed))
    );
    assert_eq!(
        node.perform(EPOCH, |s, _| s.decide_confirm(EPOCH, given_up, true)),
        Err(Refusal::Gone(ReservationState::Cancelled))
    );
    assert_eq!(
        node.perform(EPOCH, |s, _| s
            .decide_cancel(EPOCH, ReservationId::new(EPOCH, 99))),
        Err(Refusal::NoReservation)
    );
    assert_eq!((node.sale.sold(), node.sale.available()), (1, 1));
    assert_eq!(node.sale.head(), EventId::new(EPOCH, 5), "one event a step");
}

#[test]
fn a_node_that_takes_over_releases_nothing_until_mysql_was_compared() {
    let mut node = Node::open(1, options());
    let rid = node.accepted(EPOCH, "u1");
    let (last, lapsed) = (node.sale.head(), EPOCH + HOLD_MS);
    node.take_over(lapsed, lapsed, true);
    assert_eq!(node.buy(lapsed, "u2"), Verdict::Paused);
    assert_eq!(
        node.sale.reservation(rid).unwrap().state,
        ReservationState::Held,
        "a payment may be among the facts that the copy lacks"
    );
    for seq in [0, 1] {
        assert!(node.sale.is_fenced(), "MySQL has nothing of the epoch");
        node.perform(lapsed, |s, _| {
            s.decide_ack(Cursor::Stored, EventId::new(lapsed, seq))
        })
        .unwrap();
    }
    let log = node.sale.events_after(last, 10);
    assert_eq!(log, None, "MySQL has taken the epoch up");
    // Whoever paid meanwhile was told to ask again.
    let released = lapsed + FENCE_GRACE_MS;
    let wait_ms = Some(1);
    assert_eq!(node.buy(released - 1, "u2"), Verdict::SoldOut { wait_ms });
    node.accepted(released, "u2");
    let log = node.sale.events_after(last, 1).unwrap();
    assert_eq!(log.epoch, lapsed);
    let facts: Vec<_> = log.events.into_iter().map(|event| event.fact).collect();
    assert_eq!(facts, [Fact::Expired { rid }]);
}

#[test]
fn the_grace_after_a_fence_begins_when_mysql_was_compared() {
    let mut node = Node::open(1, options());
    node.accepted(EPOCH, "u1");
    let lapsed = EPOCH + HOLD_MS;
    node.take_over(lapsed, lapsed, true);
    assert_eq!(node.buy(lapsed, "u2"), Verdict::Paused);
    let compared = lapsed + 20_000;
    node.perform(compared, |s, _| {
        s.decide_ack(Cursor::Stored, EventId::new(lapsed, 1))
    })
    .unwrap();
    assert!(!node.sale.is_fenced());
    let released = compared + FENCE_GRACE_MS;
    let wait_ms = Some(1);
    assert_eq!(node.buy(released - 1, "u2"), Verdict::SoldOut { wait_ms });
    node.accepted(released, "u2");
}

#[test]
fn a_hold_lapses_at_its_deadline_whatever_was_asked_before() {
    let mut node = Node::open(1, options());
    node.accepted(EPOCH, "u1");
    let lapses = EPOCH + HOLD_MS;
    let wait_ms = Some(1);
    assert_eq!(node.buy(lapses - 1, "u2"), Verdict::SoldOut { wait_ms });
    node.perform(lapses - 1, |s, _| s.decide_pause()).unwrap();
    node.perform(lapses - 1, |s, _| s.decide_resume()).unwrap();
    assert_eq!(node.sale.next_release_ms(), Some(lapses));
    node.accepted(lapses, "u2");
}

#[test]
fn a_fenced_copy_only_says_what_is_so_already() {
    let mut node = Node::open(5, options());
    let [paid, left, lapsing] = ["u1", "u2", "u3"].map(|buyer| node.accepted(EPOCH, buyer));
    let lapsed = EPOCH + HOLD_MS;
    node.confirm(EPOCH, paid, IfLate::Refuse).unwrap();
    node.perform(EPOCH, |s, _| s.decide_cancel(EPOCH, left))
        .unwrap();
    let held = node.accepted(lapsed, "u8");
    node.take_over(lapsed, lapsed, true);
    let head = node.sale.head();
    // The copy may lack that the hold lapsed, or that what lapsed was paid late.
    let unknown = ReservationId::new(lapsed, 99);
    for if_late in [IfLate::Refuse, IfLate::Take, IfLate::Refund] {
        for rid in [held, left, lapsing, unknown] {
            assert_eq!(node.confirm(lapsed, rid, if_late), Err(Refusal::Fenced));
        }
        assert_eq!(node.confirm(lapsed, paid, if_late), Ok(()));
    }
    let cancel = |node: &mut Node, rid| node.perform(lapsed, |s, _| s.decide_cancel(lapsed, rid));
    for rid in [held, paid, lapsing, unknown] {
        assert_eq!(cancel(&mut node, rid), Err(Refusal::Fenced));
    }
    assert_eq!(cancel(&mut node, left), Ok(()));
    assert_eq!(node.sale.granted(unknown), Err(Refusal::Fenced));
    let restock =
        |node: &mut Node, delta| node.perform(lapsed, |s, _| s.decide_restock(lapsed, delta));
    assert_eq!(restock(&mut node, -1), Err(Refusal::Fenced));
    assert_eq!(node.sale.head(), head, "and decides nothing");
    assert_eq!(restock(&mut node, 1), Ok(()));

    node.perform(lapsed, |s, _| s.decide_resume()).unwrap();
    assert_eq!(node.sale.granted(unknown), Err(Refusal::NoReservation));
    assert_eq!(node.confirm(lapsed, held, IfLate::Refuse), Ok(()));
}

#[test]
fn restocking_reopens_and_never_takes_what_is_held_or_sold() {
    let mut node = Node::open(1, options());
    node.accepted(EPOCH, "u1");
    assert_eq!(
        node.perform(EPOCH, |s, _| s.decide_restock(EPOCH, -1)),
        Err(Refusal::RestockBelowAvailable { available: 0 })
    );
    node.perform(EPOCH, |s, _| s.decide_restock(EPOCH, 2))
        .unwrap();
    node.accepted(EPOCH, "u2");
    node.perform(EPOCH, |s, _| s.decide_restock(EPOCH, -1))
        .unwrap();
    assert_eq!((node.sale.total(), node.sale.available()), (2, 0));
    assert_eq!(
        node.perform(EPOCH, |s, _| s.decide_restock(EPOCH, i64::MIN)),
        Err(Refusal::RestockBelowAvailable { available: 0 })
    );
    assert_eq!(
        node.perform(EPOCH, |s, _| s.decide_restock(EPOCH, i64::MAX)),
        Err(Refusal::RestockAboveMax)
    );
    let most = UNITS_MAX.cast_signed() - 2;
    for (delta, expected) in [
        (most + 1, Err(Refusal::RestockAboveMax)),
        (most, Ok(())),
        (1, Err(Refusal::RestockAboveMax)),
    ] {
        let restocked = node.perform(EPOCH, |s, _| s.decide_restock(EPOCH, delta));
        assert_eq!(restocked, expected, "{delta}");
    }
    assert_eq!(node.sale.total(), UNITS_MAX);
}

#[test]
fn the_log_keeps_what_mysql_does_not_have_and_no_more() {
    let mut node = Node::open(3, options());
    for uid in ["u1", "u2", "u3"] {
        node.accepted(EPOCH, uid);
    }
    let all = node.sale.events_after(EventId::ZERO, 100).unwrap();
    assert_eq!(all.events.len(), 4);
    assert!(matches!(all.events[0].fact, Fact::Opened { total: 3, .. }));
    let some = node.sale.events_after(EventId::new(EPOCH, 2), 1).unwrap();
    assert_eq!(some.events[0].seq, 3);

    let ack = |cursor, seq| {
        move |s: &seckill_sale::Sale, _: &mut seckill_sale::Soft| {
            s.decide_ack(cursor, EventId::new(EPOCH, seq))
        }
    };
    node.perform(EPOCH, ack(Cursor::Stored, 3)).unwrap();
    assert_eq!(node.sale.events_pending(), 1);
    assert_eq!(
        node.sale.relayed(),
        EventId::new(EPOCH, 3),
        "stored implies relayed"
    );
    node.perform(EPOCH, ack(Cursor::Stored, 1)).unwrap();
    assert_eq!(
        node.sale.stored(),
        EventId::new(EPOCH, 3),
        "stored never goes back"
    );
    node.perform(EPOCH, ack(Cursor::Relayed, 4)).unwrap();
    assert_eq!(node.sale.relayed(), EventId::new(EPOCH, 4));
    let again = node
        .sale
        .decide_ack(Cursor::Relayed, EventId::new(EPOCH, 4));
    assert_eq!(again, Ok(((), None)), "repeating it changes nothing");
    node.perform(EPOCH, ack(Cursor::Relayed, 1)).unwrap();
    assert_eq!(
        node.sale.relayed(),
        EventId::new(EPOCH, 3),
        "relayed goes back to stored"
    );
    assert_eq!(
        node.perform(EPOCH, ack(Cursor::Stored, 5)),
        Err(Refusal::BeyondHead {
            head: EventId::new(EPOCH, 4)
        })
    );
    assert_eq!(node.sale.events_after(EventId::new(EPOCH, 4), 10), None);
}

#[test]
fn a_rejection_changes_nothing_that_is_kept() {
    let mut node = Node::open(1, options());
    node.accepted(EPOCH, "u1");
    let before = crate::common::bytes(&node.sale);
    let changes = node.payloads.len();
    for uid in ["u1", "u2", "u3"] {
        node.buy(EPOCH + 5, uid);
    }
    assert_eq!(crate::common::bytes(&node.sale), before);
    assert_eq!(node.payloads.len(), changes);
}

#[test]
fn giving_up_again_and_again_does_not_slow_a_buyer_down() {
    let mut node = Node::open(1, options());
    for _ in 0..1000 {
        let rid = node.accepted(EPOCH, "u1");
        node.perform(EPOCH, |s, _| s.decide_cancel(EPOCH, rid))
            .unwrap();
    }
    node.accepted(EPOCH, "u1");
    node.sale.audit().unwrap();
}

#[test]
fn a_late_payment_counts_beside_what_the_buyer_bought_since() {
    let mut node = Node::open(
        5,
        Options {
            limit: 3,
            ..options()
        },
    );
    let oldest = node.accepted(EPOCH, "u1");
    let late = EPOCH + HOLD_MS;
    let middle = node.accepted(late, "u1");
    let newest = node.accepted(late, "u1");
    node.perform(late, |s, _| s.decide_confirm(late, oldest, true))
        .unwrap();
    node.sale.audit().unwrap();
    assert_eq!(node.buy(late, "u1"), Verdict::Duplicate(newest));
    node.perform(late, |s, _| s.decide_cancel(late, middle))
        .unwrap();
    node.sale.audit().unwrap();
    node.accepted(late, "u1");
    assert!(matches!(node.buy(late, "u1"), Verdict::Duplicate(_)));
}

#[test]
fn what_a_cache_has_to_know_is_news() {
    let words = |sale: &mut Sale, now_ms: u64, decide: &dyn Fn(&Sale) -> Decision<'static, ()>| {
        let mut change = Change::default();
        change.begin(sale.head());
        let before = sale.available();
        sale.perform(now_ms, &mut change, decide).unwrap();
        let news = sale.news(&change, before).map(News::word);
        news.collect::<Vec<_>>()
    };
    let mut node = Node::open(2, options());
    let [first, second] = ["u1", "u2"].map(|uid| node.accepted(EPOCH, uid));
    let sale = &mut node.sale;
    type Case<'a> = (&'a str, &'a dyn Fn(&Sale) -> Decision<'static, ()>);
    let cancel = |sale: &Sale| sale.decide_cancel(EPOCH, first);
    let steps: [Case<'_>; 12] = [
        ("", &|sale| sale.decide_confirm(EPOCH, second, false)),
        ("reopened", &cancel),
        ("", &cancel),
        ("restocked", &|sale| sale.decide_restock(EPOCH, 3)),
        ("restocked soldout", &|sale| sale.decide_restock(EPOCH, -4)),
        ("restocked reopened", &|sale| sale.decide_restock(EPOCH, 4)),
        ("altered", &|sale| {
            sale.decide_alter(|options| options.limit = 7)
        }),
        ("paused", &|sale| sale.decide_pause()),
        ("paused", &|sale| sale.decide_epoch(EPOCH, EPOCH + 5)),
        ("restocked", &|sale| sale.decide_recount(9, 0)),
        ("resumed", &|sale| sale.decide_resume()),
        ("closed", &|sale| sale.decide_close(EPOCH)),
    ];
    for (n, (expected, decide)) in steps.into_iter().enumerate() {
        assert_eq!(words(sale, EPOCH, decide).join(" "), expected, "{n}");
    }
}

#[test]
fn many_tries_are_decided_one_after_the_other() {
    let mut node = Node::open(2, options());
    let requests = ["u1", "u1", "u2", "u3"].map(|buyer| Try {
        uid: uid(buyer),
        qty: 1,
        token: None,
    });
    let mut change = Change::default();
    change.begin(node.sale.head());
    let tries = requests.into_iter();
    let Node { sale, soft, .. } = &mut node;
    let verdicts = sale.perform_tries(EPOCH, &mut change, soft, tries).unwrap();
    let [first, second] = [2, 3].map(|seq| ReservationId::new(EPOCH, seq));
    assert_eq!(
        verdicts,
        [
            Verdict::Accepted(first),
            Verdict::Duplicate(first),
            Verdict::Accepted(second),
            Verdict::SoldOut {
                wait_ms: Some(HOLD_MS)
            },
        ]
    );
    assert_eq!(soft.counters.tries, 4);
}

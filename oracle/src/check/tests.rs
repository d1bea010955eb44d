//! Fail-overs: what a lost primary may have taken with it, and what not. Each world is made by hand
//! and in order; then one thing in it is another.

use super::judge;
use crate::event::read_line;
use crate::place::Place;
use crate::record::{Answer, Call, Op};
use crate::report::{Name, Report};
use crate::seen::Module;
use crate::seen::{Books, Info, Message, Moved, Order, Reservation, Seen, Status, Stock, Topic};
use crate::setting::{Durability, Setting};

/// A node took over at 9 with a copy that ends at 5-3. MySQL had no more than that. What u2 and u3
/// were told at 5-4 and 5-5 was lost with the primary; of u2's, a late relay tells the topic.
const TAKEN_OVER: &[&str] = &[
    "5-1 at=5 opened total=3 sold=0 name=Lamp",
    "5-2 at=6 accepted qty=1 deadline=900 token= uid=u1",
    "5-3 at=7 confirmed rid=5-2",
    "9-1 at=9 epoch previous=5-3",
    "5-4 at=8 accepted qty=1 deadline=900 token= uid=u2",
    "9-2 at=10 accepted qty=1 deadline=900 token= uid=u4",
];

fn place(text: &str) -> Place {
    text.parse().unwrap()
}

fn try_of(uid: &str, answer: Option<Answer>) -> Call {
    Call {
        number: 0,
        began_at: 1,
        sid: "1".to_owned(),
        uid: uid.to_owned(),
        op: Op::Try {
            qty: 1,
            token: None,
        },
        answer: answer.map(|answer| (2, answer)),
    }
}

fn accepted(uid: &str, rid: &str) -> Call {
    let rid = rid.to_owned();
    try_of(uid, Some(Answer::Accepted { rid }))
}

fn confirmed(uid: &str, rid: &str) -> Call {
    let rid = rid.to_owned();
    Call {
        op: Op::Confirm { rid },
        ..try_of(uid, Some(Answer::Confirmed))
    }
}

fn order(rid: &str, uid: &str, status: Status, version: i64) -> Order {
    Order {
        id: 1,
        rid: Some(place(rid)),
        uid: Some(uid.to_owned()),
        qty: 1,
        status,
        deadline: Some(900),
        token: None,
        stock_version: Some(version),
        created_s: 0,
    }
}

fn reservation(rid: &str, uid: &str, status: Status) -> Reservation {
    Reservation {
        rid: place(rid),
        uid: uid.to_owned(),
        qty: 1,
        status,
        at: 5,
        deadline: Some(900),
        token: None,
    }
}

/// u1 and u4 have a unit each; all is well.
fn taken_over() -> Seen {
    let messages = TAKEN_OVER.iter().zip(0..).map(|(line, offset)| Message {
        partition: 0,
        offset,
        events: Ok(vec![read_line(line, |_| None).unwrap()]),
    });
    let step = Moved {
        rid: place("5-2"),
        event: place("5-3"),
        at: 7,
        from: Some(Status::Held),
        to: Status::Confirmed,
        who: "module".to_owned(),
        rowless: None,
    };
    Seen {
        sid: "1".to_owned(),
        books: Books {
            stock: Some(Stock {
                count: 3,
                sale: 2,
                version: 4,
            }),
            limit: Some(1),
            cursor: Some(place("9-2")),
            orders: vec![
                order("5-2", "u1", Status::Confirmed, 1),
                order("9-2", "u4", Status::Held, 4),
            ],
            history: vec![step],
            ..Books::default()
        },
        topic: Some(Topic {
            messages: messages.collect(),
            ..Topic::default()
        }),
        module: Some(Module {
            info: Info {
                state: "open".to_owned(),
                total: 3,
                available: 1,
                held: 1,
                sold: 1,
                sold_before: 0,
                reservations: 2,
                limit: 1,
                head: place("9-2"),
                relayed: place("9-2"),
                stored: place("9-2"),
                now: 20,
            },
            reservations: vec![
                reservation("5-2", "u1", Status::Confirmed),
                reservation("9-2", "u4", Status::Held),
            ],
            log: Vec::new(),
            audit: Ok("OK total=3 available=1 held=1 sold=1 reservations=2".to_owned()),
            is_moving: false,
        }),
        calls: Some(vec![
            accepted("u1", "5-2"),
            confirmed("u1", "5-2"),
            accepted("u2", "5-4"),
            accepted("u3", "5-5"),
            accepted("u4", "9-2"),
        ]),
    }
}

fn broken(report: &Report) -> Vec<Name> {
    report.broken().map(|invariant| invariant.name).collect()
}

#[track_caller]
fn finds(change: impl FnOnce(&mut Seen), setting: &Setting, expected: &[Name], word: &str) {
    let mut seen = taken_over();
    change(&mut seen);
    let report = judge(&seen, setting);
    assert_eq!(broken(&report), expected, "{report}");
    assert!(report.to_string().contains(word), "{report}");
}

#[test]
fn what_a_primary_takes_with_it_may_be_lost_if_that_is_the_setting() {
    let primary = Setting::default();
    let note = "2 reservations were told and lost with their primary";
    finds(|_| (), &primary, &[], note);
    let replica = Setting {
        durability: Durability::Replica,
        ..primary
    };
    finds(|_| (), &replica, &[Name::NoLoss], "5-5 of u3");
}

#[test]
fn what_the_copy_had_may_not_be_lost() {
    let of_the_copy = |seen: &mut Seen| {
        seen.calls.as_mut().unwrap().push(accepted("u5", "5-3"));
    };
    finds(
        of_the_copy,
        &Setting::default(),
        &[Name::NoLoss],
        "5-3 of u5",
    );
    let of_the_new_primary = |seen: &mut Seen| {
        seen.calls.as_mut().unwrap().push(accepted("u5", "9-3"));
    };
    finds(
        of_the_new_primary,
        &Setting::default(),
        &[Name::NoLoss],
        "9-3 of u5",
    );
}

#[test]
fn an_order_for_what_was_lost_is_a_phantom() {
    let order_of_u2 = |seen: &mut Seen| {
        seen.books
            .orders
            .insert(1, order("5-4", "u2", Status::Held, 2));
        seen.books.stock.as_mut().unwrap().sale = 3;
    };
    let word = "5-4 of u2: an order whose decision was lost with its primary";
    finds(order_of_u2, &Setting::default(), &[Name::NoPhantom], word);
}

#[test]
fn what_was_put_back_counts_again() {
    // MySQL had 5-4; the new epoch was sent again behind it.
    let recovered = |seen: &mut Seen| {
        let again = "9-1 at=9 epoch previous=5-4";
        let topic = seen.topic.as_mut().unwrap();
        topic.messages.swap(3, 4);
        topic.messages.insert(
            5,
            Message {
                partition: 0,
                offset: 9,
                events: Ok(vec![read_line(again, |_| None).unwrap()]),
            },
        );
        seen.books
            .orders
            .insert(1, order("5-4", "u2", Status::Held, 2));
        seen.books.stock.as_mut().unwrap().sale = 3;
        let module = seen.module.as_mut().unwrap();
        let back = reservation("5-4", "u2", Status::Held);
        module.reservations.insert(1, back);
        (
            module.info.available,
            module.info.held,
            module.info.reservations,
        ) = (0, 2, 3);
        module.audit = Ok("OK total=3 available=0 held=2 sold=1 reservations=3".to_owned());
    };
    let note = "1 reservations were told and lost with their primary";
    finds(recovered, &Setting::default(), &[], note);
}

#[test]
fn a_payment_may_be_lost_with_a_primary_and_not_otherwise() {
    let paid = |seen: &mut Seen| {
        let calls = seen.calls.as_mut().unwrap();
        calls.push(accepted("u5", "5-3"));
        let lines = ["5-3 at=7 accepted qty=1 deadline=900 token= uid=u5"];
        let topic = seen.topic.as_mut().unwrap();
        topic.messages[2].events = Ok(vec![read_line(lines[0], |_| None).unwrap()]);
        seen.books.history.clear();
        seen.books.orders[0].status = Status::Held;
        seen.books
            .orders
            .insert(1, order("5-3", "u5", Status::Held, 2));
        seen.books.stock.as_mut().unwrap().sale = 3;
        let module = seen.module.as_mut().unwrap();
        module.reservations[0].status = Status::Held;
        let one = reservation("5-3", "u5", Status::Held);
        module.reservations.insert(1, one);
        (module.info.available, module.info.held, module.info.sold) = (0, 3, 0);
        module.info.reservations = 3;
        module.audit = Ok("OK total=3 available=0 held=3 sold=0 reservations=3".to_owned());
    };
    let note = "1 payments or cancellations were answered and lost with their primary";
    finds(paid, &Setting::default(), &[], note);
    let replica = Setting {
        durability: Durability::Replica,
        ..Setting::default()
    };
    let word = "5-2 of u1: told confirmed, and it is held";
    finds(paid, &replica, &[Name::NoLoss, Name::Answers], word);
    // Long after everybody knew the new primary.
    let later = |seen: &mut Seen| {
        paid(seen);
        seen.calls.as_mut().unwrap()[1].began_at = 60_000;
    };
    finds(later, &Setting::default(), &[Name::Answers], word);
}

#[test]
fn where_the_log_is_not_known_the_module_is_asked() {
    let note = "2 reservations were told and lost with their primary";
    let no_topic = |seen: &mut Seen| seen.topic = None;
    finds(no_topic, &Setting::default(), &[], note);
    let cut = |seen: &mut Seen| {
        let topic = seen.topic.as_mut().unwrap();
        topic.name = "t".to_owned();
        topic.cut = vec![(0, 7)];
    };
    let why = "not checked: partition 0 of t begins at 7";
    finds(cut, &Setting::default(), &[], why);
    let lost = |seen: &mut Seen| {
        no_topic(seen);
        seen.calls.as_mut().unwrap().push(accepted("u5", "9-3"));
    };
    let word = "9-3 of u5: a reservation that nobody has";
    finds(lost, &Setting::default(), &[Name::NoLoss], word);
}

//! Damage in the module.

use crate::stage::{SID, Stage, setting};
use seckill_oracle::{Name, Setting, Sources};
use std::time::Duration;

/// What is done, what it breaks, and words of the evidence.
type Damage<'a> = (&'a str, &'a dyn Fn(), &'a [Name], &'a [&'a str]);

pub(crate) fn every_damage(stage: &Stage) {
    let rids = &stage.rids;
    let damages: [Damage<'_>; 6] = [
        ("nothing", &|| (), &[], &[]),
        (
            "the sale is deleted",
            &|| stage.ask(&["DEL", SID]),
            &[Name::NoLoss],
            &[
                "a reservation that the module has forgotten",
                "not checked: the module has no sale 1001",
            ],
        ),
        (
            "a unit is hidden",
            &|| {
                let _: () = stage.ask(&["SECKILL.PAUSE", SID]);
                // The totals are told anew: one unit more is said to be gone before the sale.
                let _: redis::Value = stage.ask(&["SECKILL.RESTORE", SID, "UNITS", "7", "2"]);
            },
            &[Name::Conservation],
            &["the log comes to something else", "total 7, available 3"],
        ),
        (
            "the limit was another",
            &|| stage.ask(&["SECKILL.ALTER", SID, "LIMIT", "1"]),
            &[Name::Limit],
            &["u1 has 2 units in Redis, and may have 1"],
        ),
        (
            "what was decided last goes nowhere",
            &|| stage.ask(&["SECKILL.CANCEL", SID, &rids.held]),
            // Nobody was told of it, either.
            &[Name::Drained, Name::NoPhantom],
            &[
                "Kafka was sent the log up to",
                "it was given up, and nobody cancelled it",
            ],
        ),
        (
            "a state is another, and no event says so",
            &|| {
                let _: () = stage.ask(&["SECKILL.PAUSE", SID]);
                let rows: Vec<Vec<redis::Value>> = stage.ask(&["SECKILL.RESERVATIONS", SID]);
                let text = |value: &redis::Value| -> String {
                    redis::from_redis_value(value.clone()).unwrap()
                };
                let held = rows.iter().find(|row| text(&row[0]) == rids.held).unwrap();
                let words = [text(&held[0]), text(&held[1]), text(&held[2])];
                let [rid, uid, qty] = &words;
                let (at, deadline) = (text(&held[4]), text(&held[5]));
                let _: redis::Value = stage.ask(&[
                    "SECKILL.RESTORE",
                    SID,
                    "RESERVATION",
                    rid,
                    uid,
                    qty,
                    "confirmed",
                    &at,
                    &deadline,
                ]);
            },
            &[Name::Forward],
            &["of u7: held by the log, and confirmed in the module"],
        ),
    ];
    for (damage, plant, broken, words) in damages {
        plant();
        stage.finds(damage, &stage.sources, broken, words);
        stage.mend_module();
    }
    stage.holds("the module was mended");
    a_hold_is_overdue(stage);
    without_a_topic(stage);
}

/// Nobody releases it, because nobody asks.
fn a_hold_is_overdue(stage: &Stage) {
    let hold_ms = 900_000;
    stage.advance_ms(hold_ms + 6_000);
    stage.finds(
        "a hold is overdue",
        &stage.sources,
        &[Name::Drained],
        &["of u7: still held", "after its deadline"],
    );
    let lenient = Setting {
        grace: Duration::from_secs(60),
        ..setting()
    };
    stage.finds_under(
        &lenient,
        "a hold is overdue by less than the grace",
        &stage.sources,
        &[],
        &[],
    );
    let mut now_ms = stage.now_ms.lock().unwrap();
    *now_ms -= hold_ms + 6_000;
    stage.clock.set_ms(*now_ms).unwrap();
}

/// With `broker = "none"` there is no topic, and the module's word is the decision.
fn without_a_topic(stage: &Stage) {
    let sources = Sources {
        kafka: None,
        ..stage.sources.clone()
    };
    stage.finds(
        "there is no topic",
        &sources,
        &[],
        &["not checked: there is no topic"],
    );
    stage
        .db
        .query("DELETE FROM stock_order WHERE uid = 'u1'")
        .unwrap();
    stage.finds(
        "there is no topic, and an order is deleted",
        &sources,
        &[Name::NoLoss, Name::Sale],
        &[],
    );
    stage.mend_mysql();
    stage
        .db
        .query("UPDATE stock_order SET status = 'held' WHERE uid = 'u1'")
        .unwrap();
    stage.finds(
        "there is no topic, and a state goes back",
        &sources,
        &[Name::Forward],
        &[],
    );
    stage.mend_mysql();
    let _: redis::Value = stage.ask(&["DEL", SID]);
    stage.finds(
        "there is no topic, and the sale is deleted",
        &sources,
        &[Name::NoLoss],
        &[
            "a reservation that the module has forgotten",
            "no such sale",
        ],
    );
    stage.mend_module();
}

//! Damage in what clients say that they were told.

use crate::stage::{SID, Stage};
use seckill_oracle::Name;
use serde_json::{Value, json};

/// A question and its answer, as lines.
fn call(number: u64, at: u64, uid: &str, op: Value, answer: Value) -> String {
    let mut begun = json!({"call": number, "at": at, "sid": SID, "uid": uid});
    let mut told = json!({"call": number, "at": at + 1});
    for (line, more) in [(&mut begun, op), (&mut told, answer)] {
        line.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
    }
    format!("{begun}\n{told}\n")
}

pub(crate) fn every_damage(stage: &Stage) {
    let rids = &stage.rids;
    let epoch = rids.paid.split_once('-').unwrap().0;
    let nobodys = format!("{epoch}-4711");
    let one = || json!({"op": "try", "qty": 1});
    let accepted = |rid: &str| json!({"answer": "accepted", "rid": rid});
    let now_ms = *stage.now_ms.lock().unwrap();
    let record = stage.record();
    let forged = |uid: &str, op: Value, answer: Value| {
        let more = call(9001, now_ms, uid, op, answer);
        format!("{record}{more}")
    };
    let without = |uid: &str| -> String {
        let mut numbers = Vec::new();
        let mut kept = String::new();
        for line in record.lines() {
            let value: Value = serde_json::from_str(line).unwrap();
            let number = value["call"].as_u64().unwrap();
            if value["uid"] == uid {
                numbers.push(number);
            }
            if !numbers.contains(&number) {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        kept
    };
    let refused = json!({"answer": "refused", "why": "404"});
    let damages: [(&str, String, &[Name], &[&str]); 15] = [
        (
            "the last line is torn",
            format!("{record}{}", r#"{"call":9001,"at":"#),
            &[],
            &[],
        ),
        (
            "an acceptance is forged",
            forged("u20", one(), accepted(&nobodys)),
            &[Name::NoLoss],
            &[
                "of u20: a reservation that nobody has",
                "u20 at",
                "no such event",
                "no such reservation",
            ],
        ),
        (
            "an acceptance of before is forged",
            forged("u20", one(), accepted("5-7")),
            &[Name::NoLoss],
            &["5-7 of u20: a reservation without an order"],
        ),
        (
            "what was told is no reservation",
            forged("u20", one(), accepted("rubbish")),
            &[Name::NoLoss],
            &["a buyer was told a reservation that is none"],
        ),
        (
            "a reservation is told to somebody else",
            forged("u20", one(), accepted(&rids.held)),
            &[Name::NoDuplicate, Name::Answers],
            &["told to 2 buyers", "u20 was told it, and it is u7's"],
        ),
        (
            "a reservation is new twice",
            forged("u7", one(), accepted(&rids.held)),
            &[Name::NoDuplicate],
            &["told as new 2 times"],
        ),
        (
            "a token is another reservation the second time",
            forged(
                "u2",
                json!({"op": "try", "qty": 1, "token": "t2"}),
                accepted(&nobodys),
            ),
            &[Name::NoLoss, Name::Answers],
            &["u2: one token, t2, and told 2 reservations"],
        ),
        (
            "a payment is forgotten",
            forged(
                "u3",
                json!({"op": "confirm", "rid": rids.given_up}),
                json!({"answer": "confirmed"}),
            ),
            &[Name::Answers],
            &["of u3: told confirmed, and it is cancelled"],
        ),
        (
            "what was given up is sold",
            forged(
                "u1",
                json!({"op": "cancel", "rid": rids.paid}),
                json!({"answer": "cancelled"}),
            ),
            &[Name::Answers],
            &["of u1: told cancelled, and it is confirmed"],
        ),
        (
            "somebody was sent away while there were units",
            {
                let later = now_ms + 3_600_000;
                let told = json!({"answer": "rejected", "verdict": "SOLDOUT"});
                format!("{record}{}", call(9001, later, "u20", one(), told))
            },
            &[Name::Undersell],
            &["u20: told \"sold out\" when he asked for 1, and 3 or more were available"],
        ),
        (
            "the shop turned away who has it still held, which will lapse",
            call(9001, now_ms, "u7", one(), refused.clone()) + &without("u7"),
            &[],
            &[],
        ),
        (
            "what was sold, its buyer was told that he does not get",
            call(
                9001,
                now_ms,
                "u1",
                json!({"op": "try", "qty": 2}),
                refused.clone(),
            ) + &without("u1"),
            &[Name::NoPhantom],
            &["of u1: it was sold to a buyer who was told that it was not"],
        ),
        (
            "what was given up, nobody gave up",
            record.replace(
                r#""answer":"cancelled""#,
                r#""answer":"refused","why":"409""#,
            ),
            &[Name::NoPhantom],
            &["of u3: it was given up, and nobody cancelled it"],
        ),
        (
            "nobody asked for what was granted",
            without("u7"),
            &[Name::NoPhantom],
            &["of u7: units were granted and no client asked for them"],
        ),
        (
            "nobody is known to have asked, and it was granted",
            without("u4"),
            &[Name::NoPhantom],
            &["of u4: units were granted and no client asked for them"],
        ),
    ];
    for (damage, record, broken, words) in damages {
        stage.finds(damage, &stage.with_record(&record), broken, words);
    }
}

//! Damage in MySQL.

use crate::stage::{Stage, setting};
use seckill_oracle::{Name, Standing, Watch};
use std::time::Duration;

/// What is done, in SQL, what it breaks, and words of the evidence. `$paid` and the like stand for
/// `epoch = … AND seq = …` of a reservation.
const DAMAGES: &[(&str, &str, &[Name], &[&str])] = &[
    (
        "an order is deleted, with its units",
        "DELETE FROM stock_order WHERE $paid; UPDATE stock SET sale = sale - 2",
        &[Name::NoLoss],
        &[
            "of u1: a reservation without an order",
            "accepted $rid",
            "2 for u1, confirmed",
        ],
    ),
    (
        "an order is deleted",
        "DELETE FROM stock_order WHERE $paid",
        &[Name::NoLoss, Name::Sale],
        &[
            "of u1: a reservation without an order",
            "stock.sale is 4, the live orders come to 2",
        ],
    ),
    (
        "an order that gave its units back is deleted",
        "DELETE FROM stock_order WHERE $given_up",
        &[Name::NoLoss],
        &["of u3: a reservation without an order"],
    ),
    (
        "sale is one too many",
        "UPDATE stock SET sale = sale + 1",
        &[Name::Sale],
        &["stock.sale is 5, the live orders come to 4"],
    ),
    (
        "sale is one too few",
        "UPDATE stock SET sale = sale - 1",
        &[Name::Sale],
        &["stock.sale is 3, the live orders come to 4"],
    ),
    (
        "a unit is hidden in the stock row",
        "UPDATE stock SET count = count - 1",
        &[Name::Conservation],
        &["stock.count is not the module's total", "stock.count 6"],
    ),
    (
        "an order is there twice",
        "ALTER TABLE stock_order DROP KEY stock_order_event; \
         INSERT INTO stock_order (sid, create_time, epoch, seq, uid, qty, status, deadline, stock_version) \
         SELECT sid, create_time, epoch, seq, uid, qty, status, deadline, stock_version \
         FROM stock_order WHERE $given_up",
        &[Name::NoDuplicate],
        &["of u3: 2 orders"],
    ),
    (
        "an order is forged",
        "INSERT INTO stock_order (sid, epoch, seq, uid, qty, status, deadline, stock_version) \
         SELECT sid, epoch, 4711, 'u9', 1, 'held', deadline, stock_version FROM stock_order \
         WHERE $held; UPDATE stock SET sale = sale + 1",
        &[Name::NoPhantom],
        &["-4711 of u9: an order that nobody decided", "no such event"],
    ),
    (
        "an order is somebody else's",
        "UPDATE stock_order SET uid = 'u9' WHERE $held",
        &[Name::NoPhantom],
        &["says other than was decided: 1 for u9", "decided: 1 for u7"],
    ),
    (
        "a buyer has more than his limit",
        "UPDATE stock_order SET uid = 'u1' WHERE $held",
        &[Name::NoPhantom, Name::Limit],
        &["u1 has 3 units in MySQL, and may have 2"],
    ),
    (
        "the limit was another",
        "UPDATE stock_sale SET buyer_limit = 1",
        &[Name::Limit],
        &["u1 has 2 units in MySQL, and may have 1"],
    ),
    (
        "a state goes back",
        "UPDATE stock_order SET status = 'held' WHERE $paid",
        &[Name::Forward],
        &[
            "the order is held, the reservation confirmed",
            "2 for u1, held",
        ],
    ),
    (
        "a step is forgotten",
        "DELETE FROM stock_order_event WHERE $given_up",
        &[Name::Forward],
        &["of u3: the order is cancelled, and by its history held"],
    ),
    (
        "a step is made up",
        "INSERT INTO stock_order_event (sid, epoch, seq, event_epoch, event_seq, at, from_status, to_status, who) \
         SELECT sid, epoch, seq, epoch, 999, 1, 'confirmed', 'held', 'module' FROM stock_order \
         WHERE $paid",
        &[Name::Forward],
        &["of u1: by event", "went from confirmed to held"],
    ),
    (
        "an order is refused, and nobody says why",
        "UPDATE stock_order SET status = 'refused' WHERE $given_up; \
         DELETE FROM stock_order_event WHERE $given_up",
        &[Name::Forward],
        &["the order is refused, and its history does not say so"],
    ),
    (
        "the version goes back",
        "UPDATE stock SET version = 0",
        &[Name::Version],
        &["and stock.version is 0"],
    ),
    (
        "an order counts from a later version than those after it",
        "UPDATE stock SET version = version + 1; \
         UPDATE stock_order SET stock_version = (SELECT version FROM stock) WHERE $paid",
        &[Name::Version],
        &["and an earlier order has"],
    ),
    (
        "the cursor goes back",
        "UPDATE stock_cursor SET seq = seq - 1",
        &[Name::Drained],
        &["MySQL has the log up to", "the module knows of"],
    ),
    (
        "a refusal is not answered",
        "INSERT INTO stock_refusal SELECT sid, epoch, seq FROM stock_order WHERE $held",
        &[Name::Drained],
        &["of u7: MySQL has refused it, and the module was not told"],
    ),
    (
        "a refund is forgotten",
        "DELETE FROM stock_refund",
        &[Name::Refunds],
        &[
            "of u2: by event",
            "a payment got nothing, and nobody gives it back",
        ],
    ),
    (
        "a refund is forged",
        "INSERT INTO stock_refund (sid, epoch, seq, uid, qty, due_at, reason) \
         SELECT sid, epoch, seq, uid, qty, 1, 'late_payment' FROM stock_order WHERE $paid",
        &[Name::Refunds],
        &["of u1: a refund (late_payment) without a cause"],
    ),
];

pub(crate) fn every_damage(stage: &Stage) {
    for (damage, sql, broken, words) in DAMAGES {
        stage.db.query(&in_sql(stage, sql)).unwrap();
        let words: Vec<String> = words
            .iter()
            .map(|word| word.replace("$rid", &stage.rids.paid))
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        stage.finds(damage, &stage.sources, broken, &words);
        stage.mend_mysql();
        if sql.contains("DROP KEY") {
            let key = "ALTER TABLE stock_order ADD UNIQUE KEY stock_order_event (sid, epoch, seq)";
            stage.db.query(key).unwrap();
        }
    }
    stage.holds("MySQL was mended");
    what_does_not_last_is_seen_by_who_watches(stage);
}

fn in_sql(stage: &Stage, sql: &str) -> String {
    let rids = &stage.rids;
    let places = [
        ("$paid", &rids.paid),
        ("$given_up", &rids.given_up),
        ("$held", &rids.held),
    ];
    places.iter().fold(sql.to_owned(), |sql, (name, rid)| {
        let (epoch, seq) = rid.split_once('-').unwrap();
        sql.replace(name, &format!("epoch = {epoch} AND seq = {seq}"))
    })
}

fn what_does_not_last_is_seen_by_who_watches(stage: &Stage) {
    let watched = |damage: &str| {
        stage.run(async {
            let watch = Watch::start(&stage.sources, crate::stage::SID, Duration::from_millis(10));
            tokio::time::sleep(Duration::from_millis(300)).await;
            stage.db.query(damage).unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            stage.mend_mysql();
            watch.stop().await
        })
    };
    let calm = watched("SELECT 1");
    assert_eq!(calm.stands, Standing::Ok, "{calm:?}");
    assert!(calm.checked > 2, "{calm:?}");
    for (damage, word) in [
        (
            "UPDATE stock SET sale = sale + 1",
            "sale is not what live orders come to",
        ),
        (
            "UPDATE stock SET sale = count + 1",
            "sale is not within 0 and count",
        ),
        (
            "UPDATE stock SET version = version - 1",
            "stock.version went back",
        ),
        (
            "UPDATE stock_cursor SET seq = seq - 1",
            "the cursor went back",
        ),
    ] {
        let seen = watched(damage);
        assert_eq!(seen.stands, Standing::Broken, "{damage}: {seen:?}");
        assert!(
            seen.cases.iter().any(|case| case.what.contains(word)),
            "{damage}: {seen:?}"
        );
        let mut report = stage.report_of(&stage.sources, &setting());
        report.add(seen);
        let broken: Vec<Name> = report.broken().map(|one| one.name).collect();
        assert_eq!(broken, [Name::Always], "{damage}:\n{report}");
    }
}

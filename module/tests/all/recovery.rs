//! Facts that MySQL has and Redis lost are put back, and the sale goes on.

use crate::common::{Client, Server, accepted, await_equal, skip_in, with_replica};
use redis::Value;
use seckill_protocol::Verdict;
use seckill_testbed::Part;
use std::collections::HashMap;

/// What `SECKILL.RESTORE` says it did.
fn put_back(client: &mut Client, line: &str) -> (i64, i64, i64) {
    let reply = client.run(&format!("SECKILL.RESTORE {line}"));
    let counts: HashMap<String, i64> = redis::from_redis_value(reply.unwrap()).unwrap();
    (counts["added"], counts["moved"], counts["known"])
}

fn log(client: &mut Client, sid: &str) -> Vec<String> {
    let reply = client.run(&format!("SECKILL.EVENTS {sid} FORMAT text"));
    redis::from_redis_value(reply.unwrap()).unwrap()
}

#[test]
fn a_promoted_replica_that_lacks_the_last_acceptances_gets_them_back() {
    skip_in!(Aof, Replica, Cluster: "has a primary and a replica of its own");
    let (mut server, replica) = with_replica("module-lost-seconds");
    let mut primary = server.client();
    primary.text("SECKILL.CREATE s STOCK 5 LIMIT 2");
    let first = accepted(primary.try_("s u1 TOKEN t1"));
    let mut copy = Client::of(&replica);
    await_equal(&mut primary, &mut copy, "s");

    // The link is cut, and the primary goes on: it answers, MySQL hears of it, and then it dies.
    primary.text("ACL SETUSER replica off");
    primary.run("CLIENT KILL TYPE replica").unwrap();
    let lost = accepted(primary.try_("s u2 TOKEN t2"));
    primary.text(&format!("SECKILL.CONFIRM s {first}"));
    let head = primary.info("s", "head");
    let at = primary.run(&format!("SECKILL.GET s {lost}")).unwrap();
    let order: HashMap<String, String> = redis::from_redis_value(at).unwrap();
    server.redis_mut().kill().unwrap();
    copy.text("REPLICAOF NO ONE");
    assert_eq!(copy.try_("s u3"), Verdict::Paused);
    assert!(copy.audit("s").starts_with("OK total=5 available=4 held=1"));

    // What the worker types with MySQL's orders in its hand.
    let line = format!(
        "s RESERVATION {first} u1 1 confirmed {} {} RESERVATION {lost} u2 1 held {} {} TOKEN t2 \
         JOIN {}",
        order["at"],
        order["deadline"],
        order["at"],
        order["deadline"],
        head.replace('-', " ")
    );
    assert_eq!(put_back(&mut copy, &line), (1, 1, 0));
    assert_eq!(put_back(&mut copy, &line), (0, 0, 2), "twice is like once");
    assert_eq!(
        copy.audit("s"),
        "OK total=5 available=3 held=1 sold=1 reservations=2"
    );
    let kept = log(&mut copy, "s");
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(
        kept[0].ends_with(&format!("epoch previous={head}")),
        "{kept:?}"
    );
    assert_eq!(copy.info("s", "stored"), head);
    assert_eq!(copy.info("s", "state"), "fenced");

    // MySQL takes the epoch up; the buyer of the lost reservation asks again.
    let epoch = copy.info("s", "epoch");
    copy.text(&format!("SECKILL.ACK s STORED {epoch} 1"));
    let again = Verdict::Duplicate(lost.parse().unwrap());
    assert_eq!(copy.try_("s u2 TOKEN t2"), again);
    accepted(copy.try_("s u3"));
    assert!(
        copy.audit("s")
            .starts_with("OK total=5 available=2 held=2 sold=1")
    );
}

#[test]
fn a_redis_that_lost_everything_is_filled_again() {
    let server = Server::start("module-lost-all");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 0 PAUSED LIMIT 2 NAME Lamp");
    let line = "s UNITS 100 7 RESERVATION 1763800000000-2 u1 2 confirmed 1763800000001 0 \
                RESERVATION 1763800000000-3 u2 1 cancelled 1763800000001 1763800900001 \
                RESERVATION 1763800000000-9 u3 1 held 1763800000002 99999999999999 TOKEN t \
                REFUND 1763800000000-3 JOIN 1763800000000 12";
    assert_eq!(put_back(&mut client, line), (3, 0, 0));
    assert_eq!(
        client.audit("s"),
        "OK total=100 available=90 held=1 sold=9 reservations=3"
    );
    let kept = log(&mut client, "s");
    assert!(
        kept.len() == 1 && kept[0].ends_with("epoch previous=1763800000000-12"),
        "{kept:?}"
    );
    let epoch = client.info("s", "epoch");
    client.text(&format!("SECKILL.ACK s STORED {epoch} 1"));
    assert_eq!(client.info("s", "state"), "paused");
    client.text("SECKILL.RESUME s");
    let first = Verdict::Duplicate("1763800000000-2".parse().unwrap());
    assert_eq!(client.try_("s u1"), first);
    let held = "1763800000000-9";
    assert_eq!(
        client.try_("s u3 TOKEN t"),
        Verdict::Duplicate(held.parse().unwrap())
    );
    client.text(&format!("SECKILL.CONFIRM s {held}"));
    // MySQL knows of this refund: it is not said again.
    let gone = client.error("SECKILL.CONFIRM s 1763800000000-3 REFUND");
    assert_eq!(gone, "GONE reservation is cancelled");
    let rid = accepted(client.try_("s u4"));
    let kept = log(&mut client, "s");
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept[0].ends_with(&format!("confirmed rid={held}")));
    assert!(kept[1].starts_with(&format!("{rid} ")));
}

#[test]
fn a_sale_that_was_set_back_begins_an_epoch_that_mysql_does_not_have() {
    let server = Server::start("module-set-back");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 3");
    let rid = accepted(client.try_("s u1"));
    assert!(
        client
            .error("SECKILL.RESTORE s EPOCH 0")
            .starts_with("ERR the sale is neither fenced nor paused")
    );
    client.text("SECKILL.PAUSE s");
    // MySQL has an epoch from a node whose clock was ahead.
    let ahead = 99_999_999_999_999_u64;
    put_back(&mut client, &format!("s EPOCH {ahead}"));
    assert_eq!(client.info("s", "state"), "fenced");
    let head = format!("{}-1", ahead + 1);
    assert_eq!(client.info("s", "head"), head);
    let after = rid.replace('-', " ");
    let last = log(&mut client, &format!("s AFTER {after}")).pop().unwrap();
    assert!(last.ends_with(&format!("epoch previous={rid}")), "{last}");
    put_back(&mut client, &format!("s JOIN {ahead} 7"));
    client.text(&format!("SECKILL.ACK s STORED {} 1", ahead + 2));
    assert_eq!(client.info("s", "state"), "paused");
}

/// A fenced copy may lack that a hold lapsed and its unit was sold again, or that it was never granted.
#[test]
fn a_fenced_copy_asks_to_be_asked_again() {
    skip_in!(Replica, Cluster: "has a primary and a replica of its own");
    let (mut server, replica) = with_replica("module-fenced");
    let mut primary = server.client();
    primary.text("SECKILL.CREATE s STOCK 5 HOLD 2000");
    let [held, paid] = ["u1", "u2"].map(|uid| accepted(primary.try_(&format!("s {uid}"))));
    primary.text(&format!("SECKILL.CONFIRM s {paid}"));
    let mut copy = Client::of(&replica);
    await_equal(&mut primary, &mut copy, "s");
    server.redis_mut().kill().unwrap();
    copy.text("REPLICAOF NO ONE");
    copy.run("SECKILL.EVENTS s").unwrap();
    let head = copy.info("s", "head");
    for line in [
        &format!("CONFIRM s {held} LATE"),
        &format!("CANCEL s {held}"),
        &format!("CANCEL s {paid}"),
        "CONFIRM s 1-1 REFUND",
        "GET s 1-1",
        "RESTOCK s -1",
    ] {
        assert_eq!(
            copy.error(&format!("SECKILL.{line}")),
            "FENCED the sale is fenced until MySQL is seen to have the same: ask again",
            "{line}"
        );
    }
    assert_eq!(copy.info("s", "head"), head, "nothing is decided");
    copy.text(&format!("SECKILL.CONFIRM s {paid}"));
    // Long after the hold's end, but the payment was made while it could not be taken.
    std::thread::sleep(std::time::Duration::from_millis(2100));
    copy.text(&format!("SECKILL.ACK s STORED {}", head.replace('-', " ")));
    assert_eq!(copy.info("s", "state"), "open");
    copy.text(&format!("SECKILL.CONFIRM s {held}"));
}

#[test]
fn what_cannot_be_put_back_is_named_and_changes_nothing() {
    let server = Server::start("module-restore-errors");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 1");
    let rid = accepted(client.try_("s u1"));
    let (epoch, _) = rid.split_once('-').unwrap();
    assert_eq!(
        client.error("SECKILL.RESTORE s UNITS 1 0"),
        "ERR the sale is neither fenced nor paused: PAUSE it before facts are put back"
    );
    client.text("SECKILL.PAUSE s");
    let before = client.digest("s");
    for (facts, expected) in [
        (
            "UNITS 0 0",
            "ERR UNITS 0 0 is less than the 1 units that reservations hold".into(),
        ),
        ("UNITS 1", "ERR UNITS sold needs a value".into()),
        (
            "UNITS x 0",
            "ERR UNITS total must be an integer from 0 to 9007199254740991, got 'x'".into(),
        ),
        (
            "UNIT 1 0",
            "ERR unknown option 'UNIT': expected UNITS, RESERVATION, REFUND, EPOCH or JOIN".into(),
        ),
        (
            "RESERVATION 1-1 u2 1 held 5 9",
            "ERR only 0 units are available: say what MySQL has with UNITS first".into(),
        ),
        (
            "RESERVATION 1-1 u2 1 held 5 0",
            "ERR a held RESERVATION needs a deadline".into(),
        ),
        (
            "RESERVATION 1-1 u2 1 held 5 5",
            "ERR RESERVATION deadline 5 is not after its at 5".into(),
        ),
        (
            "RESERVATION 1-1 u2 1 paid 5 9",
            "ERR RESERVATION state: expected held, confirmed, cancelled or expired, got 'paid'"
                .into(),
        ),
        (
            "RESERVATION 1-1 u2 0 held 5 9",
            "ERR RESERVATION qty must be an integer from 1 to 4294967295, got '0'".into(),
        ),
        (
            "RESERVATION 1-1 u2 1 held 5 9 TOKEN",
            "ERR TOKEN needs a value".into(),
        ),
        ("JOIN 1", "ERR JOIN seq needs a value".into()),
        (
            "EPOCH -1",
            "ERR EPOCH above must be an integer from 0 to 9223372036854775806, got '-1'".into(),
        ),
        (
            &format!("RESERVATION {rid} u2 1 held 5 9"),
            format!("ERR reservation {rid} is here with another uid or qty"),
        ),
        (
            &format!("RESERVATION {epoch}-9 u2 1 expired 5 9"),
            format!("ERR reservation {epoch}-9 is beyond the last event, {epoch}-2"),
        ),
        (
            &format!("JOIN {epoch} 1"),
            format!(
                "ERR JOIN {epoch}-1: the next event here is {rid}, which begins no epoch or is in MySQL already"
            ),
        ),
    ] {
        assert_eq!(
            client.error(&format!("SECKILL.RESTORE s {facts}")),
            expected
        );
    }
    assert_eq!(client.digest("s"), before);
    assert!(
        client
            .error("SECKILL.RESTORE none UNITS 1 0")
            .starts_with("NOSALE")
    );
    let nothing = client.run("SECKILL.EVENTS none FORMAT text");
    assert!(!matches!(nothing, Ok(Value::Array(_))));
}

//! The commands as an operator and the other parts meet them: replies and errors.

use crate::common::{Client, Server, accepted, skip_in};
use redis::Value;
use seckill_protocol::{EventBatch, Fact, Verdict};

#[test]
fn a_sale_goes_from_create_to_sold_out_and_its_books_add_up() {
    let server = Server::start("module-sale");
    let mut client = server.client();
    assert_eq!(client.text("SECKILL.CREATE 1001 STOCK 2 NAME Lamp"), "OK");
    assert_eq!(client.text("TYPE 1001"), "flashsale");

    let first = accepted(client.try_("1001 u1 TOKEN t1"));
    assert_eq!(
        client.try_("1001 u1 TOKEN t1"),
        Verdict::Duplicate(first.parse().unwrap()),
        "a lost answer can be asked for again"
    );
    let second = accepted(client.try_("1001 u2"));
    assert!(matches!(
        client.try_("1001 u3"),
        Verdict::SoldOut { wait_ms: Some(ms) } if (890_000..=900_000).contains(&ms)
    ));

    assert_eq!(client.text(&format!("SECKILL.CONFIRM 1001 {first}")), "OK");
    assert_eq!(client.text(&format!("SECKILL.CONFIRM 1001 {first}")), "OK");
    assert_eq!(client.text(&format!("SECKILL.CANCEL 1001 {second}")), "OK");
    assert_eq!(
        client.error(&format!("SECKILL.CANCEL 1001 {first}")),
        "GONE reservation is confirmed"
    );
    accepted(client.try_("1001 u3"));
    assert_eq!(
        client.audit("1001"),
        "OK total=2 available=0 held=1 sold=1 reservations=3"
    );
    for (field, expected) in [
        ("state", "soldout"),
        ("name", "Lamp"),
        ("total", "2"),
        ("held", "1"),
        ("sold", "1"),
        ("log", "6"),
    ] {
        assert_eq!(client.info("1001", field), expected, "{field}");
    }
}

#[test]
fn a_node_counts_what_it_has_answered() {
    skip_in!(Aof: "counters are the node's, in no copy of a sale");
    let server = Server::start("module-counters");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 2");
    client.run("SECKILL.MTRY s u1 u1 u2 u3").unwrap();
    for (field, expected) in [
        ("tries", "4"),
        ("accepted", "2"),
        ("duplicate", "1"),
        ("soldout", "1"),
    ] {
        assert_eq!(client.info("s", field), expected, "{field}");
    }
}

#[test]
fn an_operator_pauses_restocks_and_closes() {
    let server = Server::start("module-control");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 0 PAUSED");
    assert_eq!(client.try_("s u1"), Verdict::Paused);
    assert_eq!(client.text("SECKILL.RESUME s"), "OK");
    assert_eq!(client.try_("s u1"), Verdict::SoldOut { wait_ms: None });
    assert_eq!(client.text("SECKILL.RESTOCK s 1"), "OK");
    accepted(client.try_("s u1"));
    assert_eq!(
        client.error("SECKILL.RESTOCK s -1"),
        "ERR delta takes away more than the 0 units that are available"
    );
    assert_eq!(client.text("SECKILL.CLOSE s"), "OK");
    assert_eq!(client.try_("s u2"), Verdict::Ended);
    assert_eq!(client.info("s", "state"), "closed");
}

#[test]
fn the_window_is_kept() {
    let server = Server::start("module-window");
    let mut client = server.client();
    let now_ms: u64 = {
        client.text("SECKILL.CREATE clock STOCK 1");
        client.info("clock", "now").parse().unwrap()
    };
    client.text(&format!(
        "SECKILL.CREATE early STOCK 1 START {}",
        now_ms + 60_000
    ));
    assert!(matches!(
        client.try_("early u1"),
        Verdict::NotStarted { wait_ms } if (50_000..=60_000).contains(&wait_ms)
    ));
    client.text(&format!("SECKILL.CREATE late STOCK 1 END {}", now_ms - 1));
    assert_eq!(client.try_("late u1"), Verdict::Ended);
}

#[test]
fn the_rates_are_kept() {
    skip_in!(Aof: "rates are the node's, in no copy of a sale");
    let server = Server::start("module-rates");
    let mut client = server.client();
    client.text("SECKILL.CREATE slow STOCK 10 RATE 1 BURST 2");
    accepted(client.try_("slow u1"));
    accepted(client.try_("slow u2"));
    assert!(matches!(
        client.try_("slow u3"),
        Verdict::Limited { wait_ms } if (1..=1000).contains(&wait_ms)
    ));
    assert_eq!(client.text("SECKILL.ALTER slow RATE 0"), "OK");
    accepted(client.try_("slow u3"));
}

#[test]
fn an_unpaid_hold_comes_back_without_anybody_asking_for_it() {
    let server = Server::start("module-expiry");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 1 HOLD 50");
    let rid = accepted(client.try_("s u1"));
    std::thread::sleep(std::time::Duration::from_millis(80));
    // Reading the log, as the worker does all the time, is what releases.
    client.run("SECKILL.EVENTS s").unwrap();
    assert_eq!(client.info("s", "available"), "1");
    assert_eq!(
        client.error(&format!("SECKILL.CONFIRM s {rid}")),
        "GONE reservation is expired"
    );
    assert_eq!(client.text(&format!("SECKILL.CONFIRM s {rid} LATE")), "OK");
    assert_eq!(
        client.audit("s"),
        "OK total=1 available=0 held=0 sold=1 reservations=1"
    );
}

#[test]
fn the_log_is_read_in_pieces_and_trimmed_up_to_what_mysql_has() {
    let server = Server::start("module-events");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 5 NAME Lamp HOLD 0");
    for buyer in 1..=5 {
        accepted(client.try_(&format!("s u{buyer}")));
    }
    let epoch: u64 = client.info("s", "epoch").parse().unwrap();
    let mut read = |line: &str| match client.run(line).unwrap() {
        Value::BulkString(bytes) => Some(EventBatch::from_packed(&bytes).unwrap()),
        Value::Nil => None,
        other => panic!("{other:?}"),
    };
    let all = read("SECKILL.EVENTS s").unwrap();
    assert_eq!(all.epoch, epoch);
    assert_eq!(all.events.len(), 6);
    assert!(
        matches!(&all.events[0].fact, Fact::Opened { total: 5, sold: 0, name } if &**name == "Lamp")
    );
    assert!(
        matches!(&all.events[5].fact, Fact::Accepted { deadline: None, uid, .. } if uid.as_str() == "u5")
    );
    let piece = read(&format!("SECKILL.EVENTS s AFTER {epoch} 2 COUNT 2")).unwrap();
    assert_eq!(piece.events[..], all.events[2..4]);
    assert_eq!(read(&format!("SECKILL.EVENTS s AFTER {epoch} 6")), None);

    assert_eq!(
        client.text(&format!("SECKILL.ACK s STORED {epoch} 4")),
        "OK"
    );
    assert_eq!(client.info("s", "log"), "2");
    assert_eq!(client.info("s", "relayed"), format!("{epoch}-4"));
    assert_eq!(
        client.error(&format!("SECKILL.ACK s RELAYED {epoch} 7")),
        format!("ERR epoch and seq are beyond the last event, {epoch}-6")
    );
    let lines: Vec<String> =
        redis::from_redis_value(client.run("SECKILL.EVENTS s FORMAT text").unwrap()).unwrap();
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].contains("accepted qty=1 deadline=0 token= uid=u4"),
        "{lines:?}"
    );
}

#[test]
fn a_reservation_is_shown_with_whether_mysql_has_it() {
    let server = Server::start("module-get");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 5 LIMIT 2");
    let rid = accepted(client.try_("s u1 QTY 2"));
    let mut get = |field: &str| {
        let map: std::collections::HashMap<String, String> =
            redis::from_redis_value(client.run(&format!("SECKILL.GET s {rid}")).unwrap()).unwrap();
        map[field].clone()
    };
    assert_eq!(get("uid"), "u1");
    assert_eq!(get("qty"), "2");
    assert_eq!(get("state"), "held");
    assert_eq!(get("stored"), "0");
    let (epoch, seq) = rid.split_once('-').unwrap();
    client.text(&format!("SECKILL.ACK s STORED {epoch} {seq}"));
    let stored = client.run(&format!("SECKILL.GET s {rid}")).unwrap();
    let map: std::collections::HashMap<String, String> = redis::from_redis_value(stored).unwrap();
    assert_eq!(map["stored"], "1");
}

#[test]
fn an_operator_alters_a_running_sale() {
    let server = Server::start("module-alter");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 5 NAME Lamp");
    accepted(client.try_("s u1"));
    assert_eq!(client.text("SECKILL.ALTER s LIMIT 2 HOLD 0"), "OK");
    for uid in ["u1", "u2", "u2"] {
        accepted(client.try_(&format!("s {uid}")));
    }
    assert!(matches!(client.try_("s u2"), Verdict::Duplicate(_)));
    assert_eq!(client.info("s", "name"), "Lamp", "what is not given stays");
    assert_eq!(
        client.audit("s"),
        "OK total=5 available=1 held=1 sold=3 reservations=4"
    );
    client.text("SECKILL.ALTER s START 100");
    assert_eq!(
        client.error("SECKILL.ALTER s END 99"),
        "ERR END 99 is not after START 100"
    );
    assert_eq!(
        client.error("SECKILL.ALTER s STOCK 9"),
        "ERR unknown option 'STOCK': expected LIMIT, START, END, HOLD, RATE, USERRATE or NAME"
    );
}

#[test]
fn many_tries_travel_in_one_command_and_are_decided_in_their_order() {
    let server = Server::start("module-mtry");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 2");
    let Value::Array(flat) = client.run("SECKILL.MTRY s u1 u2 u1 u3").unwrap() else {
        panic!("expected an array")
    };
    let verdicts: Vec<Verdict> = flat
        .chunks(2)
        .map(|pair| crate::common::verdict(Value::Array(pair.to_vec())))
        .collect();
    let [
        Verdict::Accepted(first),
        Verdict::Accepted(second),
        again,
        last,
    ] = verdicts[..]
    else {
        panic!("{verdicts:?}")
    };
    assert!(first < second);
    assert_eq!(again, Verdict::Duplicate(first));
    assert!(matches!(last, Verdict::SoldOut { .. }));
    assert!(client.error("SECKILL.MTRY s").contains("wrong number"));
    let epoch = client.info("s", "epoch");
    let head = format!("{epoch}-3");
    let mut refused = redis::cmd("SECKILL.MTRY");
    refused.arg("s").arg("u4").arg(b"\xff");
    assert!(client.send(&refused).is_err());
    assert_eq!(
        client.info("s", "head"),
        head,
        "a bad uid undoes the command whole"
    );
}

#[test]
fn a_buyers_reservations_are_shown_whatever_became_of_them() {
    let server = Server::start("module-user");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 5 LIMIT 2");
    let first = accepted(client.try_("s u1"));
    accepted(client.try_("s u2"));
    client.text(&format!("SECKILL.CANCEL s {first}"));
    let second = accepted(client.try_("s u1 QTY 2"));
    let shown: Vec<std::collections::HashMap<String, String>> =
        redis::from_redis_value(client.run("SECKILL.USER s u1").unwrap()).unwrap();
    let shown: Vec<_> = shown
        .iter()
        .map(|r| (&*r["rid"], &*r["state"], &*r["qty"]))
        .collect();
    assert_eq!(
        shown,
        [(&*second, "held", "2"), (&*first, "cancelled", "1")]
    );
    assert_eq!(
        client.run("SECKILL.USER s nobody").unwrap(),
        Value::Array(vec![])
    );
}

#[test]
fn all_reservations_are_read_page_by_page_while_more_come() {
    let server = Server::start("module-reservations");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 9 LIMIT 0 HOLD 60000");
    let mut rids = vec![
        accepted(client.try_("s u1 QTY 2 TOKEN t1")),
        accepted(client.try_("s u2")),
        accepted(client.try_("s u1")),
    ];
    client.text(&format!("SECKILL.CANCEL s {}", rids[1]));
    let mut pages = Vec::new();
    loop {
        let page = format!("SECKILL.RESERVATIONS s FROM {} COUNT 2", pages.len());
        type Row = (String, String, u32, String, u64, u64, Option<String>);
        let page: Vec<Row> = redis::from_redis_value(client.run(&page).unwrap()).unwrap();
        if page.is_empty() {
            break;
        }
        if pages.is_empty() {
            rids.push(accepted(client.try_("s u3")));
        }
        pages.extend(page);
    }
    let read: Vec<_> = pages.iter().map(|row| row.0.clone()).collect();
    assert_eq!(read, rids);
    let (_, uid, qty, state, at, deadline, token) = &pages[0];
    assert_eq!((&**uid, *qty, &**state), ("u1", 2, "held"));
    assert_eq!(*deadline, at + 60000);
    assert_eq!(token.as_deref(), Some("t1"));
    assert_eq!((&*pages[1].3, &pages[1].6), ("cancelled", &None));
}

#[test]
fn info_says_since_when_something_waits_for_the_worker() {
    let server = Server::start("module-since");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 9 LIMIT 0");
    let rid = accepted(client.try_("s u1"));
    accepted(client.try_("s u2"));
    client.text(&format!("SECKILL.CONFIRM s {rid}"));
    let mut events = |after: u32| -> Vec<String> {
        let epoch = rid.split('-').next().unwrap();
        let line = format!("SECKILL.EVENTS s AFTER {epoch} {after} FORMAT text");
        redis::from_redis_value(client.run(&line).unwrap()).unwrap()
    };
    let ats: Vec<String> = events(0)
        .iter()
        .map(|line| line.split(' ').nth(1).unwrap().replace("at=", ""))
        .collect();
    let since = |client: &mut Client| {
        ["unrelayed", "unstored", "unordered"]
            .map(|word| client.info("s", &format!("{word}_since")))
    };
    let epoch = rid.split('-').next().unwrap().to_owned();
    assert_eq!(since(&mut client), [&*ats[0], &ats[0], &ats[1]]);
    client.text(&format!("SECKILL.ACK s RELAYED {epoch} 2"));
    client.text(&format!("SECKILL.ACK s STORED {epoch} 2"));
    assert_eq!(since(&mut client), [&*ats[2], &ats[2], &ats[2]]);
    assert_eq!(client.info("s", "unordered"), "1");
    client.text(&format!("SECKILL.ACK s RELAYED {epoch} 4"));
    client.text(&format!("SECKILL.ACK s STORED {epoch} 3"));
    assert_eq!(since(&mut client), ["0", &ats[3], "0"]);
    assert_eq!(client.info("s", "unordered"), "0");
}

#[test]
fn each_change_of_state_is_announced_once_and_nothing_else_is() {
    let server = Server::start("module-news");
    let mut client = server.client();
    // Keyspace events are the node's that has the key.
    let mut listener = server.connect_to("s");
    let mut configure = redis::cmd("CONFIG");
    configure.arg(&["SET", "notify-keyspace-events", "Kd"]);
    configure.exec(&mut listener).unwrap();
    let mut heard = listener.as_pubsub();
    heard.subscribe("seckill:s").unwrap();
    heard.psubscribe("__keyspace@0__:s").unwrap();
    client.text("SECKILL.CREATE s STOCK 1");
    let rid = accepted(client.try_("s u1"));
    client.try_("s u2");
    client.text(&format!("SECKILL.CANCEL s {rid}"));
    for line in [
        "PAUSE s",
        "PAUSE s",
        "RESUME s",
        "RESTOCK s 1",
        "ALTER s LIMIT 2",
    ] {
        client.text(&format!("SECKILL.{line}"));
    }
    client.text("SECKILL.CLOSE s");
    let (mut words, mut events) = (Vec::new(), Vec::new());
    while words.len() + events.len() < 16 {
        let message = heard.get_message().unwrap();
        let text: String = message.get_payload().unwrap();
        if message.from_pattern() {
            events.push(text.strip_prefix("seckill.").unwrap().to_owned());
        } else {
            words.push(text);
        }
    }
    let expected = "opened soldout reopened paused resumed restocked altered closed";
    assert_eq!(words.join(" "), expected);
    assert_eq!(events.join(" "), expected);
}

#[test]
fn info_tells_of_the_node_and_forgets_what_is_gone() {
    skip_in!(Aof, Cluster: "counters are the node's: not the sale's, and not the cluster's");
    let server = Server::start("module-info");
    let mut client = server.client();
    let field = |client: &mut Client, name: &str| -> i64 {
        let value = client.server_info("seckill", &format!("seckill_{name}"));
        value.parse().unwrap()
    };
    client.text("SECKILL.CREATE s STOCK 2");
    client.text("SECKILL.CREATE t STOCK 1");
    client.run("SECKILL.MTRY s u1 u1 u2 u3").unwrap();
    for (name, value) in [
        ("sales", 2),
        ("events_pending", 4),
        ("accepted", 2),
        ("duplicate", 1),
        ("soldout", 1),
    ] {
        assert_eq!(field(&mut client, name), value, "{name}");
    }
    assert!(field(&mut client, "memory_bytes") > 0);
    let epoch = client.info("s", "epoch");
    client.text(&format!("SECKILL.ACK s STORED {epoch} 3"));
    assert_eq!(field(&mut client, "events_pending"), 1);
    client.text("DEBUG RELOAD");
    assert_eq!(field(&mut client, "sales"), 2);
    assert_eq!(field(&mut client, "events_pending"), 1);
    client.run("DEL s t").unwrap();
    for name in ["sales", "events_pending", "memory_bytes"] {
        assert_eq!(field(&mut client, name), 0, "{name}");
    }
}

#[test]
fn every_command_has_its_page_in_the_servers_manual() {
    let server = Server::start("module-docs");
    let mut client = server.client();
    let words = "CREATE ALTER TRY MTRY CONFIRM CANCEL GET USER RESERVATIONS INFO EVENTS ACK LEASE \
                 PAUSE RESUME CLOSE RESTOCK RESTORE AUDIT APPLY";
    let mut list = redis::cmd("COMMAND");
    list.arg(&["LIST", "FILTERBY", "MODULE", "seckill"]);
    let listed: Vec<String> = client.query(&list);
    assert_eq!(listed.len(), words.split(' ').count(), "{listed:?}");
    for word in words.split(' ') {
        let name = format!("seckill.{}", word.to_lowercase());
        let docs = format!("{:?}", client.run(&format!("COMMAND DOCS {name}")).unwrap());
        assert!(
            docs.contains("summary") && docs.contains("sid"),
            "{name}: {docs}"
        );
        let keys = format!("COMMAND GETKEYS {name} 1001 1-1 1 1 1");
        if let Ok(keys) = client.run(&keys) {
            let keys: Vec<String> = redis::from_redis_value(keys).unwrap();
            assert_eq!(keys, ["1001"], "{name}");
        }
    }
    let docs = format!("{:?}", client.run("COMMAND DOCS seckill.try").unwrap());
    for part in ["uid", "QTY", "TOKEN", "idempotency-key", "integer"] {
        assert!(docs.contains(part), "{part}: {docs}");
    }
}

#[test]
fn what_is_wrong_with_a_command_is_named() {
    let server = Server::start("module-errors");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 5 LIMIT 2");
    client.text("SET text x");
    let long_uid = "x".repeat(129);
    for (line, expected) in [
        ("SECKILL.CREATE s STOCK 5", "ERR sale already exists"),
        ("SECKILL.CREATE n LIMIT 1", "ERR STOCK is missing"),
        ("SECKILL.CREATE n LIMIT 1 STOCK", "ERR STOCK needs a value"),
        (
            "SECKILL.CREATE n STOCK -1",
            "ERR STOCK must be an integer from 0 to 9007199254740991, got '-1'",
        ),
        (
            "SECKILL.CREATE n STOCK +1",
            "ERR STOCK must be an integer from 0 to 9007199254740991, got '+1'",
        ),
        (
            "SECKILL.CREATE n STOCK 1 STOCK 2",
            "ERR STOCK is given twice",
        ),
        (
            "SECKILL.CREATE n STOCK 1 SOLD 2",
            "ERR SOLD 2 is more than STOCK 1",
        ),
        (
            "SECKILL.CREATE n STOCK 1 START 9 END 9",
            "ERR END 9 is not after START 9",
        ),
        (
            "SECKILL.CREATE n STOCK 1 COLOUR red",
            "ERR unknown option 'COLOUR': expected STOCK, SOLD, LIMIT, START, END, HOLD, RATE, USERRATE, NAME or PAUSED",
        ),
        (
            "SECKILL.CREATE text STOCK 1",
            "WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        ("SECKILL.TRY none u1", "NOSALE no such sale"),
        (
            "SECKILL.TRY text u1",
            "WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        (
            "SECKILL.TRY s u1 QTY 3",
            "ERR QTY is above the sale's LIMIT of 2",
        ),
        (
            "SECKILL.TRY s u1 QTY 0",
            "ERR QTY must be an integer from 1 to 4294967295, got '0'",
        ),
        ("SECKILL.TRY s u1 TOKEN", "ERR TOKEN needs a value"),
        (
            "SECKILL.TRY s u1 COUNT 1",
            "ERR unknown option 'COUNT': expected QTY or TOKEN",
        ),
        (
            "SECKILL.TRY s ",
            "ERR uid is empty: expected 1 to 128 bytes",
        ),
        (
            &format!("SECKILL.TRY s {long_uid}"),
            "ERR uid is too long: expected 1 to 128 bytes",
        ),
        (
            "SECKILL.CONFIRM s 1",
            "ERR rid must be <epoch>-<seq>, for example 1763800000000-42, got '1'",
        ),
        ("SECKILL.CONFIRM s 1-1", "NORESERVATION no such reservation"),
        ("SECKILL.GET s 1-1", "NORESERVATION no such reservation"),
        (
            "SECKILL.EVENTS s COUNT 10001",
            "ERR COUNT must be an integer from 1 to 10000, got '10001'",
        ),
        (
            "SECKILL.ACK s READ 1 1",
            "ERR unknown option 'READ': expected RELAYED or STORED",
        ),
        (
            "SECKILL.RESTOCK s many",
            "ERR delta must be an integer from -9223372036854775808 to 9223372036854775807, got 'many'",
        ),
        (
            "SECKILL.APPLY s x",
            "ERR SECKILL.APPLY is for replication and the AOF; it is refused from a client",
        ),
        ("COPY s {s}t", "ERR not supported for this module key"),
    ] {
        assert_eq!(client.error(line), expected, "{line}");
    }
    for line in [
        "SECKILL.TRY",
        "SECKILL.TRY s",
        "SECKILL.INFO",
        "SECKILL.INFO s x",
        "SECKILL.ACK s",
    ] {
        let error = client.error(line);
        assert!(
            error.contains("wrong number of arguments"),
            "{line}: {error}"
        );
    }
    assert_eq!(
        client.audit("s"),
        "OK total=5 available=5 held=0 sold=0 reservations=0"
    );
}

#[test]
fn bytes_that_are_no_text_do_no_harm() {
    let server = Server::start("module-bytes");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 5");
    for bytes in [&b"a\0b"[..], b"\xff\xfe", b"a\r\nb", b"%s%n%x"] {
        for position in 1..=4 {
            let mut command = redis::cmd("SECKILL.TRY");
            for at in 1..=4 {
                let plain: &[u8] = [&b"s"[..], b"u1", b"TOKEN", b"t"][at - 1];
                command.arg(if at == position { bytes } else { plain });
            }
            let _ = client.send(&command);
        }
    }
    assert!(client.audit("s").starts_with("OK total=5"));
}

#[test]
fn a_full_server_refuses_new_buyers_and_still_serves_the_old_ones() {
    let server = Server::start("module-full");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 5");
    let rid = accepted(client.try_("s u1"));
    client.text("CONFIG SET maxmemory 1");
    assert!(client.error("SECKILL.TRY s u2").starts_with("OOM"));
    assert_eq!(client.text(&format!("SECKILL.CONFIRM s {rid}")), "OK");
    let epoch = client.info("s", "epoch");
    assert_eq!(
        client.text(&format!("SECKILL.ACK s STORED {epoch} 3")),
        "OK"
    );
    client.text("CONFIG SET maxmemory 0");
    accepted(client.try_("s u2"));
}

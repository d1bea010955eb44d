//! What may lie on the topic.

use crate::shop::{PATIENCE, Shop, await_true};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message, OwnedMessage};
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use seckill_protocol::{Event, EventBatch, Fact, Uid};
use seckill_testbed::Part;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

const TOPIC: &str = "seckill.events";
const DEAD: &str = "seckill.events.dead";
const EPOCH: u64 = 1_763_800_000_000;

fn config(shop: &Shop) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", shop.kafka.as_ref().unwrap().brokers());
    config
}

fn send(shop: &Shop, key: &str, payloads: &[Vec<u8>]) {
    let producer: BaseProducer = config(shop).create().unwrap();
    for payload in payloads {
        let record = BaseRecord::to(TOPIC).key(key).payload(payload);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

/// The first messages of the dead topic.
fn dead_letters(shop: &Shop, count: usize) -> Vec<OwnedMessage> {
    let mut config = config(shop);
    config.set("group.id", "reader");
    config.set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[DEAD]).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut letters = Vec::new();
    while letters.len() < count {
        assert!(
            Instant::now() < deadline,
            "{} of {count} dead letters",
            letters.len()
        );
        if let Some(message) = consumer.poll(std::time::Duration::from_millis(100)) {
            letters.push(message.unwrap().detach());
        }
    }
    letters
}

fn header(message: &OwnedMessage, name: &str) -> String {
    let headers = message.headers().unwrap();
    let found = headers.iter().find(|header| header.key == name).unwrap();
    String::from_utf8(found.value.unwrap().to_vec()).unwrap()
}

/// `opened`, then sold units to `u2` and on: events `first` to `last`.
fn events(sid: u32, first: u64, last: u64) -> Vec<u8> {
    let events = (first..=last)
        .map(|seq| Event {
            seq,
            at: EPOCH + seq,
            fact: if seq == 1 {
                Fact::Opened {
                    name: "Lamp".into(),
                    total: 100,
                    sold: 0,
                }
            } else {
                Fact::Accepted {
                    uid: Uid::new(format!("u{seq}").as_bytes()).unwrap(),
                    qty: 1,
                    deadline: None,
                    token: None,
                }
            },
        })
        .collect();
    let batch = EventBatch {
        epoch: EPOCH,
        events,
    };
    batch.to_json(&sid.to_string()).unwrap()
}

fn await_live(shop: &Shop, sid: u32, units: i64) {
    await_true(&format!("sale {sid} has {units} orders"), || {
        shop.books(sid).live == units
    });
}

fn await_topics(shop: &Shop) {
    let consumer: BaseConsumer = config(shop).create().unwrap();
    await_true("the topics are there", || {
        let metadata = consumer.fetch_metadata(None, PATIENCE).unwrap();
        let names: Vec<&str> = metadata.topics().iter().map(MetadataTopic::name).collect();
        names.contains(&TOPIC) && names.contains(&DEAD)
    });
}

#[test]
fn garbage_goes_to_the_dead_topic_and_the_rest_goes_on() {
    let Some(shop) = Shop::with_kafka("dead-letters") else {
        return;
    };
    let _worker = shop.run();
    await_topics(&shop);
    shop.stock(1, 100, 0);
    let garbage = b"\xff not json".to_vec();
    let foreign = br#"{"v":2,"anything":true}"#.to_vec();
    let payloads = [
        events(1, 1, 3),
        garbage.clone(),
        foreign,
        events(404, 1, 2),
        events(1, 4, 6),
    ];
    send(&shop, "k", &payloads);
    await_live(&shop, 1, 5);

    let letters = dead_letters(&shop, 3);
    assert_eq!(letters[0].payload(), Some(&garbage[..]));
    assert_eq!(letters[0].key(), Some(&b"k"[..]));
    assert_eq!(header(&letters[0], "topic"), TOPIC);
    assert_eq!(header(&letters[0], "partition"), "0");
    assert_eq!(header(&letters[0], "offset"), "1");
    assert!(header(&letters[0], "error").contains("not a seckill event message"));
    assert!(header(&letters[1], "error").contains("version 2"));
    assert!(header(&letters[2], "error").contains("no stock row"));
}

/// Found by the attack: with its reason and origin, such a letter was larger than the broker takes. It
/// was sent again for ever, and nothing behind it was read.
#[test]
fn what_cannot_be_kept_whole_is_kept_with_its_beginning_and_the_rest_goes_on() {
    let Some(shop) = Shop::with_kafka("large-letters") else {
        return;
    };
    let _worker = shop.run();
    await_topics(&shop);
    shop.stock(1, 100, 0);
    let large = vec![b'x'; 1_048_400];
    let quoted = format!(r#"{{"v":"\u001b[2J{}"}}"#, "y".repeat(600_000)).into_bytes();
    let mut config = config(&shop);
    config.set("message.max.bytes", "2000000");
    let producer: BaseProducer = config.create().unwrap();
    for payload in [&large, &quoted, &events(1, 1, 3)] {
        let record = BaseRecord::to(TOPIC).key("k").payload(payload);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    await_live(&shop, 1, 2);

    let letters = dead_letters(&shop, 2);
    assert_eq!(header(&letters[0], "cut"), large.len().to_string());
    assert!(large.starts_with(letters[0].payload().unwrap()));
    assert_eq!(letters[1].payload(), Some(&quoted[..]));
    let reason = header(&letters[1], "error");
    assert!(reason.contains("not a seckill event message"), "{reason}");
    assert!(
        reason.len() < 1000 && !reason.contains('\u{1b}'),
        "{reason}"
    );
    let replayed = shop.chore(&["dead", "replay", "0:0"]).unwrap();
    assert!(replayed.contains("0:0: not sent"), "{replayed}");
}

#[test]
fn a_message_that_comes_twice_is_applied_once() {
    let Some(shop) = Shop::with_kafka("twice") else {
        return;
    };
    let mut worker = shop.run();
    await_topics(&shop);
    shop.stock(1, 100, 0);
    let payloads = [
        events(1, 1, 5),
        events(1, 1, 5),
        events(1, 3, 7),
        events(1, 2, 2),
        events(1, 8, 9),
    ];
    send(&shop, "1", &payloads);
    await_live(&shop, 1, 8);
    worker.kill().unwrap();
    worker.restart().unwrap();
    send(&shop, "1", &[events(1, 1, 9), events(1, 10, 10)]);
    await_live(&shop, 1, 9);
    assert_eq!(shop.books(1).stock, (100, 9));
}

#[test]
fn a_hole_on_the_topic_is_closed_by_the_missing_events_also_after_a_restart() {
    let Some(shop) = Shop::with_kafka("topic-hole") else {
        return;
    };
    let mut worker = shop.run();
    await_topics(&shop);
    shop.stock(1, 100, 0);
    shop.stock(2, 100, 0);
    send(
        &shop,
        "1",
        &[events(1, 1, 3), events(1, 6, 8), events(2, 1, 4)],
    );
    await_live(&shop, 2, 3);
    await_live(&shop, 1, 2);
    await_true("the alarm", || {
        shop.log_of(&worker).contains("ALARM: sale 1 stands still")
    });
    worker.stop().unwrap();
    worker.restart().unwrap();
    // Behind what was left aside: both the missing events and a repetition.
    send(&shop, "1", &[events(1, 4, 7)]);
    await_live(&shop, 1, 6);
    worker.stop().unwrap();
    worker.restart().unwrap();
    send(&shop, "1", &[events(1, 8, 9)]);
    await_live(&shop, 1, 8);
}

#[test]
fn events_that_the_broker_lost_are_sent_again_while_the_sale_goes_on() {
    let Some(shop) = Shop::with_kafka("sent-again") else {
        return;
    };
    let mut worker = shop.run();
    shop.sale(1001, 100_000, &["--hold", "0"]);
    shop.buy(1001, 1, 100);
    shop.await_stored(1001);
    worker.stop().unwrap();
    // Relayed, says the module; but it is not on the topic.
    let lost = shop.buy(1001, 101, 100);
    let (epoch, last) = lost[99].split_once('-').unwrap();
    let () = shop
        .ask(&["SECKILL.ACK", "1001", "RELAYED", epoch, last])
        .unwrap();
    worker.restart().unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for buyer in 201.. {
                shop.buy(1001, buyer, 1);
                if over.load(Relaxed) {
                    break;
                }
            }
        });
        await_true("the sale goes on", || {
            shop.log_of(&worker).contains("sale 1001 goes on")
        });
        over.store(true, Relaxed);
    });
    let log = shop.log_of(&worker);
    assert!(
        log.contains("sale 1001: its log is sent again from"),
        "{log}"
    );
    assert!(!log.contains("ALARM"), "{log}");
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

/// Nobody can send again what is missing: the partition is read once more, and garbage that lies there,
/// too, must not be written down each time.
#[test]
fn a_partition_is_read_once_more_and_no_letter_is_written_twice() {
    const GARBAGE: usize = 300;
    let Some(shop) = Shop::with_kafka("once-more") else {
        return;
    };
    let worker = shop.run();
    await_topics(&shop);
    shop.stock(1, 100, 0);
    shop.stock(2, 100, 0);
    let mut payloads = vec![events(1, 1, 3), events(1, 6, 8)];
    payloads.extend((0..GARBAGE).map(|n| format!("garbage {n}").into_bytes()));
    payloads.push(events(2, 1, 3));
    send(&shop, "k", &payloads);
    await_live(&shop, 2, 2);
    await_live(&shop, 1, 2);
    let again = "partition 0 is read again from offset 1";
    await_true(again, || shop.log_of(&worker).contains(again));

    // What was missing comes from elsewhere; what lies behind it is on the topic and nowhere else.
    send(&shop, "k", &[events(1, 4, 5), events(2, 4, 5)]);
    await_live(&shop, 1, 7);
    await_live(&shop, 2, 4);
    let consumer: BaseConsumer = config(&shop).create().unwrap();
    let (first, next) = consumer.fetch_watermarks(DEAD, 0, PATIENCE).unwrap();
    let letters = usize::try_from(next - first).unwrap();
    assert_eq!(letters, GARBAGE);
    let offset = |letter: &OwnedMessage| header(letter, "offset").parse().unwrap();
    let origins: Vec<usize> = dead_letters(&shop, letters).iter().map(offset).collect();
    assert_eq!(origins, (2..GARBAGE + 2).collect::<Vec<_>>());
}

#[test]
fn a_sale_that_stands_still_goes_on_when_its_cause_is_mended() {
    let Some(shop) = Shop::with_kafka("mended") else {
        return;
    };
    shop.sale(1001, 10, &["--hold", "0"]);
    shop.query("UPDATE stock SET sale = 2 WHERE id = 1001");
    shop.buy(1001, 1, 3);
    let worker = shop.run();
    await_true("the alarm", || {
        shop.log_of(&worker)
            .contains("ALARM: sale 1001 stands still")
    });
    // Nobody buys any more, and nobody starts the worker again.
    shop.query("UPDATE stock SET sale = 0 WHERE id = 1001");
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

#[test]
fn a_dead_letter_is_listed_sent_again_when_its_stock_row_is_there_and_dropped_if_it_is_nothing() {
    let Some(shop) = Shop::with_kafka("dead-chore") else {
        return;
    };
    let _worker = shop.run();
    await_topics(&shop);
    send(&shop, "k", &[events(7, 1, 4), b"\xff\n".to_vec()]);
    dead_letters(&shop, 2);
    let list = shop.chore(&["dead", "list"]).unwrap();
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(
        lines[1].starts_with("0:0 ") && lines[1].contains("no stock row"),
        "{list}"
    );
    assert!(lines[1].contains("seckill.events:0:0"), "{list}");
    assert!(lines[2].contains("not a seckill event message"), "{list}");

    shop.stock(7, 100, 0);
    let replayed = shop.chore(&["dead", "replay", "0:0"]).unwrap();
    assert_eq!(replayed, "0:0: sent to seckill.events\n");
    await_live(&shop, 7, 3);
    let dropped = shop.chore(&["dead", "drop", "--all"]).unwrap();
    assert!(dropped.starts_with("0:1: dropped"), "{dropped}");
    let json = shop.chore(&["dead", "list", "--json"]).unwrap();
    assert_eq!(json, "[]\n");
    let all = shop.chore(&["dead", "list", "--all"]).unwrap();
    assert!(all.contains("replayed") && all.contains("dropped"), "{all}");

    for (words, complaint) in [
        (&["dead", "replay", "0:9"][..], "no letter 0:9"),
        (&["dead", "drop"], "--all"),
        (&["dead", "drop", "9"], "<partition>:<offset>"),
    ] {
        let refusal = shop.chore(words).unwrap_err().to_string();
        assert!(refusal.contains(complaint), "{refusal}");
    }
}

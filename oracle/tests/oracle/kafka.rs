//! Damage on the topic: a copy of it on which something is different.

use crate::stage::{SID, Stage};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use seckill_oracle::{Brokers, Name, Sources};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// The events of the sale, one a message.
type Log = Vec<Value>;

/// What is done, what it breaks, and words of the evidence.
type Damage<'a> = (&'a str, &'a dyn Fn(&mut Log), &'a [Name], &'a [&'a str]);

pub(crate) fn every_damage(stage: &Stage) {
    let log = read(stage);
    let find = |log: &Log, kind: &str, rid: &str| {
        log.iter()
            .position(|message| {
                let event = &message["events"][0];
                event["kind"] == kind && event["rid"] == rid
            })
            .unwrap()
    };
    let rids = &stage.rids;
    let damages: [Damage<'_>; 9] = [
        ("nothing", &|_| (), &[], &[]),
        (
            "everything is sent again, as any relay may",
            &|log| {
                let again = log.clone();
                log.extend(again);
            },
            &[],
            &["events are on the topic again, which is allowed"],
        ),
        (
            "a message that is none lies between",
            &|log| log.insert(3, json!("rubbish")),
            &[],
            &["1 messages with the sale's key are none of ours"],
        ),
        (
            "what is sent again says something else",
            &|log| {
                let mut again = log[find(log, "accepted", &rids.held)].clone();
                again["events"][0]["uid"] = json!("u9");
                log.push(again);
            },
            &[Name::NoDuplicate],
            &[
                "was sent again and says something else",
                "1 for u7",
                "1 for u9",
            ],
        ),
        (
            "the last event is missing",
            &|log| drop(log.pop()),
            &[Name::Gapless],
            &["1 events are missing"],
        ),
        (
            "two events have changed places",
            &|log| {
                let one = find(log, "accepted", &rids.late);
                let other = find(log, "accepted", &rids.given_up);
                log.swap(one, other);
            },
            &[Name::Gapless],
            &["comes after"],
        ),
        (
            "a hold was released early",
            &|log| {
                let place = find(log, "expired", &rids.late);
                let accepted = find(log, "accepted", &rids.late);
                let deadline = log[accepted]["events"][0]["deadline"].as_u64().unwrap();
                log[place]["events"][0]["at"] = json!(deadline - 1);
            },
            &[Name::Deadline],
            &["of u2: released by event", "1 ms before its deadline"],
        ),
        (
            "an acceptance is forged",
            &|log| {
                let mut forged = log[find(log, "accepted", &rids.held)].clone();
                let last = log.last().unwrap()["events"][0]["seq"].as_u64().unwrap();
                let epoch = forged["epoch"].as_u64().unwrap();
                let event = &mut forged["events"][0];
                event["seq"] = json!(last + 1);
                event["rid"] = json!(format!("{epoch}-{}", last + 1));
                event["uid"] = json!("u9");
                log.push(forged);
            },
            &[Name::NoPhantom, Name::NoLoss],
            &[
                "of u9: units were granted and no client asked for them",
                "of u9: a reservation that the module has forgotten",
            ],
        ),
        (
            "a step goes back",
            &|log| {
                let mut again = log[find(log, "confirmed", &rids.paid)].clone();
                let last = log.last().unwrap()["events"][0]["seq"].as_u64().unwrap();
                again["events"][0]["seq"] = json!(last + 1);
                again["events"][0]["kind"] = json!("expired");
                log.push(again);
            },
            // It would give back what the buyer was told that he has.
            &[Name::Forward, Name::Deadline, Name::Answers],
            &[
                "of u1: event",
                "expired, and it was confirmed",
                "told confirmed, and it is expired",
            ],
        ),
    ];
    for (n, (damage, plant, broken, words)) in damages.into_iter().enumerate() {
        let mut log = log.clone();
        plant(&mut log);
        let sources = with_topic(stage, &format!("planted-{n}"), &log);
        stage.finds(damage, &sources, broken, words);
    }
}

/// The sale's events, each in a message of its own.
fn read(stage: &Stage) -> Log {
    let consumer: BaseConsumer = config(stage).set("group.id", "a-test").create().unwrap();
    let topic = "seckill.events";
    let (_, end) = consumer.fetch_watermarks(topic, 0, PATIENCE).unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&list).unwrap();
    let mut log = Log::new();
    loop {
        let message = consumer.poll(PATIENCE).unwrap().unwrap();
        let batch: Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
        for event in batch["events"].as_array().unwrap() {
            let mut one = batch.clone();
            one["events"] = json!([event]);
            log.push(one);
        }
        if message.offset() + 1 >= end {
            return log;
        }
    }
}

/// The stage with another topic.
fn with_topic(stage: &Stage, name: &str, log: &Log) -> Sources {
    let admin: AdminClient<DefaultClientContext> = config(stage).create().unwrap();
    let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1));
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let made = stage.run(admin.create_topics([&topic], &options)).unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    let producer: BaseProducer = config(stage).create().unwrap();
    for message in log {
        let payload = message.to_string();
        let record = BaseRecord::to(name).key(SID).payload(&payload).partition(0);
        producer.send(record).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    Sources {
        kafka: Some(Brokers {
            topic: name.to_owned(),
            ..Brokers::at(&stage.kafka.brokers())
        }),
        ..stage.sources.clone()
    }
}

fn config(stage: &Stage) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", stage.kafka.brokers());
    config.set("broker.address.family", "v4");
    config
}

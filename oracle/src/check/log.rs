//! The log has no gaps, is in order, and is all on the topic.

use crate::event::Event;
use crate::place::Place;
use crate::report::{Case, Invariant, Name, Source};
use crate::seen::{Message, Topic};
use crate::view::View;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(view: &View<'_>) -> Invariant {
    let mut invariant = Invariant::new(Name::Gapless, "events");
    let Some(topic) = &view.seen.topic else {
        return invariant.not_checked("there is no topic");
    };
    if !view.ledger.is_whole {
        return invariant.not_checked(view.why_no_log());
    }
    messages(topic, &mut invariant);
    let firsts = firsts(topic);
    order(view, topic, &firsts, &mut invariant);
    gaps(view, &firsts, &mut invariant);
    beginnings(view, &mut invariant);
    against_module(view, &firsts, &mut invariant);
    let lost = view.lost().count();
    if lost > 0 {
        invariant.note(format!(
            "{lost} acceptances on the topic were lost with their primary and count for nothing"
        ));
    }
    invariant
}

/// Where an event lies for the first time.
type Firsts<'a> = BTreeMap<Place, (&'a Message, &'a Event)>;

fn firsts(topic: &Topic) -> Firsts<'_> {
    let mut firsts = BTreeMap::new();
    for message in &topic.messages {
        for event in message.events.iter().flatten() {
            firsts.entry(event.place).or_insert((message, event));
        }
    }
    firsts
}

/// What a message has to be, and that all of a sale are in one partition.
fn messages(topic: &Topic, invariant: &mut Invariant) {
    let mut no_messages = 0;
    let mut partitions = BTreeSet::new();
    for message in &topic.messages {
        let Ok(events) = &message.events else {
            no_messages += 1;
            continue;
        };
        partitions.insert(message.partition);
        for (before, after) in events.iter().zip(events.iter().skip(1)) {
            let (before, after) = (before.place, after.place);
            if before.seq + 1 != after.seq {
                let what = format!("one message has {before} and then {after}");
                invariant.is_broken_by(at(message, what));
            }
        }
    }
    if partitions.len() > 1 {
        let what = format!("the sale is in several partitions: {partitions:?}");
        invariant.is_broken_by(Case::new(what));
    }
    if no_messages > 0 {
        invariant.note(format!(
            "{no_messages} messages with the sale's key are none of ours"
        ));
    }
}

/// The first of each number come in their order, in each epoch, and epochs that count one after
/// the other.
fn order(view: &View<'_>, topic: &Topic, firsts: &Firsts<'_>, invariant: &mut Invariant) {
    let mut furthest = Place::default();
    let mut in_epoch: BTreeMap<u64, u64> = BTreeMap::new();
    for message in &topic.messages {
        for event in message.events.iter().flatten() {
            let place = event.place;
            let is_first = firsts
                .get(&place)
                .is_some_and(|(first, _)| std::ptr::eq(*first, message));
            if !is_first {
                continue;
            }
            let seq = in_epoch.entry(place.epoch).or_default();
            let counts = view.ledger.counts(place);
            let case = if place.seq < *seq {
                let what = format!("{place} comes after {}-{seq}", place.epoch);
                Some(at(message, what))
            } else if counts && place < furthest {
                Some(at(message, format!("{place} comes after {furthest}")))
            } else {
                None
            };
            invariant.look(case);
            *seq = place.seq.max(*seq);
            if counts {
                furthest = furthest.max(place);
            }
        }
    }
}

/// Each epoch that counts is there from 1 to its last number, and up to what the module and MySQL
/// say that the topic has.
fn gaps(view: &View<'_>, firsts: &Firsts<'_>, invariant: &mut Invariant) {
    let relayed = view.module().ok().map(|module| module.info.relayed);
    let sent = relayed.max(view.seen.books.cursor).unwrap_or_default();
    for (epoch, bound) in &view.ledger.bounds {
        let known = firsts.range(Place::new(*epoch, 0)..Place::new(epoch.saturating_add(1), 0));
        let known = known.map(|(place, _)| place.seq);
        let sent = if sent.epoch == *epoch { sent.seq } else { 0 };
        let last = match *bound {
            u64::MAX => known.clone().next_back().unwrap_or(0).max(sent),
            bound => bound,
        };
        let mut next = 1;
        // One more than the last, so that what is missing at the end shows, too.
        for seq in known
            .filter(|seq| *seq <= last)
            .chain([last.saturating_add(1)])
        {
            if next < seq {
                let (from, to) = (Place::new(*epoch, next), Place::new(*epoch, seq - 1));
                invariant.is_broken_by(missing(view, from, to));
            }
            next = seq.saturating_add(1);
        }
    }
}

fn missing(view: &View<'_>, from: Place, to: Place) -> Case {
    let count = to.seq - from.seq + 1;
    let relayed = view.seen.module.as_ref().map(|module| module.info.relayed);
    let module = relayed.map_or("no such sale".to_owned(), |place| {
        format!("Kafka has all up to {place}")
    });
    let cursor = view
        .seen
        .books
        .cursor
        .map_or("no cursor".to_owned(), |place| {
            format!("applied up to {place}")
        });
    Case::new(format!("{count} events are missing: {from} to {to}"))
        .says(Source::Module, module)
        .says(Source::MySql, cursor)
}

/// An epoch begins with `opened` or `epoch`, and these stand nowhere else.
fn beginnings(view: &View<'_>, invariant: &mut Invariant) {
    for event in view.ledger.known.values() {
        if event.fact.begins_epoch() != (event.place.seq == 1) {
            let what = format!("event {} is {}", event.place, event.fact);
            invariant.is_broken_by(Case::new(what));
        }
    }
}

/// What the module still keeps is what the topic has.
fn against_module(view: &View<'_>, firsts: &Firsts<'_>, invariant: &mut Invariant) {
    for event in view.seen.module.iter().flat_map(|module| &module.log) {
        let Some((_, sent)) = firsts.get(&event.place) else {
            continue;
        };
        let is_same = *sent == event || event.fact.begins_epoch() && sent.fact.begins_epoch();
        let case = (!is_same).then(|| {
            Case::new(format!("event {} is another on the topic", event.place))
                .says(Source::Kafka, format!("{} at {}", sent.fact, sent.at))
                .says(Source::Module, format!("{} at {}", event.fact, event.at))
        });
        invariant.look(case);
    }
}

fn at(message: &Message, what: String) -> Case {
    let place = format!("partition {}, offset {}", message.partition, message.offset);
    Case::new(what).says(Source::Kafka, place)
}

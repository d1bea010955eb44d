//! One reservation, one order; one token, one reservation; one event, one meaning.

use crate::event::{Event, Fact};
use crate::place::Place;
use crate::record::{Answer, Call};
use crate::report::{Case, Invariant, Name, Source};
use crate::view::View;
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(super) fn check(view: &View<'_>) -> Invariant {
    let mut invariant = Invariant::new(Name::NoDuplicate, "orders, tokens and answers");
    orders(view, &mut invariant);
    tokens(view, &mut invariant);
    reservations(view, &mut invariant);
    answers(view, &mut invariant);
    repetitions(view, &mut invariant);
    invariant
}

fn orders(view: &View<'_>, invariant: &mut Invariant) {
    let rids: BTreeSet<Place> = view
        .seen
        .books
        .orders
        .iter()
        .filter_map(|order| order.rid)
        .collect();
    for rid in rids {
        let orders = view.orders(rid).len();
        invariant.look((orders > 1).then(|| view.case(rid, format!("{orders} orders"))));
    }
}

fn tokens(view: &View<'_>, invariant: &mut Invariant) {
    let mut rids: BTreeMap<(&str, &str), Vec<Place>> = BTreeMap::new();
    for rid in view.decided() {
        let is_present = view.ledger.opened.is_none_or(|opened| rid >= opened.place);
        if let Some(decision) = view.decision(rid).filter(|_| is_present)
            && let Some(token) = decision.token
        {
            rids.entry((decision.uid, token)).or_default().push(rid);
        }
    }
    for ((_, token), rids) in rids {
        let more = rids.get(1).map(|rid| {
            let all: Vec<String> = rids.iter().map(ToString::to_string).collect();
            let what = format!(
                "one token, {token}, several reservations: {}",
                all.join(", ")
            );
            view.case(*rid, what)
        });
        invariant.look(more);
    }
}

fn reservations(view: &View<'_>, invariant: &mut Invariant) {
    let mut seen = BTreeSet::new();
    for reservation in view
        .seen
        .module
        .iter()
        .flat_map(|module| &module.reservations)
    {
        let rid = reservation.rid;
        let is_new = seen.insert(rid);
        invariant.look((!is_new).then(|| view.case(rid, "the module has it twice")));
    }
}

/// A reservation is new to one buyer, once. (What was lost with a primary may be granted anew, under
/// another number.)
fn answers(view: &View<'_>, invariant: &mut Invariant) {
    let mut owners: HashMap<&str, Vec<&Call>> = HashMap::new();
    for call in view.all_calls() {
        if let Some(rid) = call.told().and_then(Answer::rid) {
            owners.entry(rid).or_default().push(call);
        }
    }
    for (rid, calls) in owners {
        let is_new = |call: &&&Call| matches!(call.told(), Some(Answer::Accepted { .. }));
        let uids: BTreeSet<&str> = calls.iter().map(|call| call.uid.as_str()).collect();
        let what = if uids.len() > 1 {
            Some(format!("told to {} buyers", uids.len()))
        } else {
            let times = calls.iter().filter(is_new).count();
            (times > 1).then(|| format!("told as new {times} times"))
        };
        let case = what.map(|what| match rid.parse() {
            Ok(rid) => view.case(rid, what),
            Err(_) => calls.iter().fold(Case::new(what), |case, call| {
                case.says(Source::Clients, call.to_string())
            }),
        });
        invariant.look(case);
    }
}

/// What is sent again says the same. The beginning of an epoch may name a later place: `recover`
/// has put back what was missing.
fn repetitions(view: &View<'_>, invariant: &mut Invariant) {
    let mut first: HashMap<Place, &Event> = HashMap::new();
    let mut again = 0;
    for message in view.seen.topic.iter().flat_map(|topic| &topic.messages) {
        for event in message.events.iter().flatten() {
            let Some(known) = first.insert(event.place, event) else {
                continue;
            };
            again += 1;
            let both_begin = known.fact.begins_epoch() && event.fact.begins_epoch();
            let differs = known != event && !both_begin;
            let case = differs.then(|| {
                let what = format!(
                    "event {} was sent again and says something else",
                    event.place
                );
                let case = match &event.fact {
                    Fact::Step { rid, .. } => view.case(*rid, what),
                    Fact::Accepted(_) => view.case(event.place, what),
                    _ => Case::new(what),
                };
                case.says(
                    Source::Kafka,
                    format!("first: {} at {}", known.fact, known.at),
                )
                .says(
                    Source::Kafka,
                    format!(
                        "again, at {}:{}: {} at {}",
                        message.partition, message.offset, event.fact, event.at
                    ),
                )
            });
            invariant.look(case);
        }
    }
    if again > 0 {
        invariant.note(format!(
            "{again} events are on the topic again, which is allowed"
        ));
    }
}

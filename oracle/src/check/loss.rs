//! Who was told that he has units has an order, and nobody has forgotten him.

use crate::place::Place;
use crate::record::Answer;
use crate::report::{Case, Invariant, Name, Source};
use crate::setting::Durability;
use crate::view::View;
use std::collections::BTreeSet;

pub(super) fn check(view: &View<'_>) -> Invariant {
    let mut invariant = Invariant::new(Name::NoLoss, "reservations");
    let mut told = BTreeSet::new();
    for call in view.all_calls() {
        let Some(rid) = call.told().and_then(Answer::rid) else {
            continue;
        };
        match rid.parse::<Place>() {
            Ok(rid) => drop(told.insert(rid)),
            Err(error) => {
                let case = Case::new(format!(
                    "a buyer was told a reservation that is none: {error}"
                ));
                invariant.look(Some(case.says(Source::Clients, call.to_string())));
            }
        }
    }
    let mut lost_with_primary = 0;
    let decided: BTreeSet<Place> = view.decided().into_iter().collect();
    for rid in told.union(&decided) {
        let is_lost = !decided.contains(rid) && view.was_lost(*rid);
        if is_lost && view.setting.durability == Durability::Primary {
            lost_with_primary += 1;
            invariant.look(None);
        } else {
            invariant.look(missing(view, *rid, decided.contains(rid)));
        }
    }
    if lost_with_primary > 0 {
        invariant.note(format!(
            "{lost_with_primary} reservations were told and lost with their primary, as durability = \"primary\" allows"
        ));
    }
    if view.seen.calls.is_none() {
        invariant.note("no clients' records were given: who was told, nobody knows");
    }
    invariant
}

fn missing(view: &View<'_>, rid: Place, is_decided: bool) -> Option<Case> {
    if view.orders(rid).is_empty() && !view.is_rowless(rid) {
        if !view.is_on_its_way(rid) {
            return Some(view.case(rid, "a reservation without an order"));
        }
        // MySQL will write it, if somebody has it.
        if !is_decided && view.reservation(rid).is_none() {
            return Some(view.case(rid, "a reservation that nobody has"));
        }
    }
    let is_present = view.ledger.opened.is_none_or(|opened| rid >= opened.place);
    let is_forgotten = match &view.seen.module {
        // What was put back comes from MySQL, which has no such order.
        Some(module) => {
            !module.is_moving && view.reservation(rid).is_none() && !view.is_rowless(rid)
        }
        None => true,
    };
    (is_present && is_decided && is_forgotten)
        .then(|| view.case(rid, "a reservation that the module has forgotten"))
}

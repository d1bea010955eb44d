//! What clients were told is what became of it.

use crate::event::Step;
use crate::place::Place;
use crate::record::{Answer, Call, Op};
use crate::report::{Case, Invariant, Name, Source};
use crate::seen::Status;
use crate::setting::{Durability, ZOMBIE, ms};
use crate::view::View;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(view: &View<'_>) -> Invariant {
    let mut invariant = Invariant::new(Name::Answers, "answers");
    if view.seen.calls.is_none() {
        return invariant.not_checked("no clients' records were given");
    }
    let mut lost = 0;
    for call in view.all_calls() {
        let Some(told) = call.told() else { continue };
        let Some(rid) = call.rid().and_then(|rid| rid.parse::<Place>().ok()) else {
            continue;
        };
        let what = match told {
            Answer::Accepted { .. } | Answer::Duplicate { .. } => granted_other(view, call, rid),
            Answer::Confirmed => match became_other(view, rid, Status::Confirmed) {
                Some(_) if may_be_lost(view, call, rid, Step::Confirmed) => {
                    lost += 1;
                    None
                }
                what => what,
            },
            Answer::Cancelled => match became_other(view, rid, Status::Cancelled) {
                Some(_) if may_be_lost(view, call, rid, Step::Cancelled) => {
                    lost += 1;
                    None
                }
                what => what,
            },
            Answer::Rejected { .. } | Answer::Refused { .. } | Answer::Unknown { .. } => continue,
        };
        invariant.look(what.map(|what| view.case(rid, what)));
    }
    retries(view, &mut invariant);
    if lost > 0 {
        invariant.note(format!(
            "{lost} payments or cancellations were answered and lost with their primary, as \
             durability = \"primary\" allows"
        ));
    }
    invariant
}

/// Who was told a reservation is who has it, and he has as much as he asked for.
fn granted_other(view: &View<'_>, call: &Call, rid: Place) -> Option<String> {
    let decision = view.decision(rid)?;
    if decision.uid != call.uid {
        return Some(format!(
            "{} was told it, and it is {}'s",
            call.uid, decision.uid
        ));
    }
    match (&call.op, call.told()) {
        (Op::Try { qty, token }, Some(Answer::Accepted { .. })) => {
            let is_his = i64::from(*qty) == decision.qty && token.as_deref() == decision.token;
            (!is_his).then(|| "he asked for something else".to_owned())
        }
        _ => None,
    }
}

fn became_other(view: &View<'_>, rid: Place, told: Status) -> Option<String> {
    let Some(status) = view.status(rid) else {
        return Some(format!("told {told}, and nobody has it"));
    };
    if status == told {
        return None;
    }
    Some(format!("told {told}, and it is {status}"))
}

/// Whether a node may have answered this and have been lost with it: one took over afterwards, or
/// so shortly before that the old one may not have known.
fn may_be_lost(view: &View<'_>, call: &Call, rid: Place, step: Step) -> bool {
    if view.setting.durability == Durability::Replica || view.has_step(rid, step) {
        return false;
    }
    let Some(epoch) = view.epoch().filter(|epoch| *epoch > rid.epoch) else {
        return false;
    };
    // By the clients' own clock: the first time that anybody was told something of the last epoch.
    let known_at = view.all_calls().filter_map(|other| {
        let rid: Place = other.told()?.rid()?.parse().ok()?;
        let (at, _) = other.answer.as_ref()?;
        (rid.epoch >= epoch).then_some(*at)
    });
    known_at
        .min()
        .is_none_or(|known_at| call.began_at < known_at.saturating_add(ms(ZOMBIE)))
}

/// What was told to who asked with one token: the reservations that were not lost, and all calls.
type Told<'a> = (BTreeSet<&'a str>, Vec<&'a Call>);

/// One token, one reservation, however often it is asked with. (What was lost with a primary may be
/// granted anew.)
fn retries(view: &View<'_>, invariant: &mut Invariant) {
    let mut told: BTreeMap<(&str, &str), Told<'_>> = BTreeMap::new();
    for call in view.all_calls() {
        let Op::Try {
            token: Some(token), ..
        } = &call.op
        else {
            continue;
        };
        let Some(rid) = call.told().and_then(Answer::rid) else {
            continue;
        };
        let is_lost = rid.parse().is_ok_and(|rid| view.was_lost(rid));
        let (rids, calls) = told.entry((&call.uid, token)).or_default();
        calls.push(call);
        if !is_lost {
            rids.insert(rid);
        }
    }
    for ((uid, token), (rids, calls)) in told {
        let case = (rids.len() > 1).then(|| {
            let what = format!("one token, {token}, and told {} reservations", rids.len());
            let mut case = Case::new(what);
            case.uid = Some(uid.to_owned());
            calls.iter().fold(case, |case, call| {
                case.says(Source::Clients, call.to_string())
            })
        });
        invariant.look(case);
    }
}

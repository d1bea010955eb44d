//! Every order was decided, and every decision was asked for.

use crate::event::Step;
use crate::place::Place;
use crate::record::{Answer, Call, Op};
use crate::report::{Case, Invariant, Name, Source};
use crate::seen::{Order, Status};
use crate::view::{Decision, View};
use std::collections::HashMap;

pub(super) fn check(view: &View<'_>) -> Invariant {
    let mut invariant = Invariant::new(Name::NoPhantom, "orders and decisions");
    for order in &view.seen.books.orders {
        if let Some(rid) = order.rid {
            invariant.look(undecided(view, rid, order));
        }
    }
    // Where the log is not known, the module's word is the decision.
    if view.ledger.is_whole
        && let Ok(module) = view.module()
    {
        for reservation in &module.reservations {
            let decision = view.decision(reservation.rid);
            let case = match decision {
                None => Some(view.case(reservation.rid, "the module has it, and the log does not")),
                Some(decision) if decision != Decision::of(reservation) => {
                    Some(view.case(reservation.rid, "the module has another than was decided"))
                }
                Some(_) => None,
            };
            invariant.look(case);
        }
    }
    if view.seen.calls.is_some() {
        let mut asked = Asked::of(view);
        for rid in view.decided() {
            invariant.look(asked.unasked(view, rid));
        }
    } else {
        invariant.note("no clients' records were given: whether somebody asked, nobody knows");
    }
    invariant
}

fn undecided(view: &View<'_>, rid: Place, order: &Order) -> Option<Case> {
    let written = Decision {
        uid: order.uid.as_deref().unwrap_or_default(),
        qty: order.qty,
        deadline: order.deadline,
        token: order.token.as_deref(),
    };
    match view.decision(rid) {
        // An earlier sale of this stock row, of which the module knows nothing any more.
        None if !view.ledger.is_whole
            && view.seen.module.as_ref().is_none_or(|module| {
                module
                    .reservations
                    .first()
                    .is_none_or(|first| rid < first.rid)
            }) =>
        {
            None
        }
        None if view.was_lost(rid) => {
            Some(view.case(rid, "an order whose decision was lost with its primary"))
        }
        None => Some(view.case(rid, "an order that nobody decided")),
        Some(decision) if decision != written => {
            let shown = |one: &Decision<'_>| {
                let deadline = one
                    .deadline
                    .map_or("at once".to_owned(), |ms| ms.to_string());
                let token = one.token.unwrap_or("none");
                format!(
                    "{} for {}, deadline {deadline}, token {token}",
                    one.qty, one.uid
                )
            };
            let what = format!(
                "an order that says other than was decided: {}; decided: {}",
                shown(&written),
                shown(&decision)
            );
            Some(view.case(rid, what))
        }
        Some(_) => None,
    }
}

/// What clients asked for and do not know to have got.
struct Asked<'a> {
    /// Tries whose outcome nobody knows. Without a token, each may have been granted once.
    unknown: HashMap<Try<'a>, u64>,
    /// Tries that were turned down by the shop behind the gate: what was granted before that is
    /// given up, or lapses.
    refused: HashMap<Try<'a>, u64>,
}

/// Who asked, for how many units, and with which token.
type Try<'a> = (&'a str, i64, Option<&'a str>);

impl<'a> Asked<'a> {
    fn of(view: &View<'a>) -> Self {
        let mut asked = Self {
            unknown: HashMap::new(),
            refused: HashMap::new(),
        };
        for call in view.all_calls() {
            let Op::Try { qty, token } = &call.op else {
                continue;
            };
            let tries = match call.told() {
                None => &mut asked.unknown,
                Some(Answer::Refused { .. }) => &mut asked.refused,
                Some(_) => continue,
            };
            let key = (call.uid.as_str(), i64::from(*qty), token.as_deref());
            *tries.entry(key).or_default() += 1;
        }
        asked
    }

    /// A decision that nobody asked for.
    fn unasked(&mut self, view: &View<'a>, rid: Place) -> Option<Case> {
        let decision = view.decision(rid)?;
        let calls = view.calls(rid);
        let is_told = calls.iter().any(|call| matches!(call.op, Op::Try { .. }));
        let key = (decision.uid, decision.qty, decision.token);
        let is_unknown = !is_told && take(&mut self.unknown, &key);
        if !is_told && !is_unknown {
            let tries = view.all_calls().filter(|call| call.uid == decision.uid);
            if !take(&mut self.refused, &key) {
                let case = view.case(rid, "units were granted and no client asked for them");
                return Some(all_of(case, tries));
            }
            if view.status(rid) == Some(Status::Confirmed) {
                let case = view.case(rid, "it was sold to a buyer who was told that it was not");
                return Some(all_of(case, tries));
            }
        }
        let asked = |wanted: fn(&Op) -> bool| {
            let done = calls
                .iter()
                .filter(|call| !matches!(call.told(), Some(Answer::Refused { .. })));
            done.into_iter().any(|call| wanted(&call.op))
        };
        if view.has_step(rid, Step::Confirmed) && !asked(|op| matches!(op, Op::Confirm { .. })) {
            return Some(view.case(rid, "it was paid for, and nobody confirmed it"));
        }
        let may_be_given_up = asked(|op| matches!(op, Op::Cancel { .. }))
            // MySQL had no units.
            || view.history(rid).iter().any(|moved| moved.from.is_none())
            // By a proxy, for a buyer whom the shop turned away: he was told of no purchase.
            || !is_told;
        (view.has_step(rid, Step::Cancelled) && !may_be_given_up)
            .then(|| view.case(rid, "it was given up, and nobody cancelled it"))
    }
}

/// One token is one reservation, however often it was asked with: that it is not granted twice is
/// looked at elsewhere.
fn take<'a>(tries: &mut HashMap<Try<'a>, u64>, key: &Try<'a>) -> bool {
    match tries.get_mut(key) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    }
}

fn all_of<'a>(case: Case, calls: impl Iterator<Item = &'a Call>) -> Case {
    calls.fold(case, |case, call| {
        case.says(Source::Clients, call.to_string())
    })
}

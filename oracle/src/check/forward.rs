//! A reservation only takes steps forward, everybody knows the same, and no hold is released before
//! its deadline.

use crate::event::Step;
use crate::ledger::Life;
use crate::place::Place;
use crate::report::{Case, Invariant, Name};
use crate::seen::{Moved, Order, Status};
use crate::view::View;

pub(super) fn check(view: &View<'_>) -> Invariant {
    let mut invariant = Invariant::new(Name::Forward, "reservations");
    for (event, rid, what) in &view.ledger.impossible {
        invariant.is_broken_by(view.case(*rid, format!("event {event}: {what}")));
    }
    if !view.ledger.is_whole {
        invariant.note(format!(
            "the steps in the log were not checked: {}",
            view.why_no_log()
        ));
    }
    let is_still = view.module().is_ok();
    for rid in view.decided() {
        let known = view.ledger.lives.get(&rid).map(Life::status);
        let module = view.reservation(rid).filter(|_| is_still);
        let case = match (module, known) {
            (Some(module), Some(known)) if module.status != known => Some(view.case(
                rid,
                format!("{known} by the log, and {} in the module", module.status),
            )),
            _ => view
                .orders(rid)
                .iter()
                .find_map(|order| order_stands_wrong(view, rid, order)),
        };
        invariant.look(case);
    }
    for order in &view.seen.books.orders {
        if let Some(rid) = order.rid
            && let Some(what) = history_is_wrong(order, view.history(rid))
        {
            invariant.is_broken_by(view.case(rid, what));
        }
    }
    invariant
}

/// Where an order stands is where its reservation stood at MySQL's cursor.
fn order_stands_wrong(view: &View<'_>, rid: Place, order: &Order) -> Option<Case> {
    let books = &view.seen.books;
    let cursor = books.cursor.unwrap_or_default();
    let expected = match view.ledger.lives.get(&rid) {
        Some(life) => life.status_at(cursor),
        // Only as of now, so that MySQL has to be there.
        None => {
            let module = view.module().ok()?;
            let reservation = view.reservation(rid)?;
            (module.info.head == cursor).then_some(reservation.status)?
        }
    };
    if order.status == expected {
        return None;
    }
    if order.status != Status::Refused {
        let what = format!("the order is {}, the reservation {expected}", order.status);
        return Some(view.case(rid, what));
    }
    let is_refused = view
        .history(rid)
        .iter()
        .any(|moved| moved.to == Status::Refused);
    let is_settled =
        expected != Status::Confirmed || books.refunds.iter().any(|refund| refund.rid == rid);
    match (is_refused, is_settled) {
        (false, _) => Some(view.case(rid, "the order is refused, and its history does not say so")),
        (true, false) => Some(view.case(rid, "refused, paid for, and not to be refunded")),
        (true, true) => None,
    }
}

/// The history of an order is a chain of steps forward, and ends where the order stands.
fn history_is_wrong(order: &Order, history: &[&Moved]) -> Option<String> {
    let first = match order.deadline {
        Some(_) => Status::Held,
        None => Status::Confirmed,
    };
    let mut status = first;
    for (n, moved) in history.iter().enumerate() {
        let is_first = n == 0;
        let is_of_log = matches!(moved.who.as_str(), "module" | "worker");
        let follows = match moved.from {
            None => is_first,
            Some(from) => from == status || !is_of_log,
        };
        let to = moved.to;
        if !follows {
            let from = moved
                .from
                .map_or("nothing".to_owned(), |from| from.to_string());
            return Some(format!(
                "by event {} it went from {from} to {to}, and it was {status}",
                moved.event
            ));
        }
        if let Some(from) = moved.from
            && !is_forward(from, to)
        {
            return Some(format!(
                "by event {} it went from {from} to {to}",
                moved.event
            ));
        }
        status = to;
    }
    (status != order.status)
        .then(|| format!("the order is {}, and by its history {status}", order.status))
}

fn is_forward(from: Status, to: Status) -> bool {
    match from {
        Status::Held => to != Status::Held,
        // A late payment takes the units again, or there are none.
        Status::Expired => to != Status::Held && to != Status::Cancelled,
        Status::Refused => matches!(to, Status::Refused | Status::Confirmed),
        // With a note: to be refunded.
        Status::Cancelled => to == Status::Cancelled,
        Status::Confirmed => false,
    }
}

pub(super) fn deadline(view: &View<'_>) -> Invariant {
    let mut invariant = Invariant::new(Name::Deadline, "releases");
    if !view.ledger.is_whole {
        return invariant.not_checked(view.why_no_log());
    }
    for (rid, life) in &view.ledger.lives {
        for (event, at, step) in &life.steps {
            if *step != Step::Expired {
                continue;
            }
            let case = match life.acceptance.deadline {
                None => Some("released, and it was sold at once".to_owned()),
                Some(deadline) if *at < deadline => Some(format!(
                    "released by event {event} at {at}, {} ms before its deadline {deadline}",
                    deadline - at
                )),
                Some(_) => None,
            };
            invariant.look(case.map(|what| view.case(*rid, what)));
        }
    }
    invariant
}

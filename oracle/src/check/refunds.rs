//! Every payment that got no units is to be given back, and no other.

use crate::event::Step;
use crate::report::{Invariant, Name};
use crate::seen::{Refund, Status};
use crate::view::View;

pub(super) fn check(view: &View<'_>) -> Invariant {
    let mut invariant = Invariant::new(Name::Refunds, "payments");
    if !view.ledger.is_whole {
        return invariant.not_checked(view.why_no_log());
    }
    let refunds = &view.seen.books.refunds;
    let cursor = view.seen.books.cursor.unwrap_or_default();
    for (rid, life) in &view.ledger.lives {
        let late = life
            .steps
            .iter()
            .find(|(_, _, step)| *step == Step::LatePayment);
        let Some((event, ..)) = late.filter(|(event, ..)| *event <= cursor) else {
            continue;
        };
        let is_due = refunds.iter().any(|refund| refund.rid == *rid);
        invariant.look((!is_due).then(|| {
            let what = format!("by event {event} a payment got nothing, and nobody gives it back");
            view.case(*rid, what)
        }));
    }
    for refund in refunds {
        invariant.look(why_not(view, refund).map(|what| view.case(refund.rid, what)));
    }
    invariant
}

fn why_not(view: &View<'_>, refund: &Refund) -> Option<String> {
    let rid = refund.rid;
    let Some(decision) = view.decision(rid) else {
        return Some("a refund of what nobody was granted".to_owned());
    };
    if (decision.uid, decision.qty) != (refund.uid.as_str(), refund.qty) {
        return Some(format!(
            "a refund of {} to {}, and {} has {}",
            refund.qty, refund.uid, decision.uid, decision.qty
        ));
    }
    let orders = view.orders(rid);
    let is_refused =
        view.is_rowless(rid) || orders.iter().any(|order| order.status == Status::Refused);
    let has_cause = match refund.reason.as_str() {
        "late_payment" => view.has_step(rid, Step::LatePayment),
        // It was refused after it was paid for, or sold at once.
        _ => is_refused && view.status(rid) == Some(Status::Confirmed),
    };
    (!has_cause).then(|| format!("a refund ({}) without a cause", refund.reason))
}

//! Nothing is left undone once the faults have stopped: the logs are drained, the cursor is at the
//! head, no hold is overdue, no refusal unanswered.

use crate::report::{Case, Invariant, Name, Source};
use crate::seen::Status;
use crate::setting::ms;
use crate::view::View;

pub(super) fn check(view: &View<'_>) -> Invariant {
    let mut invariant = Invariant::new(Name::Drained, "things to do");
    for rid in &view.seen.books.refusals {
        invariant.look(Some(view.case(
            *rid,
            "MySQL has refused it, and the module was not told to cancel it",
        )));
    }
    let Some(module) = &view.seen.module else {
        let why = format!("the module has no sale {}", view.seen.sid);
        return if invariant.broken > 0 {
            invariant
        } else {
            invariant.not_checked(why)
        };
    };
    let info = &module.info;
    let cursor = view.seen.books.cursor.unwrap_or_default();
    let head = info.head;
    let mut is_done = |is_so: bool, what: String| {
        let case = (!is_so).then(|| {
            let told = format!(
                "head {head}, relayed {}, stored {}",
                info.relayed, info.stored
            );
            Case::new(what)
                .says(Source::Module, told)
                .says(Source::MySql, format!("cursor {cursor}"))
        });
        invariant.look(case);
    };
    is_done(
        cursor == head,
        format!("MySQL has the log up to {cursor}, its head is {head}"),
    );
    is_done(
        view.seen.topic.is_none() || info.relayed == head,
        format!(
            "Kafka was sent the log up to {}, its head is {head}",
            info.relayed
        ),
    );
    is_done(
        info.stored == cursor,
        format!(
            "MySQL has it up to {cursor}, the module knows of {}",
            info.stored
        ),
    );
    is_done(info.state != "fenced", "the sale is fenced".to_owned());
    let grace = ms(view.setting.grace);
    for reservation in &module.reservations {
        let deadline = reservation
            .deadline
            .filter(|_| reservation.status == Status::Held);
        let Some(deadline) = deadline else { continue };
        let is_overdue = deadline.saturating_add(grace) < info.now;
        invariant.look(is_overdue.then(|| {
            let late = info.now - deadline;
            let what = format!("still held {late} ms after its deadline {deadline}");
            view.case(reservation.rid, what)
        }));
    }
    // A refusal that was forgotten: the order is refused, nothing is owed, and the units are held.
    for order in &view.seen.books.orders {
        let Some(rid) = order.rid.filter(|_| order.status == Status::Refused) else {
            continue;
        };
        let is_held = view.status(rid) == Some(Status::Held);
        let is_owed = view.seen.books.refusals.contains(&rid);
        invariant.look(
            (is_held && !is_owed)
                .then(|| view.case(rid, "MySQL has refused it, and nobody will cancel it")),
        );
    }
    invariant
}

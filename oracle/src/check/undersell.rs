//! Nobody was told "sold out" while there were units for him.
//!
//! The log says how many units were available at each instant. An answer is justified if at some
//! instant from a little before the question to the answer fewer were available than were asked
//! for: a proxy remembers "sold out" for up to a second.

use crate::record::{Answer, Call, Op, Rejection};
use crate::report::{Case, Invariant, Name, Source};
use crate::setting::{ZOMBIE, ms};
use crate::view::View;

/// How long a proxy may remember: its `remember_ms`.
const REMEMBERED_MS: u64 = 1000;

pub(super) fn check(view: &View<'_>) -> Invariant {
    let mut invariant = Invariant::new(Name::Undersell, "answers \"sold out\"");
    if view.seen.calls.is_none() {
        return invariant.not_checked("no clients' records were given");
    }
    if !view.ledger.is_whole {
        return invariant.not_checked(view.why_no_log());
    }
    let Some(skew) = view.setting.skew else {
        return invariant.not_checked("the clocks of clients and module cannot be compared");
    };
    let skew = ms(skew);
    // What a primary has sold before it was lost, nobody can tell any more.
    let takeover = view.ledger.takeovers.iter().max();
    let judged_from = takeover.map_or(0, |at| at.saturating_add(skew).saturating_add(ms(ZOMBIE)));
    let mut before_takeover = 0;
    let mut available = view.ledger.available.clone();
    // A clock that was set back makes the instants go back.
    available.sort_by_key(|(at, _)| *at);
    for call in view.all_calls() {
        let Some((qty, answered_at)) = sold_out(call) else {
            continue;
        };
        if call.began_at < judged_from {
            before_takeover += 1;
            continue;
        }
        let from = call
            .began_at
            .saturating_sub(REMEMBERED_MS.saturating_add(skew));
        let to = answered_at.saturating_add(skew);
        let least = least_available(&available, from, to, qty);
        invariant.look((least >= qty).then(|| {
            let mut case = Case::new(format!(
                "told \"sold out\" when he asked for {qty}, and {least} or more were available"
            ));
            case.uid = Some(call.uid.clone());
            let left = view
                .seen
                .module
                .as_ref()
                .map(|module| module.info.available);
            let left = left.map_or("no such sale".to_owned(), |left| {
                format!("{left} available now")
            });
            case.says(Source::Clients, call.to_string())
                .says(
                    Source::Kafka,
                    format!("never fewer than {least} available from {from} to {to}"),
                )
                .says(Source::Module, left)
        }));
    }
    if before_takeover > 0 {
        invariant.note(format!(
            "{before_takeover} answers from before a node took over were not judged"
        ));
    }
    invariant
}

/// How many units were asked for, and when "sold out" was told.
fn sold_out(call: &Call) -> Option<(i64, u64)> {
    let Op::Try { qty, .. } = &call.op else {
        return None;
    };
    match call.answer {
        Some((
            at,
            Answer::Rejected {
                verdict: Rejection::SoldOut,
            },
        )) => Some((i64::from(*qty), at)),
        _ => None,
    }
}

/// The fewest units that were available at any instant of a span; or any number below `enough`.
fn least_available(available: &[(u64, i64)], from: u64, to: u64, enough: i64) -> i64 {
    // The last one before the span reaches into it.
    let first = available
        .partition_point(|(at, _)| *at <= from)
        .saturating_sub(1);
    let mut least = None;
    for (at, units) in available.iter().skip(first) {
        if *at > to || least.is_some_and(|least| least < enough) {
            break;
        }
        least = Some(least.map_or(*units, |least: i64| least.min(*units)));
    }
    // Before the sale was opened there was nothing.
    least.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_of_a_span_are_found() {
        let available = [(10, 2), (20, 0), (30, 1)];
        for (from, to, least) in [
            (0, 5, 0),
            (12, 18, 2),
            (12, 20, 0),
            (25, 28, 0),
            (31, 99, 1),
            (30, 31, 1),
        ] {
            let found = least_available(&available, from, to, 0);
            assert_eq!(found, least, "{from} {to}");
        }
    }
}

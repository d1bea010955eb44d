//! `stock.version` only rises: later orders count from later versions on, and none from one that
//! was not there yet.

use crate::report::{Invariant, Name};
use crate::view::View;

pub(super) fn check(view: &View<'_>) -> Invariant {
    let mut invariant = Invariant::new(Name::Version, "orders");
    let Some(stock) = view.seen.books.stock else {
        return invariant.not_checked(format!("there is no stock row {}", view.seen.sid));
    };
    let mut highest = i64::MIN;
    for order in &view.seen.books.orders {
        let Some(rid) = order.rid else { continue };
        let mut history = view.history(rid).iter();
        // What was put right later counts from a later version on.
        if history.any(|moved| moved.from.is_none() && moved.who == "reconcile") {
            continue;
        }
        let what = match order.stock_version {
            None => Some("an order without a version".to_owned()),
            Some(version) if version > stock.version => Some(format!(
                "version {version}, and stock.version is {}",
                stock.version
            )),
            Some(version) if version < highest => Some(format!(
                "version {version}, and an earlier order has {highest}"
            )),
            Some(version) => {
                highest = version;
                None
            }
        };
        invariant.look(what.map(|what| view.case(rid, what)));
    }
    invariant
}

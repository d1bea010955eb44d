//! The units: conservation in the module, `stock.sale`, and what a buyer may have.

use crate::place::Place;
use crate::report::{Case, Invariant, Name, Source};
use crate::seen::{Info, Module, Status};
use crate::view::View;
use std::collections::BTreeMap;

pub(super) fn conservation(view: &View<'_>) -> Invariant {
    let mut invariant = Invariant::new(Name::Conservation, "sums");
    let module = match view.module() {
        Ok(module) => module,
        Err(why) => return invariant.not_checked(why),
    };
    let Info {
        total,
        available,
        held,
        sold,
        ..
    } = module.info;
    let told = format!("total {total}, available {available}, held {held}, sold {sold}");
    let mut sum = |is_so: bool, what: &str, other: Option<(Source, String)>| {
        let case = (!is_so).then(|| {
            let case = Case::new(what).says(Source::Module, told.clone());
            match other {
                Some((source, text)) => case.says(source, text),
                None => case,
            }
        });
        invariant.look(case);
    };
    sum(
        total == available + held + sold && available >= 0 && held >= 0 && sold >= 0,
        "total is not available + held + sold",
        None,
    );
    let audited = Err(String::new()) != module.audit && audit_agrees(module);
    let reply = module.audit.clone().unwrap_or_else(|error| error);
    sum(
        audited,
        "the module's own recount differs",
        Some((Source::Module, reply)),
    );
    let (counted_held, counted_sold) = recount(module);
    sum(
        (held, sold) == (counted_held, counted_sold),
        "the reservations come to something else",
        Some((
            Source::Module,
            format!("reservations held {counted_held}, sold {counted_sold}"),
        )),
    );
    if view.ledger.head == Some(module.info.head) {
        let left = view.ledger.available.last().map_or(0, |(_, units)| *units);
        let logged = view.ledger.total;
        sum(
            (total, available) == (logged, left),
            "the log comes to something else",
            Some((Source::Kafka, format!("total {logged}, available {left}"))),
        );
    }
    if let Some(stock) = view.seen.books.stock
        && view.seen.books.cursor == Some(module.info.head)
    {
        let count = stock.count;
        sum(
            total == count,
            "stock.count is not the module's total",
            Some((Source::MySql, format!("stock.count {count}"))),
        );
    }
    invariant
}

/// Whether `OK total=… available=… held=… sold=… reservations=…` says what INFO says.
fn audit_agrees(module: &Module) -> bool {
    let Info {
        total,
        available,
        held,
        sold,
        reservations,
        ..
    } = module.info;
    let expected = format!(
        "OK total={total} available={available} held={held} sold={sold} reservations={reservations}"
    );
    module.audit.as_deref() == Ok(expected.as_str())
        && i64::try_from(module.reservations.len()) == Ok(reservations)
}

fn recount(module: &Module) -> (i64, i64) {
    let units = |status: Status| -> i64 {
        let all = module.reservations.iter();
        all.filter(|one| one.status == status)
            .map(|one| one.qty)
            .sum()
    };
    (
        units(Status::Held),
        module.info.sold_before + units(Status::Confirmed),
    )
}

pub(super) fn sale(view: &View<'_>) -> Invariant {
    let mut invariant = Invariant::new(Name::Sale, "orders");
    let books = &view.seen.books;
    let Some(stock) = books.stock else {
        return invariant.not_checked(format!("there is no stock row {}", view.seen.sid));
    };
    let module = view.seen.module.as_ref();
    let (from, before) = match (view.ledger.opened, module) {
        (Some(opened), _) => (opened.place, opened.sold),
        (None, Some(module)) => (Place::default(), module.info.sold_before),
        (None, None) => {
            return invariant.not_checked("how many units were gone before, nobody knows");
        }
    };
    let (mut live, mut others) = (0, 0);
    for order in &books.orders {
        invariant.checked += 1;
        match order.rid {
            Some(rid) if rid >= from => live += order.live_units(),
            Some(_) => {}
            // The shop's own, since the sale was opened.
            None => {
                let began_s = i64::try_from(from.epoch.div_ceil(1000)).unwrap_or(i64::MAX);
                if order.created_s >= began_s {
                    others += order.live_units();
                }
            }
        }
    }
    let (sale, sum) = (stock.sale, before + live + others);
    if sale != sum {
        let case = Case::new(format!(
            "stock.sale is {sale}, the live orders come to {sum}"
        ));
        invariant.is_broken_by(case.says(
            Source::MySql,
            format!("{live} in live orders, {others} in the shop's own, {before} gone before"),
        ));
    }
    if sale > stock.count || sale < 0 {
        let what = format!("stock.sale is {sale} of {}", stock.count);
        invariant.is_broken_by(Case::new(what));
    }
    invariant
}

pub(super) fn limit(view: &View<'_>) -> Invariant {
    let mut invariant = Invariant::new(Name::Limit, "buyers");
    let from = view
        .ledger
        .opened
        .map_or(Place::default(), |opened| opened.place);
    let module = view.seen.module.as_ref();
    let in_module = module.map(|module| module.info.limit);
    let held = module.iter().flat_map(|module| &module.reservations);
    let held = held.map(|one| (one.rid, one.uid.as_str(), one.qty, one.status));
    let ordered = view.seen.books.orders.iter().filter_map(|order| {
        let uid = order.uid.as_deref()?;
        Some((order.rid?, uid, order.qty, order.status))
    });
    let ordered = ordered.filter(|(rid, ..)| *rid >= from);
    beyond(view, &mut invariant, in_module, held, "Redis");
    beyond(
        view,
        &mut invariant,
        view.seen.books.limit,
        ordered,
        "MySQL",
    );
    match (in_module, view.seen.books.limit) {
        (None, None) => invariant.not_checked("nobody knows a limit"),
        (None | Some(0), None | Some(0)) => invariant.not_checked("the sale has no limit"),
        _ => invariant,
    }
}

fn beyond<'a>(
    view: &View<'_>,
    invariant: &mut Invariant,
    limit: Option<i64>,
    reservations: impl Iterator<Item = (Place, &'a str, i64, Status)>,
    place: &str,
) {
    let Some(limit) = limit.filter(|limit| *limit > 0) else {
        return;
    };
    let mut buyers: BTreeMap<&str, (i64, Vec<Place>)> = BTreeMap::new();
    for (rid, uid, qty, status) in reservations {
        let (units, rids) = buyers.entry(uid).or_default();
        if status.is_live() {
            *units += qty;
            rids.push(rid);
        }
    }
    for (uid, (units, rids)) in buyers {
        let last = rids.last().filter(|_| units > limit);
        invariant.look(last.map(|rid| {
            let all: Vec<String> = rids.iter().map(ToString::to_string).collect();
            let all = all.join(", ");
            let what = format!("{uid} has {units} units in {place}, and may have {limit}: {all}");
            view.case(*rid, what)
        }));
    }
}

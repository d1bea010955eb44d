//! What two looks at a sale say of it. Pure: no clock, no I/O.

use super::look::{InModule, Look, Name, Seen};
use crate::books::drift;
use crate::gate::SaleInfo;
use seckill_protocol::EventId;
use serde::Serialize;
use std::collections::BTreeMap;

/// From so old an event on, a place that does not move between two looks stands still.
const STILL_MS: u64 = 5_000;

/// A sale, as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) sid: String,
    pub(crate) name: String,
    /// The state of `SECKILL.INFO`, `none` or `unknown`.
    pub(crate) state: String,
    pub(crate) units: Option<Units>,
    pub(crate) stock: Option<Stock>,
    /// Orders that the module knows to be in MySQL.
    pub(crate) orders: Option<u64>,
    pub(crate) orders_by_status: Option<BTreeMap<String, Count>>,
    pub(crate) rates: Option<Rates>,
    /// What the broker does not have yet; `None` also without a broker.
    pub(crate) to_kafka: Option<Lag>,
    /// What MySQL does not have yet.
    pub(crate) to_mysql: Option<Lag>,
    /// Acceptances without an order, and the age of the oldest.
    pub(crate) without_order: Option<Lag>,
    /// By how many units the module has more taken than `stock.sale`; `None`: cannot be said now.
    pub(crate) drift: Option<i64>,
    /// What is wrong, in words.
    pub(crate) wrong: Vec<String>,
}

/// Units by state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Units {
    pub(crate) total: u64,
    pub(crate) available: u64,
    pub(crate) held: u64,
    pub(crate) sold: u64,
}

/// The stock row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Stock {
    pub(crate) count: i64,
    pub(crate) sale: i64,
}

/// Orders of one status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Count {
    pub(crate) orders: u64,
    pub(crate) units: u64,
}

/// How often a second, between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Rates {
    pub(crate) interval_ms: u64,
    pub(crate) tries: f64,
    pub(crate) accepted: f64,
    pub(crate) orders: f64,
}

/// How far a step is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Lag {
    pub(crate) count: u64,
    /// The age of the oldest.
    pub(crate) ms: u64,
}

/// The rows of a look; `before` is an earlier one.
pub(crate) fn rows(before: &Look, now: &Look) -> Vec<Row> {
    let sales = now.sales.iter();
    sales
        .map(|(name, seen)| {
            let with_broker = now.kafka.is_some();
            let mut row = row(name, before.sales.get(name), seen, with_broker);
            if now.mysql.is_ok() && seen.figures.is_none() {
                row.wrong.push(match name.stock_id() {
                    Some(_) => "there is no stock row of this id".to_owned(),
                    None => "its name is no stock.id: it gets no orders".to_owned(),
                });
            }
            row
        })
        .collect()
}

fn row(name: &Name, before: Option<&Seen>, seen: &Seen, with_broker: bool) -> Row {
    let counts = seen.orders.as_ref().map(|counts| {
        let counts = counts.iter();
        counts
            .map(|(word, &(orders, units))| (word.clone(), Count { orders, units }))
            .collect()
    });
    let mut row = Row {
        sid: name.1.clone(),
        stock: seen.figures.map(|figures| Stock {
            count: figures.count,
            sale: figures.sale,
        }),
        orders_by_status: counts,
        ..Row::default()
    };
    let info = match &seen.module {
        InModule::Sale(info) => info,
        InModule::Nothing => {
            row.state = "none".to_owned();
            row.wrong.push("there is no such sale in Redis".to_owned());
            return row;
        }
        InModule::Unknown(reason) => {
            row.state = "unknown".to_owned();
            row.wrong.push(reason.clone());
            return row;
        }
    };
    row.name.clone_from(&info.name);
    row.state.clone_from(&info.state);
    row.units = Some(Units {
        total: info.total,
        available: info.available,
        held: info.held,
        sold: info.sold,
    });
    row.orders = Some(orders(info));
    row.rates = before
        .and_then(Seen::info)
        .and_then(|before| rates(before, info));
    row.to_kafka = with_broker.then(|| lag(info, info.relayed, info.unrelayed_since_ms));
    let cursor = seen.figures.and_then(|figures| figures.cursor);
    let cursor = cursor.unwrap_or(info.stored).max(info.stored);
    row.to_mysql = Some(lag(info, cursor, info.unstored_since_ms));
    row.without_order = Some(Lag {
        count: info.unordered,
        ms: age(info, info.unordered_since_ms),
    });
    row.drift = seen.figures.and_then(|figures| drift(&figures, info));
    row.wrong = wrong(before, seen, info, &row);
    row
}

/// Orders that the module knows to be in MySQL.
const fn orders(info: &SaleInfo) -> u64 {
    info.reservations.saturating_sub(info.unordered)
}

/// None where the counters are another node's, or there was only one look.
fn rates(before: &SaleInfo, now: &SaleInfo) -> Option<Rates> {
    let interval_ms = now.now_ms.checked_sub(before.now_ms)?;
    if interval_ms == 0 {
        return None;
    }
    let tries = now.tries.checked_sub(before.tries)?;
    let accepted = now.accepted.checked_sub(before.accepted)?;
    // An order that is lost is nothing that was written.
    let orders = orders(now).saturating_sub(orders(before));
    let seconds = std::time::Duration::from_millis(interval_ms).as_secs_f64();
    let a_second = |count: u64| {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        (f64::from(count) / seconds * 10.0).round() / 10.0
    };
    Some(Rates {
        interval_ms,
        tries: a_second(tries),
        accepted: a_second(accepted),
        orders: a_second(orders),
    })
}

/// What lies behind `place`, which is not before what the module knows to be stored.
fn lag(info: &SaleInfo, place: EventId, since_ms: u64) -> Lag {
    if place >= info.head {
        return Lag::default();
    }
    let count = if place.epoch == info.head.epoch {
        info.head.seq.saturating_sub(place.seq)
    } else if place.epoch == info.stored.epoch {
        let stored_since = place.seq.saturating_sub(info.stored.seq);
        info.log.saturating_sub(stored_since)
    } else {
        // Somewhere between: at most all that is kept.
        info.log
    };
    Lag {
        count,
        ms: age(info, since_ms),
    }
}

const fn age(info: &SaleInfo, since_ms: u64) -> u64 {
    if since_ms == 0 {
        0
    } else {
        info.now_ms.saturating_sub(since_ms)
    }
}

fn wrong(before: Option<&Seen>, seen: &Seen, info: &SaleInfo, row: &Row) -> Vec<String> {
    let mut wrong = Vec::new();
    let cursor_of = |seen: &Seen| seen.figures.and_then(|figures| figures.cursor);
    let cursor = cursor_of(seen);
    if info.state == "fenced" {
        wrong.push(format!(
            "fenced: a node took over, and MySQL has not been seen to have all that it has; the \
             module's log ends at {}, MySQL's cursor is {}",
            info.head,
            cursor.map_or_else(|| "not known".to_owned(), |cursor| cursor.to_string()),
        ));
    }
    if let Some(cursor) = cursor
        && cursor > info.head
    {
        wrong.push(format!(
            "MySQL has the log up to {cursor}, the module only up to {}: the module lost events",
            info.head
        ));
    }
    if let Some(cursor) = cursor
        && cursor < info.stored
    {
        wrong.push(format!(
            "MySQL's cursor is {cursor}, but MySQL had the log up to {} before: it lost orders, or \
             its cursor was set back",
            info.stored
        ));
    }
    let was = before.and_then(Seen::info);
    let stands = |place: fn(&SaleInfo) -> EventId| was.is_some_and(|was| place(was) == place(info));
    if let Some(lag) = row.to_kafka
        && lag.ms >= STILL_MS
        && stands(|info| info.relayed)
    {
        wrong.push(format!(
            "stands still: nothing goes into Kafka, {} events wait",
            lag.count
        ));
    }
    if let Some(lag) = row.to_mysql
        && lag.ms >= STILL_MS
        && (row.to_kafka.is_none() || info.relayed > info.stored)
        && stands(|info| info.stored)
        && cursor == before.and_then(cursor_of)
    {
        wrong.push(format!(
            "stands still: nothing goes into MySQL, {} events wait",
            lag.count
        ));
    }
    if let Some(drift) = row.drift
        && drift != 0
    {
        let sale = row.stock.map_or(0, |stock| stock.sale);
        wrong.push(format!(
            "drift: the module has {} units taken, stock.sale is {sale}",
            info.held.saturating_add(info.sold),
        ));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::Figures;
    use crate::gate::Rejected;
    use crate::options::Options;

    fn info() -> SaleInfo {
        SaleInfo {
            state: "open".to_owned(),
            name: "Lamp".to_owned(),
            total: 10,
            available: 6,
            held: 3,
            sold: 1,
            sold_before: 0,
            reservations: 4,
            head: EventId::new(9, 20),
            relayed: EventId::new(9, 15),
            stored: EventId::new(9, 10),
            log: 10,
            unordered: 2,
            unrelayed_since_ms: 90_000,
            unstored_since_ms: 80_000,
            unordered_since_ms: 85_000,
            now_ms: 100_000,
            tries: 500,
            accepted: 4,
            rejected: Rejected::default(),
            options: Options::DEFAULT,
        }
    }

    fn figures() -> Figures {
        Figures {
            count: 10,
            sale: 4,
            cursor: Some(EventId::new(9, 12)),
            refusals: 0,
        }
    }

    fn seen(info: SaleInfo, figures: Figures) -> Seen {
        Seen {
            module: InModule::Sale(Box::new(info)),
            figures: Some(figures),
            orders: None,
        }
    }

    fn shown(before: &Seen, now: &Seen) -> Row {
        row(&Name::new("1001"), Some(before), now, true)
    }

    #[test]
    fn each_step_has_its_own_lag() {
        let now = seen(info(), figures());
        let row = shown(&now, &now);
        let lag = |count, ms| Some(Lag { count, ms });
        assert_eq!(row.to_kafka, lag(5, 10_000));
        assert_eq!(row.to_mysql, lag(8, 20_000), "MySQL's own cursor counts");
        assert_eq!(row.without_order, lag(2, 15_000));
        assert_eq!(row.orders, Some(2));
        assert_eq!(row.drift, None, "events are on their way");
    }

    #[test]
    fn rates_are_between_two_looks_of_one_node() {
        let now = SaleInfo {
            now_ms: 102_000,
            tries: 2_500,
            accepted: 10,
            reservations: 10,
            unordered: 0,
            ..info()
        };
        let figures = figures();
        let row = shown(&seen(info(), figures), &seen(now.clone(), figures));
        let rates = row.rates.expect("two looks");
        assert_eq!(
            (rates.tries, rates.accepted, rates.orders),
            (1000.0, 3.0, 4.0)
        );
        let row = shown(&seen(now, figures), &seen(info(), figures));
        assert_eq!(row.rates, None, "another node counts from zero");
        let once = seen(info(), figures);
        assert_eq!(shown(&once, &once).rates, None, "a look has no rates");
    }

    #[test]
    fn a_place_that_moves_does_not_stand_still_however_late_it_is() {
        let still = seen(info(), figures());
        let wrong = shown(&still, &still).wrong;
        assert_eq!(
            wrong,
            [
                "stands still: nothing goes into Kafka, 5 events wait",
                "stands still: nothing goes into MySQL, 8 events wait"
            ]
        );
        let moved = SaleInfo {
            relayed: EventId::new(9, 16),
            stored: EventId::new(9, 11),
            ..info()
        };
        assert!(shown(&still, &seen(moved, figures())).wrong.is_empty());
    }

    #[test]
    fn a_drift_is_one_only_when_both_stand_at_the_same_event() {
        let at_rest = SaleInfo {
            relayed: EventId::new(9, 20),
            stored: EventId::new(9, 20),
            log: 0,
            unordered: 0,
            unrelayed_since_ms: 0,
            unstored_since_ms: 0,
            unordered_since_ms: 0,
            ..info()
        };
        let figures = Figures {
            cursor: Some(EventId::new(9, 20)),
            ..figures()
        };
        let drift_of = |figures: Figures| {
            let now = seen(at_rest.clone(), figures);
            let row = shown(&now, &now);
            (row.drift, row.wrong.len())
        };
        assert_eq!(drift_of(figures), (Some(0), 0));
        assert_eq!(drift_of(Figures { sale: 1, ..figures }), (Some(3), 1));
        let refusal = Figures {
            sale: 1,
            refusals: 1,
            ..figures
        };
        assert_eq!(drift_of(refusal), (None, 0), "a refusal is on its way");
    }
}

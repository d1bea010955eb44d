//! `SECKILL.INFO`

use crate::api;
use crate::entry::Entry;
use crate::error::Result;
use crate::request::{Field, Request};
use seckill_sale::Rate;

pub(crate) fn info(request: &Request<'_>) -> Result<()> {
    request.args().end()?;
    request.read(|entry| {
        request.reply_map(&fields(entry, api::now_ms()));
        Ok(())
    })
}

fn fields(entry: &Entry, now_ms: u64) -> [(&'static str, Field); 36] {
    use Field::{Number, Text};
    let (sale, counters) = (&entry.sale, &entry.soft.counters);
    let options = sale.options();
    let (rate, burst) = rate(options.rate);
    let (user_rate, user_burst) = self::rate(options.user_rate);
    let event_after = |place| sale.first_event_ms_after(place);
    let since = |at_ms: Option<u64>| Number(at_ms.unwrap_or(0));
    [
        ("state", Text(sale.phase(now_ms).as_str().into())),
        ("name", Text(options.name.to_string())),
        ("total", Number(sale.total())),
        ("available", Number(sale.available())),
        ("held", Number(sale.held())),
        ("sold", Number(sale.sold())),
        ("sold_before", Number(sale.sold_before())),
        ("reservations", Number(sale.reservation_count().into())),
        ("limit", Number(options.limit.into())),
        ("start", Number(options.start_ms)),
        ("end", Number(options.end_ms)),
        ("hold", Number(options.hold_ms)),
        ("rate", Number(rate)),
        ("burst", Number(burst)),
        ("user_rate", Number(user_rate)),
        ("user_burst", Number(user_burst)),
        ("epoch", Number(sale.head().epoch)),
        ("head", Text(sale.head().to_string())),
        ("relayed", Text(sale.relayed().to_string())),
        ("stored", Text(sale.stored().to_string())),
        ("log", Number(sale.events_pending())),
        ("unordered", Number(sale.acceptances_pending())),
        ("unrelayed_since", since(event_after(sale.relayed()))),
        ("unstored_since", since(event_after(sale.stored()))),
        ("unordered_since", since(sale.first_unordered_ms())),
        ("memory", Number(entry.memory_bytes() as u64)),
        ("now", Number(now_ms)),
        ("tries", Number(counters.tries)),
        ("accepted", Number(counters.accepted)),
        ("duplicate", Number(counters.duplicate)),
        ("soldout", Number(counters.soldout)),
        ("limited", Number(counters.limited)),
        ("notstarted", Number(counters.notstarted)),
        ("ended", Number(counters.ended)),
        ("paused", Number(counters.paused)),
        ("version", Text(env!("CARGO_PKG_VERSION").into())),
    ]
}

fn rate(rate: Option<Rate>) -> (u64, u64) {
    rate.map_or((0, 0), |rate| (rate.per_second.into(), rate.burst.into()))
}

//! What a sale shows of itself.

use crate::reply::Reply;
use crate::sale::{Reservation, Sale};
use crate::words::Refused;
use ReservationState::Held;
use seckill_protocol::{Event, EventId, Fact, ReservationId, ReservationState};

const SHOWN_OF_A_BUYER: usize = 1000;

impl Sale {
    pub(crate) fn get(&mut self, rid: ReservationId) -> Refused<Reply> {
        let stored = self.stored;
        self.find(rid).map(|reservation| reservation.show(stored))
    }

    pub(crate) fn user(&self, uid: &str) -> Reply {
        let latest_first = self.his(uid).rev().take(SHOWN_OF_A_BUYER);
        Reply::List(latest_first.map(|r| r.show(self.stored)).collect())
    }

    pub(crate) fn page(&self, first: usize, count: usize) -> Reply {
        let page = self.reservations.iter().skip(first).take(count);
        Reply::List(page.map(Reservation::show_flat).collect())
    }

    pub(crate) fn state(&self, now: u64) -> &'static str {
        if self.closed {
            "closed"
        } else if self.paused {
            "paused"
        } else if now < self.start {
            "waiting"
        } else if self.end != 0 && now >= self.end {
            "ended"
        } else if self.available() == 0 {
            "soldout"
        } else {
            "open"
        }
    }

    pub(crate) fn info(&self, now: u64) -> Reply {
        let number = Reply::number;
        let kept = self.events_after(EventId::ZERO, usize::MAX);
        let kept = kept.map_or_else(Vec::new, |batch| batch.events);
        let since = |event: Option<&Event>| number(event.map_or(0, |event| event.at));
        let is_acceptance = |event: &&Event| matches!(event.fact, Fact::Accepted { .. });
        let unrelayed = self.events_after(self.relayed, 1);
        let verdict = |word| number(self.soft.verdicts.get(word).copied().unwrap_or(0));
        Reply::map([
            ("state", Reply::text(self.state(now))),
            ("name", Reply::text(&self.name)),
            ("total", number(self.total)),
            ("available", number(self.available())),
            ("held", number(self.units(Held))),
            ("sold", number(self.sold())),
            ("sold_before", number(self.sold_before)),
            ("reservations", number(self.reservations.len() as u64)),
            ("limit", number(self.limit)),
            ("start", number(self.start)),
            ("end", number(self.end)),
            ("hold", number(self.hold)),
            ("rate", number(self.rate.per_second)),
            ("burst", number(self.rate.burst)),
            ("user_rate", number(self.user_rate.per_second)),
            ("user_burst", number(self.user_rate.burst)),
            ("epoch", number(self.epoch)),
            ("head", Reply::text(self.head())),
            ("relayed", Reply::text(self.relayed)),
            ("stored", Reply::text(self.stored)),
            ("log", number(kept.len() as u64)),
            (
                "unordered",
                number(kept.iter().filter(is_acceptance).count() as u64),
            ),
            (
                "unrelayed_since",
                since(unrelayed.iter().flat_map(|batch| &batch.events).next()),
            ),
            ("unstored_since", since(kept.first())),
            ("unordered_since", since(kept.iter().find(is_acceptance))),
            ("memory", Reply::text("positive")),
            ("now", number(now)),
            ("tries", number(self.soft.tries)),
            ("accepted", verdict("ACCEPTED")),
            ("duplicate", verdict("DUPLICATE")),
            ("soldout", verdict("SOLDOUT")),
            ("limited", verdict("LIMITED")),
            ("notstarted", verdict("NOTSTARTED")),
            ("ended", verdict("ENDED")),
            ("paused", verdict("PAUSED")),
            ("version", Reply::text(env!("CARGO_PKG_VERSION"))),
        ])
    }

    pub(crate) fn audit(&self) -> Reply {
        Reply::Word(format!(
            "OK total={} available={} held={} sold={} reservations={}",
            self.total,
            self.available(),
            self.units(Held),
            self.sold(),
            self.reservations.len(),
        ))
    }
}

impl Reservation {
    fn show_flat(&self) -> Reply {
        let token = self.token.as_ref();
        Reply::List(vec![
            Reply::text(self.rid),
            Reply::text(&self.uid),
            Reply::number(self.qty),
            Reply::text(self.state),
            Reply::number(self.at),
            Reply::number(self.deadline.unwrap_or(0)),
            token.map_or(Reply::Null, |token| {
                Reply::text(String::from_utf8_lossy(token))
            }),
        ])
    }

    fn show(&self, stored: EventId) -> Reply {
        Reply::map([
            ("rid", Reply::text(self.rid)),
            ("uid", Reply::text(&self.uid)),
            ("qty", Reply::number(self.qty)),
            ("state", Reply::text(self.state)),
            ("at", Reply::number(self.at)),
            ("deadline", Reply::number(self.deadline.unwrap_or(0))),
            ("stored", Reply::number(u64::from(self.rid.0 <= stored))),
        ])
    }
}

//! How far behind a sale is: what is left of its log, and how old that is.

use crate::figures::{Behind, Lag};
use crate::gate::SaleInfo;
use seckill_protocol::EventId;
use std::time::Duration;

/// What each step has still to do.
pub(super) fn lag(info: &SaleInfo) -> Lag {
    let age = |since_ms: u64| match since_ms {
        0 => 0.0,
        since_ms => Duration::from_millis(info.now_ms.saturating_sub(since_ms)).as_secs_f64(),
    };
    let in_the_sink = info.relayed.max(info.stored);
    let behind = |from, to, since_ms| match events(from, to) {
        0 => Behind::default(),
        events => Behind {
            events,
            seconds: age(since_ms),
        },
    };
    Lag {
        relay: behind(in_the_sink, info.head, info.unrelayed_since_ms),
        orders: behind(info.stored, in_the_sink, info.unstored_since_ms),
        unordered_s: age(info.unordered_since_ms),
        drift: 0,
    }
}

/// From one place to a later one. Over the beginning of an epoch, only what is behind that counts.
fn events(from: EventId, to: EventId) -> i64 {
    let events = if from.epoch == to.epoch {
        to.seq.saturating_sub(from.seq)
    } else if from < to {
        to.seq
    } else {
        0
    };
    i64::try_from(events).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(head: u64, relayed: u64, stored: u64) -> SaleInfo {
        let place = |seq| EventId::new(7, seq);
        SaleInfo {
            state: "open".to_owned(),
            name: String::new(),
            total: 100,
            available: 100,
            held: 0,
            sold: 0,
            sold_before: 0,
            reservations: 0,
            head: place(head),
            relayed: place(relayed),
            stored: place(stored),
            log: head - stored,
            unordered: 0,
            unrelayed_since_ms: 9_000,
            unstored_since_ms: 6_000,
            unordered_since_ms: 6_500,
            now_ms: 10_000,
            tries: 0,
            accepted: 0,
        }
    }

    #[test]
    fn each_step_has_what_it_has_still_to_do() {
        let lag = lag(&info(10, 7, 3));
        assert_eq!((lag.relay.events, lag.relay.seconds), (3, 1.0));
        assert_eq!((lag.orders.events, lag.orders.seconds), (4, 4.0));
        assert_eq!(lag.unordered_s, 3.5);
    }

    #[test]
    fn what_the_sink_does_not_have_is_the_relays() {
        let lag = lag(&info(10, 7, 7));
        assert_eq!((lag.relay.events, lag.orders.events), (3, 0));
        assert_eq!(lag.orders.seconds, 0.0);
    }

    #[test]
    fn nothing_is_behind_at_rest_and_only_the_new_epoch_counts() {
        let at_rest = SaleInfo {
            unordered_since_ms: 0,
            ..info(10, 10, 10)
        };
        assert_eq!(lag(&at_rest), Lag::default());
        assert_eq!(events(EventId::new(7, 90), EventId::new(8, 2)), 2);
    }
}

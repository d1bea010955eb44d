//! How far behind a sale is: what is left of its log, and how old that is.

use crate::figures::{Behind, Lag};
use crate::gate::SaleInfo;
use seckill_protocol::EventId;

/// What `SECKILL.INFO` says of it.
pub(super) fn lag(info: &SaleInfo) -> Lag {
    let age = |since_ms: u64| match since_ms {
        0 => 0.0,
        ms => seconds(info.now_ms.saturating_sub(ms)),
    };
    let in_the_sink = info.relayed.max(info.stored);
    let unordered = events(info.stored, in_the_sink);
    Lag {
        relay: Behind {
            events: events(in_the_sink, info.head),
            seconds: age(info.unrelayed_since_ms),
        },
        orders: Behind {
            events: unordered,
            seconds: if unordered > 0 {
                age(info.unstored_since_ms)
            } else {
                0.0
            },
        },
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

fn seconds(ms: u64) -> f64 {
    std::time::Duration::from_millis(ms).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Rejected;
    use crate::options::Options;

    /// At ten seconds, with these places, and since when the two steps and an order are waited for.
    fn info(places: [u64; 3], since_ms: [u64; 3]) -> SaleInfo {
        let [head, relayed, stored] = places.map(|seq| EventId::new(7, seq));
        let [unrelayed_since_ms, unstored_since_ms, unordered_since_ms] = since_ms;
        SaleInfo {
            state: "open".to_owned(),
            name: "Lamp".to_owned(),
            total: 10,
            available: 10,
            held: 0,
            sold: 0,
            sold_before: 0,
            reservations: 0,
            head,
            relayed,
            stored,
            log: 0,
            unordered: 0,
            unrelayed_since_ms,
            unstored_since_ms,
            unordered_since_ms,
            now_ms: 10_000,
            tries: 0,
            accepted: 0,
            rejected: Rejected::default(),
            options: Options::DEFAULT,
        }
    }

    #[test]
    fn each_step_has_what_it_has_still_to_do() {
        let lag = lag(&info([10, 7, 3], [9_000, 6_000, 6_500]));
        assert_eq!((lag.relay.events, lag.relay.seconds), (3, 1.0));
        assert_eq!((lag.orders.events, lag.orders.seconds), (4, 4.0));
        assert_eq!(lag.unordered_s, 3.5);
    }

    #[test]
    fn what_the_sink_does_not_have_is_the_relays() {
        let lag = lag(&info([10, 7, 7], [9_000, 9_000, 9_500]));
        assert_eq!((lag.relay.events, lag.orders.events), (3, 0));
        assert_eq!(lag.orders.seconds, 0.0);
        assert_eq!(lag.unordered_s, 0.5);
    }

    #[test]
    fn nothing_is_behind_at_rest_and_only_the_new_epoch_counts() {
        assert_eq!(lag(&info([10, 10, 10], [0, 0, 0])), Lag::default());
        assert_eq!(events(EventId::new(7, 90), EventId::new(8, 2)), 2);
    }
}

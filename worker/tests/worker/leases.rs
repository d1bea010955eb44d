//! Several workers: one relays a sale at a time, and each has some.

use crate::shop::{Shop, await_true};
use seckill_testbed::Part;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A dead worker's leases last three seconds; the machine of a test may be slow.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(15);

impl Shop {
    /// Who relays a sale.
    fn holder(&self, sid: u32) -> Option<String> {
        // Who gives back what it does not have changes nothing.
        let words = ["SECKILL.LEASE", &sid.to_string(), "test", "0"];
        let reply: (Option<String>, u64, Option<String>) = self.ask(&words).unwrap();
        reply.0
    }

    /// How many of the sales each worker relays.
    fn holders(&self, sids: std::ops::RangeInclusive<u32>) -> HashMap<String, usize> {
        let mut holders = HashMap::new();
        for holder in sids.filter_map(|sid| self.holder(sid)) {
            *holders.entry(holder).or_default() += 1;
        }
        holders
    }
}

#[test]
fn two_workers_share_the_sales_and_a_stopped_one_leaves_its_own_at_once() {
    let shop = Shop::open("leases-share");
    let mut first = shop.run();
    for sid in 1..=8 {
        shop.sale(sid, 100, &["--hold", "0"]);
    }
    await_true("the first worker has all", || {
        shop.holders(1..=8).into_values().eq([8])
    });
    let second = shop.run();
    await_true("each has a half", || {
        shop.holders(1..=8).into_values().eq([4, 4])
    });
    for sid in 1..=8 {
        shop.buy(sid, 1, 20);
    }
    first.stop().unwrap();
    await_true("the second has all", || {
        shop.holders(1..=8).into_values().eq([8])
    });
    for sid in 1..=8 {
        shop.buy(sid, 21, 20);
        shop.await_stored(sid);
        shop.assert_books_close(sid);
    }
    assert!(!shop.log_of(&second).contains("ERROR"));
}

/// Buys while the one that relays is killed, or frozen and thawed; what is bought meanwhile is
/// ordered by the other one.
fn another_worker_takes_over(shop: &Shop) {
    shop.sale(1001, 5000, &["--hold", "60000"]);
    let mut holder = shop.run();
    shop.buy(1001, 1, 100);
    shop.await_stored(1001);
    let mut other = shop.run();
    let first_name = shop.holder(1001).unwrap();

    holder.freeze().unwrap();
    shop.buy(1001, 101, 300);
    let since = Instant::now();
    await_true("the other one has the sale", || {
        shop.holder(1001).is_some_and(|name| name != first_name)
    });
    assert!(since.elapsed() < TAKEN_OVER_WITHIN, "{:?}", since.elapsed());
    shop.await_stored(1001);
    holder.thaw().unwrap();
    shop.buy(1001, 401, 300);
    shop.await_stored(1001);

    let second_name = shop.holder(1001).unwrap();
    other.kill().unwrap();
    shop.buy(1001, 701, 300);
    let since = Instant::now();
    await_true("the first one has the sale again", || {
        shop.holder(1001).is_some_and(|name| name != second_name)
    });
    assert!(since.elapsed() < TAKEN_OVER_WITHIN, "{:?}", since.elapsed());
    shop.await_stored(1001);
    shop.assert_books_close(1001);
    assert_eq!(shop.books(1001).stock, (5000, 1000));
    for worker in [&holder, &other] {
        let log = shop.log_of(worker);
        assert!(!log.contains("ALARM"), "{log}");
    }
}

#[test]
fn a_frozen_and_a_killed_worker_are_taken_over_within_seconds_without_a_broker() {
    another_worker_takes_over(&Shop::open("leases-none"));
}

#[test]
fn a_frozen_and_a_killed_worker_are_taken_over_within_seconds_with_kafka() {
    if let Some(shop) = Shop::with_kafka("leases-kafka") {
        another_worker_takes_over(&shop);
    }
}

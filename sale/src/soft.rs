//! The node's own view of a sale: counters and rates. In no RDB, AOF or replica.
//!
//! A buyer's rate is kept while it can refuse him and forgotten afterwards. It takes about 25 bytes,
//! and there are at most about a million: beyond that the ones that would be forgotten soonest are
//! forgotten early, which grants those buyers a try or two more than their rate.

use crate::options::Rate;
use crate::table::{SEGMENT_ENTRIES_MAX, Table};
use seckill_protocol::Verdict;

const NS_PER_MS: u64 = 1_000_000;
const NS_PER_S: u64 = 1_000_000_000;
/// Segments of the buyers' table at most: room for about a million.
const SEGMENTS_MAX: usize = 1280;
/// Buyers who may stay in a segment where others were forgotten.
const ROOM_ENOUGH: usize = SEGMENT_ENTRIES_MAX / 4 * 3;

/// How often TRY gave each verdict on this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// All.
    pub tries: u64,
    /// `ACCEPTED`.
    pub accepted: u64,
    /// `DUPLICATE`.
    pub duplicate: u64,
    /// `SOLDOUT`.
    pub soldout: u64,
    /// `LIMITED`.
    pub limited: u64,
    /// `NOTSTARTED`.
    pub notstarted: u64,
    /// `ENDED`.
    pub ended: u64,
    /// `PAUSED`.
    pub paused: u64,
}

/// Counters, and the state of both rates.
pub struct Soft {
    /// What was decided here.
    pub counters: Counters,
    sale_tat_ns: u64,
    buyers: Table<BuyerRate>,
    /// From when on no buyer's rate matters any more.
    buyers_until_ns: u64,
}

/// A buyer by the hash of his id: 64 seeded bits do not collide among the buyers of a sale.
struct BuyerRate {
    hash: u64,
    /// GCRA's theoretical arrival time.
    tat_ns: u64,
}

// === impl Counters ===

impl Counters {
    const fn count(&mut self, verdict: &Verdict) {
        self.tries += 1;
        let counter = match verdict {
            Verdict::Accepted(_) => &mut self.accepted,
            Verdict::Duplicate(_) => &mut self.duplicate,
            Verdict::SoldOut { .. } => &mut self.soldout,
            Verdict::Limited { .. } => &mut self.limited,
            Verdict::NotStarted { .. } => &mut self.notstarted,
            Verdict::Ended => &mut self.ended,
            Verdict::Paused => &mut self.paused,
        };
        *counter += 1;
    }
}

// === impl Soft ===

impl Soft {
    /// Nothing counted yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            counters: Counters {
                tries: 0,
                accepted: 0,
                duplicate: 0,
                soldout: 0,
                limited: 0,
                notstarted: 0,
                ended: 0,
                paused: 0,
            },
            sale_tat_ns: 0,
            buyers: Table::new(),
            buyers_until_ns: 0,
        }
    }

    /// Counts a verdict.
    pub const fn count(&mut self, verdict: &Verdict) {
        self.counters.count(verdict);
    }

    /// Bytes on the heap, about.
    #[must_use]
    pub const fn heap_bytes(&self) -> usize {
        self.buyers.heap_bytes()
    }

    /// Pieces of memory, about. O(1).
    #[must_use]
    pub const fn allocation_count(&self) -> usize {
        self.buyers.segment_count()
    }

    /// Gives back what is kept of buyers none of whose rates matters any more.
    pub fn forget(&mut self, now_ms: u64) {
        if !self.buyers.is_empty() && self.buyers_until_ns <= now_ms.saturating_mul(NS_PER_MS) {
            self.buyers = Table::new();
        }
    }

    /// Takes a try from the buyer's rate, if he has one left, and asks the sale's.
    ///
    /// # Errors
    /// The ms until a retry can succeed.
    pub(crate) fn admit(
        &mut self,
        hash: u64,
        user_rate: Option<Rate>,
        rate: Option<Rate>,
        now_ms: u64,
    ) -> Result<(), u64> {
        let now_ns = now_ms.saturating_mul(NS_PER_MS);
        let mut buyer_wait_ns = 0;
        if let Some(user_rate) = user_rate {
            let known = self.buyers.find(hash, |buyer| buyer.hash == hash);
            let mut tat_ns = known.map_or(0, |buyer| buyer.tat_ns);
            let wait_ns = conform(&mut tat_ns, user_rate, now_ns);
            self.keep_buyer(BuyerRate { hash, tat_ns }, now_ns);
            if wait_ns > 0 {
                return Err(wait_ms(wait_ns));
            }
            buyer_wait_ns = conform(&mut tat_ns, user_rate, now_ns);
        }
        if let Some(rate) = rate {
            // A try that the sale's rate refuses has still used up one of the buyer's: it is him
            // asking too often that the buyer's rate is there to stop.
            let sale_wait_ns = conform(&mut self.sale_tat_ns, rate, now_ns);
            if sale_wait_ns > 0 {
                return Err(wait_ms(sale_wait_ns.max(buyer_wait_ns)));
            }
        }
        Ok(())
    }

    fn keep_buyer(&mut self, buyer: BuyerRate, now_ns: u64) {
        let hash = buyer.hash;
        self.buyers_until_ns = self.buyers_until_ns.max(buyer.tat_ns);
        if let Some(known) = self.buyers.find_mut(hash, |known| known.hash == hash) {
            *known = buyer;
            return;
        }
        if self.buyers.is_full_at(hash) {
            self.make_room(hash, now_ns);
        }
        self.buyers.insert(hash, buyer, |buyer| buyer.hash);
    }

    /// Forgets buyers where one more is to be kept: those whose time has passed, who are like buyers
    /// who were never seen, and of a table that may not grow the half whose time passes first.
    ///
    /// Room for only a few would have the next buyers look through all of them again.
    fn make_room(&mut self, hash: u64, now_ns: u64) {
        self.buyers
            .retain_neighbours(hash, |buyer| buyer.tat_ns > now_ns);
        if self.buyers.neighbours(hash).count() <= ROOM_ENOUGH {
            return;
        }
        if self.buyers.segment_count() < SEGMENTS_MAX {
            self.buyers.split_at(hash, |buyer| buyer.hash);
        } else {
            let mut tats: Vec<u64> = self.buyers.neighbours(hash).map(|b| b.tat_ns).collect();
            let middle = tats.len() / 2;
            let (_, &mut median_ns, _) = tats.select_nth_unstable(middle);
            let mut kept = 0;
            self.buyers.retain_neighbours(hash, |buyer| {
                let keep = buyer.tat_ns > median_ns || buyer.tat_ns == median_ns && kept < middle;
                kept += usize::from(keep);
                keep
            });
        }
    }
}

impl Default for Soft {
    fn default() -> Self {
        Self::new()
    }
}

/// GCRA: how long to wait until one more conforms. 0: it does, and the theoretical arrival time moves
/// on.
fn conform(tat_ns: &mut u64, rate: Rate, now_ns: u64) -> u64 {
    let interval_ns = NS_PER_S / u64::from(rate.per_second.max(1));
    let burst_ns = interval_ns.saturating_mul(u64::from(rate.burst.max(1)));
    // Further ahead than a full burst it can only be after the clock went back. That is kept, or the
    // wait would be as long again at the next try.
    *tat_ns = (*tat_ns).clamp(now_ns, now_ns.saturating_add(burst_ns));
    let next_tat_ns = tat_ns.saturating_add(interval_ns);
    let earliest_ns = next_tat_ns.saturating_sub(burst_ns);
    if now_ns >= earliest_ns {
        *tat_ns = next_tat_ns;
    }
    earliest_ns.saturating_sub(now_ns)
}

const fn wait_ms(wait_ns: u64) -> u64 {
    wait_ns.div_ceil(NS_PER_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use foldhash::quality::FixedState;
    use std::hash::BuildHasher;

    const RATE: Rate = Rate {
        per_second: 10,
        burst: 3,
    };

    fn hash(buyer: u64) -> u64 {
        FixedState::with_seed(1).hash_one(buyer)
    }

    #[test]
    fn a_burst_passes_then_one_an_interval() {
        let mut soft = Soft::new();
        let mut admit = |now_ms| soft.admit(1, None, Some(RATE), now_ms);
        assert_eq!([admit(1000), admit(1000), admit(1000)], [Ok(()); 3]);
        assert_eq!(admit(1000), Err(100));
        assert_eq!(admit(1099), Err(1));
        assert_eq!(admit(1100), Ok(()));
        assert_eq!(admit(1100), Err(100));
    }

    #[test]
    fn one_buyer_asking_often_does_not_slow_another() {
        let mut soft = Soft::new();
        for _ in 0..3 {
            assert_eq!(soft.admit(1, Some(RATE), None, 0), Ok(()));
        }
        assert_eq!(soft.admit(1, Some(RATE), None, 0), Err(100));
        assert_eq!(soft.admit(2, Some(RATE), None, 0), Ok(()));
    }

    #[test]
    fn the_wait_is_the_longer_of_both_rates() {
        let slow = Rate {
            per_second: 1,
            burst: 1,
        };
        let mut soft = Soft::new();
        for buyer in 1..=3 {
            assert_eq!(soft.admit(buyer, Some(slow), Some(RATE), 0), Ok(()));
        }
        assert_eq!(soft.admit(4, Some(slow), Some(RATE), 0), Err(1000));
    }

    #[test]
    fn a_clock_that_goes_back_does_not_lock_the_sale() {
        let mut soft = Soft::new();
        for _ in 0..3 {
            assert_eq!(soft.admit(1, None, Some(RATE), 1_000_000), Ok(()));
        }
        for (now_ms, expected) in [(0, Err(100)), (60, Err(40)), (100, Ok(())), (150, Err(50))] {
            assert_eq!(
                soft.admit(1, None, Some(RATE), now_ms),
                expected,
                "{now_ms}"
            );
        }
        for _ in 0..3 {
            assert_eq!(soft.admit(2, Some(RATE), None, 1_000_000), Ok(()));
        }
        for (now_ms, expected) in [(0, Err(100)), (60, Err(40)), (100, Ok(()))] {
            assert_eq!(
                soft.admit(2, Some(RATE), None, now_ms),
                expected,
                "{now_ms}"
            );
        }
    }

    #[test]
    fn buyers_whose_time_has_passed_are_forgotten() {
        let mut soft = Soft::new();
        for n in 0..100_000_u64 {
            assert_eq!(soft.admit(hash(n), Some(RATE), None, n), Ok(()));
        }
        assert!(soft.buyers.len() < 4096, "{}", soft.buyers.len());
        soft.forget(100_098);
        assert!(!soft.buyers.is_empty(), "the last one still has to wait");
        soft.forget(100_099);
        assert_eq!(soft.heap_bytes(), Soft::new().heap_bytes());
    }

    #[test]
    fn what_is_kept_of_buyers_is_bounded_however_many_ask_at_once() {
        let mut soft = Soft::new();
        for n in 0..3_000_000 {
            assert_eq!(soft.admit(hash(n), Some(RATE), None, 0), Ok(()));
        }
        assert!(soft.buyers.len() < 1_300_000, "{}", soft.buyers.len());
        assert!(soft.heap_bytes() < 48_000_000, "{}", soft.heap_bytes());
    }
}

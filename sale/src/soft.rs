//! The node's own view of a sale: counters and rates. In no RDB, AOF or replica.

use crate::options::Rate;
use foldhash::quality::FixedState;
use hashbrown::HashTable;
use seckill_protocol::Verdict;
use std::hash::BuildHasher;

const NS_PER_MS: u64 = 1_000_000;
const NS_PER_S: u64 = 1_000_000_000;
/// Below so many buyers the table is not searched for what can be forgotten.
const BUYERS_BEFORE_PRUNING: usize = 1024;

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
    buyers: HashTable<BuyerRate>,
    prune_at: usize,
    hasher: FixedState,
}

/// A buyer by the hash of his id: 64 seeded bits do not collide among the buyers of a sale.
struct BuyerRate {
    hash: u64,
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
    /// Nothing counted yet. `seed` keeps buyers from choosing ids that collide.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            counters: Counters::default(),
            sale_tat_ns: 0,
            buyers: HashTable::new(),
            prune_at: BUYERS_BEFORE_PRUNING,
            hasher: FixedState::with_seed(seed),
        }
    }

    /// Counts a verdict.
    pub const fn count(&mut self, verdict: &Verdict) {
        self.counters.count(verdict);
    }

    /// Bytes on the heap, about.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.buyers.capacity() * (size_of::<BuyerRate>() + 1)
    }

    /// Takes a try from the buyer's rate, if he has one left, and asks the sale's.
    ///
    /// # Errors
    /// The ms until a retry can succeed.
    pub(crate) fn admit(
        &mut self,
        uid: &str,
        user_rate: Option<Rate>,
        rate: Option<Rate>,
        now_ms: u64,
    ) -> Result<(), u64> {
        let now_ns = now_ms.saturating_mul(NS_PER_MS);
        let mut buyer_wait_ns = 0;
        if let Some(user_rate) = user_rate {
            let tat_ns = self.buyer_tat(uid, now_ns);
            *tat_ns = conform(*tat_ns, user_rate, now_ns).map_err(wait_ms)?;
            buyer_wait_ns = conform(*tat_ns, user_rate, now_ns).err().unwrap_or(0);
        }
        if let Some(rate) = rate {
            // A try that the sale's rate refuses has still used up one of the buyer's: it is him
            // asking too often that the buyer's rate is there to stop.
            self.sale_tat_ns = conform(self.sale_tat_ns, rate, now_ns)
                .map_err(|sale_wait_ns| wait_ms(sale_wait_ns.max(buyer_wait_ns)))?;
        }
        Ok(())
    }

    fn buyer_tat(&mut self, uid: &str, now_ns: u64) -> &mut u64 {
        if self.buyers.len() >= self.prune_at {
            // One whose time has passed is like one who was never seen.
            self.buyers.retain(|buyer| buyer.tat_ns > now_ns);
            self.prune_at = (self.buyers.len() * 2).max(BUYERS_BEFORE_PRUNING);
        }
        let hash = self.hasher.hash_one(uid);
        let entry = self
            .buyers
            .entry(hash, |buyer| buyer.hash == hash, |buyer| buyer.hash)
            .or_insert(BuyerRate { hash, tat_ns: 0 });
        &mut entry.into_mut().tat_ns
    }
}

/// GCRA: the theoretical arrival time after one more, or how long to wait until one more conforms.
fn conform(tat_ns: u64, rate: Rate, now_ns: u64) -> Result<u64, u64> {
    let interval_ns = NS_PER_S / u64::from(rate.per_second.max(1));
    let burst_ns = interval_ns.saturating_mul(u64::from(rate.burst.max(1)));
    // Further ahead than a full burst it can only be after the clock went back.
    let tat_ns = tat_ns.clamp(now_ns, now_ns.saturating_add(burst_ns));
    let next_tat_ns = tat_ns.saturating_add(interval_ns);
    let earliest_ns = next_tat_ns.saturating_sub(burst_ns);
    if now_ns < earliest_ns {
        Err(earliest_ns - now_ns)
    } else {
        Ok(next_tat_ns)
    }
}

const fn wait_ms(wait_ns: u64) -> u64 {
    wait_ns.div_ceil(NS_PER_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 10,
        burst: 3,
    };

    #[test]
    fn a_burst_passes_then_one_an_interval() {
        let mut soft = Soft::new(1);
        let mut admit = |now_ms| soft.admit("u", None, Some(RATE), now_ms);
        assert_eq!([admit(1000), admit(1000), admit(1000)], [Ok(()); 3]);
        assert_eq!(admit(1000), Err(100));
        assert_eq!(admit(1099), Err(1));
        assert_eq!(admit(1100), Ok(()));
        assert_eq!(admit(1100), Err(100));
    }

    #[test]
    fn one_buyer_asking_often_does_not_slow_another() {
        let mut soft = Soft::new(1);
        for _ in 0..3 {
            assert_eq!(soft.admit("a", Some(RATE), None, 0), Ok(()));
        }
        assert_eq!(soft.admit("a", Some(RATE), None, 0), Err(100));
        assert_eq!(soft.admit("b", Some(RATE), None, 0), Ok(()));
    }

    #[test]
    fn the_wait_is_the_longer_of_both_rates() {
        let slow = Rate {
            per_second: 1,
            burst: 1,
        };
        let mut soft = Soft::new(1);
        assert_eq!(soft.admit("a", Some(slow), Some(RATE), 0), Ok(()));
        for uid in ["b", "c"] {
            assert_eq!(soft.admit(uid, Some(slow), Some(RATE), 0), Ok(()));
        }
        assert_eq!(soft.admit("d", Some(slow), Some(RATE), 0), Err(1000));
    }

    #[test]
    fn a_clock_that_goes_back_does_not_lock_the_sale() {
        let mut soft = Soft::new(1);
        for _ in 0..3 {
            assert_eq!(soft.admit("a", None, Some(RATE), 1_000_000), Ok(()));
        }
        assert_eq!(soft.admit("a", None, Some(RATE), 0), Err(100));
    }

    #[test]
    fn buyers_whose_time_has_passed_are_forgotten() {
        let mut soft = Soft::new(1);
        for n in 0..100_000_u64 {
            let uid = format!("u{n}");
            assert_eq!(soft.admit(&uid, Some(RATE), None, n), Ok(()));
        }
        assert!(soft.buyers.len() < 4096, "{}", soft.buyers.len());
    }
}

//! What the node knows of a sale and the sale itself does not: counters, and the rates by GCRA.

use crate::words::Rate;
use std::collections::HashMap;

const NS_PER_MS: i128 = 1_000_000;

/// Of one sale. It is in no file and on no replica.
#[derive(Default)]
pub(crate) struct Soft {
    pub(crate) tries: u64,
    /// By the verdict's word.
    pub(crate) verdicts: HashMap<&'static str, u64>,
    /// GCRA's theoretical arrival times in Unix ns, of the sale (`None`) and of its buyers.
    pub(crate) due_ns: HashMap<Option<String>, i128>,
    /// The latest of its buyers' that there ever was.
    latest_ns: i128,
}

impl Soft {
    /// The buyer's rate and then the sale's: how long to wait, if at all.
    pub(crate) fn limited(
        &mut self,
        now: u64,
        uid: &str,
        user_rate: Rate,
        rate: Rate,
    ) -> Option<u64> {
        let now_ns = i128::from(now) * NS_PER_MS;
        let (his, all) = (Some(uid.to_owned()), None);
        let mut wait_ns = self.wait_ns(&his, user_rate, now_ns);
        let waits = wait_ns > 0;
        if !waits {
            self.pass(his.clone(), user_rate, now_ns);
        }
        let due_ns = self.due_ns.get(&his).copied().unwrap_or(0);
        self.latest_ns = self.latest_ns.max(due_ns);
        if !waits {
            wait_ns = self.wait_ns(&all, rate, now_ns);
            if wait_ns == 0 {
                self.pass(all, rate, now_ns);
                return None;
            }
            // This try has used up one of his: the next one has to pass both.
            wait_ns = wait_ns.max(self.wait_ns(&his, user_rate, now_ns));
        }
        u64::try_from((wait_ns + NS_PER_MS - 1) / NS_PER_MS).ok()
    }

    /// Reading the log forgets the buyers' rates as soon as none of them can refuse anybody. It makes a
    /// difference only if the clock goes back after that.
    pub(crate) fn forget(&mut self, now: u64) {
        if self.latest_ns <= i128::from(now) * NS_PER_MS {
            self.due_ns.retain(|whose, _| whose.is_none());
        }
    }

    /// When the next try is due if they come evenly: not before now, and not more than a full burst
    /// ahead of it, wherever the clock was before. It is kept, or after the clock went back every
    /// try would be as far ahead as the one before.
    fn due_ns(&mut self, whose: &Option<String>, rate: Rate, now_ns: i128) -> i128 {
        let due_ns = self.due_ns.entry(whose.clone()).or_insert(now_ns);
        *due_ns = (*due_ns).clamp(now_ns, now_ns + rate.burst_ns());
        *due_ns
    }

    /// How long a try has to wait, if at all.
    fn wait_ns(&mut self, whose: &Option<String>, rate: Rate, now_ns: i128) -> i128 {
        if rate.per_second == 0 {
            return 0;
        }
        let early_by_ns = self.due_ns(whose, rate, now_ns) - now_ns;
        (early_by_ns + rate.interval_ns() - rate.burst_ns()).max(0)
    }

    fn pass(&mut self, whose: Option<String>, rate: Rate, now_ns: i128) {
        if rate.per_second != 0 {
            let next_ns = self.due_ns(&whose, rate, now_ns) + rate.interval_ns();
            self.due_ns.insert(whose, next_ns);
        }
    }
}

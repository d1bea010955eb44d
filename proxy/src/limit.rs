//! How often one client address may try, whoever it says it is.
//!
//! Each address has a count of its own, and not one of a few thousand shared ones: a sketch that
//! mistakes one address for another turns innocents away as soon as a crowd has come. An IPv6 client
//! is its /64, which is what one customer has.

use crate::config::{Mistakes, within};
use crate::networks::customer;
use crate::problem::{Problem, Quota};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, RateLimiter};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tracing::warn;

/// Tries a second, and at once.
const RATE_MAX: u32 = 10_000;

/// An address is remembered until its allowance is full again, so that this bounds the memory.
const REFILL_S_MAX: u32 = 60;

/// So many addresses that still count are a crowd that no allowance holds back; they take about
/// 100 MB.
const ADDRESSES_MAX: usize = 1_000_000;

/// Counts tries by address.
pub(crate) struct Limit {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
    quota: Quota,
    is_full: AtomicBool,
}

// === impl Limit ===

impl Limit {
    /// `rate` tries a second and `burst` at once; `None` if there is no limit.
    pub(crate) fn new(
        rate: Option<u32>,
        burst: Option<u32>,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let Some(rate) = rate else {
            if burst.is_some() {
                mistakes.add("client.burst: only together with client.rate".to_owned());
            }
            return None;
        };
        let range = 1..=RATE_MAX;
        let per_second = within("client.rate", rate, range, " tries a second");
        let per_second = mistakes.note(per_second)?;
        let range = 1..=per_second.saturating_mul(REFILL_S_MAX);
        let unit = format!(", which is {REFILL_S_MAX} s of client.rate");
        let at_once = within("client.burst", burst.unwrap_or(rate), range, &unit);
        let at_once = NonZeroU32::new(mistakes.note(at_once)?)?;
        let per_second = NonZeroU32::new(per_second)?;
        let quota = governor::Quota::per_second(per_second).allow_burst(at_once);
        Some(Self {
            limiter: RateLimiter::keyed(quota),
            clock: DefaultClock::default(),
            quota: Quota {
                tries: at_once.get(),
                window_s: at_once.get().div_ceil(rate),
            },
            is_full: AtomicBool::new(false),
        })
    }

    /// Counts a try.
    ///
    /// # Errors
    /// [`Problem::ClientLimited`], with the time until the next would be let through.
    pub(crate) fn admit(&self, address: IpAddr) -> Result<(), Problem> {
        if self.is_full.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.limiter.check_key(&customer(address)).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            Problem::ClientLimited {
                wait_ms: whole_ms(wait),
                quota: self.quota,
            }
        })
    }

    /// Forgets the addresses whose allowance is full again.
    pub(crate) fn tidy(&self) {
        self.limiter.retain_recent();
        let addresses = self.limiter.len();
        let is_full = addresses > ADDRESSES_MAX;
        if is_full && !self.is_full.swap(true, Ordering::Relaxed) {
            warn!(addresses, "client.rate is suspended: too many addresses");
        } else if !is_full {
            self.is_full.store(false, Ordering::Relaxed);
        }
    }
}

/// Rounded up: a client that comes when it was told to must be let through.
fn whole_ms(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn limit(rate: u32, burst: u32) -> Limit {
        let mut mistakes = Mistakes::default();
        Limit::new(Some(rate), Some(burst), &mut mistakes).unwrap()
    }

    #[test]
    fn a_hundred_thousand_clients_do_not_stand_in_each_others_way() {
        let limit = limit(1, 1);
        for number in 0..100_000 {
            let address = IpAddr::V4(Ipv4Addr::from_bits(number));
            assert_eq!(limit.admit(address), Ok(()), "{address}");
        }
        assert_eq!(limit.limiter.len(), 100_000);
    }

    #[test]
    fn who_comes_too_often_is_told_when_to_come_again() {
        let limit = limit(1, 3);
        let one = IpAddr::V4(Ipv4Addr::LOCALHOST);
        for _ in 0..3 {
            assert_eq!(limit.admit(one), Ok(()));
        }
        let Err(Problem::ClientLimited { wait_ms, quota }) = limit.admit(one) else {
            panic!("not limited");
        };
        assert!((1..=1000).contains(&wait_ms), "{wait_ms}");
        assert_eq!((quota.tries, quota.window_s), (3, 3));
        limit.tidy();
        assert!(limit.admit(one).is_err(), "who still counts is kept");
    }

    #[test]
    fn a_client_of_ipv6_is_its_network() {
        let limit = limit(1, 1);
        let [one, same, other] = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"]
            .map(|text| IpAddr::V6(text.parse::<Ipv6Addr>().unwrap()));
        assert_eq!(limit.admit(one), Ok(()));
        assert!(limit.admit(same).is_err());
        assert_eq!(limit.admit(other), Ok(()));
    }
}

//! What this proxy remembers of a sale that turns everybody away.
//!
//! Once the module has said that a sale is sold out, over, paused or not yet open, it would say the
//! same to the next million buyers. The proxy says it for the module, until something is heard of
//! the sale, and never for long.
//!
//! Three things keep this true. An answer is remembered only if nothing was heard of the sale since
//! its question was asked, and only while the news is listened to. It is forgotten before it can
//! become wrong by itself: when the sale starts, when a hold may lapse. And "sold out" is not said
//! to a buyer who may have something: one who was asked for and not turned down is asked for again,
//! because the module tells him his reservation first.

use ahash::RandomState;
use seckill_protocol::{Uid, Verdict};
use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// So many buyers who may have something are told apart, with 16 bytes each; with more of them,
/// "sold out" is not remembered.
const HOLDERS_MAX: usize = 1 << 20;

/// What is remembered of one sale.
#[derive(Debug)]
pub(crate) struct Shut {
    inner: RwLock<Inner>,
    hasher: RandomState,
    /// The longest that an answer is remembered.
    limit: Duration,
}

#[derive(Debug, Default)]
struct Inner {
    /// How often something was heard of the sale.
    news: u64,
    memory: Option<Memory>,
    /// Buyers who are being asked for, and how often at the same time.
    asking: HashMap<u64, u32>,
    /// Buyers who were asked for and not turned down. By their hashes: two buyers with one hash
    /// cost a question.
    holders: HashSet<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Memory {
    verdict: Verdict,
    answered: Instant,
    until: Instant,
    /// The subscription under which it was learned.
    life: u64,
}

/// What there is to see of one sale from outside.
#[derive(Debug)]
pub(crate) struct View {
    /// What is remembered, and for how long still.
    pub(crate) remembered: Option<(Verdict, Duration)>,
    /// Buyers who may have something.
    pub(crate) holders: usize,
    /// Buyers who are being asked for.
    pub(crate) asking: usize,
}

/// Questions that are being asked. Buyers whose question is dropped unanswered may have something.
#[derive(Debug)]
pub(crate) struct Question<'s> {
    shut: &'s Shut,
    buyers: Vec<u64>,
    news: u64,
    life: u64,
    asked: Instant,
}

// === impl Shut ===

impl Shut {
    /// Remembers for at most `limit`.
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            inner: RwLock::default(),
            hasher: RandomState::new(),
            limit,
        }
    }

    /// What the module would tell this buyer, who asks now for one unit and without a token. `life`
    /// is the present subscription, 0 if there is none.
    pub(crate) fn tell(&self, uid: &Uid, life: u64, now: Instant) -> Option<Verdict> {
        let inner = self.read();
        let memory = inner.memory?;
        if !memory.counts(life, now) {
            return None;
        }
        if matches!(memory.verdict, Verdict::SoldOut { .. }) && inner.may_have(self.hash(uid)) {
            return None;
        }
        let passed = now.saturating_duration_since(memory.answered);
        Some(later(memory.verdict, passed))
    }

    /// What there is to see. `life` is the present subscription, 0 if there is none.
    pub(crate) fn view(&self, life: u64) -> View {
        let now = Instant::now();
        let inner = self.read();
        let memory = inner.memory.filter(|memory| memory.counts(life, now));
        View {
            remembered: memory.map(|memory| {
                let passed = now.saturating_duration_since(memory.answered);
                let left = memory.until.saturating_duration_since(now);
                (later(memory.verdict, passed), left)
            }),
            holders: inner.holders.len(),
            asking: inner.asking.len(),
        }
    }

    /// Notes that questions are asked.
    pub(crate) fn ask<'u>(&self, uids: impl Iterator<Item = &'u Uid>, life: u64) -> Question<'_> {
        let buyers: Vec<u64> = uids.map(|uid| self.hash(uid)).collect();
        let mut inner = self.write();
        for &buyer in &buyers {
            let times = inner.asking.entry(buyer).or_default();
            *times = times.saturating_add(1);
        }
        let news = inner.news;
        drop(inner);
        Question {
            shut: self,
            buyers,
            news,
            life,
            asked: Instant::now(),
        }
    }

    /// Something was heard of the sale: what is remembered may be wrong.
    pub(crate) fn forget(&self) {
        let mut inner = self.write();
        inner.news = inner.news.wrapping_add(1);
        inner.memory = None;
    }

    fn hash(&self, uid: &Uid) -> u64 {
        self.hasher.hash_one(uid)
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Inner ===

impl Inner {
    fn may_have(&self, buyer: u64) -> bool {
        self.holders.len() >= HOLDERS_MAX
            || self.holders.contains(&buyer)
            || self.asking.contains_key(&buyer)
    }

    fn settle(&mut self, buyer: u64, may_have: bool) {
        if let Some(times) = self.asking.get_mut(&buyer) {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.asking.remove(&buyer);
            }
        }
        if may_have && self.holders.len() < HOLDERS_MAX {
            self.holders.insert(buyer);
        }
    }
}

// === impl Memory ===

impl Memory {
    /// Whether it is still believed.
    fn counts(&self, life: u64, now: Instant) -> bool {
        life != 0 && self.life == life && now < self.until
    }
}

// === impl Question ===

impl Question<'_> {
    /// The questions were answered, in their order. `qty` is how many units each was for: that
    /// there are not so many does not mean that there is none.
    pub(crate) fn answered(mut self, verdicts: &[Verdict], qty: u32) {
        let answered = Instant::now();
        let mut inner = self.shut.write();
        for (buyer, verdict) in self.buyers.drain(..).zip(verdicts) {
            let has = matches!(verdict, Verdict::Accepted(_) | Verdict::Duplicate(_));
            inner.settle(buyer, has);
        }
        let last = verdicts
            .iter()
            .rev()
            .find(|verdict| turns_all_away(verdict, qty));
        let Some(&verdict) = last else { return };
        if self.life == 0 || self.news != inner.news {
            return;
        }
        let limit = match verdict {
            Verdict::SoldOut {
                wait_ms: Some(wait_ms),
            }
            | Verdict::NotStarted { wait_ms } => {
                self.shut.limit.min(Duration::from_millis(wait_ms))
            }
            _ => self.shut.limit,
        };
        // The module counted from some instant after the question: what is remembered ends before
        // the wait does.
        inner.memory = Some(Memory {
            verdict,
            answered,
            until: self.asked + limit,
            life: self.life,
        });
    }
}

impl Question<'_> {
    /// The questions were not carried out.
    pub(crate) fn refused(mut self) {
        let mut inner = self.shut.write();
        for buyer in self.buyers.drain(..) {
            inner.settle(buyer, false);
        }
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if self.buyers.is_empty() {
            return;
        }
        let mut inner = self.shut.write();
        for buyer in self.buyers.drain(..) {
            inner.settle(buyer, true);
        }
    }
}

/// Whether the next buyer would hear the same.
pub(crate) const fn turns_all_away(verdict: &Verdict, qty: u32) -> bool {
    match verdict {
        Verdict::SoldOut { .. } => qty == 1,
        Verdict::Ended | Verdict::Paused | Verdict::NotStarted { .. } => true,
        Verdict::Accepted(_) | Verdict::Duplicate(_) | Verdict::Limited { .. } => false,
    }
}

/// The same verdict some time later.
fn later(verdict: Verdict, passed: Duration) -> Verdict {
    let left = |wait_ms: u64| {
        let passed_ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        wait_ms.saturating_sub(passed_ms)
    };
    match verdict {
        Verdict::SoldOut { wait_ms } => Verdict::SoldOut {
            wait_ms: wait_ms.map(left),
        },
        Verdict::NotStarted { wait_ms } => Verdict::NotStarted {
            wait_ms: left(wait_ms),
        },
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seckill_protocol::ReservationId;

    const LIMIT: Duration = Duration::from_secs(1);
    const LIFE: u64 = 1;
    const SOLD_OUT: Verdict = Verdict::SoldOut { wait_ms: None };

    fn uid(name: &str) -> Uid {
        Uid::new(name.as_bytes()).unwrap()
    }

    fn learn(shut: &Shut, name: &str, verdict: Verdict) {
        let buyer = uid(name);
        shut.ask(std::iter::once(&buyer), LIFE)
            .answered(&[verdict], 1);
    }

    fn told(shut: &Shut, name: &str) -> Option<Verdict> {
        shut.tell(&uid(name), LIFE, Instant::now())
    }

    #[test]
    fn what_the_module_told_one_buyer_is_told_to_the_next() {
        for verdict in [
            SOLD_OUT,
            Verdict::Ended,
            Verdict::Paused,
            Verdict::NotStarted { wait_ms: 60_000 },
        ] {
            let shut = Shut::new(LIMIT);
            assert_eq!(told(&shut, "u2"), None);
            learn(&shut, "u1", verdict);
            assert_eq!(told(&shut, "u2").unwrap().word(), verdict.word());
        }
    }

    #[test]
    fn who_may_have_something_is_not_told_that_all_is_gone() {
        let shut = Shut::new(LIMIT);
        let rid = ReservationId::new(7, 1);
        learn(&shut, "bought", Verdict::Accepted(rid));
        learn(&shut, "again", Verdict::Duplicate(rid));
        let (late, asking) = (uid("unheard"), uid("asking"));
        drop(shut.ask(std::iter::once(&late), LIFE));
        let pending = shut.ask(std::iter::once(&asking), LIFE);
        learn(&shut, "no", SOLD_OUT);
        assert_eq!(told(&shut, "no"), Some(SOLD_OUT));
        for buyer in ["bought", "again", "unheard", "asking"] {
            assert_eq!(told(&shut, buyer), None, "{buyer}");
        }
        pending.answered(&[SOLD_OUT], 1);
        assert_eq!(told(&shut, "asking"), Some(SOLD_OUT));
    }

    #[test]
    fn a_pause_and_an_end_come_before_what_one_has() {
        let shut = Shut::new(LIMIT);
        learn(&shut, "bought", Verdict::Accepted(ReservationId::new(7, 1)));
        learn(&shut, "no", Verdict::Paused);
        assert_eq!(told(&shut, "bought"), Some(Verdict::Paused));
    }

    #[test]
    fn an_answer_that_news_has_overtaken_is_not_remembered() {
        let shut = Shut::new(LIMIT);
        let buyer = uid("u1");
        let question = shut.ask(std::iter::once(&buyer), LIFE);
        shut.forget();
        question.answered(&[SOLD_OUT], 1);
        assert_eq!(told(&shut, "u2"), None);
        learn(&shut, "u1", SOLD_OUT);
        shut.forget();
        assert_eq!(told(&shut, "u2"), None);
    }

    #[test]
    fn nothing_is_remembered_without_the_news_or_over_a_gap_in_it() {
        let shut = Shut::new(LIMIT);
        let buyer = uid("u1");
        shut.ask(std::iter::once(&buyer), 0)
            .answered(&[SOLD_OUT], 1);
        assert_eq!(shut.tell(&buyer, 0, Instant::now()), None);
        learn(&shut, "u1", SOLD_OUT);
        assert_eq!(shut.tell(&buyer, 0, Instant::now()), None);
        assert_eq!(shut.tell(&buyer, LIFE + 1, Instant::now()), None);
        assert_eq!(shut.tell(&buyer, LIFE, Instant::now()), Some(SOLD_OUT));
    }

    #[test]
    fn a_wait_gets_shorter_and_its_end_is_asked_about() {
        let shut = Shut::new(LIMIT);
        let buyer = uid("u1");
        let asked = Instant::now();
        learn(&shut, "u1", Verdict::NotStarted { wait_ms: 800 });
        let at = |ms: u64| shut.tell(&buyer, LIFE, asked + Duration::from_millis(ms));
        let Some(Verdict::NotStarted { wait_ms }) = at(500) else {
            panic!("{:?}", at(500));
        };
        assert!((300..=400).contains(&wait_ms), "{wait_ms}");
        assert_eq!(at(1200), None);

        learn(
            &shut,
            "u1",
            Verdict::SoldOut {
                wait_ms: Some(60_000),
            },
        );
        assert!(at(900).is_some());
        assert_eq!(at(2500), None, "the limit");
    }

    #[test]
    fn too_few_units_for_one_buyer_are_enough_for_another() {
        let shut = Shut::new(LIMIT);
        let buyer = uid("u1");
        shut.ask(std::iter::once(&buyer), LIFE)
            .answered(&[SOLD_OUT], 3);
        assert_eq!(told(&shut, "u2"), None);
        shut.ask(std::iter::once(&buyer), LIFE)
            .answered(&[Verdict::Ended], 3);
        assert_eq!(told(&shut, "u2"), Some(Verdict::Ended));
    }
}

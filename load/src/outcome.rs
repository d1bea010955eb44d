//! What a crowd's run came to.

use crate::answer::Answer;
use crate::buyer::Book;
use crate::plan::Plan;
use hdrhistogram::Histogram;
use seckill_protocol::{ReservationId, Uid};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a crowd's run came to.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Buyers of the plan.
    pub buyers: u32,
    /// Tries of all buyers together: answered, or given up.
    pub tries: u64,
    /// The answers they got.
    pub answers: Answers,
    /// Tries that got no answer as long as their buyers' patience lasted.
    pub given_up: u64,
    /// Questions without an answer, by what was there instead. Each was asked again or given up.
    pub unanswered: BTreeMap<String, u64>,
    /// From the start to the last answer.
    pub elapsed_ms: u64,
    /// Answered tries a second.
    pub tries_per_second: f64,
    /// From a try's first question to its answer, however often it was asked.
    pub latency: LatencyUs,
    /// All of them, in microseconds.
    #[serde(skip)]
    pub latencies: Histogram<u64>,
    /// Every reservation that a buyer was told is his.
    pub told: Vec<Told>,
}

/// Tries by the answer they got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answers {
    /// A new reservation.
    pub accepted: u64,
    /// The reservation that he has already.
    pub duplicate: u64,
    /// No unit left.
    pub sold_out: u64,
    /// Too many tries.
    pub limited: u64,
    /// Before the start.
    pub not_started: u64,
    /// After the end.
    pub ended: u64,
    /// Paused.
    pub paused: u64,
    /// Anything else, by its HTTP status.
    pub other: BTreeMap<u16, u64>,
}

/// Latencies in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LatencyUs {
    /// Half of the tries were faster.
    pub p50: u64,
    /// 99 of 100 were faster.
    pub p99: u64,
    /// 999 of 1000 were faster.
    pub p999: u64,
    /// The slowest.
    pub max: u64,
}

/// A buyer was told that this reservation is his.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Who.
    pub uid: Uid,
    /// Which reservation.
    pub rid: ReservationId,
    /// How often as a new one. 0: that answer got lost, and he heard of it by asking again.
    pub accepted: u32,
    /// How often as one that he has already.
    pub duplicate: u32,
}

// === impl Outcome ===

impl Outcome {
    pub(crate) fn new(plan: &Plan, elapsed: Duration, books: Vec<Book>) -> Self {
        let mut outcome = Self {
            buyers: plan.buyers,
            tries: 0,
            answers: Answers::default(),
            given_up: 0,
            unanswered: BTreeMap::new(),
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            tries_per_second: 0.0,
            latency: LatencyUs::default(),
            latencies: LatencyUs::histogram(),
            told: Vec::new(),
        };
        for book in books {
            outcome.answers.add(&book.answers);
            outcome.given_up += book.given_up;
            for (silence, count) in book.silences {
                *outcome.unanswered.entry(silence.to_string()).or_default() += count;
            }
            for latency in book.latencies {
                let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
                outcome.latencies.saturating_record(us);
            }
            outcome.told.extend(book.told);
        }
        outcome.latency = LatencyUs::of(&outcome.latencies);
        outcome.tries = outcome.latencies.len() + outcome.given_up;
        outcome.tries_per_second = rate(outcome.latencies.len(), elapsed);
        outcome
    }

    /// Reservations that buyers were told, each counted once.
    #[must_use]
    pub fn reservations(&self) -> u64 {
        u64::try_from(self.told.len()).unwrap_or(u64::MAX)
    }

    /// All questions without an answer.
    #[must_use]
    pub fn unanswered_total(&self) -> u64 {
        self.unanswered.values().sum()
    }
}

fn rate(count: u64, elapsed: Duration) -> f64 {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    f64::from(count) / elapsed.as_secs_f64().max(0.001)
}

// === impl Answers ===

impl Answers {
    pub(crate) fn count(&mut self, answer: Answer) {
        let counter = match answer {
            Answer::Accepted(_) => &mut self.accepted,
            Answer::Duplicate(_) => &mut self.duplicate,
            Answer::SoldOut => &mut self.sold_out,
            Answer::Limited => &mut self.limited,
            Answer::NotStarted => &mut self.not_started,
            Answer::Ended => &mut self.ended,
            Answer::Paused => &mut self.paused,
            Answer::Other(status) => self.other.entry(status).or_default(),
        };
        *counter += 1;
    }

    fn add(&mut self, more: &Self) {
        self.accepted += more.accepted;
        self.duplicate += more.duplicate;
        self.sold_out += more.sold_out;
        self.limited += more.limited;
        self.not_started += more.not_started;
        self.ended += more.ended;
        self.paused += more.paused;
        for (status, count) in &more.other {
            *self.other.entry(*status).or_default() += count;
        }
    }

    /// The answers in words, without those that nobody got; accepted ones are always listed.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, u64)> {
        let named = [
            ("duplicate", self.duplicate),
            ("sold out", self.sold_out),
            ("limited", self.limited),
            ("not started", self.not_started),
            ("ended", self.ended),
            ("paused", self.paused),
        ];
        let named = named.map(|(name, count)| (name.to_owned(), count));
        let other = self
            .other
            .iter()
            .map(|(status, count)| (format!("status {status}"), *count));
        let got = named
            .into_iter()
            .chain(other)
            .filter(|(_, count)| *count > 0);
        std::iter::once(("accepted".to_owned(), self.accepted))
            .chain(got)
            .collect()
    }
}

// === impl LatencyUs ===

impl LatencyUs {
    /// An hour, in microseconds: a slower try is counted as this.
    const CEILING: u64 = 3_600_000_000;

    #[expect(clippy::expect_used, reason = "these bounds are good ones")]
    fn histogram() -> Histogram<u64> {
        Histogram::new_with_max(Self::CEILING, 3).expect("three digits up to an hour")
    }

    fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            p50: histogram.value_at_quantile(0.50),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_told_in_microseconds() {
        let mut latencies = LatencyUs::histogram();
        for ms in 1..=1000 {
            latencies.record(ms * 1000).unwrap();
        }
        let latency = LatencyUs::of(&latencies);
        // Three significant digits are kept.
        assert!(latency.p50.abs_diff(500_000) < 1_000, "{latency:?}");
        assert!(latency.p99.abs_diff(990_000) < 1_000, "{latency:?}");
        assert!(latency.max.abs_diff(1_000_000) < 1_000, "{latency:?}");
    }

    #[test]
    fn a_crowd_without_an_answer_has_no_latency() {
        let nothing = LatencyUs::histogram();
        assert_eq!(LatencyUs::of(&nothing), LatencyUs::default());
    }

    #[test]
    fn answers_that_nobody_got_are_not_listed() {
        let mut answers = Answers::default();
        assert_eq!(answers.rows(), [("accepted".to_owned(), 0)]);
        answers.count(Answer::SoldOut);
        answers.count(Answer::Other(418));
        let rows = answers.rows();
        assert_eq!(rows[1], ("sold out".to_owned(), 1));
        assert_eq!(rows[2], ("status 418".to_owned(), 1));
    }
}

//! What is tried, and what came of it.

use std::fmt::{self, Display, Formatter};
use std::io::Write;
use std::time::{Duration, Instant};

use fastrand::Rng;

/// How often a line says how far an attack is.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// An attack, before it begins.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Where its cases begin: the same seed makes the same cases.
    pub seed: u64,
    /// How long new cases are begun.
    pub time: Duration,
    /// Only this case, to see a finding again.
    pub case: Option<u64>,
}

/// A rule that was broken.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What must hold.
    pub rule: &'static str,
    /// The case that broke it, where one can be named.
    pub case: Option<u64>,
    /// What was seen instead.
    pub evidence: String,
    /// The exact bytes that were sent.
    pub bytes: Vec<u8>,
}

/// What came of an attack.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What was done, and how often.
    pub counts: Vec<(&'static str, u64)>,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// An attack under way: its clock, its progress.
#[derive(Debug)]
pub(crate) struct Run {
    until: Instant,
    told: Instant,
}

// === impl Plan ===

impl Plan {
    /// The random choices of one case, which are no other case's.
    pub(crate) fn random(&self, case: u64) -> Rng {
        // An odd factor: each case has a seed of its own.
        Rng::with_seed(self.seed ^ case.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

// === impl Run ===

impl Run {
    pub(crate) fn begin(plan: &Plan) -> Self {
        let now = Instant::now();
        Self {
            until: now + plan.time,
            told: now,
        }
    }

    /// Whether there is time for another case.
    pub(crate) fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    /// Says how far it is, now and then.
    pub(crate) fn tell(&mut self, what: impl FnOnce() -> String) {
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            let left = self.until.saturating_duration_since(self.told).as_secs();
            say(&format!("{}, {left} s left", what()));
        }
    }
}

// === impl Finding ===

impl Finding {
    pub(crate) fn new(rule: &'static str, evidence: impl Into<String>) -> Self {
        Self {
            rule,
            case: None,
            evidence: evidence.into(),
            bytes: Vec::new(),
        }
    }

    pub(crate) fn of(mut self, case: u64, bytes: impl Into<Vec<u8>>) -> Self {
        self.case = Some(case);
        self.bytes = bytes.into();
        self
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "FOUND: not so: {}", self.rule)?;
        if let Some(case) = self.case {
            writeln!(f, "  case {case}")?;
        }
        writeln!(f, "  {}", self.evidence)?;
        if !self.bytes.is_empty() {
            writeln!(f, "  sent: {}", self.bytes.escape_ascii())?;
        }
        Ok(())
    }
}

/// A line of progress. That nobody can read it is no reason to stop.
pub(crate) fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

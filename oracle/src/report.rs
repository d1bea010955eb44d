//! What the oracle says: how each invariant stands, with the evidence.

use crate::place::Place;
use serde::Serialize;
use std::fmt;

/// Cases of one invariant that are kept with their evidence; more are only counted.
const CASES_MAX: usize = 100;

/// All invariants of one sale.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Which sale.
    pub sid: String,
    /// Each invariant, in the order of [`Name`].
    pub invariants: Vec<Invariant>,
}

/// One invariant and how it stands.
#[derive(Clone, Debug, Serialize)]
pub struct Invariant {
    /// Which.
    pub name: Name,
    /// What it means, in a line.
    pub means: &'static str,
    /// How it stands.
    pub stands: Standing,
    /// Why it was not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How many things were looked at.
    pub checked: u64,
    /// What kind of things these are.
    pub things: &'static str,
    /// How many cases break it.
    pub broken: u64,
    /// The first of them, with what each source says.
    pub cases: Vec<Case>,
    /// What else a person should know.
    pub notes: Vec<String>,
}

/// The name of an invariant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    /// Who was told that he has units has an order.
    NoLoss,
    /// Every order was decided, and every decision was asked for.
    NoPhantom,
    /// One reservation, one order; one token, one reservation.
    NoDuplicate,
    /// `total = available + held + sold`, wherever it is counted.
    Conservation,
    /// `stock.sale` is the sum of the live orders.
    Sale,
    /// No buyer has more than his limit.
    Limit,
    /// The log is numbered without gaps, in order, and is all on the topic.
    Gapless,
    /// `stock.version` only rises.
    Version,
    /// A reservation only takes steps forward, and everybody knows the same.
    Forward,
    /// No hold was released before its deadline.
    Deadline,
    /// Nothing is left undone.
    Drained,
    /// Nobody was told "sold out" while there were units.
    Undersell,
    /// What clients were told is what became of it.
    Answers,
    /// Every payment that got no units is to be given back, and no other.
    Refunds,
    /// What holds at every instant, looked at again and again during the run.
    Always,
}

/// How an invariant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It holds.
    Ok,
    /// It does not.
    Broken,
    /// It could not be checked.
    NotChecked,
}

/// One thing that breaks an invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Case {
    /// What is wrong.
    pub what: String,
    /// Of which reservation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rid: Option<Place>,
    /// Of which buyer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// What each source says of it.
    pub says: Vec<Said>,
}

/// What a source says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// Who.
    pub source: Source,
    /// What.
    pub text: String,
}

/// A source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The clients' records.
    Clients,
    /// The topic.
    Kafka,
    /// The shop's database.
    MySql,
    /// The module in Redis.
    Module,
}

// === impl Report ===

impl Report {
    /// Whether no invariant is broken.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.broken().next().is_none()
    }

    /// The invariants that are broken.
    pub fn broken(&self) -> impl Iterator<Item = &Invariant> {
        self.invariants
            .iter()
            .filter(|invariant| invariant.stands == Standing::Broken)
    }

    /// Adds what was seen during the run.
    pub fn add(&mut self, invariant: Invariant) {
        self.invariants.push(invariant);
        self.invariants.sort_by_key(|invariant| invariant.name);
    }
}

// === impl Invariant ===

impl Invariant {
    pub(crate) fn new(name: Name, things: &'static str) -> Self {
        Self {
            name,
            means: name.means(),
            stands: Standing::Ok,
            why: None,
            checked: 0,
            things,
            broken: 0,
            cases: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// It could not be checked.
    pub(crate) fn not_checked(mut self, why: impl Into<String>) -> Self {
        self.stands = Standing::NotChecked;
        self.why = Some(why.into());
        self
    }

    /// Another thing was looked at; `case` if it breaks the invariant.
    pub(crate) fn look(&mut self, case: Option<Case>) {
        self.checked += 1;
        if let Some(case) = case {
            self.is_broken_by(case);
        }
    }

    pub(crate) fn is_broken_by(&mut self, case: Case) {
        self.stands = Standing::Broken;
        self.broken += 1;
        if self.cases.len() < CASES_MAX {
            self.cases.push(case);
        }
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

// === impl Case ===

impl Case {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            rid: None,
            uid: None,
            says: Vec::new(),
        }
    }

    pub(crate) fn says(mut self, source: Source, text: impl Into<String>) -> Self {
        let text = text.into();
        self.says.push(Said { source, text });
        self
    }
}

// === impl Name ===

impl Name {
    /// What it means, in a line.
    #[must_use]
    pub const fn means(self) -> &'static str {
        match self {
            Self::NoLoss => "who was told that he has units has an order",
            Self::NoPhantom => "every order was decided, and every decision was asked for",
            Self::NoDuplicate => "one reservation, one order; one token, one reservation",
            Self::Conservation => "total = available + held + sold, wherever it is counted",
            Self::Sale => "stock.sale is the sum of the live orders, in one snapshot",
            Self::Limit => "no buyer has more than his limit, in Redis and in MySQL",
            Self::Gapless => "the log has no gaps, is in order, and is all on the topic",
            Self::Version => "stock.version only rises",
            Self::Forward => "a reservation only takes steps forward, and everybody knows the same",
            Self::Deadline => "no hold was released before its deadline",
            Self::Drained => "nothing is left undone: logs, cursors, holds, refusals",
            Self::Undersell => "nobody was told \"sold out\" while there were units",
            Self::Answers => "what clients were told is what became of it",
            Self::Refunds => "every payment that got no units is to be given back, and no other",
            Self::Always => "at every instant: 0 <= sale <= count, the sums fit, nothing goes back",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLoss => "no_loss",
            Self::NoPhantom => "no_phantom",
            Self::NoDuplicate => "no_duplicate",
            Self::Conservation => "conservation",
            Self::Sale => "sale",
            Self::Limit => "limit",
            Self::Gapless => "gapless",
            Self::Version => "version",
            Self::Forward => "forward",
            Self::Deadline => "deadline",
            Self::Drained => "drained",
            Self::Undersell => "undersell",
            Self::Answers => "answers",
            Self::Refunds => "refunds",
            Self::Always => "always",
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clients => "clients",
            Self::Kafka => "Kafka",
            Self::MySql => "MySQL",
            Self::Module => "module",
        })
    }
}

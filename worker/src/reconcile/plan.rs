//! What differs in a sale, and what would mend it.

use crate::gate::Reservation;
use crate::orders::Status;
use seckill_protocol::EventId;
use serde::Serialize;
use std::fmt;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// What it is, with both sides' figures.
    pub(super) what: String,
    pub(super) mend: Mend,
}

/// Who mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mend {
    /// `--apply`.
    Step(Step),
    /// A person: both sides may be right. These are the commands to choose from, each with its
    /// reason.
    Person(Vec<String>),
}

/// What `--apply` does. Each step may be repeated, and looks again before it changes anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The order of a reservation that has none.
    InsertOrder(Box<Reservation>),
    /// An order takes the state that its reservation has.
    MoveOrder {
        rid: EventId,
        qty: u32,
        from: Status,
        to: Status,
    },
    /// `stock.sale` becomes the sum of what is sold.
    SetSale { from: i64, to: i64 },
    /// MySQL's cursor goes forward to where it was.
    MoveCursor { from: EventId, to: EventId },
    /// The module hears what MySQL has.
    TellStored { to: EventId },
    /// The relay sends again what the topic does not have.
    SendAgain { from: EventId },
    /// The module gives back the units that MySQL has refused.
    CancelRefused { rid: EventId },
}

/// What was found in a sale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) differences: Vec<Difference>,
    /// Orders and reservations that moved too fast, or are on their way: a later look judges them.
    pub(super) on_their_way: usize,
}

// === impl Difference ===

impl Difference {
    pub(super) fn step(what: impl Into<String>, step: Step) -> Self {
        Self {
            what: what.into(),
            mend: Mend::Step(step),
        }
    }

    pub(super) fn person(what: impl Into<String>, commands: impl Into<Vec<String>>) -> Self {
        Self {
            what: what.into(),
            mend: Mend::Person(commands.into()),
        }
    }
}

// === impl Plan ===

impl Plan {
    pub(super) fn steps(&self) -> impl Iterator<Item = &Step> {
        let mends = self.differences.iter().map(|difference| &difference.mend);
        mends.filter_map(|mend| match mend {
            Mend::Step(step) => Some(step),
            Mend::Person(_) => None,
        })
    }

    pub(super) fn for_persons(&self) -> usize {
        self.differences.len() - self.steps().count()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InsertOrder(_) => write!(f, "insert it"),
            Self::MoveOrder { from, to, .. } => write!(f, "move it from {from} to {to}"),
            Self::SetSale { from, to } => write!(f, "set stock.sale from {from} to {to}"),
            Self::MoveCursor { from, to } => write!(f, "move stock_cursor from {from} to {to}"),
            Self::TellStored { to } => write!(f, "SECKILL.ACK STORED {to}"),
            Self::SendAgain { from } => write!(f, "SECKILL.ACK RELAYED {from}"),
            Self::CancelRefused { .. } => write!(f, "cancel it in the module"),
        }
    }
}

/// A line of JSON: a difference.
#[derive(Serialize)]
struct Line<'a> {
    kind: &'static str,
    sid: &'a str,
    what: &'a str,
    by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    commands: &'a [String],
}

impl Difference {
    /// The line for a program.
    ///
    /// # Errors
    /// None in practice: every field has a JSON form.
    pub(super) fn json(&self, sid: &str) -> serde_json::Result<String> {
        let (by, step, commands) = match &self.mend {
            Mend::Step(step) => ("apply", Some(step.to_string()), &[][..]),
            Mend::Person(commands) => ("person", None, &commands[..]),
        };
        serde_json::to_string(&Line {
            kind: "difference",
            sid,
            what: &self.what,
            by,
            step,
            commands,
        })
    }
}

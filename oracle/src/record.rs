//! The record of what clients were told.
//!
//! Lines of JSON, one when a call begins and one when its answer comes:
//!
//! ```json
//! {"call":17,"at":1763800001234,"sid":"1","uid":"u7","op":"try","qty":1,"token":"t1"}
//! {"call":17,"at":1763800001240,"answer":"accepted","rid":"1763800000000-42"}
//! ```
//!
//! A call without an answer (its client was killed, or the file ends) is the same as one that was
//! answered `unknown`: it may have been carried out or not.
//!
//! One file a process. Each line is one `write`, made before the question leaves and before
//! anybody acts on the answer, so that a `kill -9` loses nothing: what was written is the
//! system's, and a question that is not in the file was never asked. At most the last line is torn.

mod reader;
mod recorder;

pub use reader::{Call, Garbage, Record};
pub use recorder::{Pending, Recorder};

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Op {
    /// Units, please.
    Try {
        /// How many.
        qty: u32,
        /// The `Idempotency-Key`, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
    /// The shop: this reservation is paid for.
    Confirm {
        /// Which.
        rid: String,
    },
    /// The buyer or the shop: this reservation is given up.
    Cancel {
        /// Which.
        rid: String,
    },
}

/// What a client was told.
///
/// Of a `try`: `Accepted`, `Duplicate`, `Rejected`; of a `confirm`: `Confirmed`; of a `cancel`:
/// `Cancelled`; of each of them: `Refused` and `Unknown`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "lowercase")]
pub enum Answer {
    /// A new reservation is his.
    Accepted {
        /// Which.
        rid: String,
    },
    /// He has this reservation already.
    Duplicate {
        /// Which.
        rid: String,
    },
    /// A verdict that grants nothing.
    Rejected {
        /// Which.
        verdict: Rejection,
    },
    /// The payment was taken.
    Confirmed,
    /// The reservation was given up.
    Cancelled,
    /// Turned down for another reason, and nothing comes of it: no such sale, the wrong state, or a
    /// shop behind the gate that said no (what was granted before that is given up, or lapses).
    Refused {
        /// For people; the proxy's `code` or the module's error.
        why: String,
    },
    /// No answer, or one that does not tell whether it was done: a timeout, a lost connection, a
    /// 502, 503 or 504.
    Unknown {
        /// For people.
        why: String,
    },
}

/// A verdict that grants nothing, in the module's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Rejection {
    /// Fewer units are left than were asked for.
    SoldOut,
    /// Too many tries.
    Limited,
    /// The sale has not started.
    NotStarted,
    /// The sale is over.
    Ended,
    /// The sale is paused or fenced.
    Paused,
}

/// A line when a call begins.
#[derive(Serialize, Deserialize)]
struct Begun {
    call: u64,
    at: u64,
    sid: String,
    uid: String,
    #[serde(flatten)]
    op: Op,
}

/// A line when its answer comes.
#[derive(Serialize, Deserialize)]
struct Answered {
    call: u64,
    at: u64,
    #[serde(flatten)]
    answer: Answer,
}

// === impl Op ===

impl Op {
    /// Whether such a question can have such an answer.
    const fn can_have(&self, answer: &Answer) -> bool {
        match answer {
            Answer::Accepted { .. } | Answer::Duplicate { .. } | Answer::Rejected { .. } => {
                matches!(self, Self::Try { .. })
            }
            Answer::Confirmed => matches!(self, Self::Confirm { .. }),
            Answer::Cancelled => matches!(self, Self::Cancel { .. }),
            Answer::Refused { .. } | Answer::Unknown { .. } => true,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Try { qty, token: None } => write!(f, "try for {qty}"),
            Self::Try {
                qty,
                token: Some(token),
            } => write!(f, "try for {qty} with token {token}"),
            Self::Confirm { rid } => write!(f, "confirm {rid}"),
            Self::Cancel { rid } => write!(f, "cancel {rid}"),
        }
    }
}

// === impl Answer ===

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { rid } => write!(f, "accepted {rid}"),
            Self::Duplicate { rid } => write!(f, "duplicate {rid}"),
            Self::Rejected { verdict } => write!(f, "{verdict}"),
            Self::Confirmed => f.write_str("confirmed"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Refused { why } => write!(f, "refused: {why}"),
            Self::Unknown { why } => write!(f, "unknown: {why}"),
        }
    }
}

// === impl Rejection ===

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SoldOut => "SOLDOUT",
            Self::Limited => "LIMITED",
            Self::NotStarted => "NOTSTARTED",
            Self::Ended => "ENDED",
            Self::Paused => "PAUSED",
        })
    }
}

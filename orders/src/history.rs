//! What is kept of the past: each step of an order, and the payments that are to be refunded.
//!
//! A step is written in the transaction that makes it, under the number of the event that caused it.
//! The first step of an order is not written: the order's own row tells it. `epoch` and `seq` are the
//! event, `create_time` the instant, and where `deadline` is NULL it began as `confirmed`, else as
//! `held`. A row for it comes only where MySQL refused the order. A row for each would halve what is
//! written: 100,000 acceptances without a broker took 1.21 s, and 2.47 s with a row for each (medians
//! of five runs in turn, two busy cores).

use crate::status::Status;
use seckill_protocol::{EventId, Uid};

/// One step of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Which reservation.
    pub rid: EventId,
    /// The event that caused it.
    pub event: EventId,
    /// When that was decided, Unix time in milliseconds.
    pub at_ms: u64,
    /// Where the order stood; `None`: there was none.
    pub from: Option<Status>,
    /// Where it stands now.
    pub to: Status,
    /// Who decided it.
    pub who: Who,
    /// For people.
    pub note: String,
    /// Buyer and units of an order that MySQL takes no row for.
    pub rowless: Option<(Uid, u32)>,
}

/// Who decided a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The module: it is an event of the log.
    Module,
    /// This program, because MySQL would not have it otherwise.
    Worker,
    /// `reconcile`, because the order did not stand as its reservation does.
    Reconcile,
}

/// A payment that is to be refunded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Which reservation.
    pub rid: EventId,
    /// Whose it is.
    pub uid: Box<str>,
    /// How many units were paid for.
    pub qty: u32,
    /// Since when it is due, Unix time in milliseconds.
    pub at_ms: u64,
    /// Why.
    pub reason: Reason,
}

/// Why a payment is to be refunded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The hold had ended, and the module had no units any more or was told to take none.
    LatePayment,
    /// MySQL had no units.
    NoUnits,
    /// MySQL takes no order for it.
    NoOrder,
}

// === impl Who ===

impl Who {
    /// The word in the column.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Module => "module",
            Self::Worker => "worker",
            Self::Reconcile => "reconcile",
        }
    }
}

// === impl Reason ===

impl Reason {
    /// The word in the column.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LatePayment => "late_payment",
            Self::NoUnits => "no_units",
            Self::NoOrder => "no_order",
        }
    }
}

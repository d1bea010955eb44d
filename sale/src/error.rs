//! Why an effect, or a block of a snapshot, does not fit a copy of a sale.

use crate::codec::DecodeError;
use crate::snapshot::RestoreError;
use seckill_protocol::{EventId, ReservationId, ReservationState};

/// Why an effect does not fit this copy of the sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// It follows another event than the last one here.
    #[error("it follows event {expected}, and this copy is at {found}")]
    OutOfPlace {
        /// What it follows.
        expected: EventId,
        /// The last event here.
        found: EventId,
    },
    /// Blocks of the sale's snapshot are missing.
    #[error("it is for a sale of which this copy has only a part")]
    Incomplete,
    /// The first effect of a sale that is not here must create it.
    #[error("it is for a sale that this copy does not have")]
    NotOpened,
    /// The sale is here already.
    #[error("it creates a sale that this copy has")]
    AlreadyOpened,
    /// A reservation is not here.
    #[error("reservation {0} is not here")]
    NoReservation(ReservationId),
    /// A reservation cannot go from its state to the new one.
    #[error("reservation {rid} is {state}")]
    WrongState {
        /// Which.
        rid: ReservationId,
        /// Its state here.
        state: ReservationState,
    },
    /// The units do not add up.
    #[error("the units do not add up: {0}")]
    Units(&'static str),
    /// Its bytes do not read.
    #[error("{0}")]
    Decode(#[from] DecodeError),
    /// It is a block of a snapshot that does not fit.
    #[error("{0}")]
    Restore(#[from] RestoreError),
    /// A field holds what no decision makes.
    #[error("{0} is out of range")]
    BadEffect(&'static str),
}

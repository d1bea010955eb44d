//! What can change in a sale, and how a change travels to replicas and the AOF.

use crate::options::Options;
use crate::snapshot::Part;
use seckill_protocol::{EventId, ReservationId, Uid};
use serde::{Deserialize, Serialize};

/// Version of a payload: its first byte.
pub const PAYLOAD_VERSION: u8 = 1;

/// One change. Instants were read once, by the primary; applying reads no clock.
///
/// The encoding names a variant by its place: new ones go to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// The sale is created.
    Opened {
        /// The first epoch.
        epoch: u64,
        /// When, Unix ms.
        at_ms: u64,
        /// What the operator set.
        options: Options,
        /// All units.
        total: u64,
        /// Units that are gone already.
        sold: u64,
        /// Whether it begins paused.
        paused: bool,
    },
    /// A buyer gets units; the reservation is named by the event that this becomes.
    Accepted {
        /// When, Unix ms.
        at_ms: u64,
        /// Who.
        uid: Uid,
        /// How many units.
        qty: u32,
        /// Until when they are held, Unix ms; `None`: sold at once.
        deadline_ms: Option<u64>,
        /// What he asked with.
        token: Option<Box<[u8]>>,
    },
    /// Held units are paid for; or expired ones are, late.
    Confirmed {
        /// When, Unix ms.
        at_ms: u64,
        /// Which reservation.
        rid: ReservationId,
    },
    /// Held units are given up.
    Cancelled {
        /// When, Unix ms.
        at_ms: u64,
        /// Which reservation.
        rid: ReservationId,
    },
    /// Held units were not paid for in time.
    Expired {
        /// When they were released, Unix ms.
        at_ms: u64,
        /// Which reservation.
        rid: ReservationId,
    },
    /// Units are added, or unsold ones taken away.
    Restocked {
        /// When, Unix ms.
        at_ms: u64,
        /// How many.
        delta: i64,
    },
    /// The sale is closed for good.
    Closed {
        /// When, Unix ms.
        at_ms: u64,
    },
    /// The sale stops.
    Paused,
    /// The sale goes on.
    Resumed,
    /// The broker has the events up to here.
    Relayed(EventId),
    /// MySQL has the events up to here.
    Stored(EventId),
    /// The operator sets other options.
    Altered(Options),
    /// A node took over with a copy that may lack the last facts: a new epoch, behind a fence.
    TookOver {
        /// The new epoch, above the one before.
        epoch: u64,
        /// When, Unix ms.
        at_ms: u64,
    },
    /// MySQL has what this copy has: the fence falls.
    Unfenced,
}

/// The effects of one command, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The last event before them: a copy that stands elsewhere has lost something.
    pub after: EventId,
    /// The effects.
    pub effects: Vec<Effect>,
}

/// What one `SECKILL.APPLY` carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload<'a> {
    /// The effects of a command.
    Change(Change),
    /// A block of a snapshot.
    Snapshot(Part<'a>),
}

/// Why bytes are not a payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Nothing there.
    #[error("the payload is empty")]
    Empty,
    /// Of a version that this node does not know.
    #[error("payload of version {0}: this node reads version 1; load a newer module")]
    Version(u8),
    /// Cut, lengthened, or not a payload.
    #[error("the payload does not read: {0}")]
    Broken(#[from] postcard::Error),
}

// === impl Change ===

impl Change {
    /// No effect yet, after `after`.
    #[must_use]
    pub const fn new(after: EventId) -> Self {
        Self {
            after,
            effects: Vec::new(),
        }
    }

    /// Whether nothing changes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.effects.is_empty()
    }
}

// === impl Payload ===

impl Payload<'_> {
    /// A version byte, then postcard.
    ///
    /// # Errors
    /// None in practice: every field has an encoding.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        Ok(postcard::to_extend(self, vec![PAYLOAD_VERSION])?)
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are of another version, cut, or followed by something else.
    pub fn decode(bytes: &[u8]) -> Result<Payload<'static>, DecodeError> {
        match bytes.split_first() {
            None => Err(DecodeError::Empty),
            Some((&PAYLOAD_VERSION, rest)) => {
                let (payload, rest) = postcard::take_from_bytes(rest)?;
                if rest.is_empty() {
                    Ok(payload)
                } else {
                    Err(postcard::Error::DeserializeBadEncoding.into())
                }
            }
            Some((&version, _)) => Err(DecodeError::Version(version)),
        }
    }
}

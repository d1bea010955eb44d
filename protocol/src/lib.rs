//! What the module, the proxy and the worker say to each other.
//!
//! * [`EventId`] and [`ReservationId`]: `<epoch>-<seq>`, the number of a fact in a sale's log
//! * [`Uid`] and [`UidRef`]: who buys
//! * [`Token`]: what makes two questions the same try
//! * [`Verdict`]: the answer to a `SECKILL.TRY`
//! * [`ReservationState`]: `held`, then `confirmed`, `cancelled` or `expired`
//! * [`Event`], [`Fact`] and [`EventBatch`]: the log of a sale, packed in the module's replies and
//!   JSON in Kafka
//! * [`slot`]: where in a Redis Cluster a sale is
//!
//! Nothing here decides anything; the rules of a sale are in `seckill-sale`.
#![forbid(unsafe_code)]

mod event;
mod id;
mod packed;
mod reservation;
mod slot;
mod token;
mod uid;
mod verdict;

pub use event::{Event, EventBatch, EventJsonError, Fact, JSON_VERSION};
pub use id::{EventId, IdError, ReservationId};
pub use packed::{PACKED_VERSION, PackedError};
pub use reservation::{ReservationState, UnknownState};
pub use slot::{SLOTS, slot, slot_tag};
pub use token::{TOKEN_BYTES_MAX, Token, TokenError};
pub use uid::{UID_BYTES_MAX, Uid, UidError, UidRef};
pub use verdict::{Verdict, VerdictDetail, VerdictError};

/// The name of the module's data type, as `SCAN 0 TYPE flashsale` and `TYPE sid` show it.
pub const TYPE_NAME: &str = "flashsale";

//! The rules of a flash sale: who gets a unit, and what that changes.
//!
//! Nothing here knows Redis, a clock, randomness or I/O. The instant comes in as an argument, and
//! every call is one of two kinds:
//!
//! * **decide** reads a [`Sale`] and answers with effects: [`decide`](mod@decide)
//! * **apply** carries out effects, the same way on the primary, on a replica, from the AOF and in
//!   every test: [`Sale::apply`]
//!
//! [`Sale::perform`] puts the two together for one command. In the order in which a reader needs
//! them:
//!
//! | file | holds |
//! | --- | --- |
//! | `options` | what an operator sets: limit, window, hold, rates |
//! | `table` | a hash table that never stops to grow as a whole |
//! | `reservations/` | the reservations and the ways to find them: by id, buyer, token, deadline |
//! | `log` | the events that MySQL does not have yet |
//! | `sale` | the sale itself |
//! | `codec`, `effect` | what can change, and how it is written |
//! | `decide` | the order of tests of a TRY, and the rules of every other command |
//! | `restore` | putting back what MySQL has and this copy does not |
//! | `apply`, `error` | how each effect changes the sale, and why one may not fit |
//! | `news` | what a change means to whoever keeps a sale's state in a cache |
//! | `soft` | the node's own: counters and rates (GCRA), in no copy of the sale |
//! | `lease` | which worker relays the sale; the node's own, too |
//! | `snapshot` | the whole sale as blocks of bytes, and back |
//! | `audit` | counts everything again |
//!
//! Always true of a sale: `total = available + held + sold`; the events of an epoch are numbered
//! from 1 without gaps; a reservation is named by the event that made it.
#![forbid(unsafe_code)]

mod apply;
mod audit;
mod codec;
pub mod decide;
mod effect;
mod error;
mod lease;
mod log;
mod news;
mod options;
mod reservations;
pub mod restore;
mod sale;
mod snapshot;
mod soft;
mod table;

pub use audit::{AuditError, Figures};
pub use codec::DecodeError;
pub use decide::{Refusal, Try};
pub use effect::{Acceptance, Block, Change, Effect, Effects, PAYLOAD_VERSION, Payload};
pub use error::ApplyError;
pub use lease::{LEASE_MS_MAX, Lease, Leased};
pub use news::News;
pub use options::{
    DEFAULT_HOLD_MS, DEFAULT_LIMIT, NAME_BYTES_MAX, Options, RATE_MAX, Rate, UNITS_MAX, is_name,
};
pub use reservations::Reservation;
pub use restore::Put;
pub use sale::{Cursor, Phase, Sale};
pub use snapshot::RestoreError;
pub use soft::{Counters, Soft};

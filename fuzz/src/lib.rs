//! What must hold of the rules whatever bytes they are given, for libFuzzer to try.
//!
//! | target | the bytes are | what must hold |
//! | --- | --- | --- |
//! | [`payload`] | a sale's history, and what a primary sends next | an effect is applied whole or not at all, and the sale adds up |
//! | [`snapshot`] | what an RDB or AOF file has of a sale | it is refused, or a sale that adds up, is saved as it was loaded, and goes on |
//! | [`commands`] | a sale, and what is asked of it at which times | the contract of each command, and all copies are the same |
//! | [`events`] | what the relay or the order writer receives | it is refused, or comes out again as it went in |
//!
//! A target panics where it does not hold. `node` runs commands and knows what each may do, `command`
//! reads them from bytes, `copies` saves, loads and reads sales, `histories` are sales with a past.
//!
//! Nothing here is built without the feature `targets`; `scripts/fuzz.sh` builds and runs it.
#![cfg(feature = "targets")]
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a target says what it has found"
)]

mod command;
mod commands;
mod copies;
mod events;
mod histories;
mod node;
mod payload;
mod snapshot;

pub use commands::commands;
pub use events::events;
pub use histories::{Seed, seeds};
pub use payload::payload;
pub use snapshot::snapshot;

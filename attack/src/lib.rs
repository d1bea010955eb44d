//! Attacks on the real programs, with real servers around them: what nobody honest sends, from a
//! seed, and what must hold all the same. `docs/attack.md` says what is judged.
//!
//! | file | idea |
//! | --- | --- |
//! | `plan.rs` | what is tried, and what came of it |
//! | `bytes.rs` | damage |
//! | `process.rs` | what the system knows of a process |
//! | `proxy/` | the proxy against HTTP |
//! | `module/` | the module against commands and payloads |
//! | `worker/` | the worker against the topic |
#![forbid(unsafe_code)]

mod bytes;
pub mod module;
mod plan;
mod process;
pub mod proxy;
pub mod worker;

pub use crate::plan::{Finding, Plan, Report};

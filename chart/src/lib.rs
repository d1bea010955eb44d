//! Pictures of what was measured, for the documents, and the machine it was measured on.
//!
//! | file | idea |
//! | --- | --- |
//! | `bars.rs` | bars below each other: what is compared |
//! | `curves.rs` | curves: how something grows |
//! | `axis.rs` | where on an axis a value lies, and which values are written beside it |
//! | `svg.rs` | colours and letters, the same in every picture |
//! | `machine.rs` | what a machine says of itself |
#![forbid(unsafe_code)]

mod axis;
mod bars;
mod curves;
mod machine;
mod svg;

pub use bars::{Bar, Bars};
pub use curves::{Curve, Curves, Panel};
pub use machine::Machine;
pub use svg::Tone;

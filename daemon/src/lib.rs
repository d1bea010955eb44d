//! What the proxy and the worker do alike.
//!
//! * [`lines`]: which line of a configuration a key stands in
//! * [`slots`]: what the nodes of a Redis Cluster say of each other
#![forbid(unsafe_code)]

pub mod lines;
pub mod slots;

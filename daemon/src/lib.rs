//! What the proxy and the worker do alike.
//!
//! * [`lines`]: which line of a configuration a key stands in
//! * [`settings`]: a configuration as a tree of values, and what of it is shown to people
//! * [`slots`]: what the nodes of a Redis Cluster say of each other
#![forbid(unsafe_code)]

pub mod lines;
pub mod settings;
pub mod slots;

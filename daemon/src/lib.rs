//! What the proxy and the worker do alike.
//!
//! * [`lines`]: which line of a configuration a key stands in
//! * [`settings`]: a configuration as a tree of values, and what of it is shown to people
//! * [`secret`]: where a secret comes from
//! * [`slots`]: what the nodes of a Redis Cluster say of each other
//! * [`systemd`]: what systemd is told
#![forbid(unsafe_code)]

pub mod lines;
pub mod secret;
pub mod settings;
pub mod slots;
pub mod systemd;

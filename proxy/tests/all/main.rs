//! The proxy as buyers and shops meet it, with a real Redis, the module and a shop.
//!
//! * `queue`, `forward`: the two modes
//! * `guard`: what gets past the proxy and what does not
//! * `verify`: what the shop can be sure of
//! * `who`: tokens and signed cookies
//! * `wire`: what happens to connections
//! * `redis_away`: what happens when Redis does not answer
//! * `process`: start, check and end of the program
//! * `stand`: what they share
#![cfg(test)]

mod forward;
mod guard;
mod process;
mod queue;
mod redis_away;
mod stand;
mod verify;
mod who;
mod wire;

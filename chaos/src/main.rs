//! `seckill-chaos`: breaks a real sale while it sells, and has the oracle judge what is left.
//!
//! * `wire`: a TCP proxy that stands between two parts and can refuse, delay, hold, swallow and cut
#![forbid(unsafe_code)]

mod wire;

fn main() {}

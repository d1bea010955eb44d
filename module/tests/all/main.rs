//! The module in a real Redis: its commands, its users, and everything that a sale must survive.
//!
//! `SECKILL_TEST_MODE=plain|aof|replica|cluster` says how the same tests are run (`common/mode.rs`),
//! and `REDIS_SERVER` by which server.

#[cfg(test)]
mod cluster;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod common;
#[cfg(test)]
mod conventions;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod fence;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod persistence;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod relay_lease;
#[cfg(test)]
mod replication;
#[cfg(test)]
mod resync;
#[cfg(test)]
mod traffic;
#[cfg(test)]
mod users;
#[cfg(test)]
mod waiting;

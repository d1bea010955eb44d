//! The worker between real servers: Redis with the module, MariaDB and Kafka.
//!
//! | file | about |
//! | --- | --- |
//! | `shop.rs` | the servers of one test, and its questions to them |
//! | `chores.rs` | `migrate`, `warm`, and what `run` refuses to start on |
//! | `road.rs` | from an acceptance to an order |
//! | `faults.rs` | kills, and what MySQL or the module say no to |
//! | `leases.rs` | several workers |
//! | `servers.rs` | a Redis Cluster, sentinels, TLS |
//! | `topic.rs` | what may lie on the topic |

#[cfg(test)]
mod chores;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod road;
#[cfg(test)]
mod servers;
#[cfg(test)]
mod shop;
#[cfg(test)]
mod topic;

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
//! | `books.rs` | `status` and `reconcile` |
//! | `recovery.rs` | what Redis lost and gets back |
//! | `admin.rs`, `page.rs` | what the worker says of itself, and how it is asked |
//! | `monitoring.rs` | alert rules and Grafana's dashboard |
//! | `dashboard.rs`, `screen.rs`, `browser.rs` | the dashboard, and how it is asked |
//! | `daemon.rs`, `tls.rs` | start, stop, supervisor, configuration; certificates |
//! | `topic.rs` | what may lie on the topic |
//! | `late.rs` | what is kept of an order's life, and payments that come too late |
//! | `poison.rs` | what MySQL refuses, and what that means for the others |
//! | `asleep.rs` | answers that are lost, workers that slept, a MySQL that is away for long |
//! | `wire.rs` | a wire between a worker and MySQL that can be cut |

#[cfg(test)]
mod admin;
#[cfg(test)]
mod asleep;
#[cfg(test)]
mod books;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod chores;
#[cfg(test)]
mod daemon;
#[cfg(test)]
mod dashboard;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod late;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod monitoring;
#[cfg(test)]
mod page;
#[cfg(test)]
mod poison;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod road;
#[cfg(test)]
mod screen;
#[cfg(test)]
mod servers;
#[cfg(test)]
mod shop;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod topic;
#[cfg(test)]
mod wire;

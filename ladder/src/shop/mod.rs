//! The shop of the lower rungs: one HTTP service, a route for each way of selling a unit.
//!
//! | file | idea |
//! | --- | --- |
//! | `answer.rs` | what a buyer is told |
//! | `store.rs` | MySQL: look, take a unit, write the order |
//! | `limiter.rs` | Redis: so many requests a second |
//! | `cache.rs` | Redis: the stock row, so that MySQL is not asked for it |
//! | `message.rs` | what goes through Kafka |
//! | `queue.rs` | into Kafka |
//! | `consumer.rs` | and out of it into MySQL, in a process of its own |
//! | `routes.rs` | the ways, as they are put together |

mod answer;
mod cache;
mod consumer;
mod limiter;
mod message;
mod queue;
mod routes;
mod store;

pub(crate) use cache::fill as fill_cache;
pub(crate) use consumer::{Handled, run as consume};
pub(crate) use message::TOPIC;
pub(crate) use routes::run as serve;
pub(crate) use store::Stock;

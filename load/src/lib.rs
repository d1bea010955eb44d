//! A crowd of buyers that asks a proxy for units over HTTP and keeps what it was told.
//!
//! In the order in which a run passes through them:
//!
//! * [`Plan`]: how many buyers, how many tries, where to; [`Arrivals`]: when each of them comes
//! * `descriptors`: a connection is a file descriptor, and a crowd needs many
//! * `connection`: one keep-alive connection
//! * `buyer`: one buyer: asks, and asks again where no answer came
//! * [`Answer`] and [`Silence`]: what a question can come to
//! * [`run`]: the crowd: all connections first, then all buyers at once; or each at his own time
//! * [`Progress`]: counters for a live line
//! * [`Outcome`]: what it came to, and every reservation that a buyer was told
//! * [`Servers`]: what the proxies have counted, to hold against it
//! * [`text`]: numbers as people read them
//!
//! A *try* is one question for a unit. A question without an answer (no connection, a broken one,
//! a timeout, a 5xx) is asked again with the same `Idempotency-Key` and is still the same try.
#![forbid(unsafe_code)]

mod answer;
mod arrivals;
mod buyer;
mod connection;
mod crowd;
mod descriptors;
mod outcome;
mod plan;
mod progress;
mod server;
pub mod text;

pub use answer::{Answer, Silence};
pub use arrivals::Arrivals;
pub use crowd::{LoadError, run};
pub use outcome::{Answers, LatencyUs, Outcome, Told};
pub use plan::{Plan, PlanError};
pub use progress::{Progress, Snapshot};
pub use server::{Compared, Counted, ServerError, Servers};

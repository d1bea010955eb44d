//! Plays the rules of Seckill against everything that can go wrong, by dice, in one thread.
//!
//! A seed is a world: two Redis with a copy of one sale each, buyers, workers, a topic, MySQL. At each
//! step one of them does its next thing, or something goes wrong; nothing happens in between, and
//! nothing reads a real clock, so that a seed always plays the same. What must always be true is
//! looked at as it happens. In the end everything works again, and the sale has to come to rest and
//! be right. `docs/simulation.md` says what is simulated, and what is not.
//!
//! | file | idea |
//! | --- | --- |
//! | `dice` | everything that is left to chance |
//! | `settings` | what a seed is played with, and what goes wrong how often |
//! | `node` | a Redis: the sale's own code, and what its disk has |
//! | `kafka` | the topic |
//! | `mysql` | the tables |
//! | `worker` | what a worker has in memory |
//! | `world/` | what each does next |
//! | `oracle` | what really happened, and what was promised |
//! | `play` | playing a seed, and finding a shorter play that fails as well |
//! | `story` | what happened, for a person |
#![forbid(unsafe_code)]
#![expect(
    clippy::indexing_slicing,
    reason = "nodes, buyers and workers are numbered by the world that made them"
)]

mod dice;
mod kafka;
mod mysql;
mod node;
mod oracle;
mod play;
mod settings;
mod story;
mod worker;
mod world;

pub use play::{Play, Played, shrink};
pub use settings::Hazard;

//! Starts the real parts of the system privately: each on free loopback ports, with a folder of its
//! own for data, configuration and log, stopped by pid. Nothing else on the machine is touched.
//!
//! The environment variable `REDIS_SERVER` is the path of the Redis or Valkey to start; without it, it
//! is the system's `redis-server`.
//!
//! The interface blocks and can be called from any thread, a test of tokio's included.
//!
//! ```no_run
//! use seckill_testbed::{Kafka, MariaDb, Part, Place, Redis, Settings, User, Worker};
//!
//! # fn main() -> anyhow::Result<()> {
//! let place = Place::temporary("a-sale")?;
//! let mut redis = Redis::start(&place)?;
//! let mariadb = MariaDb::start(&place)?;
//! let mut settings = Settings::worker(&redis, &mariadb)?;
//! if Kafka::available().is_ok() {
//!     settings = settings.kafka(&Kafka::start(&place)?);
//! }
//! Worker::command(&place, &settings, &["migrate"])?;
//! let worker = Worker::start(&place, &settings)?;
//!
//! redis.kill()?; // power is gone …
//! redis.restart()?; // … and is back: same data, same port
//! redis::cmd("PING").exec(&mut redis.connect(User::Operator)?)?;
//! # Ok(())
//! # }
//! ```
//!
//! A test that is about time holds the time of day of its Redis in its own hand:
//!
//! ```no_run
//! use seckill_testbed::{Clock, Place, Redis};
//!
//! # fn main() -> anyhow::Result<()> {
//! let place = Place::temporary("a-late-payment")?;
//! let clock = Clock::new(&place)?;
//! clock.set_ms(1_763_800_000_000)?; // stands still from now on
//! let redis = Redis::start_with_clock(&place, &[], &clock)?;
//! clock.advance_ms(900_000)?; // a quarter of an hour in no time
//! # drop(redis);
//! # Ok(())
//! # }
//! ```
//!
//! | file | idea |
//! | --- | --- |
//! | `place.rs` | the folder that parts live in, and how long they live |
//! | `part.rs` | what can be done to any part: kill, freeze, restart … |
//! | `process.rs` | one child process: its log, its start, its end |
//! | `home.rs` | the folder of one part, and what it remembers there |
//! | `identity.rs` | a pid that cannot be mistaken for a later process |
//! | `port.rs` | a loopback port that nobody else takes |
//! | `tools.rs` | where programs, shipped files and caches are |
//! | `clock.rs`, `preload/clock.c` | a time of day that a test controls |
//! | `disk.rs`, `preload/disk.c` | a disk that a test fills |
//! | `preload.rs` | how a program is shown such a thing |
//! | `redis.rs`, `mariadb.rs`, `kafka.rs` | the servers |
//! | `sentinel.rs` | who watches over a primary and its replicas |
//! | `authority.rs` | certificates for TLS |
//! | `nginx.rs` | nginx, to compare with |
//! | `storefront.rs` | a shop that browsers can buy from |
//! | `browser.rs` | a browser, to look at our own pages with |
//! | `cluster.rs` | three Redis servers that share the keys |
//! | `median.rs` | what stands for many rounds of a measurement |
//! | `account.rs` | what the kernel says of a process: its CPU time and its memory |
//! | `settings.rs`, `programs.rs` | the configuration and the start of our own programs |

pub mod account;
mod authority;
mod browser;
mod clock;
mod cluster;
mod disk;
mod home;
mod identity;
mod kafka;
mod mariadb;
mod median;
mod nginx;
mod part;
mod place;
mod port;
mod preload;
mod process;
mod programs;
mod redis;
mod sentinel;
mod settings;
mod storefront;
mod tools;

pub use crate::authority::{Authority, Certificate};
pub use crate::browser::Browser;
pub use crate::clock::Clock;
pub use crate::cluster::{Cluster, SlotMove};
pub use crate::disk::Disk;
pub use crate::kafka::Kafka;
pub use crate::mariadb::MariaDb;
pub use crate::median::median;
pub use crate::nginx::Nginx;
pub use crate::part::Part;
pub use crate::place::Place;
pub use crate::programs::{Proxy, SampleShop, Service, Worker};
pub use crate::redis::{Redis, User};
pub use crate::sentinel::Sentinel;
pub use crate::settings::Settings;
pub use crate::storefront::Storefront;
pub use crate::tools::built;

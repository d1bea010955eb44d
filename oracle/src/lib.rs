//! Believes nobody: holds what clients were told against Kafka, MySQL and the module, each read by
//! its own client, and says of each invariant whether it holds, with the evidence.
//!
//! Nothing here uses the code of the module, the proxy or the worker: a mistake that was shared
//! with them would be invisible.
//!
//! # What a client writes
//!
//! One file a process, by a [`record::Recorder`]:
//!
//! ```no_run
//! use seckill_oracle::record::{Answer, Op, Recorder};
//!
//! # fn main() -> std::io::Result<()> {
//! let recorder = Recorder::create("buyers-1.jsonl".as_ref())?;
//! let op = Op::Try { qty: 1, token: Some("t1".to_owned()) };
//! let pending = recorder.begin("1001", "u7", op)?; // then ask …
//! let rid = "1763800000000-42".to_owned(); // … and be told
//! recorder.answer(pending, Answer::Accepted { rid })?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is asked after a round
//!
//! ```no_run
//! # async fn round() -> anyhow::Result<()> {
//! use seckill_oracle::{Brokers, Setting, Sources, Watch, check};
//! use std::time::Duration;
//!
//! let sources = Sources {
//!     redis: "redis://operator:secret@127.0.0.1:6379/".to_owned(),
//!     key_prefix: String::new(),
//!     mysql: "mysql://seckill:secret@127.0.0.1:3306/seckill".to_owned(),
//!     kafka: Some(Brokers::at("127.0.0.1:9092")),
//!     records: Some(vec!["buyers-1.jsonl".into()]),
//! };
//! let watch = Watch::start(&sources, "1001", Duration::from_millis(100));
//! // … faults, and their end …
//! let mut report = check(&sources, "1001", &Setting::default(), Duration::from_secs(60)).await?;
//! report.add(watch.stop().await);
//! println!("{report}");
//! assert!(report.holds());
//! # Ok(())
//! # }
//! ```
//!
//! | file | idea |
//! | --- | --- |
//! | `record.rs`, `record/` | what clients were told: written and read |
//! | `read/` | the sources, each by its own client |
//! | `place.rs`, `event.rs`, `seen.rs` | what they say, in words of this program |
//! | `ledger.rs` | what the log comes to |
//! | `view.rs` | all of it by reservation, and what each source says of one |
//! | `check/` | the invariants |
//! | `rest.rs` | waits until nothing is left to do |
//! | `watch.rs` | what holds at every instant |
//! | `report.rs`, `table.rs` | how each invariant stands, and how a person reads it |
#![forbid(unsafe_code)]

mod check;
mod event;
mod ledger;
mod place;
mod read;
pub mod record;
mod report;
mod rest;
mod seen;
mod setting;
mod table;
mod view;
mod watch;

pub use check::judge;
pub use event::{Acceptance, Batch, Event, Fact, Step, read_message};
pub use place::{NoPlace, Place};
pub use read::{Brokers, Sources, look};
pub use report::{Case, Invariant, Name, Report, Said, Source, Standing};
pub use rest::check;
pub use seen::{
    Books, Info, Message, Module, Moved, Order, Refund, Reservation, Seen, Status, Stock, Topic,
};
pub use setting::{Durability, Setting};
pub use watch::Watch;

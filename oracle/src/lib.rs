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
//! | file | idea |
//! | --- | --- |
//! | `record.rs`, `record/` | what clients were told: written and read |
#![forbid(unsafe_code)]

pub mod record;

//! The order writer: events into `stock_order`, `stock` and `stock_cursor`, exactly once.
//!
//! | file | idea |
//! | --- | --- |
//! | `sql.rs` | the statements |
//! | `poison.rs` | which orders MySQL does not take |
//! | `transaction.rs` | one transaction over all sales of a batch |
//! | `writer.rs` | gathers batches, commits them, answers |
//! | `alarms.rs` | alarms that last until their cause is gone |
//! | `pulse.rs` | says so when the writer does not get on |
//! | `stored.rs` | tells the module what MySQL has |
//! | `again.rs` | when a sale that stands still is tried again |
//! | `refusals.rs` | cancels in the module what MySQL refused |
//!
//! What events mean for the tables, and up to where a partition is dealt with, are the pure rules of
//! `seckill_orders`.

mod again;
mod alarms;
mod poison;
mod pulse;
mod refusals;
mod sql;
mod stored;
mod transaction;
mod writer;

use seckill_orders::{fold, history, progress, status};

pub(crate) use fold::{Order, Stock};
pub(crate) use history::{Transition, Who};
pub(crate) use progress::Offsets;
pub(crate) use pulse::Pulse;
pub(crate) use refusals::{Refusals, cancel_refused};
pub(crate) use seckill_orders::StockId;
pub(crate) use sql::{
    create_cursors, insert_history, insert_orders, literal, lock_cursors, move_orders,
};
pub(crate) use status::Status;
pub(crate) use stored::{Stored, announce_stored};
pub(crate) use writer::{Memory, Writer};

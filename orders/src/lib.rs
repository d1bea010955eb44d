//! The rules of the way from a sale's log to its orders: what the relay sends and acknowledges, and
//! what events mean for the tables.
//!
//! Nothing here knows Redis, Kafka, MySQL, a clock or I/O: the worker does what these say, and the
//! simulator plays them against everything that can go wrong.
//!
//! | file | holds |
//! | --- | --- |
//! | `relay` | a run of the relay: what is read, under way, arrived, acknowledged |
//! | `fold` | what events mean for the tables of a sale |
//! | `status` | where an order stands |
//! | `history` | what is kept of the past: steps of orders, payments to be refunded |
//! | `progress` | up to where each partition of the topic is dealt with |
//! | `stock_id` | the name of a stock row |
//! | `diagnosis` | `recover`: what is wrong with a sale, and what is to be done next |
//! | `compare` | `recover`: whether Redis and MySQL have facts of one sale |
#![forbid(unsafe_code)]

pub mod compare;
pub mod diagnosis;
pub mod fold;
pub mod history;
pub mod progress;
pub mod relay;
pub mod status;
mod stock_id;

pub use stock_id::{NoStockId, StockId};

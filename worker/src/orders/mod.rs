//! The order writer: events into `stock_order`, `stock` and `stock_cursor`, exactly once.
//!
//! | file | idea |
//! | --- | --- |
//! | `status.rs` | the `status` column |
//! | `fold.rs` | what events mean for the tables of a sale: pure |
//! | `history.rs` | what is kept of the past: steps of orders, payments to be refunded |
//! | `sql.rs` | the statements |
//! | `poison.rs` | which orders MySQL does not take |
//! | `transaction.rs` | one transaction over all sales of a batch |
//! | `writer.rs` | gathers batches, commits them, answers |
//! | `alarms.rs` | alarms that last until their cause is gone |
//! | `progress.rs` | up to where a partition of the topic is dealt with: pure |
//! | `pulse.rs` | says so when the writer does not get on |
//! | `stored.rs` | tells the module what MySQL has |
//! | `again.rs` | when a sale that stands still is tried again |
//! | `refusals.rs` | cancels in the module what MySQL refused |

mod again;
mod alarms;
mod fold;
mod history;
mod poison;
mod progress;
mod pulse;
mod refusals;
mod sql;
mod status;
mod stored;
mod transaction;
mod writer;

pub(crate) use fold::{Before, Older, Order, Stock, Unwritable, fold, older_orders};
pub(crate) use history::{Transition, Who};
pub(crate) use progress::Offsets;
pub(crate) use pulse::Pulse;
pub(crate) use refusals::{Refusals, cancel_refused};
pub(crate) use sql::{create_cursors, insert_history, insert_orders, lock_cursors, move_orders};
pub(crate) use status::Status;
pub(crate) use stored::{Stored, announce_stored};
pub(crate) use writer::{Memory, Writer};

use std::fmt;
use std::str::FromStr;

/// `stock.id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StockId(pub(crate) u32);

/// A sale's name that is no `stock.id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sale's name is no stock.id: expected a number without sign or leading zero")]
pub(crate) struct NoStockId;

// === impl StockId ===

impl fmt::Display for StockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for StockId {
    type Err = NoStockId;

    /// Takes only the canonical spelling: `1001` and `01001` are two sales in Redis and would
    /// sell one stock row twice.
    fn from_str(text: &str) -> Result<Self, NoStockId> {
        let id: u32 = text.parse().map_err(|_| NoStockId)?;
        if id.to_string() == text {
            Ok(Self(id))
        } else {
            Err(NoStockId)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_number_names_a_stock_row() {
        assert_eq!("1001".parse(), Ok(StockId(1001)));
        for text in ["", "01001", "+1", "-1", "1 ", "4294967296", "lamp"] {
            assert_eq!(text.parse::<StockId>(), Err(NoStockId), "{text:?}");
        }
    }
}

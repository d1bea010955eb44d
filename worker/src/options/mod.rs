//! The options of a sale, and the table `stock_sale` that keeps them.
//!
//! They are in no event, so that MySQL would not know them otherwise.
//!
//! | file | idea |
//! | --- | --- |
//! | `given.rs` | what the command line says of them |
//! | `table.rs` | the table |
//! | `keeper.rs` | follows what is changed in the module |

mod given;
mod keeper;
mod table;

pub(crate) use given::Given;
pub(crate) use keeper::{Keeper, Seen, keep};
pub(crate) use table::{Row, not_over, open, read, set_recovering, starting_within};

/// What `SECKILL.CREATE` takes besides the units; a rate of 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Units a buyer may have; 0: no limit.
    pub(crate) limit: u64,
    /// Unix time in milliseconds; 0: at once.
    pub(crate) start: u64,
    /// Unix time in milliseconds; 0: never.
    pub(crate) end: u64,
    /// Milliseconds; 0: sold at once.
    pub(crate) hold: u64,
    /// Accepted tries a second.
    pub(crate) rate: u64,
    /// At once.
    pub(crate) burst: u64,
    /// Tries a second of one buyer.
    pub(crate) user_rate: u64,
    /// At once.
    pub(crate) user_burst: u64,
}

// === impl Options ===

impl Options {
    /// What the module takes for what is not given.
    pub(crate) const DEFAULT: Self = Self {
        limit: 1,
        start: 0,
        end: 0,
        hold: 900_000,
        rate: 0,
        burst: 0,
        user_rate: 0,
        user_burst: 0,
    };
}

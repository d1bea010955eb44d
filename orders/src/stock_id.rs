//! The name of a stock row, which is the name of its sale.

use std::fmt;
use std::str::FromStr;

/// `stock.id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StockId(pub u32);

/// A sale's name that is no `stock.id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sale's name is no stock.id: expected a number without sign or leading zero")]
pub struct NoStockId;

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

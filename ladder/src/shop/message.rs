//! What goes through Kafka: the stock as the buyer's request has seen it, its version included.

use super::store::Stock;
use anyhow::{Context, Result};

/// Where the purchases go.
pub(crate) const TOPIC: &str = "stock.orders";

pub(crate) fn write(stock: &Stock) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(stock)?)
}

pub(crate) fn read(payload: &[u8]) -> Result<Stock> {
    serde_json::from_slice(payload).context("no stock in a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let stock = Stock {
            sid: 1001,
            name: "Lamp".to_owned(),
            count: 100,
            sale: 7,
            version: 8,
        };
        assert_eq!(read(&write(&stock).unwrap()).unwrap(), stock);
        assert!(read(b"{}").is_err());
    }
}

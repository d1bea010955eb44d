//! What goes through Kafka: the stock as the buyer's request has seen it, its version included.

use super::store::Stock;
use anyhow::{Context, Result};

/// Where the purchases go.
pub(crate) const TOPIC: &str = "stock.orders";

pub(crate) fn write(stock: &Stock) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(stock)?)
}

/// Nothing of a message that is there only to be on its way.
pub(crate) fn read(payload: Option<&[u8]>) -> Result<Option<Stock>> {
    let stock = payload.map(serde_json::from_slice).transpose();
    stock.context("no stock in a message")
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
        let written = write(&stock).unwrap();
        assert_eq!(read(Some(&written)).unwrap(), Some(stock));
        assert_eq!(read(None).unwrap(), None);
        assert!(read(Some(b"{}")).is_err());
    }
}

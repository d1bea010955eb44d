//! The servers of one rung, all of them new, and one stock item on them.
//!
//! | file | idea |
//! | --- | --- |
//! | `shops.rs` | rungs 0 to 5: shops, and what stands before and behind them |
//! | `seckill.rs` | rung 6: proxy, module and worker |

mod seckill;
mod shops;

use crate::rung::Rung;
use anyhow::Result;
use seckill_testbed::account::cpu;
use seckill_testbed::{MariaDb, Part, Place};
use std::path::PathBuf;
use std::time::Duration;

/// The stock item.
pub(crate) const SID: u32 = 1001;
const NAME: &str = "a thing that everybody wants";

/// What a sale is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sale {
    pub(crate) stock: u32,
    /// Requests a second that a limiter lets pass, where there is one.
    pub(crate) limit: u32,
}

/// A server by what it is.
type Named<'a> = (&'static str, &'a dyn Part);

/// The servers of one rung.
pub(crate) struct Stand {
    pub(crate) db: MariaDb,
    front: Front,
}

/// What buyers come to.
enum Front {
    Shops(shops::Shops),
    Seckill(seckill::Seckill),
}

// === impl Stand ===

impl Stand {
    /// Starts everything, and opens the sale. It blocks, on a thread of a runtime that may.
    pub(crate) fn start(rung: Rung, sale: Sale) -> Result<Self> {
        let place = Place::temporary("ladder")?;
        let db = MariaDb::start(&place)?;
        let front = if rung.is_seckill() {
            Front::Seckill(seckill::Seckill::start(&place, &db, sale.stock)?)
        } else {
            Front::Shops(shops::Shops::start(&place, &db, rung, sale)?)
        };
        Ok(Self { db, front })
    }

    /// Where buyers go, `host:port`.
    pub(crate) fn address(&self) -> String {
        match &self.front {
            Front::Shops(shops) => shops.address(),
            Front::Seckill(seckill) => seckill.address(),
        }
    }

    /// Whether everything that has become of `yes` promises is in MySQL.
    pub(crate) async fn is_at_rest(&self, yes: u64) -> Result<bool> {
        match &self.front {
            Front::Shops(shops) => shops.is_at_rest(yes).await,
            Front::Seckill(seckill) => seckill.is_at_rest().await,
        }
    }

    /// The CPU time that each server has taken so far.
    pub(crate) fn cpu(&self) -> Result<Vec<(&'static str, Duration)>> {
        let parts = self.parts().into_iter();
        parts
            .map(|(name, part)| Ok((name, cpu(part.pid())?)))
            .collect()
    }

    /// Where the servers write what they have to say.
    pub(crate) fn logs(&self) -> Vec<PathBuf> {
        let parts = self.parts().into_iter();
        parts.map(|(_, part)| part.log()).collect()
    }

    fn parts(&self) -> Vec<Named<'_>> {
        let mut parts: Vec<Named<'_>> = vec![("MariaDB", &self.db)];
        match &self.front {
            Front::Shops(shops) => parts.extend(shops.parts()),
            Front::Seckill(seckill) => parts.extend(seckill.parts()),
        }
        parts
    }
}

/// The row of the stock item, of which nothing is sold.
fn insert_stock(db: &MariaDb, stock: u32) -> Result<()> {
    db.query(&format!(
        "INSERT INTO stock (id, name, count, sale, version) VALUES ({SID}, '{NAME}', {stock}, 0, 0)"
    ))?;
    Ok(())
}

//! Keeps `stock_sale` as the sales in the module are: somebody may create one by hand, or use
//! `SECKILL.ALTER`.
//!
//! The relay looks at every sale's INFO anyway, at an idle one every two seconds; what it sees there
//! comes here, and what is new goes to MySQL.

use super::{Options, table};
use crate::mysql::Session;
use crate::orders::StockId;
use mysql_async::prelude::Queryable;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::warn;

/// How long after a failure it is tried again.
const TROUBLE_PAUSE: Duration = Duration::from_secs(5);

/// What INFO says of a sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) options: Options,
    pub(crate) closed: bool,
    /// The epoch in which it was created, as long as MySQL has nothing of it.
    pub(crate) opened: Option<u64>,
}

/// What was seen of the sales. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keeper(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    sales: Mutex<HashMap<StockId, Seen>>,
    /// What is to be written.
    news: Mutex<HashMap<StockId, Seen>>,
    wake: Notify,
}

// === impl Keeper ===

impl Keeper {
    /// This is what a sale is like now.
    pub(crate) fn saw(&self, sid: &str, seen: Seen) {
        // A sale that is no stock row's has no orders, and needs no options.
        let Ok(sid) = sid.parse::<StockId>() else {
            return;
        };
        let before = lock(&self.0.sales).insert(sid, seen);
        if before != Some(seen) {
            lock(&self.0.news).insert(sid, seen);
            self.0.wake.notify_one();
        }
    }
}

/// Writes what is new, for ever.
pub(crate) async fn keep(keeper: &Keeper, mut session: Session) {
    loop {
        keeper.0.wake.notified().await;
        let news = std::mem::take(&mut *lock(&keeper.0.news));
        for (sid, seen) in news {
            let sql = table::follow(sid, &seen.options, seen.closed, seen.opened);
            while let Err(failure) = session
                .work(async |conn| Ok(conn.query_drop(&sql).await?))
                .await
            {
                warn!("the options of sale {sid} are not in stock_sale yet: {failure}");
                sleep(TROUBLE_PAUSE).await;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_before_is_no_news() {
        let keeper = Keeper::default();
        let mut seen = Seen {
            options: Options::DEFAULT,
            closed: false,
            opened: None,
        };
        let news = |keeper: &Keeper| std::mem::take(&mut *lock(&keeper.0.news)).len();
        keeper.saw("1001", seen);
        keeper.saw("lamp", seen);
        assert_eq!(news(&keeper), 1);
        keeper.saw("1001", seen);
        assert_eq!(news(&keeper), 0);
        seen.options.limit = 2;
        keeper.saw("1001", seen);
        assert_eq!(news(&keeper), 1);
    }
}

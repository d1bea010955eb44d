//! Tells the module what MySQL has, off the path of the commits: `SECKILL.ACK … STORED`.

use super::alarms::Alarms;
use super::{StockId, sql};
use crate::gate::{Cursor, Gate, Refused};
use crate::mysql::{Session, rows};
use futures_util::stream::{self, StreamExt};
use seckill_protocol::EventId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tracing::debug;

/// How many sales are told at a time; they share one connection.
const AT_A_TIME: usize = 64;

/// What there is to tell. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    news: Mutex<News>,
    wake: Notify,
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct News {
    /// The latest cursor of each sale: whatever is in between needs no telling.
    cursors: BTreeMap<StockId, EventId>,
    /// Sales whose cursor has to be read first.
    unknown: BTreeSet<StockId>,
}

// === impl Stored ===

impl Stored {
    /// MySQL has a sale's events up to `cursor`.
    pub(crate) fn has(&self, sid: StockId, cursor: EventId) {
        self.tell(|news| {
            let latest = news.cursors.entry(sid).or_insert(cursor);
            *latest = cursor.max(*latest);
        });
    }

    /// The module lags behind its own log: look whether MySQL has more than it was told. The
    /// worker that stored it may have died before it could say so.
    pub(crate) fn look_up(&self, sid: StockId) {
        self.tell(|news| {
            news.unknown.insert(sid);
        });
    }

    /// Nothing more will come: [`announce_stored`] tells what there is and ends.
    pub(crate) fn close(&self) {
        self.0.closed.store(true, Relaxed);
        self.0.wake.notify_one();
    }

    fn tell(&self, add: impl FnOnce(&mut News)) {
        add(&mut self.0.news.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.wake.notify_one();
    }

    fn take(&self) -> News {
        std::mem::take(&mut *self.0.news.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Tells the module, until [`Stored::close`].
pub(crate) async fn announce_stored(stored: &Stored, gate: &Gate, mut session: Session) {
    let mut alarms = Alarms::default();
    loop {
        stored.0.wake.notified().await;
        let closed = stored.0.closed.load(Relaxed);
        let News {
            mut cursors,
            unknown,
        } = stored.take();
        if !unknown.is_empty() {
            look_up(&mut session, unknown, &mut cursors).await;
        }
        let mut answers = stream::iter(cursors)
            .filter(|(_, cursor)| std::future::ready(*cursor != EventId::ZERO))
            .map(|(sid, cursor)| announce(gate, sid, cursor))
            .buffer_unordered(AT_A_TIME);
        while let Some((sid, refused)) = answers.next().await {
            match refused {
                None => {
                    alarms.clear(&sid);
                }
                Some(cause) => alarms.raise(&sid, "unheard", &cause, false),
            }
        }
        if closed {
            return;
        }
    }
}

async fn look_up(
    session: &mut Session,
    sids: BTreeSet<StockId>,
    cursors: &mut BTreeMap<StockId, EventId>,
) {
    let found: Result<Vec<(u32, u64, u64)>, _> = session
        .work(async |conn| rows(conn, sql::select_cursors(sids)).await)
        .await;
    match found {
        Ok(found) => {
            for (sid, epoch, seq) in found {
                let found = EventId::new(epoch, seq);
                let latest = cursors.entry(StockId(sid)).or_insert(found);
                *latest = found.max(*latest);
            }
        }
        // The relay asks again as long as the module lags.
        Err(error) => debug!("cannot look up cursors: {error}"),
    }
}

/// Returns the sale, and why the module does not believe it, if so.
async fn announce(gate: &Gate, sid: StockId, cursor: EventId) -> (String, Option<String>) {
    let sid = sid.to_string();
    let refused = match gate.ack(&sid, Cursor::Stored, cursor).await {
        // A sale that is over may be deleted.
        Ok(()) | Err(Refused::NoSale) => None,
        Err(refused) => Some(format!(
            "has orders in MySQL up to {cursor}, but the module refuses to hear it: {refused}; it \
             has lost events, or is another Redis"
        )),
    };
    (sid, refused)
}

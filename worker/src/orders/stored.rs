//! Tells the module what MySQL has, off the path of the commits: `SECKILL.ACK … STORED`. Where a
//! sale stands still, it has the log sent again from there: `SECKILL.ACK … RELAYED`.

use super::again::Again;
use super::alarms::Alarms;
use super::progress::Offsets;
use super::{StockId, sql};
use crate::gate::{Cursor, Gate, Refused};
use crate::mysql::{Session, rows};
use futures_util::stream::{self, StreamExt};
use seckill_protocol::EventId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::{debug, info, warn};

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
    /// Sales that stand still since, or go on.
    standing: BTreeMap<StockId, Standing>,
}

#[derive(Debug)]
enum Standing {
    /// At MySQL's cursor, where it is known.
    Still {
        cursor: Option<EventId>,
        hole: bool,
    },
    GoesOn,
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

    /// A sale stands still at MySQL's `cursor`, where that is known: have its log sent again. If the
    /// cause is a `hole`, at once.
    pub(crate) fn stands_still(&self, sid: StockId, cursor: Option<EventId>, hole: bool) {
        self.tell(|news| {
            news.standing.insert(sid, Standing::Still { cursor, hole });
        });
    }

    /// A sale that stood still goes on.
    pub(crate) fn goes_on(&self, sid: StockId) {
        self.tell(|news| {
            news.standing.insert(sid, Standing::GoesOn);
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
pub(crate) async fn announce_stored(
    stored: &Stored,
    gate: &Gate,
    offsets: &Offsets,
    mut session: Session,
) {
    let mut alarms = Alarms::default();
    let mut again = Again::default();
    loop {
        let woken = stored.0.wake.notified();
        match again.pause(Instant::now()) {
            // Woken or not, it is looked at what there is.
            Some(pause) => drop(timeout(pause, woken).await),
            None => woken.await,
        }
        let closed = stored.0.closed.load(Relaxed);
        let News {
            mut cursors,
            unknown,
            standing,
        } = stored.take();
        if !unknown.is_empty() {
            let found = look_up(&mut session, &unknown).await;
            for (sid, found) in found {
                let latest = cursors.entry(sid).or_insert(found);
                *latest = found.max(*latest);
            }
        }
        let now = Instant::now();
        for (sid, standing) in standing {
            match standing {
                Standing::Still { cursor, hole } => again.stands_still(sid, cursor, hole, now),
                Standing::GoesOn => again.goes_on(sid),
            }
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
                Some(cause) => alarms.raise(&sid, "unheard", &cause),
            }
        }
        drop(answers);
        if closed {
            return;
        }
        let due = again.due(Instant::now());
        if !due.is_empty() {
            send_again(gate, &mut session, &due, offsets, &mut again).await;
        }
    }
}

/// MySQL's cursors of these sales.
async fn look_up(session: &mut Session, sids: &BTreeSet<StockId>) -> BTreeMap<StockId, EventId> {
    let found: Result<Vec<(u32, u64, u64)>, _> = session
        .work(async |conn| rows(conn, sql::select_cursors(sids.iter().copied())).await)
        .await;
    match found {
        Ok(found) => found
            .into_iter()
            .map(|(sid, epoch, seq)| (StockId(sid), EventId::new(epoch, seq)))
            .collect(),
        Err(error) => {
            // Whoever asks does so again.
            debug!("cannot look up cursors: {error}");
            BTreeMap::new()
        }
    }
}

/// Has the logs of sales that stand still sent again from MySQL's cursors.
async fn send_again(
    gate: &Gate,
    session: &mut Session,
    due: &BTreeMap<StockId, bool>,
    offsets: &Offsets,
    again: &mut Again,
) {
    for (sid, cursor) in look_up(session, &due.keys().copied().collect()).await {
        if !again.still_there(sid, cursor) {
            continue;
        }
        if due.get(&sid).is_some_and(|was_tried| *was_tried) {
            offsets.read_again(sid);
        }
        match gate.ack(&sid.to_string(), Cursor::Relayed, cursor).await {
            Ok(()) => info!("sale {sid}: its log is sent again from {cursor}"),
            // The alarm of the sale that stands still is repeated as long as it does.
            Err(refused) => {
                warn!("sale {sid}: its log cannot be sent again from {cursor}: {refused}");
            }
        }
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

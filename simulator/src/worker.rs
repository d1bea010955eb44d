//! A worker process: what it has in memory, and loses when it is killed.

use crate::kafka::Receipt;
use crate::mysql::Mysql;
use seckill_orders::fold::{Outcome, Stock, Unwritable};
use seckill_orders::progress::{Offsets, Progress};
use seckill_orders::relay::Run;
use seckill_protocol::{EventBatch, EventId};
use std::collections::VecDeque;
use std::rc::Rc;

/// Its one partition.
pub(crate) const PARTITION: i32 = 0;

/// A worker process.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    pub(crate) is_up: bool,
    pub(crate) is_frozen: bool,
    /// How often it was started: it has another name each time.
    pub(crate) life: usize,
    /// Its producer.
    pub(crate) session: usize,
    /// The Redis that it asks.
    pub(crate) view: usize,
    pub(crate) relay: Relay,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) stored: Stored,
    /// The sale stands still.
    pub(crate) again: Option<Again>,
}

/// The relay of the sale.
#[derive(Debug, Default)]
pub(crate) enum Relay {
    /// It has no lease.
    #[default]
    Waiting,
    /// It has one, and does not know where the sale stands.
    Leased,
    /// It relays.
    Running(Turn),
    /// What it sent must have arrived or failed before it begins again.
    Draining(Vec<Receipt>),
}

/// A run, and the step that it is at.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) run: Run<Receipt>,
    /// What was read and not sent yet.
    pub(crate) hand: Option<EventBatch>,
    /// The places were compared: what is to be acknowledged, if anything.
    pub(crate) compared: Option<Option<EventId>>,
    /// A batch failed: the run ends when the module was told.
    pub(crate) failed: bool,
}

/// The reader of the topic.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// From where it reads, while it takes the partition for its own.
    pub(crate) position: Option<usize>,
    pub(crate) offsets: Offsets,
}

/// The order writer.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) intake: VecDeque<Delivery>,
    pub(crate) progress: Progress,
    pub(crate) batch: Vec<Delivery>,
    pub(crate) locks_stock: bool,
    pub(crate) poison: Unwritable,
    pub(crate) transaction: Transaction,
    /// MySQL's cursor where the sale stands still.
    pub(crate) halted_at: Option<EventId>,
}

/// A run of events.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) events: Rc<EventBatch>,
    pub(crate) origin: Origin,
}

/// Where it came from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    Relay(Receipt),
    /// An offset, and which assignment of the partition it was read in.
    Topic(usize, u64),
}

/// When a sale that stands still has its log sent again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Again {
    /// MySQL's cursor.
    pub(crate) cursor: EventId,
    pub(crate) next_ms: u64,
    pub(crate) pause_ms: u64,
    pub(crate) was_tried: bool,
}

/// How far a transaction is.
#[derive(Debug, Default)]
pub(crate) enum Transaction {
    #[default]
    None,
    /// The cursor is locked, and what the events change is known.
    Folded {
        outcome: Box<Outcome>,
        /// The stock row that was read, and its version.
        stock: Stock,
        version: i64,
    },
    /// Everything is written but the `COMMIT`.
    Written { outcome: Box<Outcome>, stock: Stock },
    /// It is committed, and the program knows.
    Committed(Box<Outcome>),
}

/// What there is to tell the module.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) cursor: Option<EventId>,
    /// MySQL is to be asked first.
    pub(crate) look_up: bool,
}

// === impl Worker ===

impl Worker {
    /// What it is called where it asks for a lease.
    pub(crate) fn name(&self, number: usize) -> String {
        format!("w{number}.{}", self.life)
    }

    /// It is killed: MySQL ends its transaction.
    pub(crate) fn die(&mut self, number: usize, mysql: &mut Mysql) {
        if mysql.lock == Some(number) {
            mysql.lock = None;
        }
        *self = Self {
            life: self.life + 1,
            ..Self::default()
        };
    }
}

// === impl Writer ===

impl Writer {
    /// Whether nobody else can change the stock row.
    pub(crate) fn has_stock_locked(&self) -> bool {
        self.locks_stock
            || matches!(&self.transaction,
                Transaction::Written { outcome, stock } if outcome.touches_stock(*stock))
    }

    /// The transaction is rolled back, and what it was to write is still to be written.
    pub(crate) fn roll_back(&mut self, number: usize, mysql: &mut Mysql) {
        self.transaction = Transaction::None;
        if mysql.lock == Some(number) {
            mysql.lock = None;
        }
    }
}

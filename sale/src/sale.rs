//! A sale.

use crate::log::{Entry, EntryFact, Log};
use crate::options::Options;
use crate::reservation::{Reservation, Reservations};
use seckill_protocol::{Event, EventBatch, EventId, Fact, ReservationId};

/// One flash sale of one stock item.
pub struct Sale {
    pub(crate) options: Options,
    pub(crate) paused: bool,
    pub(crate) closed: bool,
    /// A node took over, and MySQL has not yet been seen to have what this copy has.
    pub(crate) fenced: bool,
    /// The last event.
    pub(crate) head: EventId,
    pub(crate) total: u64,
    pub(crate) available: u64,
    pub(crate) held: u64,
    pub(crate) sold: u64,
    /// Units that were sold before the sale was created: part of `sold`, in no reservation.
    pub(crate) sold_before: u64,
    pub(crate) reservations: Reservations,
    pub(crate) log: Log,
    pub(crate) relayed: EventId,
    pub(crate) stored: EventId,
}

/// The worker's two places in a sale's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// Up to here the broker has the events.
    Relayed,
    /// Up to here MySQL has the events.
    Stored,
}

/// What a sale is doing, as an operator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before its start.
    Waiting,
    /// Selling.
    Open,
    /// Selling, but nothing is available.
    SoldOut,
    /// Stopped by an operator.
    Paused,
    /// Stopped by itself after a node took over, until MySQL is seen to have what it has.
    Fenced,
    /// After its end.
    Ended,
    /// Closed for good.
    Closed,
}

// === impl Phase ===

impl Phase {
    /// The phase's word in `SECKILL.INFO`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Open => "open",
            Self::SoldOut => "soldout",
            Self::Paused => "paused",
            Self::Fenced => "fenced",
            Self::Ended => "ended",
            Self::Closed => "closed",
        }
    }
}

// === impl Sale ===

impl Sale {
    /// What the operator set.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// All units.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Units that can be had.
    #[must_use]
    pub const fn available(&self) -> u64 {
        self.available
    }

    /// Units that are held and not paid for.
    #[must_use]
    pub const fn held(&self) -> u64 {
        self.held
    }

    /// Units that are sold, those from before the sale among them.
    #[must_use]
    pub const fn sold(&self) -> u64 {
        self.sold
    }

    /// The last event.
    #[must_use]
    pub const fn head(&self) -> EventId {
        self.head
    }

    /// Up to where the broker has the events.
    #[must_use]
    pub const fn relayed(&self) -> EventId {
        self.relayed
    }

    /// Up to where MySQL has the events.
    #[must_use]
    pub const fn stored(&self) -> EventId {
        self.stored
    }

    /// The kept events.
    #[must_use]
    pub const fn log(&self) -> &Log {
        &self.log
    }

    /// How many reservations were ever granted.
    #[must_use]
    pub fn reservation_count(&self) -> usize {
        self.reservations.len()
    }

    /// What the sale is doing at `now_ms`.
    #[must_use]
    pub fn phase(&self, now_ms: u64) -> Phase {
        if self.closed {
            Phase::Closed
        } else if self.fenced {
            Phase::Fenced
        } else if self.paused {
            Phase::Paused
        } else if now_ms < self.options.start_ms {
            Phase::Waiting
        } else if self.has_ended(now_ms) {
            Phase::Ended
        } else if self.available == 0 {
            Phase::SoldOut
        } else {
            Phase::Open
        }
    }

    /// One reservation.
    #[must_use]
    pub fn reservation(&self, rid: ReservationId) -> Option<&Reservation> {
        self.reservations
            .find(rid)
            .map(|(_, reservation)| reservation)
    }

    /// All reservations of a buyer, whatever became of them, latest first.
    pub fn reservations_of(&self, uid: &str) -> impl Iterator<Item = &Reservation> {
        self.reservations.all_of(uid)
    }

    /// Whether MySQL has the order of a reservation.
    #[must_use]
    pub fn is_stored(&self, rid: ReservationId) -> bool {
        rid.0 <= self.stored
    }

    /// The events after `after`, at most `count` and of one epoch; `None` if there is none.
    #[must_use]
    pub fn events_after(&self, after: EventId, count: usize) -> Option<EventBatch> {
        let mut entries = self.log.after(after).peekable();
        let epoch = entries.peek()?.id.epoch;
        let events = entries
            .take(count)
            .take_while(|entry| entry.id.epoch == epoch)
            .filter_map(|entry| self.event(entry))
            .collect();
        Some(EventBatch { epoch, events })
    }

    /// Bytes that the sale takes, about.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.options.name.len()
            + self.reservations.heap_bytes()
            + self.log.heap_bytes()
    }

    pub(crate) const fn has_ended(&self, now_ms: u64) -> bool {
        self.options.end_ms != 0 && now_ms >= self.options.end_ms
    }

    fn event(&self, entry: &Entry) -> Option<Event> {
        let fact = match entry.fact {
            EntryFact::Opened { total, sold } => Fact::Opened {
                name: self.options.name.clone(),
                total,
                sold,
            },
            EntryFact::Accepted(position) => {
                let reservation = self.reservations.at(position)?;
                Fact::Accepted {
                    uid: reservation.uid.clone(),
                    qty: reservation.qty,
                    deadline: reservation.deadline_ms,
                }
            }
            EntryFact::Confirmed(position) => Fact::Confirmed {
                rid: self.reservations.at(position)?.rid,
            },
            EntryFact::Cancelled(position) => Fact::Cancelled {
                rid: self.reservations.at(position)?.rid,
            },
            EntryFact::Expired(position) => Fact::Expired {
                rid: self.reservations.at(position)?.rid,
            },
            EntryFact::Restocked(delta) => Fact::Restocked { delta },
            EntryFact::Closed => Fact::Closed,
            EntryFact::Epoch { previous } => Fact::Epoch { previous },
        };
        Some(Event {
            seq: entry.id.seq,
            at: entry.at_ms,
            fact,
        })
    }
}

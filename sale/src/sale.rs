//! A sale.

use crate::decide::Refusal;
use crate::log::{Entry, EntryFact, Log};
use crate::options::Options;
use crate::reservations::{Position, Reservation, Reservations};
use seckill_protocol::{Event, EventBatch, EventId, Fact, ReservationId, Token, UidRef};

/// The latest epoch: what a signed 64-bit reply still holds.
pub(crate) const EPOCH_MAX: u64 = i64::MAX.unsigned_abs();

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
    /// Acceptances that MySQL does not have yet. They are events, but not in `log`.
    pub(crate) accepted_pending: u64,
    pub(crate) relayed: EventId,
    pub(crate) stored: EventId,
    /// No hold lapses before this, Unix ms. It is the node's that lets them lapse: in no effect and no
    /// snapshot.
    pub(crate) released_from_ms: u64,
    /// What a snapshot has announced and not brought yet.
    pub(crate) missing: Missing,
}

/// Reservations and log entries that blocks of a snapshot still have to bring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) reservations: u64,
    pub(crate) entries: u64,
    /// A block was broken or did not fit. What it had does not come any more.
    pub(crate) is_lost: bool,
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

    /// Units that were sold before the sale was created: part of those sold, in no reservation.
    #[must_use]
    pub const fn sold_before(&self) -> u64 {
        self.sold_before
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

    /// How many events MySQL does not have yet.
    #[must_use]
    pub const fn events_pending(&self) -> u64 {
        self.accepted_pending + self.log.len() as u64
    }

    /// Whether all blocks of its snapshot are here and fit: always, but in the middle of loading and
    /// after loading has failed.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.missing.reservations == 0 && self.missing.entries == 0 && !self.missing.is_lost
    }

    /// Whether a node took over, and MySQL has not yet been seen to have what this copy has.
    #[must_use]
    pub const fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// How many acceptances MySQL does not have yet: reservations without an order.
    #[must_use]
    pub const fn acceptances_pending(&self) -> u64 {
        self.accepted_pending
    }

    /// How many reservations were ever granted.
    #[must_use]
    pub const fn reservation_count(&self) -> u32 {
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

    /// One reservation, if it is here.
    #[must_use]
    pub fn reservation(&self, rid: ReservationId) -> Option<Reservation<'_>> {
        self.reservations.at(self.reservations.find(rid)?)
    }

    /// One reservation.
    ///
    /// # Errors
    /// [`Refusal::NoReservation`]; where this copy may lack it, [`Refusal::Fenced`].
    pub fn granted(&self, rid: ReservationId) -> Result<Reservation<'_>, Refusal> {
        let missing = if self.fenced {
            Refusal::Fenced
        } else {
            Refusal::NoReservation
        };
        self.reservation(rid).ok_or(missing)
    }

    /// Whether a payment for a reservation came too late and is to be refunded.
    #[must_use]
    pub fn is_refund_due(&self, rid: ReservationId) -> bool {
        let position = self.reservations.find(rid);
        position.is_some_and(|position| self.reservations.is_refund_due(position))
    }

    /// All reservations of a buyer, whatever became of them, latest first.
    pub fn reservations_of(&self, uid: UidRef<'_>) -> impl Iterator<Item = Reservation<'_>> {
        self.reservations.all_of(uid)
    }

    /// All reservations in the order in which they came, from the `first` on. None ever goes, so
    /// whoever reads on from where he was misses none and meets none twice.
    pub fn reservations_from(&self, first: u32) -> impl Iterator<Item = Reservation<'_>> {
        let positions = first..self.reservations.len();
        positions.filter_map(|position| self.reservations.at(position))
    }

    /// When the first event after `after` was decided, of those that are kept, Unix ms.
    #[must_use]
    pub fn first_event_ms_after(&self, after: EventId) -> Option<u64> {
        match self.places_after(after.max(self.stored)).next()? {
            Place::Entry(entry) => Some(entry.at_ms),
            Place::Acceptance(_, position) => Some(self.reservations.at(position)?.at_ms),
        }
    }

    /// When the first acceptance that MySQL does not have yet was decided, Unix ms.
    #[must_use]
    pub fn first_unordered_ms(&self) -> Option<u64> {
        let first = self.reservations.granted_after(self.stored).next()?;
        Some(self.reservations.at(first)?.at_ms)
    }

    /// When there is a hold to release, Unix ms; `None` if there is none, or a fence holds them.
    #[must_use]
    pub fn next_release_ms(&self) -> Option<u64> {
        let (deadline_ms, _) = self.reservations.first_due().filter(|_| !self.fenced)?;
        Some(deadline_ms.max(self.released_from_ms))
    }

    /// Whether MySQL has the order of a reservation.
    #[must_use]
    pub fn is_stored(&self, rid: ReservationId) -> bool {
        rid.0 <= self.stored
    }

    /// The events after `after`, at most `count` and of one epoch; `None` if there is none.
    #[must_use]
    pub fn events_after(&self, after: EventId, count: usize) -> Option<EventBatch> {
        let mut places = self.places_after(after.max(self.stored)).peekable();
        let epoch = places.peek()?.id().epoch;
        let events = places
            .take(count)
            .take_while(|place| place.id().epoch == epoch)
            .filter_map(|place| self.event(&place))
            .collect();
        Some(EventBatch { epoch, events })
    }

    /// Where the events after `after` are kept: entries of the log and acceptances, in their order.
    pub(crate) fn places_after(&self, after: EventId) -> impl Iterator<Item = Place<'_>> {
        let mut entries = self.log.after(after).peekable();
        let accepted = self.reservations.granted_after(after);
        let mut accepted = accepted
            .filter_map(|position| Some((self.reservations.rid(position)?.0, position)))
            .peekable();
        std::iter::from_fn(move || {
            let entry_is_next = match (entries.peek(), accepted.peek()) {
                (Some(entry), Some((id, _))) => entry.id < *id,
                (entry, _) => entry.is_some(),
            };
            if entry_is_next {
                entries.next().map(Place::Entry)
            } else {
                accepted
                    .next()
                    .map(|(id, position)| Place::Acceptance(id, position))
            }
        })
    }

    /// Bytes that the sale takes, about.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.options.name.len()
            + self.reservations.heap_bytes()
            + self.log.heap_bytes()
    }

    /// Pieces of memory that the sale is made of, about: what freeing it costs. O(1).
    #[must_use]
    pub fn allocation_count(&self) -> usize {
        2 + self.reservations.allocation_count() + self.log.allocation_count()
    }

    /// Units of live reservations.
    pub(crate) const fn taken(&self) -> u64 {
        self.held + (self.sold - self.sold_before)
    }

    pub(crate) const fn has_ended(&self, now_ms: u64) -> bool {
        self.options.end_ms != 0 && now_ms >= self.options.end_ms
    }

    fn event(&self, place: &Place<'_>) -> Option<Event> {
        let rid = |position| self.reservations.rid(position);
        let (id, at, fact) = match place {
            Place::Acceptance(id, position) => {
                let reservation = self.reservations.at(*position)?;
                let fact = Fact::Accepted {
                    uid: reservation.uid.to_owned(),
                    qty: reservation.qty,
                    deadline: reservation.deadline_ms(),
                    token: reservation.token.and_then(|token| Token::new(token).ok()),
                };
                (*id, reservation.at_ms, fact)
            }
            Place::Entry(entry) => {
                let fact = match &entry.fact {
                    EntryFact::Opened(opened) => Fact::Opened {
                        name: opened.name.clone(),
                        total: opened.total,
                        sold: opened.sold,
                    },
                    EntryFact::Confirmed(position) => Fact::Confirmed {
                        rid: rid(*position)?,
                    },
                    EntryFact::Cancelled(position) => Fact::Cancelled {
                        rid: rid(*position)?,
                    },
                    EntryFact::Expired(position) => Fact::Expired {
                        rid: rid(*position)?,
                    },
                    EntryFact::Restocked(delta) => Fact::Restocked { delta: *delta },
                    EntryFact::Closed => Fact::Closed,
                    EntryFact::Epoch(previous) => Fact::Epoch {
                        previous: **previous,
                    },
                    EntryFact::LatePayment(position) => Fact::LatePayment {
                        rid: rid(*position)?,
                    },
                };
                (entry.id, entry.at_ms, fact)
            }
        };
        Some(Event {
            seq: id.seq,
            at,
            fact,
        })
    }
}

/// Where an event is kept.
pub(crate) enum Place<'a> {
    Entry(&'a Entry),
    /// An acceptance is its reservation.
    Acceptance(EventId, Position),
}

impl Place<'_> {
    pub(crate) const fn id(&self) -> EventId {
        match self {
            Self::Entry(entry) => entry.id,
            Self::Acceptance(id, _) => *id,
        }
    }
}

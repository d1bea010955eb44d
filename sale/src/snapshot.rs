//! A whole sale as blocks of bytes, for RDB files, rewritten AOFs and digests.
//!
//! The first block is the header, which says how many reservations and events follow; then come
//! the reservations, then the log, some hundred a block. Indexes are not saved, they are built again
//! from what is. Two sales with the same blocks are the same sale.

use crate::error::ApplyError;
use crate::log::{Entry, Log};
use crate::options::Options;
use crate::reservation::{Reservation, Reservations};
use crate::sale::Sale;
use seckill_protocol::EventId;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Reservations, or events, in a block: of the longest ids and tokens about 64 KiB.
const ITEMS_PER_BLOCK: usize = 200;

/// One block of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part<'a>(Content<'a>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Content<'a> {
    Header(Box<Header>),
    Reservations(Cow<'a, [Reservation]>),
    Log(Cow<'a, [Entry]>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    options: Options,
    paused: bool,
    closed: bool,
    fenced: bool,
    head: EventId,
    total: u64,
    available: u64,
    held: u64,
    sold: u64,
    sold_before: u64,
    relayed: EventId,
    stored: EventId,
    reservations: u64,
    events: u64,
}

// === impl Part ===

impl Part<'_> {
    /// How many reservations and events follow, if this is the first block.
    #[must_use]
    pub fn following(&self) -> Option<u64> {
        match &self.0 {
            Content::Header(header) => Some(header.reservations.saturating_add(header.events)),
            Content::Reservations(_) | Content::Log(_) => None,
        }
    }

    /// How many reservations or events this block holds.
    #[must_use]
    pub fn items(&self) -> usize {
        match &self.0 {
            Content::Header(_) => 0,
            Content::Reservations(list) => list.len(),
            Content::Log(list) => list.len(),
        }
    }
}

// === impl Sale ===

impl Sale {
    /// The sale's blocks, in the order in which they are to be restored.
    pub fn snapshot(&self) -> impl Iterator<Item = Part<'_>> {
        let header = Header {
            options: self.options.clone(),
            paused: self.paused,
            closed: self.closed,
            fenced: self.fenced,
            head: self.head,
            total: self.total,
            available: self.available,
            held: self.held,
            sold: self.sold,
            sold_before: self.sold_before,
            relayed: self.relayed,
            stored: self.stored,
            reservations: self.reservations.len() as u64,
            events: self.log.len() as u64,
        };
        let reservations = self.reservations.as_slice().chunks(ITEMS_PER_BLOCK);
        // The log is a ring: where it happens to wrap must not show in the blocks.
        let (first, second) = self.log.as_slices();
        let events = first.len() + second.len();
        let log = (0..events.div_ceil(ITEMS_PER_BLOCK)).map(move |block| {
            let items = first.iter().chain(second).skip(block * ITEMS_PER_BLOCK);
            items.take(ITEMS_PER_BLOCK).cloned().collect::<Vec<_>>()
        });
        std::iter::once(Content::Header(Box::new(header)))
            .chain(reservations.map(|list| Content::Reservations(Cow::Borrowed(list))))
            .chain(log.map(|list| Content::Log(Cow::Owned(list))))
            .map(Part)
    }

    /// Begins a sale from its first block.
    ///
    /// # Errors
    /// [`ApplyError::NotOpened`] if it is another block.
    pub fn from_snapshot(part: Part<'_>, seed: u64) -> Result<Self, ApplyError> {
        let Content::Header(header) = part.0 else {
            return Err(ApplyError::NotOpened);
        };
        Ok(Self {
            options: header.options,
            paused: header.paused,
            closed: header.closed,
            fenced: header.fenced,
            head: header.head,
            total: header.total,
            available: header.available,
            held: header.held,
            sold: header.sold,
            sold_before: header.sold_before,
            reservations: Reservations::new(seed),
            log: Log::default(),
            relayed: header.relayed,
            stored: header.stored,
        })
    }

    /// Adds another block.
    ///
    /// # Errors
    /// [`ApplyError::AlreadyOpened`] for a first block; [`ApplyError::BadEffect`] if it is not the
    /// next one.
    pub fn restore(&mut self, part: Part<'_>) -> Result<(), ApplyError> {
        match part.0 {
            Content::Header(_) => Err(ApplyError::AlreadyOpened),
            Content::Reservations(list) => {
                for reservation in list.into_owned() {
                    if !self.reservations.push(reservation) {
                        return Err(ApplyError::BadEffect("snapshot.reservations"));
                    }
                }
                Ok(())
            }
            Content::Log(list) => {
                for entry in list.into_owned() {
                    self.log.push(entry);
                }
                Ok(())
            }
        }
    }
}

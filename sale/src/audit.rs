//! Counts everything again.

use crate::log::EntryFact;
use crate::sale::Sale;
use seckill_protocol::{EventId, ReservationState};

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// All units.
    pub total: u64,
    /// Units that can be had.
    pub available: u64,
    /// Units that are held.
    pub held: u64,
    /// Units that are sold.
    pub sold: u64,
    /// Reservations ever granted.
    pub reservations: usize,
}

/// What does not add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// Units were lost or made.
    #[error("total {total} is not available {available} + held {held} + sold {sold}")]
    Conservation {
        /// All units.
        total: u64,
        /// Units that can be had.
        available: u64,
        /// Units that are held.
        held: u64,
        /// Units that are sold.
        sold: u64,
    },
    /// The reservations hold another number of units than the sale says.
    #[error("held is {kept}, the reservations hold {counted}")]
    Held {
        /// What the sale says.
        kept: u64,
        /// What the reservations say.
        counted: u64,
    },
    /// The reservations sold another number of units than the sale says.
    #[error("sold is {kept}, the reservations and the units sold before make {counted}")]
    Sold {
        /// What the sale says.
        kept: u64,
        /// What the reservations say.
        counted: u64,
    },
    /// Another number of reservations is found by their buyers than there is.
    #[error(
        "{live} of {all} reservations are live, {indexed_live} of {indexed} are found by their buyers"
    )]
    Buyers {
        /// All.
        all: usize,
        /// Live ones.
        live: usize,
        /// Found ones.
        indexed: usize,
        /// Live ones found.
        indexed_live: usize,
    },
    /// A hold is not in the queue of deadlines.
    #[error("{held} holds are live, {queued} are in the queue of deadlines")]
    Deadlines {
        /// Live ones.
        held: usize,
        /// Queued ones.
        queued: usize,
    },
    /// The log has a hole, or does not end at the last event.
    #[error("event {found} follows event {previous} in the log")]
    Log {
        /// The event before the break.
        previous: EventId,
        /// The event after it.
        found: EventId,
    },
    /// An event names a reservation that is not there.
    #[error("event {0} names a reservation that is not there")]
    LogReservation(EventId),
    /// The cursors are out of order.
    #[error("cursors out of order: stored {stored}, relayed {relayed}, head {head}")]
    Cursors {
        /// In MySQL.
        stored: EventId,
        /// In the broker.
        relayed: EventId,
        /// The last event.
        head: EventId,
    },
}

impl Sale {
    /// Counts the sale again, from its reservations and its log. O(reservations).
    ///
    /// # Errors
    /// The first [`AuditError`].
    pub fn audit(&self) -> Result<Figures, AuditError> {
        self.audit_units()?;
        self.audit_indexes()?;
        self.audit_log()?;
        Ok(Figures {
            total: self.total,
            available: self.available,
            held: self.held,
            sold: self.sold,
            reservations: self.reservations.len(),
        })
    }

    fn audit_units(&self) -> Result<(), AuditError> {
        let sum = u128::from(self.available) + u128::from(self.held) + u128::from(self.sold);
        if sum != u128::from(self.total) {
            return Err(AuditError::Conservation {
                total: self.total,
                available: self.available,
                held: self.held,
                sold: self.sold,
            });
        }
        let units_in = |state| {
            let list = self.reservations.as_slice().iter();
            let qtys = list.filter(|r| r.state == state).map(|r| u64::from(r.qty));
            qtys.fold(0_u64, u64::saturating_add)
        };
        let counted = units_in(ReservationState::Held);
        if counted != self.held {
            return Err(AuditError::Held {
                kept: self.held,
                counted,
            });
        }
        let counted = units_in(ReservationState::Confirmed).saturating_add(self.sold_before);
        if counted != self.sold {
            return Err(AuditError::Sold {
                kept: self.sold,
                counted,
            });
        }
        Ok(())
    }

    fn audit_indexes(&self) -> Result<(), AuditError> {
        let list = self.reservations.as_slice();
        let live = list.iter().filter(|r| r.state.is_live()).count();
        let (indexed, indexed_live) = self.reservations.found_by_buyers();
        if (indexed, indexed_live) != (list.len(), live) {
            return Err(AuditError::Buyers {
                all: list.len(),
                live,
                indexed,
                indexed_live,
            });
        }
        let held = list
            .iter()
            .filter(|r| r.state == ReservationState::Held)
            .count();
        let queued = self.reservations.overdue(u64::MAX).count();
        if queued != held {
            return Err(AuditError::Deadlines { held, queued });
        }
        Ok(())
    }

    fn audit_log(&self) -> Result<(), AuditError> {
        if self.stored > self.relayed || self.relayed > self.head {
            return Err(AuditError::Cursors {
                stored: self.stored,
                relayed: self.relayed,
                head: self.head,
            });
        }
        let mut previous = self.stored;
        for entry in self.log.after(EventId::ZERO) {
            let found = entry.id;
            let next = EventId::new(previous.epoch, previous.seq.saturating_add(1));
            let opens_epoch = found.epoch > previous.epoch && found.seq == 1;
            if found != next && !opens_epoch {
                return Err(AuditError::Log { previous, found });
            }
            if let EntryFact::Accepted(position)
            | EntryFact::Confirmed(position)
            | EntryFact::Cancelled(position)
            | EntryFact::Expired(position) = entry.fact
                && self.reservations.at(position).is_none()
            {
                return Err(AuditError::LogReservation(found));
            }
            previous = found;
        }
        if previous != self.head {
            return Err(AuditError::Log {
                previous,
                found: self.head,
            });
        }
        Ok(())
    }
}

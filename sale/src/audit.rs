//! Counts everything again.

use crate::options::UNITS_MAX;
use crate::sale::{Place, Sale};
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
    pub reservations: u32,
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
        "{live} of {all} reservations are live, {found_live} of {found} are found by their buyers"
    )]
    Buyers {
        /// All.
        all: u64,
        /// Live ones.
        live: u64,
        /// Found ones.
        found: u64,
        /// Live ones found.
        found_live: u64,
    },
    /// What is known of a buyer's live units is not what his reservations say.
    #[error("the live units of {0} buyers are not what their reservations say")]
    LiveUnits(u64),
    /// A token does not lead to its reservation.
    #[error("the tokens of {0} reservations do not lead to them")]
    Tokens(u64),
    /// A hold is not in the queue of deadlines.
    #[error("{held} holds are live, {queued} are in the queue of deadlines")]
    Deadlines {
        /// Live ones.
        held: u64,
        /// Queued ones.
        queued: u64,
    },
    /// More units than a sale can have.
    #[error("total {0} is more than a sale can have")]
    Total(u64),
    /// The blocks of a snapshot have not all come, or one did not fit.
    #[error(
        "the sale is not complete: {reservations} reservations and {entries} events are missing, or a \
         block of them did not fit"
    )]
    Incomplete {
        /// Reservations that are missing.
        reservations: u64,
        /// Entries of the log that are missing.
        entries: u64,
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
        if !self.is_complete() {
            return Err(AuditError::Incomplete {
                reservations: self.missing.reservations,
                entries: self.missing.entries,
            });
        }
        self.audit_figures()?;
        self.audit_indexes()?;
        Ok(Figures {
            total: self.total,
            available: self.available,
            held: self.held,
            sold: self.sold,
            reservations: self.reservations.len(),
        })
    }

    /// What a sale that was just loaded may be wrong in; its indexes were just built.
    pub(crate) fn audit_figures(&self) -> Result<(), AuditError> {
        self.audit_units()?;
        self.audit_log()
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
        if self.total > UNITS_MAX {
            return Err(AuditError::Total(self.total));
        }
        let counted = self.reservations.units_in(ReservationState::Held);
        if counted != self.held {
            return Err(AuditError::Held {
                kept: self.held,
                counted,
            });
        }
        let confirmed = self.reservations.units_in(ReservationState::Confirmed);
        let counted = confirmed.saturating_add(self.sold_before);
        if counted != self.sold {
            return Err(AuditError::Sold {
                kept: self.sold,
                counted,
            });
        }
        Ok(())
    }

    fn audit_indexes(&self) -> Result<(), AuditError> {
        let recount = self.reservations.recount();
        if (recount.found, recount.found_live) != (recount.all, recount.live) {
            return Err(AuditError::Buyers {
                all: recount.all,
                live: recount.live,
                found: recount.found,
                found_live: recount.found_live,
            });
        }
        if recount.wrong_buyers > 0 {
            return Err(AuditError::LiveUnits(recount.wrong_buyers));
        }
        if recount.lost_tokens > 0 {
            return Err(AuditError::Tokens(recount.lost_tokens));
        }
        if recount.queued != recount.held {
            return Err(AuditError::Deadlines {
                held: recount.held,
                queued: recount.queued,
            });
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
        let mut count = 0;
        for place in self.places_after(EventId::ZERO.max(self.stored)) {
            let found = place.id();
            let begins_epoch = match &place {
                Place::Entry(entry) => {
                    let position = entry.fact.position();
                    if position.is_some_and(|p| self.reservations.state(p).is_none()) {
                        return Err(AuditError::LogReservation(found));
                    }
                    entry.fact.begins_epoch()
                }
                Place::Acceptance(..) => false,
            };
            let follows = previous.seq.checked_add(1) == Some(found.seq)
                && previous.epoch == found.epoch
                && (!begins_epoch || found.seq == 1);
            let opens = begins_epoch && found.epoch > previous.epoch && found.seq == 1;
            if !follows && !opens {
                return Err(AuditError::Log { previous, found });
            }
            previous = found;
            count += 1;
        }
        if previous != self.head || count != self.events_pending() {
            return Err(AuditError::Log {
                previous,
                found: self.head,
            });
        }
        Ok(())
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{Acceptance, Effect};
    use crate::log::{Entry, EntryFact};
    use crate::reservations::recount::tests::Lost;
    use seckill_protocol::{ReservationId, UidRef};

    const EPOCH: u64 = 7;

    fn at(seq: u64) -> EventId {
        EventId::new(EPOCH, seq)
    }

    /// Of nine units two are held, one is sold, and one was sold before.
    fn sale() -> Sale {
        let opened = Effect::Opened {
            epoch: EPOCH,
            at_ms: 1,
            options: Box::default(),
            total: 9,
            sold: 1,
            paused: false,
        };
        let mut sale = Sale::open(&opened, 1).unwrap();
        for (uid, qty) in [("u1", 2), ("u2", 1), ("u2", 3)] {
            let accepted = Effect::Accepted(Acceptance {
                at_ms: 2,
                uid: UidRef::new(uid.as_bytes()).unwrap(),
                qty,
                hold_ms: 5,
                token: Some(b"t"),
            });
            sale.apply(&accepted).unwrap();
        }
        let rid = |seq| ReservationId(at(seq));
        for effect in [
            Effect::Confirmed {
                at_ms: 3,
                rid: rid(3),
            },
            Effect::Cancelled {
                at_ms: 3,
                rid: rid(4),
            },
            Effect::Closed { at_ms: 4 },
        ] {
            sale.apply(&effect).unwrap();
        }
        sale.apply(&Effect::Stored(at(2))).unwrap();
        sale.apply(&Effect::Relayed(at(5))).unwrap();
        sale
    }

    /// What a broken sale is found out by.
    fn broken(damage: impl FnOnce(&mut Sale)) -> AuditError {
        let mut sale = sale();
        damage(&mut sale);
        sale.audit().unwrap_err()
    }

    #[test]
    fn a_sound_sale_is_counted() {
        let mut sale = sale();
        let figures = Figures {
            total: 9,
            available: 5,
            held: 2,
            sold: 2,
            reservations: 3,
        };
        assert_eq!(sale.audit(), Ok(figures));
        // As large as a sale can be, and with all that the log has in the broker and in MySQL.
        (sale.total, sale.available) = (UNITS_MAX, UNITS_MAX - 4);
        assert!(sale.audit().is_ok());
        for done in [Effect::Relayed(at(7)), Effect::Stored(at(7))] {
            sale.apply(&done).unwrap();
            assert!(sale.audit().is_ok());
        }
    }

    #[test]
    fn units_that_do_not_add_up_are_found() {
        assert!(matches!(
            broken(|sale| sale.available += 1),
            AuditError::Conservation { available: 6, .. }
        ));
        let larger = broken(|sale| {
            sale.total = UNITS_MAX + 1;
            sale.available = UNITS_MAX - 3;
        });
        assert_eq!(larger, AuditError::Total(UNITS_MAX + 1));
        let held = broken(|sale| {
            sale.held += 1;
            sale.available -= 1;
        });
        let (kept, counted) = (3, 2);
        assert_eq!(held, AuditError::Held { kept, counted });
        let sold = broken(|sale| sale.sold_before = 0);
        let (kept, counted) = (2, 1);
        assert_eq!(sold, AuditError::Sold { kept, counted });
    }

    #[test]
    fn an_index_that_lost_something_is_found() {
        let found = [Lost::Buyers, Lost::LiveUnits, Lost::Tokens, Lost::Deadlines]
            .map(|lost| broken(|sale| sale.reservations.lose(lost)));
        assert!(
            matches!(
                found,
                [
                    AuditError::Buyers {
                        all: 3,
                        live: 2,
                        found: 0,
                        found_live: 0
                    },
                    AuditError::LiveUnits(1),
                    AuditError::Tokens(3),
                    AuditError::Deadlines { held: 1, queued: 0 },
                ]
            ),
            "{found:?}"
        );
    }

    #[test]
    fn cursors_out_of_order_are_found() {
        for damage in [
            |sale: &mut Sale| sale.relayed = at(1),
            |sale: &mut Sale| sale.relayed = at(8),
        ] {
            assert!(matches!(broken(damage), AuditError::Cursors { .. }));
        }
    }

    #[test]
    fn a_log_with_a_hole_or_another_end_is_found() {
        let push = |id, fact| {
            move |sale: &mut Sale| {
                sale.log.push(Entry { id, at_ms: 9, fact });
            }
        };
        let log = |previous, found| AuditError::Log { previous, found };
        let beyond = at(8);
        assert_eq!(broken(|sale| sale.head = beyond), log(at(7), beyond));
        assert_eq!(broken(push(at(9), EntryFact::Closed)), log(at(7), at(9)));
        assert_eq!(
            broken(push(at(8), EntryFact::Closed)),
            log(at(8), at(7)),
            "more than the last event"
        );
        // An epoch begins with its first event, and with nothing else.
        let begins = || EntryFact::Epoch(Box::new(at(7)));
        for (id, fact) in [
            (at(8), begins()),
            (EventId::new(EPOCH + 1, 2), begins()),
            (EventId::new(EPOCH + 1, 1), EntryFact::Closed),
            (EventId::new(EPOCH + 1, 8), EntryFact::Closed),
        ] {
            assert_eq!(broken(push(id, fact)), log(at(7), id));
        }
        let mut sale = sale();
        let first = EventId::new(EPOCH + 1, 1);
        push(first, begins())(&mut sale);
        sale.head = first;
        assert!(sale.audit().is_ok());
        // One less is counted than there is.
        assert_eq!(broken(|sale| sale.accepted_pending -= 1), log(at(7), at(7)));
        let unknown = broken(push(at(8), EntryFact::Expired(3)));
        assert_eq!(unknown, AuditError::LogReservation(at(8)));
    }
}

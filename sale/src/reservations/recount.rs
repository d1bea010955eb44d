//! Counting again, reservation by reservation and without trusting an index.

use super::{Position, Reservations};
use seckill_protocol::ReservationState;

/// What is there, and what the indexes find of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recount {
    /// Reservations.
    pub(crate) all: u64,
    /// Those that are live.
    pub(crate) live: u64,
    /// Those that are held.
    pub(crate) held: u64,
    /// Those that are found by their buyers.
    pub(crate) found: u64,
    /// Live ones that are found by their buyers.
    pub(crate) found_live: u64,
    /// Buyers whose live units, or latest live reservation, are not what their reservations say.
    pub(crate) wrong_buyers: u64,
    /// Live holds in runs whose first one waits for its turn.
    pub(crate) queued: u64,
    /// Reservations that their token does not lead to, or to an older one of the same token.
    pub(crate) lost_tokens: u64,
}

impl Reservations {
    /// Units of all reservations in a state.
    pub(crate) fn units_in(&self, state: ReservationState) -> u64 {
        (0..self.len())
            .filter(|&position| self.state(position) == Some(state))
            .map(|position| u64::from(self.qty(position)))
            .fold(0, u64::saturating_add)
    }

    /// Counts the indexes again. O(reservations).
    pub(crate) fn recount(&self) -> Recount {
        let mut recount = Recount {
            queued: self.queued(),
            ..Recount::default()
        };
        for reservation in self.iter() {
            recount.all += 1;
            recount.live += u64::from(reservation.state.is_live());
            recount.held += u64::from(reservation.state == ReservationState::Held);
            if let Some(token) = reservation.token {
                let found = self.with_token(reservation.uid, token);
                let found = found.and_then(|position| self.at(position));
                recount.lost_tokens +=
                    u64::from(found.is_none_or(|found| found.token != Some(token)));
            }
        }
        for &latest in self.by_buyer.iter() {
            self.recount_buyer(latest, &mut recount);
        }
        recount
    }

    fn recount_buyer(&self, latest: Position, recount: &mut Recount) {
        let (mut units, mut latest_live) = (0_u64, None);
        let mut next = Some(latest);
        while let Some(position) = next {
            recount.found += 1;
            if self.is_live(position) {
                recount.found_live += 1;
                units = units.saturating_add(self.qty(position).into());
                latest_live = latest_live.or(Some(position));
            }
            // Older ones stand before newer ones, so this ends.
            next = self.records.links(position).map(|links| links.older);
            next = next.filter(|&older| older < position);
        }
        let known = (self.live_units(latest), self.latest_live(latest));
        recount.wrong_buyers += u64::from(known != (units, latest_live));
    }

    /// Live holds of the runs that wait for their turn with their first one.
    fn queued(&self) -> u64 {
        let runs = self.runs.as_slice();
        let mut turns = 0;
        let mut queued = 0;
        for (number, run) in runs.iter().enumerate() {
            let positions = run.first..self.runs.end(number, self.len());
            let held = |p: &Position| self.state(*p) == Some(ReservationState::Held);
            let first = positions.clone().find(held);
            let count = positions.filter(held).count();
            if first == Some(run.first_held) && count == run.held as usize {
                queued += count as u64;
                turns += 1;
            }
        }
        if turns == self.due.len() { queued } else { 0 }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::{Links, Reservation};
    use super::*;
    use crate::table::Table;
    use seckill_protocol::{ReservationId, UidRef};

    /// What an index can lose.
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Lost {
        Buyers,
        Tokens,
        Deadlines,
        LiveUnits,
    }

    impl Reservations {
        /// Breaks an index.
        pub(crate) fn lose(&mut self, lost: Lost) {
            match lost {
                Lost::Buyers => self.by_buyer = Table::new(),
                Lost::Tokens => self.by_token = Table::new(),
                Lost::Deadlines => self.due = super::super::Due::default(),
                Lost::LiveUnits => {
                    let latest = self.len() - 1;
                    let links = self.records.links(latest).unwrap();
                    let live_units = links.live_units + 1;
                    let links = Links {
                        live_units,
                        ..links
                    };
                    self.records.set_links(latest, links);
                }
            }
        }
    }

    pub(crate) fn held<'a>(seq: u64, uid: &'a str, token: Option<&'a [u8]>) -> Reservation<'a> {
        Reservation {
            rid: ReservationId::new(7, seq),
            uid: UidRef::new(uid.as_bytes()).unwrap(),
            qty: 2,
            state: ReservationState::Held,
            at_ms: 100,
            hold_ms: 50,
            token,
            restored: false,
        }
    }

    pub(crate) fn add(all: &mut Reservations, new: &Reservation<'_>) -> Option<Position> {
        all.add(all.buyer(new.uid), new)
    }

    fn some() -> Reservations {
        let mut all = Reservations::new(3);
        for (seq, uid, token) in [(2, "u1", Some(&b"t"[..])), (3, "u2", None), (4, "u3", None)] {
            add(&mut all, &held(seq, uid, token)).unwrap();
        }
        // Another run, because it is held for longer.
        let longer = Reservation {
            hold_ms: 60,
            ..held(5, "u1", Some(b"s"))
        };
        add(&mut all, &longer).unwrap();
        all.set_state(1, ReservationState::Cancelled);
        all.set_state(2, ReservationState::Confirmed);
        all
    }

    const RIGHT: Recount = Recount {
        all: 4,
        live: 3,
        held: 2,
        found: 4,
        found_live: 3,
        wrong_buyers: 0,
        queued: 2,
        lost_tokens: 0,
    };

    #[test]
    fn what_the_indexes_find_is_counted() {
        let all = some();
        assert_eq!(all.recount(), RIGHT);
        assert_eq!(all.units_in(ReservationState::Held), 4);
        assert_eq!(all.units_in(ReservationState::Cancelled), 2);
    }

    #[test]
    fn what_an_index_has_lost_is_missed() {
        for (lost, found) in [
            (
                Lost::Buyers,
                Recount {
                    found: 0,
                    found_live: 0,
                    ..RIGHT
                },
            ),
            (
                Lost::Tokens,
                Recount {
                    lost_tokens: 2,
                    ..RIGHT
                },
            ),
            (Lost::Deadlines, Recount { queued: 0, ..RIGHT }),
            (
                Lost::LiveUnits,
                Recount {
                    wrong_buyers: 1,
                    ..RIGHT
                },
            ),
        ] {
            let mut all = some();
            all.lose(lost);
            let expected = match lost {
                // Without the buyers nobody finds what their tokens lead to either.
                Lost::Buyers => Recount {
                    wrong_buyers: 0,
                    ..found
                },
                _ => found,
            };
            assert_eq!(all.recount(), expected, "{lost:?}");
        }
    }

    #[test]
    fn a_hold_that_does_not_wait_for_its_turn_is_missed() {
        let mut all = some();
        for (held, first_held) in [(2, 0), (0, 0), (1, 2)] {
            let run = all.runs.get_mut(0).unwrap();
            let before = *run;
            (run.held, run.first_held) = (held, first_held);
            assert!(all.recount().queued < 2, "{held} {first_held}");
            *all.runs.get_mut(0).unwrap() = before;
        }
        assert_eq!(all.recount(), RIGHT);
    }
}

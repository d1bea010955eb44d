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
            if count > 0 && first == Some(run.first_held) && count == run.held as usize {
                queued += count as u64;
                turns += 1;
            }
        }
        if turns == self.due.len() { queued } else { 0 }
    }
}

//! What a reservation and its order, both as of one place in the log, have to do with each other.
//! Pure.
//!
//! The module decides who gets what, and how a reservation ends; so an order that lags behind it
//! follows. Where an order says more than the module, somebody may have changed it on purpose, or
//! the module may have lost something: that is for a person.

use super::plan::{Difference, Step};
use crate::gate::Reservation;
use crate::orders::{Status, StockId, literal};
use seckill_protocol::{EventId, ReservationState};

/// An order as it is in MySQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OrderRow {
    pub(super) uid: String,
    pub(super) qty: u32,
    pub(super) status: Status,
}

/// How the sale is called in the commands for a person.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) id: StockId,
    /// The key in Redis.
    pub(super) key: String,
}

/// What else MySQL says of a reservation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Noted {
    /// A row of `stock_refusal` waits for the worker.
    pub(super) owed: bool,
    /// A row of `stock_refund` says that its payment goes back.
    pub(super) refund: bool,
}

/// What differs, if anything does.
pub(super) fn judge(
    names: &Names,
    rid: EventId,
    reservation: Option<&Reservation>,
    order: Option<&OrderRow>,
    noted: Noted,
) -> Option<Difference> {
    match (reservation, order) {
        (None, None) => None,
        (Some(reservation), None) => Some(missing(reservation)),
        (None, Some(order)) => Some(names.undecided(rid, order)),
        (Some(reservation), Some(order)) => names.compare(reservation, order, noted),
    }
}

fn missing(reservation: &Reservation) -> Difference {
    let Reservation {
        rid,
        uid,
        qty,
        state,
        ..
    } = reservation;
    let what = format!(
        "reservation {rid} has no order: {uid}, {}, {state}",
        units(*qty)
    );
    Difference::step(what, Step::InsertOrder(Box::new(reservation.clone())))
}

// === impl Names ===

impl Names {
    fn compare(
        &self,
        reservation: &Reservation,
        order: &OrderRow,
        noted: Noted,
    ) -> Option<Difference> {
        let Reservation {
            rid,
            uid,
            qty,
            state,
            ..
        } = reservation;
        if (uid, qty) != (&order.uid, &order.qty) {
            let what = format!(
                "order {rid} differs from its reservation: {uid} has {} in the module, {} has {} \
                 in MySQL",
                units(*qty),
                order.uid,
                units(order.qty)
            );
            let set = format!("SET uid = {}, qty = {qty}", literal(uid));
            let command = format!(
                "if nobody changed it on purpose: {}",
                self.update(*rid, &set)
            );
            return Some(Difference::person(what, [command]));
        }
        if status_of(*state) == order.status {
            return None;
        }
        let what = format!(
            "order {rid} ({uid}, {}) is {}, its reservation is {state}",
            units(*qty),
            order.status
        );
        let follow = || {
            let step = Step::MoveOrder {
                rid: *rid,
                qty: *qty,
                from: order.status,
                to: status_of(*state),
            };
            Some(Difference::step(what.clone(), step))
        };
        match (order.status, state) {
            (Status::Refused, ReservationState::Cancelled | ReservationState::Expired) => None,
            // The worker is about to cancel it, or will be: see the rows of stock_refusal.
            (Status::Refused, ReservationState::Held) if noted.owed => None,
            // The shop knows of it.
            (Status::Refused, ReservationState::Confirmed) if noted.refund => None,
            (Status::Refused, ReservationState::Held) => {
                Some(Difference::step(what, Step::CancelRefused { rid: *rid }))
            }
            (Status::Refused, ReservationState::Confirmed) => {
                let refund = "it was paid for and MySQL had no units: refund the buyer".to_owned();
                let sold = format!(
                    "or add units to the stock row and: {}",
                    self.update(*rid, "SET status = 'confirmed'")
                );
                Some(Difference::person(what, [refund, sold]))
            }
            (Status::Held, _) | (Status::Expired, ReservationState::Confirmed) => follow(),
            // Both are over, and hold no units.
            (
                Status::Cancelled | Status::Expired,
                ReservationState::Cancelled | ReservationState::Expired,
            ) => follow(),
            (Status::Confirmed, ReservationState::Held) => {
                let confirm = format!(
                    "if it is paid for: SECKILL.CONFIRM {} {rid}{}",
                    self.key,
                    until(reservation)
                );
                let back = format!("if not: {}", self.update(*rid, "SET status = 'held'"));
                Some(Difference::person(what, [confirm, back]))
            }
            (Status::Cancelled | Status::Expired, ReservationState::Held) => {
                let cancel = format!("if it is given up: SECKILL.CANCEL {} {rid}", self.key);
                let back = format!("if not: {}", self.update(*rid, "SET status = 'held'"));
                Some(Difference::person(what, [cancel, back]))
            }
            _ => {
                let set = format!("SET status = '{}'", status_of(*state));
                let command = format!("to believe the module: {}", self.update(*rid, &set));
                Some(Difference::person(what, [command]))
            }
        }
    }

    fn undecided(&self, rid: EventId, order: &OrderRow) -> Difference {
        let Self { id, .. } = self;
        let EventId { epoch, seq } = rid;
        let what = format!(
            "order {rid} ({}, {}, {}) has no reservation in the module",
            order.uid,
            units(order.qty),
            order.status
        );
        let recover = format!("if the module lost it: seckill-worker recover {id}");
        let delete = format!(
            "if nobody was promised it: DELETE FROM stock_order WHERE sid = {id} AND epoch = \
             {epoch} AND seq = {seq}"
        );
        Difference::person(what, [recover, delete])
    }

    fn update(&self, rid: EventId, set: &str) -> String {
        let (id, EventId { epoch, seq }) = (self.id, rid);
        format!("UPDATE stock_order {set} WHERE sid = {id} AND epoch = {epoch} AND seq = {seq}")
    }
}

/// The status of an order that follows its reservation.
pub(super) const fn status_of(state: ReservationState) -> Status {
    match state {
        ReservationState::Held => Status::Held,
        ReservationState::Confirmed => Status::Confirmed,
        ReservationState::Cancelled => Status::Cancelled,
        ReservationState::Expired => Status::Expired,
    }
}

/// Whether the order's units count as sold.
pub(super) const fn is_live(status: Status) -> bool {
    matches!(status, Status::Held | Status::Confirmed)
}

fn until(reservation: &Reservation) -> String {
    reservation
        .deadline_ms
        .map_or_else(String::new, |ms| format!(", before its hold ends at {ms}"))
}

pub(super) fn units(count: u32) -> String {
    match count {
        1 => "1 unit".to_owned(),
        _ => format!("{count} units"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::Mend;
    use super::*;

    const RID: EventId = EventId::new(9, 5);
    const NONE: Noted = Noted {
        owed: false,
        refund: false,
    };

    fn reservation(state: ReservationState) -> Reservation {
        Reservation {
            rid: RID,
            uid: "u7".to_owned(),
            qty: 2,
            state,
            at_ms: 1,
            deadline_ms: Some(7),
            token: None,
        }
    }

    fn order(status: Status) -> OrderRow {
        OrderRow {
            uid: "u7".to_owned(),
            qty: 2,
            status,
        }
    }

    fn judged(
        reservation: Option<&Reservation>,
        order: Option<&OrderRow>,
        noted: Noted,
    ) -> Option<Mend> {
        let names = Names {
            id: StockId(1001),
            key: "sale:1001".to_owned(),
        };
        judge(&names, RID, reservation, order, noted).map(|difference| difference.mend)
    }

    #[test]
    fn an_order_follows_its_reservation_and_never_the_other_way_round() {
        use ReservationState as State;
        let moves = |from, to| {
            let (rid, qty) = (RID, 2);
            let step = Step::MoveOrder { rid, qty, from, to };
            Some(Mend::Step(step))
        };
        for (status, state, expected) in [
            (Status::Held, State::Held, None),
            (
                Status::Held,
                State::Confirmed,
                moves(Status::Held, Status::Confirmed),
            ),
            (
                Status::Held,
                State::Expired,
                moves(Status::Held, Status::Expired),
            ),
            (
                Status::Held,
                State::Cancelled,
                moves(Status::Held, Status::Cancelled),
            ),
            (
                Status::Expired,
                State::Confirmed,
                moves(Status::Expired, Status::Confirmed),
            ),
            (
                Status::Cancelled,
                State::Expired,
                moves(Status::Cancelled, Status::Expired),
            ),
            (Status::Refused, State::Cancelled, None),
            (Status::Refused, State::Expired, None),
            (
                Status::Refused,
                State::Held,
                Some(Mend::Step(Step::CancelRefused { rid: RID })),
            ),
        ] {
            let found = judged(Some(&reservation(state)), Some(&order(status)), NONE);
            assert_eq!(found, expected, "{status} in MySQL, {state} in the module");
        }
    }

    #[test]
    fn where_mysql_says_more_than_the_module_a_person_decides() {
        use ReservationState as State;
        for (status, state) in [
            (Status::Confirmed, State::Held),
            (Status::Confirmed, State::Cancelled),
            (Status::Confirmed, State::Expired),
            (Status::Cancelled, State::Held),
            (Status::Cancelled, State::Confirmed),
            (Status::Expired, State::Held),
            (Status::Refused, State::Confirmed),
        ] {
            let found = judged(Some(&reservation(state)), Some(&order(status)), NONE);
            assert!(
                matches!(&found, Some(Mend::Person(commands)) if !commands.is_empty()),
                "{status} in MySQL, {state} in the module: {found:?}"
            );
        }
    }

    #[test]
    fn a_refusal_that_is_owed_is_on_its_way_and_a_payment_that_goes_back_is_known() {
        let owed = Noted { owed: true, ..NONE };
        let refund = Noted {
            refund: true,
            ..NONE
        };
        let paid = reservation(ReservationState::Confirmed);
        assert_eq!(
            judged(Some(&paid), Some(&order(Status::Refused)), refund),
            None
        );
        let held = reservation(ReservationState::Held);
        assert_eq!(
            judged(Some(&held), Some(&order(Status::Refused)), owed),
            None
        );
    }

    #[test]
    fn a_buyer_without_an_order_gets_it_and_an_order_without_a_decision_is_shown() {
        let held = reservation(ReservationState::Held);
        assert_eq!(
            judged(Some(&held), None, NONE),
            Some(Mend::Step(Step::InsertOrder(Box::new(held.clone()))))
        );
        assert!(matches!(
            judged(None, Some(&order(Status::Held)), NONE),
            Some(Mend::Person(_))
        ));
        assert_eq!(judged(None, None, NONE), None);
    }

    #[test]
    fn another_buyer_or_another_number_of_units_is_for_a_person() {
        let held = reservation(ReservationState::Held);
        let other = OrderRow {
            qty: 3,
            ..order(Status::Held)
        };
        assert!(matches!(
            judged(Some(&held), Some(&other), NONE),
            Some(Mend::Person(_))
        ));
        let other = OrderRow {
            uid: "u'8".to_owned(),
            ..order(Status::Held)
        };
        assert!(matches!(
            judged(Some(&held), Some(&other), NONE),
            Some(Mend::Person(_))
        ));
        assert_eq!(literal("u'8"), "_utf8mb4 x'752738'");
    }
}

//! Everything that was seen, by reservation, and what each source says of one.

use crate::event::{Fact, Step};
use crate::ledger::Ledger;
use crate::place::Place;
use crate::record::{Answer, Call, Op};
use crate::report::{Case, Source};
use crate::seen::{Module, Moved, Order, Reservation, Seen, Status};
use crate::setting::Setting;
use std::collections::{BTreeMap, HashMap};

/// What is known of a reservation's beginning, whoever says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision<'a> {
    pub(crate) uid: &'a str,
    pub(crate) qty: i64,
    pub(crate) deadline: Option<u64>,
    pub(crate) token: Option<&'a str>,
}

/// What was seen, with indexes.
pub(crate) struct View<'a> {
    pub(crate) seen: &'a Seen,
    pub(crate) ledger: &'a Ledger,
    pub(crate) setting: &'a Setting,
    orders: HashMap<Place, Vec<&'a Order>>,
    reservations: HashMap<Place, &'a Reservation>,
    history: HashMap<Place, Vec<&'a Moved>>,
    /// The calls that speak of a reservation, in their question or in their answer.
    calls: BTreeMap<Place, Vec<&'a Call>>,
}

// === impl View ===

impl<'a> View<'a> {
    pub(crate) fn new(seen: &'a Seen, ledger: &'a Ledger, setting: &'a Setting) -> Self {
        let mut view = Self {
            seen,
            ledger,
            setting,
            orders: HashMap::new(),
            reservations: HashMap::new(),
            history: HashMap::new(),
            calls: BTreeMap::new(),
        };
        for order in &seen.books.orders {
            if let Some(rid) = order.rid {
                view.orders.entry(rid).or_default().push(order);
            }
        }
        for reservation in seen.module.iter().flat_map(|module| &module.reservations) {
            view.reservations.insert(reservation.rid, reservation);
        }
        for moved in &seen.books.history {
            view.history.entry(moved.rid).or_default().push(moved);
        }
        for call in seen.calls.iter().flatten() {
            if let Some(rid) = call.rid().and_then(|rid| rid.parse().ok()) {
                view.calls.entry(rid).or_default().push(call);
            }
        }
        view
    }

    /// The orders of a reservation; one, if all is well.
    pub(crate) fn orders(&self, rid: Place) -> &[&'a Order] {
        self.orders.get(&rid).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn reservation(&self, rid: Place) -> Option<&'a Reservation> {
        self.reservations.get(&rid).copied()
    }

    /// What `stock_order_event` has of a reservation.
    pub(crate) fn history(&self, rid: Place) -> &[&'a Moved] {
        self.history.get(&rid).map_or(&[], Vec::as_slice)
    }

    /// The calls that speak of a reservation.
    pub(crate) fn calls(&self, rid: Place) -> &[&'a Call] {
        self.calls.get(&rid).map_or(&[], Vec::as_slice)
    }

    /// All calls, if clients kept records.
    pub(crate) fn all_calls(&self) -> impl Iterator<Item = &'a Call> {
        self.seen.calls.iter().flatten()
    }

    /// MySQL took no row for it, and has refused it.
    pub(crate) fn is_rowless(&self, rid: Place) -> bool {
        self.history(rid)
            .iter()
            .any(|moved| moved.rowless.is_some())
    }

    /// How a reservation began: from the log, or where that is not known, from the module.
    pub(crate) fn decision(&self, rid: Place) -> Option<Decision<'a>> {
        if self.ledger.is_whole {
            let acceptance = &self.ledger.lives.get(&rid)?.acceptance;
            return Some(Decision {
                uid: &acceptance.uid,
                qty: acceptance.qty,
                deadline: acceptance.deadline,
                token: acceptance.token.as_deref(),
            });
        }
        self.reservation(rid).map(Decision::of)
    }

    /// All reservations that were decided. Where neither a log nor a module tells, MySQL's orders do.
    pub(crate) fn decided(&self) -> Vec<Place> {
        let mut all: Vec<Place> = match (self.ledger.is_whole, &self.seen.module) {
            (true, _) => self.ledger.lives.keys().copied().collect(),
            (false, Some(_)) => self.reservations.keys().copied().collect(),
            (false, None) => self.orders.keys().copied().collect(),
        };
        all.sort_unstable();
        all
    }

    /// Where a reservation stands by the best witness: the log, the module, or else MySQL.
    pub(crate) fn status(&self, rid: Place) -> Option<Status> {
        match self.ledger.lives.get(&rid) {
            Some(life) => Some(life.status()),
            None => self
                .reservation(rid)
                .map(|reservation| reservation.status)
                .or_else(|| Some(self.orders(rid).first()?.status)),
        }
    }

    /// Whether it has not come to MySQL yet.
    pub(crate) fn is_on_its_way(&self, place: Place) -> bool {
        self.seen.books.cursor.unwrap_or_default() < place
    }

    /// Whether what happened at this place was lost with a primary. Where the log is not known, what
    /// nobody has of an earlier epoch may have been.
    pub(crate) fn was_lost(&self, place: Place) -> bool {
        if self.ledger.is_whole {
            return self.ledger.was_lost(place);
        }
        let is_earlier = self.epoch().is_some_and(|epoch| place.epoch < epoch);
        is_earlier && self.reservation(place).is_none()
    }

    /// The epoch that the sale is in.
    pub(crate) fn epoch(&self) -> Option<u64> {
        let logged = self.ledger.bounds.keys().next_back().copied();
        let module = self.seen.module.as_ref();
        logged.or_else(|| Some(module?.info.head.epoch))
    }

    /// The module, if what was read of it is of one instant.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn module(&self) -> Result<&'a Module, String> {
        match &self.seen.module {
            None => Err(format!("the module has no sale {}", self.seen.sid)),
            Some(module) if module.is_moving => {
                Err("the sale changed while it was read".to_owned())
            }
            Some(module) => Ok(module),
        }
    }

    /// Why the log is not known.
    pub(crate) fn why_no_log(&self) -> String {
        match &self.seen.topic {
            None => "there is no topic".to_owned(),
            Some(topic) => {
                let cut = topic.cut.iter().map(|(partition, low)| {
                    format!("partition {partition} of {} begins at {low}", topic.name)
                });
                let cut: Vec<String> = cut.collect();
                cut.join(", ")
            }
        }
    }

    /// A case of a reservation, with what each source says of it.
    pub(crate) fn case(&self, rid: Place, what: impl Into<String>) -> Case {
        let mut case = Case::new(what);
        case.rid = Some(rid);
        case.uid = self.buyer(rid);
        for call in self.calls(rid) {
            case = case.says(Source::Clients, call.to_string());
        }
        if self.seen.calls.is_some() && self.calls(rid).is_empty() {
            case = case.says(Source::Clients, "nobody was told of it");
        }
        if self.seen.topic.is_some() {
            case = case.says(Source::Kafka, self.log_says(rid));
        }
        case.says(Source::MySql, self.mysql_says(rid))
            .says(Source::Module, self.module_says(rid))
    }

    fn buyer(&self, rid: Place) -> Option<String> {
        let told = || self.calls(rid).first().map(|call| call.uid.clone());
        let decided = self.decision(rid).map(|decision| decision.uid.to_owned());
        let ordered = || self.orders(rid).first().and_then(|order| order.uid.clone());
        decided.or_else(ordered).or_else(told)
    }

    fn log_says(&self, rid: Place) -> String {
        let steps = self.ledger.lives.get(&rid).map(|life| {
            let steps = life.steps.iter();
            steps.map(|(place, at, step)| format!("; {place} {step} at {at}"))
        });
        match self.ledger.known.get(&rid) {
            None => "no such event".to_owned(),
            Some(event) if self.was_lost(rid) => {
                format!("{}, and lost with its primary", event.fact)
            }
            Some(event) => {
                let steps: String = steps.into_iter().flatten().collect();
                format!("{} at {}{steps}", event.fact, event.at)
            }
        }
    }

    fn mysql_says(&self, rid: Place) -> String {
        let orders = self.orders(rid).iter().map(ToString::to_string);
        let orders: Vec<String> = orders.collect();
        if !orders.is_empty() {
            return orders.join("; ");
        }
        if self.is_rowless(rid) {
            return "no order, and why in stock_order_event".to_owned();
        }
        match self.seen.books.cursor {
            Some(cursor) => format!("no order, and all events up to {cursor} are applied"),
            None => "no order, and no event was applied".to_owned(),
        }
    }

    fn module_says(&self, rid: Place) -> String {
        match (self.reservation(rid), &self.seen.module) {
            (Some(reservation), _) => reservation.to_string(),
            (None, Some(_)) => "no such reservation".to_owned(),
            (None, None) => "no such sale".to_owned(),
        }
    }

    /// Whether the log has a step of a reservation that no node has forgotten.
    pub(crate) fn has_step(&self, rid: Place, step: Step) -> bool {
        self.ledger
            .lives
            .get(&rid)
            .is_some_and(|life| life.has(step))
    }

    /// The acceptances that are on the topic and were lost with their primary.
    pub(crate) fn lost(&self) -> impl Iterator<Item = Place> {
        self.ledger.known.values().filter_map(|event| {
            let is_lost =
                matches!(event.fact, Fact::Accepted(_)) && self.ledger.was_lost(event.place);
            is_lost.then_some(event.place)
        })
    }
}

// === impl Decision ===

impl<'a> Decision<'a> {
    pub(crate) fn of(reservation: &'a Reservation) -> Self {
        Self {
            uid: &reservation.uid,
            qty: reservation.qty,
            deadline: reservation.deadline,
            token: reservation.token.as_deref(),
        }
    }
}

// === impl Call ===

impl Call {
    /// The reservation that the call speaks of, as it was spelled.
    pub(crate) fn rid(&self) -> Option<&str> {
        match (&self.op, &self.answer) {
            (Op::Confirm { rid } | Op::Cancel { rid }, _) => Some(rid),
            (_, Some((_, answer))) => answer.rid(),
            (Op::Try { .. }, None) => None,
        }
    }

    /// What was told; `None`: nobody knows whether it was done.
    pub(crate) fn told(&self) -> Option<&Answer> {
        match &self.answer {
            None | Some((_, Answer::Unknown { .. })) => None,
            Some((_, answer)) => Some(answer),
        }
    }
}

// === impl Answer ===

impl Answer {
    /// The reservation that it grants.
    pub(crate) fn rid(&self) -> Option<&str> {
        match self {
            Self::Accepted { rid } | Self::Duplicate { rid } => Some(rid),
            _ => None,
        }
    }
}

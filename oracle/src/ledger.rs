//! What the log of a sale comes to: an own fold over the events on the topic and those that the
//! module still keeps.
//!
//! A node that takes over begins an epoch, which names the last event that its copy has. What the
//! epochs before have after that place was lost with the primary: it may lie on the topic, and
//! counts for nothing. (`recover` moves the place on to MySQL's, and the event is sent again: the
//! latest word counts.) So the history that counts is read backwards, from the module's epoch
//! through all `previous`.

use crate::event::{Acceptance, Event, Fact, Step};
use crate::place::Place;
use crate::seen::{Seen, Status};
use std::collections::BTreeMap;

/// What the log comes to.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Whether the log is known from the first event on.
    pub(crate) is_whole: bool,
    /// Every event that was seen, once.
    pub(crate) known: BTreeMap<Place, Event>,
    /// The epochs that count, and the last number of each that does.
    pub(crate) bounds: BTreeMap<u64, u64>,
    /// What was lost with a primary: after the first place, and before the epoch.
    gaps: Vec<(Place, u64)>,
    /// What became of each reservation.
    pub(crate) lives: BTreeMap<Place, Life>,
    /// Steps that cannot follow what was before: the event, the reservation, and why.
    pub(crate) impossible: Vec<(Place, Place, String)>,
    /// The event that opened the present sale, with its units.
    pub(crate) opened: Option<Opened>,
    /// When nodes took over, by the module's clock.
    pub(crate) takeovers: Vec<u64>,
    /// How many units were available from an instant on; each event that changed it.
    pub(crate) available: Vec<(u64, i64)>,
    /// All units after the last event.
    pub(crate) total: i64,
    /// The last event.
    pub(crate) head: Option<Place>,
}

/// How a sale began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    pub(crate) place: Place,
    pub(crate) sold: i64,
}

/// The life of a reservation.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) acceptance: Acceptance,
    pub(crate) steps: Vec<(Place, u64, Step)>,
}

// === impl Ledger ===

impl Ledger {
    pub(crate) fn of(seen: &Seen) -> Self {
        let mut ledger = Self {
            is_whole: is_whole(seen),
            ..Self::default()
        };
        if !ledger.is_whole {
            return ledger;
        }
        let messages = seen.topic.iter().flat_map(|topic| &topic.messages);
        let events = messages.flat_map(|message| message.events.iter().flatten());
        for event in events.chain(seen.module.iter().flat_map(|module| &module.log)) {
            ledger.learn(event);
        }
        let epoch = match (&seen.module, seen.books.cursor) {
            (Some(module), _) => Some(module.info.head.epoch),
            (None, Some(cursor)) => Some(cursor.epoch),
            (None, None) => None,
        };
        let last = ledger.known.keys().next_back().map(|place| place.epoch);
        if let Some(epoch) = epoch.filter(|epoch| *epoch > 0).or(last) {
            ledger.find_bounds(epoch);
        }
        ledger.fold();
        ledger
    }

    /// Of an event that was sent several times the first counts. The beginning of an epoch may say
    /// more the second time.
    fn learn(&mut self, event: &Event) {
        let known = self
            .known
            .entry(event.place)
            .or_insert_with(|| event.clone());
        let previous = |event: &Event| match event.fact {
            Fact::Epoch { previous } => Some(previous),
            _ => None,
        };
        if known.fact.begins_epoch() && previous(event) > previous(known) {
            *known = event.clone();
        }
    }

    fn find_bounds(&mut self, mut epoch: u64) {
        let mut bound = u64::MAX;
        loop {
            self.bounds.insert(epoch, bound);
            let first = self.known.get(&Place::new(epoch, 1));
            match first.map(|event| &event.fact) {
                Some(Fact::Epoch { previous }) if previous.epoch < epoch => {
                    self.gaps.push((*previous, epoch));
                    (epoch, bound) = (previous.epoch, previous.seq);
                }
                // Before it there may have been another sale of the same stock row.
                Some(Fact::Opened { .. }) => {
                    let before = self.known.range(..Place::new(epoch, 0)).next_back();
                    let Some((place, _)) = before else { return };
                    (epoch, bound) = (place.epoch, u64::MAX);
                }
                _ => return,
            }
        }
    }

    /// Whether an event of this place is part of the history that counts.
    pub(crate) fn counts(&self, place: Place) -> bool {
        self.bounds
            .get(&place.epoch)
            .is_some_and(|bound| place.seq <= *bound)
    }

    /// Whether what happened at this place was lost with a primary: a node took over whose copy
    /// did not have it.
    pub(crate) fn was_lost(&self, place: Place) -> bool {
        self.gaps
            .iter()
            .any(|(previous, epoch)| *previous < place && place.epoch < *epoch)
    }

    fn fold(&mut self) {
        let events: Vec<Event> = self
            .known
            .values()
            .filter(|event| self.counts(event.place))
            .cloned()
            .collect();
        for event in &events {
            self.head = Some(event.place);
            let before = self.available.last().map_or(0, |(_, units)| *units);
            let after = match &event.fact {
                Fact::Opened { total, sold } => {
                    self.opened = Some(Opened {
                        place: event.place,
                        sold: *sold,
                    });
                    self.total = *total;
                    total - sold
                }
                Fact::Epoch { .. } => {
                    self.takeovers.push(event.at);
                    continue;
                }
                Fact::Closed => continue,
                Fact::Restocked { delta } => {
                    self.total += delta;
                    before + delta
                }
                Fact::Accepted(acceptance) => {
                    let acceptance = acceptance.clone();
                    let qty = acceptance.qty;
                    let steps = Vec::new();
                    self.lives.insert(event.place, Life { acceptance, steps });
                    before - qty
                }
                Fact::Step { rid, step } => before + self.step(event, *rid, *step),
            };
            self.available.push((event.at, after));
        }
    }

    /// The units that come back by a step.
    fn step(&mut self, event: &Event, rid: Place, step: Step) -> i64 {
        let Some(life) = self.lives.get_mut(&rid) else {
            let what = format!("{step}, and nobody was granted it");
            self.impossible.push((event.place, rid, what));
            return 0;
        };
        let before = life.status();
        if !life.may(event.place, step) {
            let what = format!("{step}, and it was {before}");
            self.impossible.push((event.place, rid, what));
        }
        life.steps.push((event.place, event.at, step));
        let qty = life.acceptance.qty;
        match (before.is_live(), life.status().is_live()) {
            (true, false) => qty,
            (false, true) => -qty,
            _ => 0,
        }
    }
}

/// Whether the log is known from its first event on: there is a topic, and the broker has not
/// deleted the beginning of the sale's partition.
fn is_whole(seen: &Seen) -> bool {
    let Some(topic) = &seen.topic else {
        return false;
    };
    let mut cut = topic.cut.iter().map(|(partition, _)| *partition);
    match topic.messages.first() {
        None => cut.next().is_none(),
        Some(_) => !cut.any(|cut| topic.messages.iter().any(|one| one.partition == cut)),
    }
}

// === impl Life ===

impl Life {
    /// Where it stands after all its steps.
    pub(crate) fn status(&self) -> Status {
        self.status_at(Place::new(u64::MAX, u64::MAX))
    }

    /// Where it stood after an event.
    pub(crate) fn status_at(&self, place: Place) -> Status {
        let first = match self.acceptance.deadline {
            Some(_) => Status::Held,
            None => Status::Confirmed,
        };
        let steps = self.steps.iter().filter(|(event, ..)| *event <= place);
        steps.fold(first, |status, (_, _, step)| match step {
            Step::Confirmed => Status::Confirmed,
            Step::Cancelled => Status::Cancelled,
            Step::Expired => Status::Expired,
            Step::LatePayment => status,
        })
    }

    /// Whether it has taken a step.
    pub(crate) fn has(&self, wanted: Step) -> bool {
        self.steps.iter().any(|(_, _, step)| *step == wanted)
    }

    fn may(&self, event: Place, step: Step) -> bool {
        let status = self.status();
        // A node that lacked the step took it again: it was put back, and both are in the log.
        let again = self
            .steps
            .iter()
            .any(|(earlier, _, taken)| *taken == step && earlier.epoch < event.epoch);
        again
            || match step {
                // What is to be refunded is never taken again.
                Step::Confirmed => {
                    status == Status::Held
                        || status == Status::Expired && !self.has(Step::LatePayment)
                }
                Step::Cancelled | Step::Expired => status == Status::Held,
                Step::LatePayment => !status.is_live() && !self.has(Step::LatePayment),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::read_line;
    use crate::seen::{Books, Message, Topic};

    const ACCEPTED: &str = "5-2 at=1 accepted qty=1 deadline=9 token= uid=u";

    /// What the log comes to, of events in this order on the topic.
    fn ledger(lines: &[&str]) -> Ledger {
        let messages = lines.iter().zip(0..).map(|(line, offset)| Message {
            partition: 0,
            offset,
            events: Ok(vec![read_line(line, |_| None).unwrap()]),
        });
        Ledger::of(&Seen {
            sid: "1".to_owned(),
            books: Books::default(),
            topic: Some(Topic {
                messages: messages.collect(),
                ..Topic::default()
            }),
            module: None,
            calls: None,
        })
    }

    /// What becomes of a reservation by these steps, and whether they can follow each other.
    fn life(steps: &[&str]) -> (Status, bool) {
        let mut lines = vec!["5-1 at=1 opened total=3 sold=0 name=L".to_owned()];
        lines.push(ACCEPTED.to_owned());
        for (step, seq) in steps.iter().zip(3..) {
            lines.push(format!("5-{seq} at=1 {step} rid=5-2"));
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let ledger = ledger(&lines);
        let status = ledger.lives[&Place::new(5, 2)].status();
        (status, ledger.impossible.is_empty())
    }

    #[test]
    fn a_reservation_takes_its_steps_forward() {
        use Status::{Cancelled, Confirmed, Expired, Held};
        for (steps, status) in [
            (&[][..], Held),
            (&["confirmed"], Confirmed),
            (&["cancelled"], Cancelled),
            (&["expired"], Expired),
            (&["expired", "confirmed"], Confirmed),
            (&["expired", "late_payment"], Expired),
            (&["cancelled", "late_payment"], Cancelled),
        ] {
            assert_eq!(life(steps), (status, true), "{steps:?}");
        }
        for steps in [
            &["confirmed", "confirmed"][..],
            &["confirmed", "cancelled"],
            &["confirmed", "expired"],
            &["cancelled", "confirmed"],
            &["cancelled", "expired"],
            &["expired", "cancelled"],
            &["expired", "expired"],
            &["late_payment"],
            &["confirmed", "late_payment"],
            &["expired", "late_payment", "late_payment"],
            // What is to be refunded is never taken again.
            &["expired", "late_payment", "confirmed"],
        ] {
            assert!(!life(steps).1, "{steps:?}");
        }
    }

    #[test]
    fn a_step_that_a_copy_lacked_may_be_taken_again() {
        let ledger = ledger(&[
            "5-1 at=1 opened total=3 sold=0 name=L",
            ACCEPTED,
            "5-3 at=2 confirmed rid=5-2",
            "9-1 at=3 epoch previous=5-2",
            "9-1 at=3 epoch previous=5-3",
            "9-2 at=4 confirmed rid=5-2",
        ]);
        assert_eq!(ledger.impossible, []);
        assert_eq!(ledger.head, Some(Place::new(9, 2)));
        assert_eq!(ledger.available.last(), Some(&(4, 2)));
    }

    #[test]
    fn of_several_takeovers_each_leaves_out_what_its_copy_lacked() {
        let ledger = ledger(&[
            "5-1 at=1 opened total=3 sold=0 name=L",
            ACCEPTED,
            "5-3 at=1 accepted qty=1 deadline=9 token= uid=v",
            "7-1 at=2 epoch previous=5-2",
            "7-2 at=2 accepted qty=1 deadline=9 token= uid=w",
            // Its copy is older than the epoch before it.
            "9-1 at=3 epoch previous=5-2",
        ]);
        let counts = |epoch, seq| ledger.counts(Place::new(epoch, seq));
        assert!(counts(5, 2) && counts(9, 1));
        for (epoch, seq) in [(5, 3), (7, 1), (7, 2)] {
            assert!(!counts(epoch, seq), "{epoch}-{seq}");
            assert!(ledger.was_lost(Place::new(epoch, seq)), "{epoch}-{seq}");
        }
        // Nobody has forgotten anything of these.
        assert!(!ledger.was_lost(Place::new(9, 2)) && !ledger.was_lost(Place::new(4, 1)));
        assert_eq!(ledger.lives.len(), 1);
    }
}

//! A close look at suspects: both sides as of one place in the log, while the sale goes on.
//!
//! The module says only how a reservation stands now, and MySQL how its order stood at its cursor.
//! They are of one place in either of two cases:
//!
//! * The reservation was read, then the module's head, then MySQL's cursor at that head or further,
//!   then the reservation again, and it stood the same: states never come back, so it stood so at the
//!   cursor. That is so on a worker that keeps up.
//! * All events after the cursor are still in the module's log, read last: the first of them that
//!   speaks of the reservation tells how it stood before. That is so on a worker that stands still.
//!
//! In neither case it is looked at again, and in the end left to the next run.

use super::judge::{Names, Noted, OrderRow, judge};
use super::plan::{Difference, Plan};
use super::read::{self, Sample};
use super::suspects::Suspect;
use super::{Servers, Trouble};
use crate::gate::{Gate, Refused, Reservation};
use crate::orders::Status;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use seckill_protocol::{EventId, Fact, ReservationState};
use std::collections::HashMap;
use std::time::Duration;

/// Suspects of one look.
const AT_A_TIME: usize = 200;

/// Questions under way at once.
const QUESTIONS: usize = 32;

/// How often it is looked before a suspect is left to the next run.
const LOOKS: usize = 100;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Events of one page.
const EVENTS: usize = 5000;

/// What the first event after the cursor does to a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Confirmed,
    Released,
}

type Now = HashMap<EventId, Option<Reservation>>;

/// Looks at all suspects and adds what differs to the plan.
pub(super) async fn look(
    servers: &mut Servers,
    names: &Names,
    sid: &str,
    suspects: &[Suspect],
    plan: &mut Plan,
) -> Result<(), Trouble> {
    for suspects in suspects.chunks(AT_A_TIME) {
        let mut open = suspects.to_vec();
        for _ in 0..LOOKS {
            open = look_once(servers, names, sid, &open, plan).await?;
            if open.is_empty() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        plan.on_their_way += open.len();
    }
    Ok(())
}

/// Returns those of which nothing can be said yet.
async fn look_once(
    servers: &mut Servers,
    names: &Names,
    sid: &str,
    open: &[Suspect],
    plan: &mut Plan,
) -> Result<Vec<Suspect>, Trouble> {
    // In this order: what the reservations say here lies at or before the head.
    let before = reservations(&servers.gate, sid, open).await?;
    let info = servers.gate.sale_info(sid).await?;
    let rids: Vec<EventId> = open.iter().map(|suspect| suspect.rid).collect();
    let work = async |conn: &mut _| read::sample(conn, names.id, &rids).await;
    let sample = servers.session.work(work).await?;
    let now = reservations(&servers.gate, sid, open).await?;
    // A cursor that was set back is a difference of its own; the orders are as of where it was.
    let place = sample.cursor.max(info.stored);
    let next = if place >= info.head {
        None
    } else {
        events_after(&servers.gate, sid, place).await?
    };
    let look = Look {
        names,
        sample: &sample,
        before: &before,
        now: &now,
        next: next.as_ref(),
        passed: place >= info.head,
    };
    let mut left = Vec::new();
    for suspect in open {
        match look.judge(suspect.rid) {
            Judged::Fine => {}
            Judged::Differs(difference) => plan.differences.push(*difference),
            Judged::Unknown => left.push(*suspect),
        }
    }
    Ok(left)
}

/// One look.
struct Look<'a> {
    names: &'a Names,
    sample: &'a Sample,
    before: &'a Now,
    now: &'a Now,
    /// What comes after MySQL's cursor, if all of it is known.
    next: Option<&'a HashMap<EventId, Next>>,
    /// Whether MySQL's cursor has passed the head that the module had after the first reading.
    passed: bool,
}

enum Judged {
    Fine,
    Differs(Box<Difference>),
    Unknown,
}

// === impl Look ===

impl Look<'_> {
    fn judge(&self, rid: EventId) -> Judged {
        let order = self.sample.orders.get(&rid);
        let now = self.now.get(&rid).and_then(Option::as_ref);
        let Some(now) = now else {
            // The module decides before MySQL hears of it.
            return self.judge_as(rid, None, order);
        };
        let before = self.before.get(&rid).and_then(Option::as_ref);
        let same = before.is_some_and(|before| before.state == now.state);
        if self.passed && same {
            return self.judge_as(rid, Some(now), order);
        }
        let Some(next) = self.next else {
            return Judged::Unknown;
        };
        match next.get(&rid) {
            None => self.judge_as(rid, Some(now), order),
            Some(next) if is_open_to(order, *next) => Judged::Fine,
            // Before its first event it was held; a late payment also finds an expired one.
            Some(_) => {
                let held = Reservation {
                    state: ReservationState::Held,
                    ..now.clone()
                };
                self.judge_as(rid, Some(&held), order)
            }
        }
    }

    fn judge_as(
        &self,
        rid: EventId,
        reservation: Option<&Reservation>,
        order: Option<&OrderRow>,
    ) -> Judged {
        let noted = Noted {
            owed: self.sample.owed.contains(&rid),
            refund: self.sample.refunds.contains(&rid),
        };
        let found = judge(self.names, rid, reservation, order, noted);
        found.map_or(Judged::Fine, |difference| {
            Judged::Differs(Box::new(difference))
        })
    }
}

/// Whether the order writer can carry out the next event as it is.
fn is_open_to(order: Option<&OrderRow>, next: Next) -> bool {
    let Some(order) = order else { return false };
    match order.status {
        // Whatever comes, it has no units.
        Status::Refused => true,
        Status::Expired => next == Next::Confirmed,
        Status::Held | Status::Confirmed | Status::Cancelled => false,
    }
}

async fn reservations(gate: &Gate, sid: &str, suspects: &[Suspect]) -> Result<Now, Refused> {
    let asked = stream::iter(suspects.iter().copied()).map(async |suspect| {
        let Suspect { rid, position } = suspect;
        let found = match position {
            Some(position) => gate.reservations(sid, position, 1).await?.pop(),
            None => None,
        };
        // By its name only without the token; that is enough for one that is compared.
        let found = match found.filter(|found| found.rid == rid) {
            Some(found) => Some(found),
            None => gate.reservation(sid, rid).await?,
        };
        Ok((rid, found))
    });
    asked.buffer_unordered(QUESTIONS).try_collect().await
}

/// What the first event after `place` does to each reservation; `None` if the log does not have all
/// of them any more.
async fn events_after(
    gate: &Gate,
    sid: &str,
    place: EventId,
) -> Result<Option<HashMap<EventId, Next>>, Refused> {
    let mut next = HashMap::new();
    let mut after = place;
    while let Some(batch) = gate.events(sid, after, EVENTS).await? {
        after = batch.last_id().unwrap_or(after);
        for event in &batch.events {
            let (rid, first) = match &event.fact {
                Fact::Confirmed { rid } => (rid.0, Next::Confirmed),
                Fact::Cancelled { rid } | Fact::Expired { rid } => (rid.0, Next::Released),
                _ => continue,
            };
            next.entry(rid).or_insert(first);
        }
    }
    // What was trimmed meanwhile may have been read or not.
    let complete = gate.sale_info(sid).await?.stored <= place;
    Ok(complete.then_some(next))
}

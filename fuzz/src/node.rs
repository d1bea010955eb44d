//! A sale as the module keeps it, its replica, and commands with what each may do.

use crate::command::{Clock, Command, Fact, Place, Question, Setting, Which};
use crate::copies::{adds_up, apply, blocks, is_readable, known, made, reloaded};
use seckill_protocol::{EventId, ReservationId, ReservationState, Uid, UidRef, Verdict};
use seckill_sale::decide::{Decision, IfLate};
use seckill_sale::restore::Step;
use seckill_sale::{Change, Options, Phase, Refusal, Reservation, Sale, Soft, Try};

/// The latest instant that a clock of signed 64 bits shows, and so the latest epoch.
const EPOCH_MAX: u64 = i64::MAX.unsigned_abs();

/// What one command may release.
const RELEASES_MAX: u64 = 1024;

/// A rate of at least one a second lets nobody wait for longer.
const LIMITED_MS_MAX: u64 = 1000;

pub(crate) struct Node {
    pub(crate) sale: Sale,
    soft: Soft,
    change: Change,
    pub(crate) now_ms: u64,
    /// What the node began with, and what it sent since.
    base: Vec<Vec<u8>>,
    pub(crate) sent: Vec<Vec<u8>>,
    /// Follows what is sent.
    replica: Sale,
    latest_epoch: u64,
    /// It came from another node and is not taken over yet: whether that fences it.
    inherited: Option<bool>,
    /// What MySQL may know.
    orders: Vec<Order>,
}

/// A reservation as it was when it was granted, or first seen.
#[derive(Clone, Debug)]
struct Order {
    rid: ReservationId,
    uid: Uid,
    qty: u32,
    at_ms: u64,
    hold_ms: u64,
    token: Option<Vec<u8>>,
}

impl Order {
    fn of(reservation: &Reservation<'_>) -> Self {
        Self {
            rid: reservation.rid,
            uid: reservation.uid.to_owned(),
            qty: reservation.qty,
            at_ms: reservation.at_ms,
            hold_ms: reservation.hold_ms,
            token: reservation.token.map(<[u8]>::to_vec),
        }
    }

    fn restored(&self, state: ReservationState) -> Reservation<'_> {
        Reservation {
            rid: self.rid,
            uid: uid(&self.uid),
            qty: self.qty,
            state,
            at_ms: self.at_ms,
            hold_ms: self.hold_ms,
            token: self.token.as_deref(),
            restored: true,
        }
    }
}

pub(crate) fn uid(text: &str) -> UidRef<'_> {
    UidRef::new(text.as_bytes()).unwrap()
}

impl Node {
    /// Goes on with a sale that adds up.
    pub(crate) fn new(sale: Sale, now_ms: u64) -> Self {
        adds_up(&sale);
        Self {
            soft: Soft::new(),
            change: Change::default(),
            now_ms,
            base: blocks(&sale),
            sent: Vec::new(),
            replica: reloaded(&sale),
            latest_epoch: sale.head().epoch,
            inherited: None,
            orders: known(&sale).iter().map(Order::of).collect(),
            sale,
        }
    }

    /// Runs commands; in the end all copies of the sale are the same.
    pub(crate) fn run_all(&mut self, commands: impl IntoIterator<Item = Command>) {
        for command in commands {
            self.run(&command);
        }
        let here = blocks(&self.sale);
        assert_eq!(blocks(&self.replica), here, "the replica is the same sale");
        let payloads = [&self.base[..], &self.sent].concat();
        assert_eq!(blocks(&made(&payloads)), here, "so is one made anew");
        self.replica.audit().unwrap();
        reloaded(&self.sale);
        is_readable(&self.sale);
    }

    /// Runs one command; the sale adds up after it.
    pub(crate) fn run(&mut self, command: &Command) {
        // What is taken over is fenced before anything is released.
        let was_due = self.due() && self.inherited.is_none();
        match command {
            Command::Clock(clock) => self.turn(*clock),
            Command::Try(question) => self.ask(question),
            Command::Tries(questions) => self.ask_all(questions),
            Command::Confirm { which, if_late } => self.confirm(*which, *if_late),
            Command::Cancel(which) => self.cancel(*which),
            Command::Restock(delta) => self.restock(*delta),
            Command::Alter(settings) => self.alter(settings),
            Command::Pause => {
                let done = self.succeeds(|sale, _| sale.decide_pause());
                assert!(!done || self.is_stopped() || self.is_closed());
            }
            Command::Resume => {
                let done = self.succeeds(|sale, _| sale.decide_resume());
                assert!(!done || !self.is_stopped());
            }
            Command::Close => {
                let done = self.succeeds(Sale::decide_close);
                assert!(!done || self.is_closed());
            }
            Command::Ack(cursor, place) => {
                let id = self.place(*place);
                let done = self.perform(|sale, _| sale.decide_ack(*cursor, id));
                let exists = id <= self.sale.head();
                let is_ours = self.has_epoch_of(id);
                let expected = exists && is_ours;
                assert!(done.is_ok() == expected || self.is_spent(), "{done:?}");
            }
            Command::Restore(facts) => self.restore(facts),
            Command::Look => {
                self.succeeds(|_, _| Ok(((), None)));
            }
            Command::TakeOver { fenced } => self.take_over(*fenced),
            Command::Reload => {
                self.sale = reloaded(&self.sale);
                self.soft = Soft::new();
                return;
            }
            Command::Resync => self.replica = reloaded(&self.sale),
            Command::Promote { lost, fenced } => self.promote(*lost, *fenced),
        }
        adds_up(&self.sale);
        if was_due && command.releases() && self.now_ms < u64::MAX {
            // Unless there was more than one command releases. (In the last instant of all, what is
            // granted is due at once.)
            let many = u64::from(self.sale.reservation_count()) > RELEASES_MAX;
            assert!(!self.due() || many || self.is_spent());
        }
    }

    /// As the module does it: what was changed is sent, also where the command is refused.
    fn perform<'a, T>(
        &mut self,
        decide: impl FnOnce(&Sale, u64) -> Decision<'a, T>,
    ) -> Result<T, Refusal> {
        let now_ms = self.now_ms;
        self.carry_out(|sale, _, change| sale.perform(now_ms, change, |sale| decide(sale, now_ms)))
    }

    /// Performs what a sale refuses only when it has no number left. Whether it did.
    fn succeeds(&mut self, decide: impl FnOnce(&Sale, u64) -> Decision<'static, ()>) -> bool {
        let done = self.perform(decide);
        assert!(done.is_ok() || self.is_spent(), "{done:?}");
        done.is_ok()
    }

    fn carry_out<T>(
        &mut self,
        perform: impl FnOnce(&mut Sale, &mut Soft, &mut Change) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let available_before = self.sale.available();
        self.change.begin(self.sale.head());
        let taken_over = self.take_over_if_inherited();
        let outcome =
            taken_over.and_then(|()| perform(&mut self.sale, &mut self.soft, &mut self.change));
        for news in self.sale.news(&self.change, available_before) {
            assert!(!news.word().is_empty());
        }
        if !self.change.is_empty() {
            let payload = self.change.payload().to_vec();
            apply(&mut self.replica, &payload).unwrap();
            self.sent.push(payload);
            self.change.shrink_to(64);
        }
        if let Err(Refusal::Internal(error)) = &outcome {
            assert!(self.is_spent(), "{error}");
        }
        outcome
    }

    /// Whether there is a hold to release.
    fn due(&self) -> bool {
        let next = self.sale.next_release_ms();
        next.is_some_and(|release_ms| release_ms <= self.now_ms)
    }

    /// Whether there is no number left for an event, or an epoch: only a forged file, or an absurd
    /// clock, leads there.
    fn is_spent(&self) -> bool {
        let EventId { epoch, seq } = self.sale.head();
        seq == u64::MAX || self.latest_epoch.max(epoch) >= EPOCH_MAX
    }

    fn is_stopped(&self) -> bool {
        matches!(self.sale.phase(0), Phase::Paused | Phase::Fenced)
    }

    /// Closed, which hides whether it is paused too.
    fn is_closed(&self) -> bool {
        self.sale.phase(0) == Phase::Closed
    }

    fn turn(&mut self, clock: Clock) {
        self.now_ms = match clock {
            Clock::On(ms) => self.now_ms.saturating_add(ms),
            Clock::Back(ms) => self.now_ms.saturating_sub(ms),
            Clock::To(ms) => ms,
            Clock::ToRelease => self.sale.next_release_ms().unwrap_or(self.now_ms),
        };
        self.soft.forget(self.now_ms);
    }

    /// Whether a place that MySQL is said to have is one that it could have from here.
    fn has_epoch_of(&self, id: EventId) -> bool {
        let stored = self.sale.stored();
        let first = self.sale.events_after(EventId::new(id.epoch, 0), 1);
        id <= stored
            || id.epoch == stored.epoch
            || first.is_some_and(|batch| batch.epoch == id.epoch)
    }

    fn place(&self, place: Place) -> EventId {
        let EventId { epoch, seq } = self.sale.head();
        match place {
            Place::Back(n) => EventId::new(epoch, seq.saturating_sub(n.into())),
            Place::Beyond(n) => EventId::new(epoch, seq.saturating_add(n.into())),
            Place::Any(epoch, seq) => EventId::new(epoch, seq),
        }
    }

    fn order(&self, n: u8) -> Option<&Order> {
        let count = self.orders.len().max(1);
        self.orders.get(usize::from(n) % count)
    }

    fn rid(&self, which: Which) -> ReservationId {
        match which {
            Which::Known(n) => match self.order(n) {
                Some(order) => order.rid,
                None => ReservationId(self.sale.head()),
            },
            Which::At(place) => ReservationId(self.place(place)),
        }
    }

    fn state(&self, rid: ReservationId) -> Option<ReservationState> {
        self.sale.reservation(rid).map(|r| r.state)
    }
}

// === Commands ===

impl Node {
    fn ask(&mut self, question: &Question) {
        let (now_ms, count) = (self.now_ms, self.sale.reservation_count());
        let request = request(question);
        let answer =
            self.carry_out(|sale, soft, change| sale.perform_try(now_ms, change, soft, &request));
        let granted = self.sale.reservation_count() - count;
        match answer {
            Ok(verdict) => {
                assert_eq!(granted, u32::from(matches!(verdict, Verdict::Accepted(_))));
                self.is_justified(&request, verdict);
            }
            Err(Refusal::QuantityAboveLimit { limit }) => {
                assert_eq!((granted, limit), (0, self.sale.options().limit));
                assert!(limit != 0 && request.qty > limit);
            }
            Err(refusal) => assert!(self.is_spent(), "{refusal}"),
        }
    }

    fn ask_all(&mut self, questions: &[Question]) {
        let (now_ms, count) = (self.now_ms, self.sale.reservation_count());
        let requests = questions.iter().map(request);
        let answer =
            self.carry_out(|sale, soft, change| sale.perform_tries(now_ms, change, soft, requests));
        if let Ok(verdicts) = answer {
            assert_eq!(verdicts.len(), questions.len());
            let accepted = verdicts.iter().filter_map(|verdict| match verdict {
                Verdict::Accepted(rid) => Some(*rid),
                _ => None,
            });
            let mut granted = 0;
            for rid in accepted {
                self.orders
                    .push(Order::of(&self.sale.reservation(rid).unwrap()));
                granted += 1;
            }
            assert_eq!(granted, self.sale.reservation_count() - count);
        }
    }

    /// What a verdict says is so.
    fn is_justified(&mut self, request: &Try<'_>, verdict: Verdict) {
        let (sale, options) = (&self.sale, self.sale.options());
        let of_token = |reservation: &Reservation<'_>| {
            request.token.is_some() && reservation.token == request.token
        };
        match verdict {
            Verdict::Accepted(rid) => {
                let reservation = sale.reservation(rid).unwrap();
                let (qty, hold_ms) = (request.qty, options.hold_ms);
                let state = if hold_ms == 0 {
                    ReservationState::Confirmed
                } else {
                    ReservationState::Held
                };
                let expected = Reservation {
                    rid: ReservationId(sale.head()),
                    uid: request.uid,
                    qty,
                    state,
                    at_ms: self.now_ms,
                    hold_ms,
                    token: request.token,
                    restored: false,
                };
                assert_eq!(reservation, expected);
                assert!(self.allows(self.live_units_of(request.uid)));
                assert_eq!(sale.reservations_of(request.uid).next(), Some(expected));
                let mut his = sale.reservations_of(request.uid).skip(1);
                assert!(!his.any(|r| of_token(&r)), "a token is granted once");
                let order = Order::of(&reservation);
                self.orders.push(order);
            }
            Verdict::Duplicate(rid) => {
                let reservation = sale.reservation(rid).unwrap();
                assert_eq!(reservation.uid, request.uid);
                if !of_token(&reservation) {
                    assert!(reservation.state.is_live());
                    let more = self.live_units_of(request.uid) + u128::from(request.qty);
                    assert!(options.limit != 0 && more > options.limit.into());
                }
            }
            Verdict::Paused => assert!(self.is_stopped() || self.is_closed()),
            Verdict::NotStarted { wait_ms } => {
                assert!(wait_ms > 0);
                assert_eq!(self.now_ms.checked_add(wait_ms), Some(options.start_ms));
            }
            Verdict::Ended => assert!(matches!(
                sale.phase(self.now_ms),
                Phase::Ended | Phase::Closed
            )),
            Verdict::SoldOut { wait_ms } => {
                assert!(sale.available() < request.qty.into());
                assert_eq!(wait_ms.is_some(), sale.held() > 0);
                let next = sale.next_release_ms();
                let wait = next.map(|release_ms| release_ms.saturating_sub(self.now_ms));
                assert_eq!(wait_ms, wait);
            }
            Verdict::Limited { wait_ms } => {
                assert!((1..=LIMITED_MS_MAX).contains(&wait_ms), "{wait_ms}");
                assert!(options.rate.is_some() || options.user_rate.is_some());
            }
        }
        assert_eq!(
            Verdict::from_reply(verdict.word(), verdict.detail()).map(|v| v.word()),
            Ok(verdict.word())
        );
    }

    fn live_units_of(&self, uid: UidRef<'_>) -> u128 {
        let live = self.sale.reservations_of(uid).filter(|r| r.state.is_live());
        live.map(|r| u128::from(r.qty)).sum()
    }

    fn confirm(&mut self, which: Which, if_late: IfLate) {
        let rid = self.rid(which);
        let before = self.state(rid);
        let late = if_late == IfLate::Take;
        let (now_ms, refunded) = (self.now_ms, self.sale.is_refund_due(rid));
        let done =
            self.carry_out(|sale, _, change| sale.perform_confirm(now_ms, change, rid, if_late));
        let is_late = matches!(done, Err(Refusal::Gone(_) | Refusal::NoStock { .. }));
        assert_eq!(
            self.sale.is_refund_due(rid),
            refunded || is_late && if_late != IfLate::Refuse
        );
        match (done, before, self.state(rid)) {
            (Ok(()), Some(before), Some(ReservationState::Confirmed)) => {
                if !before.is_live() {
                    assert!(before == ReservationState::Expired && late && !refunded);
                    // What he was granted once is his also above a limit that was lowered since.
                    let reservation = self.sale.reservation(rid).unwrap();
                    let live = self.live_units_of(reservation.uid);
                    assert!(live == reservation.qty.into() || self.allows(live));
                }
            }
            (Err(Refusal::NoReservation), None, None) => {}
            (Err(Refusal::Fenced), before, after) => {
                assert!(self.sale.is_fenced());
                assert!(before == after && before != Some(ReservationState::Confirmed));
            }
            (Err(Refusal::Gone(gone)), _, Some(after)) => {
                assert!(gone == after && !after.is_live());
            }
            (Err(Refusal::NoStock { available }), _, Some(ReservationState::Expired)) => {
                let qty = self.sale.reservation(rid).map(|r| u64::from(r.qty));
                assert!(late && Some(available) < qty);
            }
            (outcome, _, _) => assert!(self.is_spent(), "{outcome:?} from {before:?}"),
        }
    }

    /// Whether one buyer may have so many units.
    fn allows(&self, units: u128) -> bool {
        let limit = self.sale.options().limit;
        limit == 0 || units <= limit.into()
    }

    fn cancel(&mut self, which: Which) {
        let rid = self.rid(which);
        let before = self.state(rid);
        let done = self.perform(|sale, now_ms| sale.decide_cancel(now_ms, rid));
        match (done, before, self.state(rid)) {
            (Ok(()), Some(before), Some(ReservationState::Cancelled)) => assert!(matches!(
                before,
                ReservationState::Held | ReservationState::Cancelled
            )),
            (Err(Refusal::NoReservation), None, None) => {}
            (Err(Refusal::Fenced), before, after) => {
                assert!(self.sale.is_fenced());
                assert!(before == after && before != Some(ReservationState::Cancelled));
            }
            (Err(Refusal::Gone(gone)), _, Some(after)) => assert_eq!(gone, after),
            (outcome, _, _) => assert!(self.is_spent(), "{outcome:?} from {before:?}"),
        }
    }

    fn restock(&mut self, delta: i64) {
        let total = self.sale.total();
        match self.perform(|sale, now_ms| sale.decide_restock(now_ms, delta)) {
            Ok(()) => assert_eq!(Some(self.sale.total()), total.checked_add_signed(delta)),
            Err(Refusal::RestockBelowAvailable { available }) => {
                assert!(delta < 0 && available < delta.unsigned_abs());
            }
            Err(Refusal::RestockAboveMax) => assert!(delta > 0),
            Err(Refusal::Fenced) => assert!(delta < 0 && self.sale.is_fenced()),
            Err(refusal) => assert!(self.is_spent(), "{refusal}"),
        }
    }

    fn alter(&mut self, settings: &[Setting]) {
        let set = |options: &mut Options| {
            for setting in settings {
                match setting {
                    Setting::Name(name) => options.name = (*name).into(),
                    Setting::Limit(limit) => options.limit = *limit,
                    Setting::Start(start_ms) => options.start_ms = *start_ms,
                    Setting::End(end_ms) => options.end_ms = *end_ms,
                    Setting::Hold(hold_ms) => options.hold_ms = *hold_ms,
                    Setting::Rate(rate) => options.rate = *rate,
                    Setting::UserRate(rate) => options.user_rate = *rate,
                }
            }
        };
        let before = self.sale.options().clone();
        let mut after = before.clone();
        set(&mut after);
        match self.perform(|sale, _| sale.decide_alter(set)) {
            Ok(()) => assert_eq!(self.sale.options(), &after),
            Err(refusal) => {
                assert!(matches!(refusal, Refusal::EmptyWindow { .. }) || self.is_spent());
                assert_eq!(self.sale.options(), &before);
            }
        }
    }

    fn restore(&mut self, facts: &[Fact]) {
        let made: Vec<Order> = facts.iter().filter_map(|fact| self.made(fact)).collect();
        let mut made = made.iter();
        let orders = self.orders.clone();
        let steps = facts
            .iter()
            .map(|fact| match fact {
                Fact::Units { total, sold_before } => Step::Units {
                    total: *total,
                    sold_before: *sold_before,
                },
                Fact::Known(n, state) => match orders.get(usize::from(*n) % orders.len().max(1)) {
                    Some(order) => Step::Reservation(order.restored(*state)),
                    None => Step::Join(self.sale.head()),
                },
                Fact::Made { state, .. } => match made.next() {
                    Some(order) => Step::Reservation(order.restored(*state)),
                    None => Step::Join(self.sale.head()),
                },
                Fact::Refund(n) => match orders.get(usize::from(*n) % orders.len().max(1)) {
                    Some(order) => Step::Refund(order.rid),
                    None => Step::Join(self.sale.head()),
                },
                Fact::Join(place) => Step::Join(self.place(*place)),
            })
            .collect::<Vec<_>>();
        let epoch = self.latest_epoch.saturating_add(1);
        let now_ms = self.now_ms;
        let done = self.carry_out(|sale, _, change| {
            sale.perform_restore(now_ms, change, steps.iter().copied(), epoch)
        });
        self.latest_epoch = self.latest_epoch.max(self.sale.head().epoch);
        let stopped = self.sale.is_fenced() || self.sale.phase(0) == Phase::Paused;
        match done {
            Ok(_) => {
                for step in &steps {
                    if let Step::Reservation(put) = step {
                        let here = Order::of(&self.sale.reservation(put.rid).unwrap());
                        self.orders.push(here);
                    }
                }
            }
            Err(refusal) if stopped => assert_ne!(refusal, Refusal::Selling),
            Err(refusal) => {
                assert!(refusal == Refusal::Selling || self.is_closed() || self.is_spent());
            }
        }
    }

    fn made(&self, fact: &Fact) -> Option<Order> {
        let Fact::Made {
            place,
            question,
            state,
            at_ms,
            hold_ms,
        } = fact
        else {
            return None;
        };
        let needs_deadline = *state == ReservationState::Held;
        Some(Order {
            rid: ReservationId(self.place(*place)),
            uid: Uid::new(question.buyer.as_bytes()).unwrap(),
            qty: question.qty,
            at_ms: *at_ms,
            hold_ms: (*hold_ms).max(needs_deadline.into()),
            token: question.token.map(|token| token.as_bytes().to_vec()),
        })
    }

    fn take_over(&mut self, fenced: bool) {
        self.inherited = Some(fenced);
        let done = self.carry_out(|_, _, _| Ok(()));
        assert!(done.is_ok() || self.is_spent(), "{done:?}");
    }

    fn take_over_if_inherited(&mut self) -> Result<(), Refusal> {
        let Some(fenced) = self.inherited.take() else {
            return Ok(());
        };
        let previous = self.sale.head();
        let epoch = self.latest_epoch.saturating_add(1);
        let epoch = epoch.max(self.now_ms.min(EPOCH_MAX));
        let (sale, change) = (&mut self.sale, &mut self.change);
        sale.perform_take_over(self.now_ms, change, epoch, fenced)?;
        assert!(sale.head() > previous && sale.head().seq == 1);
        assert!(sale.is_fenced() || !fenced);
        self.latest_epoch = sale.head().epoch;
        Ok(())
    }

    fn promote(&mut self, lost: u8, fenced: bool) {
        let kept = self.sent.len().saturating_sub(lost.into());
        self.sent.truncate(kept);
        self.sale = made(&[&self.base[..], &self.sent].concat());
        self.replica = reloaded(&self.sale);
        self.soft = Soft::new();
        self.inherited = Some(fenced);
    }
}

fn request(question: &Question) -> Try<'static> {
    Try {
        uid: uid(question.buyer),
        qty: question.qty,
        token: question.token.map(str::as_bytes),
    }
}

//! Any sequence of calls: the units are conserved, and replaying the effects gives the same sale.

use crate::common::{EPOCH, Node, apply, bytes, created, reloaded};
use proptest::prelude::*;
use seckill_protocol::{EventId, ReservationId, ReservationState, Verdict};
use seckill_sale::decide::IfLate;
use seckill_sale::{Cursor, Options, Payload, Rate, Refusal};
use std::collections::HashMap;

#[derive(Clone, Debug)]
pub(crate) enum Call {
    Try {
        uid: u8,
        qty: u32,
        token: Option<u8>,
    },
    Confirm {
        which: usize,
        if_late: IfLate,
    },
    Cancel {
        which: usize,
    },
    Restock {
        delta: i64,
    },
    Alter {
        limit: u32,
        hold_ms: u64,
    },
    TakeOver {
        fenced: bool,
    },
    Pause,
    Resume,
    Close,
    Ack {
        stored: bool,
        seq: u64,
    },
    Wait {
        ms: u64,
    },
}

pub(crate) fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        12 => (0..12_u8, 1..4_u32, prop::option::of(0..3_u8))
            .prop_map(|(uid, qty, token)| Call::Try { uid, qty, token }),
        4 => (0..40_usize, 0..3_usize).prop_map(|(which, word)| Call::Confirm {
            which,
            if_late: [IfLate::Refuse, IfLate::Take, IfLate::Refund][word],
        }),
        4 => (0..40_usize).prop_map(|which| Call::Cancel { which }),
        2 => (-6..8_i64).prop_map(|delta| Call::Restock { delta }),
        1 => (0..4_u32, 1..2_000_u64).prop_map(|(limit, hold_ms)| Call::Alter { limit, hold_ms }),
        1 => any::<bool>().prop_map(|fenced| Call::TakeOver { fenced }),
        1 => Just(Call::Pause),
        2 => Just(Call::Resume),
        1 => Just(Call::Close),
        3 => (any::<bool>(), 0..80_u64).prop_map(|(stored, seq)| Call::Ack { stored, seq }),
        4 => (1..700_u64).prop_map(|ms| Call::Wait { ms }),
    ]
}

pub(crate) fn options() -> impl Strategy<Value = Options> {
    let rate = || {
        prop::option::of(
            (1..50_u32, 1..5_u32).prop_map(|(per_second, burst)| Rate { per_second, burst }),
        )
    };
    (0..4_u32, prop_oneof![Just(0), 1..2_000_u64], rate(), rate()).prop_map(
        |(limit, hold_ms, rate, user_rate)| Options {
            name: "Lamp".into(),
            limit,
            hold_ms,
            rate,
            user_rate,
            ..Options::default()
        },
    )
}

/// The rules once more, as naively as they can be written.
#[derive(Default)]
struct Model {
    reservations: Vec<(ReservationId, String, u32, ReservationState)>,
    tokens: HashMap<(String, String), ReservationId>,
    total: i128,
}

impl Model {
    fn units(&self, state: ReservationState) -> i128 {
        let of_state = self.reservations.iter().filter(|r| r.3 == state);
        of_state.map(|r| i128::from(r.2)).sum()
    }

    fn available(&self) -> i128 {
        self.total - self.units(ReservationState::Held) - self.units(ReservationState::Confirmed)
    }

    fn live_units_of(&self, uid: &str) -> i128 {
        let his = self
            .reservations
            .iter()
            .filter(|r| r.1 == uid && r.3.is_live());
        his.map(|r| i128::from(r.2)).sum()
    }

    /// Takes over what lapsed, which the model does not time itself.
    fn follow_expiries(&mut self, node: &Node) {
        for r in &mut self.reservations {
            if node.sale.reservation(r.0).unwrap().state == ReservationState::Expired
                && r.3 == ReservationState::Held
            {
                r.3 = ReservationState::Expired;
            }
        }
    }
}

pub(crate) fn run(total: u64, options: Options, calls: Vec<Call>) -> Node {
    let mut limit = i128::from(options.limit);
    let mut hold_ms = options.hold_ms;
    let mut node = Node::open(total, options);
    let mut model = Model {
        total: i128::from(total),
        ..Model::default()
    };
    let mut now_ms = EPOCH;
    for call in calls {
        match call {
            Call::Wait { ms } => now_ms += ms,
            Call::Try { uid, qty, token } => {
                let uid = format!("u{uid}");
                let token = token.map(|t| format!("t{t}"));
                let outcome = node.ask(now_ms, &uid, qty, token.as_deref());
                model.follow_expiries(&node);
                let known = token
                    .clone()
                    .and_then(|t| model.tokens.get(&(uid.clone(), t)).copied());
                match outcome {
                    Err(_) => assert!(limit != 0 && i128::from(qty) > limit),
                    Ok(Verdict::Accepted(rid)) => {
                        assert_eq!(known, None);
                        assert!(
                            model.available() >= i128::from(qty),
                            "sold what is not there"
                        );
                        if limit != 0 {
                            assert!(model.live_units_of(&uid) + i128::from(qty) <= limit);
                        }
                        let state = if hold_ms == 0 {
                            ReservationState::Confirmed
                        } else {
                            ReservationState::Held
                        };
                        model.reservations.push((rid, uid.clone(), qty, state));
                        if let Some(token) = token {
                            model.tokens.insert((uid, token), rid);
                        }
                    }
                    Ok(Verdict::Duplicate(rid)) => match known {
                        Some(known) => assert_eq!(rid, known),
                        None => {
                            assert!(model.live_units_of(&uid) + i128::from(qty) > limit);
                            let latest = model
                                .reservations
                                .iter()
                                .filter(|r| r.1 == uid && r.3.is_live())
                                .map(|r| r.0)
                                .max();
                            assert_eq!(Some(rid), latest);
                        }
                    },
                    Ok(Verdict::SoldOut { .. }) => assert!(model.available() < i128::from(qty)),
                    Ok(_) => {}
                }
            }
            Call::Confirm { which, if_late } => {
                let Some(rid) = model.reservations.get(which).map(|r| r.0) else {
                    continue;
                };
                let refunded = node.sale.is_refund_due(rid);
                let answer = node.confirm(now_ms, rid, if_late);
                let done = answer.is_ok();
                model.follow_expiries(&node);
                let entry = &mut model.reservations[which];
                let is_fenced = answer == Err(Refusal::Fenced);
                assert!(!is_fenced || node.sale.is_fenced());
                if done {
                    let late = if_late == IfLate::Take && !refunded;
                    assert!(entry.3.is_live() || (late && entry.3 == ReservationState::Expired));
                    entry.3 = ReservationState::Confirmed;
                }
                let refunds = !done && !is_fenced && if_late != IfLate::Refuse;
                assert_eq!(node.sale.is_refund_due(rid), refunded || refunds);
            }
            Call::Cancel { which } => {
                let Some(rid) = model.reservations.get(which).map(|r| r.0) else {
                    continue;
                };
                let done = node
                    .perform(now_ms, |s, _| s.decide_cancel(now_ms, rid))
                    .is_ok();
                model.follow_expiries(&node);
                let entry = &mut model.reservations[which];
                if done {
                    assert!(matches!(
                        entry.3,
                        ReservationState::Held | ReservationState::Cancelled
                    ));
                    entry.3 = ReservationState::Cancelled;
                }
            }
            Call::Restock { delta } => {
                if node
                    .perform(now_ms, |s, _| s.decide_restock(now_ms, delta))
                    .is_ok()
                {
                    model.total += i128::from(delta);
                }
                model.follow_expiries(&node);
            }
            Call::Alter {
                limit: new_limit,
                hold_ms: new_hold_ms,
            } => {
                limit = i128::from(new_limit);
                hold_ms = new_hold_ms;
                node.perform(now_ms, |s, _| {
                    s.decide_alter(|options| {
                        options.limit = new_limit;
                        options.hold_ms = new_hold_ms;
                    })
                })
                .unwrap();
            }
            Call::TakeOver { fenced } => node.take_over(now_ms, now_ms, fenced),
            Call::Pause => node.perform(now_ms, |s, _| s.decide_pause()).unwrap(),
            Call::Resume => node.perform(now_ms, |s, _| s.decide_resume()).unwrap(),
            Call::Close => node.perform(now_ms, |s, _| s.decide_close(now_ms)).unwrap(),
            Call::Ack { stored, seq } => {
                let cursor = if stored {
                    Cursor::Stored
                } else {
                    Cursor::Relayed
                };
                let _ = node.perform(now_ms, |s, _| {
                    s.decide_ack(cursor, EventId::new(s.head().epoch, seq))
                });
            }
        }
        model.follow_expiries(&node);
        let figures = node.sale.audit().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(i128::from(figures.available), model.available());
        assert_eq!(
            i128::from(figures.held),
            model.units(ReservationState::Held)
        );
        assert_eq!(
            i128::from(figures.sold),
            model.units(ReservationState::Confirmed)
        );
    }
    node
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn units_are_conserved_and_effects_replay(
        total in 0..20_u64,
        options in options(),
        calls in prop::collection::vec(call(), 0..80),
    ) {
        let node = run(total, options, calls);
        let here = bytes(&node.sale);
        let replica = node.replica();
        prop_assert_eq!(&bytes(&replica), &here, "a replica is the same sale");
        let loaded = reloaded(&node.sale);
        prop_assert_eq!(&bytes(&loaded), &here, "saving and loading gives the same sale");
        loaded.audit().unwrap();
        replica.audit().unwrap();
    }

    #[test]
    fn a_reloaded_sale_decides_as_the_one_that_was_saved(
        options in options(),
        before in prop::collection::vec(call(), 0..40),
        after in prop::collection::vec((0..12_u8, 1..4_u32), 0..20),
    ) {
        // Rates are of the node and not of the sale, so they are left out here.
        let options = Options { rate: None, user_rate: None, ..options };
        let mut node = run(10, options, before);
        let mut copy = Node { sale: reloaded(&node.sale), soft: seckill_sale::Soft::new(), payloads: Vec::new() };
        let now_ms = EPOCH + 1_000_000;
        for (uid, qty) in after {
            let uid = format!("u{uid}");
            prop_assert_eq!(node.ask(now_ms, &uid, qty, None), copy.ask(now_ms, &uid, qty, None));
        }
        prop_assert_eq!(bytes(&node.sale), bytes(&copy.sale));
    }

    #[test]
    fn a_damaged_payload_never_panics(bytes: Vec<u8>) {
        for start in [&[][..], &[1], &[1, 1], &[1, 2]] {
            if let Ok(Payload::Change(effects)) = Payload::decode(&[start, &bytes].concat()) {
                for effect in effects {
                    let _ = effect;
                }
            }
        }
    }

    #[test]
    fn a_damaged_snapshot_is_refused_or_is_a_sale_that_adds_up(
        options in options(),
        calls in prop::collection::vec(call(), 0..60),
        block in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let node = run(10, options, calls);
        let mut blocks = bytes(&node.sale);
        let block = block.index(blocks.len());
        let at = at.index(blocks[block].len());
        if cut {
            blocks[block].truncate(at);
        } else {
            blocks[block][at] = byte;
        }
        if let Ok(sale) = crate::common::restored(&blocks)
            && sale.is_complete()
        {
            sale.audit().unwrap();
        }
    }
}

#[test]
fn a_copy_that_lacks_a_change_refuses_the_next_one() {
    let mut node = Node::open(3, Options::default());
    node.accepted(EPOCH, "u1");
    node.accepted(EPOCH, "u2");
    let mut copy = created(&node.payloads[0], 1);
    assert!(apply(&mut copy, &node.payloads[2]).is_err());
    apply(&mut copy, &node.payloads[1]).unwrap();
    apply(&mut copy, &node.payloads[2]).unwrap();
    assert_eq!(bytes(&copy), bytes(&node.sale));
}

#[test]
fn a_newer_payload_is_refused_by_its_version() {
    let error = Payload::decode(&[2, 0, 0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "payload of version 2: this node reads version 1; load a newer module"
    );
}

//! Bytes that no primary wrote: what an AOF without checksums may hold after its disk was damaged.

use crate::common::{EPOCH, Node, apply, bytes, created, restored, uid};
use seckill_protocol::{EventId, ReservationId, ReservationState};
use seckill_sale::{
    Acceptance, ApplyError, AuditError, Change, DecodeError, Effect, Options, Reservation,
    RestoreError, Sale, UNITS_MAX,
};

fn sale() -> Node {
    let mut node = Node::open(5, Options::default());
    let first = node.accepted(EPOCH, "u1");
    node.accepted(EPOCH, "u2");
    node.perform(EPOCH, |s, _| s.decide_confirm(EPOCH, first, false))
        .unwrap();
    node
}

fn payload(after: EventId, effect: &Effect<'_>) -> Vec<u8> {
    let mut change = Change::default();
    change.begin(after);
    change.record(effect);
    change.payload().to_vec()
}

/// Sends a change that says it comes next.
fn send(sale: &mut Sale, effect: &Effect<'_>) -> Result<(), ApplyError> {
    let payload = payload(sale.head(), effect);
    apply(sale, &payload)
}

#[test]
fn an_effect_that_no_decision_makes_changes_nothing() {
    let mut sale = sale().sale;
    let before = bytes(&sale);
    let confirmed = Reservation {
        rid: ReservationId::new(EPOCH, 2),
        uid: uid("u1"),
        qty: 1,
        state: ReservationState::Confirmed,
        at_ms: EPOCH,
        hold_ms: 1,
        token: None,
        restored: true,
    };
    let held = ReservationState::Held;
    for effect in [
        Effect::Relayed(EventId::new(EPOCH, 5)),
        Effect::Stored(EventId::new(EPOCH + 1, 1)),
        Effect::Stored(EventId::new(EPOCH - 1, 1)),
        Effect::Relayed(EventId::ZERO),
        Effect::Restocked {
            at_ms: EPOCH,
            delta: UNITS_MAX.cast_signed(),
        },
        Effect::TookOver {
            epoch: u64::MAX,
            at_ms: EPOCH,
            fenced: true,
        },
        Effect::Restored(Reservation {
            state: held,
            ..confirmed
        }),
        Effect::Restored(Reservation {
            uid: uid("u9"),
            ..confirmed
        }),
    ] {
        let refused = send(&mut sale, &effect);
        assert!(refused.is_err(), "{effect:?}");
        assert_eq!(bytes(&sale), before, "{effect:?}");
    }
    sale.audit().unwrap();
}

#[test]
fn a_token_that_nobody_can_send_is_not_taken_from_an_aof() {
    let mut sale = sale().sale;
    let mut accepted = |token| {
        let acceptance = Acceptance {
            at_ms: EPOCH,
            uid: uid("u9"),
            qty: 1,
            hold_ms: 0,
            token: Some(token),
        };
        send(&mut sale, &Effect::Accepted(acceptance))
    };
    for token in [&b"a\0"[..], b"\n", b"a\xff"] {
        let error = ApplyError::Decode(DecodeError::Field("token"));
        assert_eq!(accepted(token), Err(error), "{token:?}");
    }
    accepted(b"t").unwrap();
}

#[test]
fn a_block_with_something_behind_it_is_none() {
    let blocks = bytes(&sale().sale);
    for (number, block) in blocks.iter().enumerate() {
        let mut damaged = blocks.clone();
        damaged[number] = [&block[..], &[0]].concat();
        assert!(restored(&damaged).is_err(), "block {number}");
    }
}

#[test]
fn a_sale_does_not_begin_with_an_epoch_that_none_can_follow() {
    let opened = |epoch| Effect::Opened {
        epoch,
        at_ms: 0,
        options: Box::default(),
        total: 1,
        sold: 0,
        paused: false,
    };
    let last = i64::MAX.unsigned_abs();
    assert!(Sale::open(&opened(last + 1), 1).is_err());
    // What was opened can be saved and loaded.
    let sale = created(&payload(EventId::ZERO, &opened(last)), 1);
    crate::common::reloaded(&sale);
}

#[test]
fn a_part_of_a_sale_takes_no_change() {
    let blocks = bytes(&sale().sale);
    let mut part = restored(&blocks[..1]).unwrap();
    assert!(!part.is_complete());
    assert_eq!(
        send(&mut part, &Effect::Paused),
        Err(ApplyError::Incomplete)
    );
    for block in &blocks[1..] {
        apply(&mut part, block).unwrap();
    }
    assert_eq!(bytes(&part), blocks);
}

#[test]
fn the_log_of_a_snapshot_comes_after_its_reservations() {
    let blocks = bytes(&sale().sale);
    let out_of_place = Err(ApplyError::Restore(RestoreError::OutOfPlace));
    for wrong in [&[2][..], &[1, 1], &[1, 2, 2], &[1, 2, 1]] {
        let mut copy = restored(&blocks[..1]).unwrap();
        let (last, before) = wrong.split_last().unwrap();
        for number in before {
            apply(&mut copy, &blocks[*number]).unwrap();
        }
        assert_eq!(apply(&mut copy, &blocks[*last]), out_of_place, "{wrong:?}");
    }
}

#[test]
fn a_snapshot_of_which_one_block_did_not_fit_is_never_a_sale() {
    let blocks = bytes(&sale().sale);
    let (last, others) = blocks.split_last().unwrap();
    // Without its log it does not add up.
    let cut = &last[..last.len() - 1];
    for damaged in [cut, &[&last[..], last].concat()] {
        let mut copy = restored(others).unwrap();
        assert!(apply(&mut copy, damaged).is_err());
        assert!(apply(&mut copy, last).is_err());
        assert!(!copy.is_complete());
        assert!(matches!(copy.audit(), Err(AuditError::Incomplete { .. })));
    }
}

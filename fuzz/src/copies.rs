//! Sales saved, loaded, made from what was replicated, and read in every way.

use crate::command::BUYERS;
use crate::events::comes_out_again;
use seckill_protocol::{EventId, Fact, ReservationId, Uid, UidRef};
use seckill_sale::{ApplyError, Payload, Reservation, Sale};
use std::collections::BTreeSet;

/// The sale as bytes: two sales with the same bytes are the same sale.
pub(crate) fn blocks(sale: &Sale) -> Vec<Vec<u8>> {
    let mut blocks = Vec::new();
    sale.for_each_block(|block| blocks.push(block.to_vec()));
    blocks
}

/// What `SECKILL.APPLY` does with one payload.
pub(crate) fn apply(sale: &mut Sale, payload: &[u8]) -> Result<(), ApplyError> {
    match Payload::decode(payload)? {
        Payload::Change(effects) => sale.apply_effects(effects),
        Payload::Block(block) => Ok(sale.restore_block(block)?),
    }
}

/// What `SECKILL.APPLY` does with the first payload of a sale.
pub(crate) fn begin(payload: &[u8], seed: u64) -> Result<Sale, ApplyError> {
    match Payload::decode(payload)? {
        Payload::Change(effects) => Sale::from_effects(effects, seed),
        Payload::Block(block) => Ok(Sale::from_block(block, seed)?),
    }
}

/// The sale that payloads make.
pub(crate) fn replay<'a>(
    payloads: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<Sale>, ApplyError> {
    let mut payloads = payloads.into_iter();
    let Some(first) = payloads.next() else {
        return Ok(None);
    };
    let mut sale = begin(first, 3)?;
    for payload in payloads {
        apply(&mut sale, payload)?;
    }
    Ok(Some(sale))
}

/// The sale of these payloads, which must make one.
pub(crate) fn made(payloads: &[Vec<u8>]) -> Sale {
    let sale = replay(payloads.iter().map(Vec::as_slice)).unwrap();
    sale.unwrap()
}

/// The sale, saved and loaded: the same.
pub(crate) fn reloaded(sale: &Sale) -> Sale {
    let saved = blocks(sale);
    let loaded = made(&saved);
    assert_eq!(blocks(&loaded), saved, "saved and loaded is the same sale");
    assert_eq!(loaded.audit().unwrap(), sale.audit().unwrap());
    loaded
}

/// Adds the sale up.
pub(crate) fn adds_up(sale: &Sale) {
    let figures = sale.audit().unwrap_or_else(|error| panic!("{error}"));
    let parts = [sale.available(), sale.held(), sale.sold()].map(u128::from);
    assert_eq!(parts.iter().sum::<u128>(), u128::from(sale.total()));
    assert_eq!(
        (
            figures.total,
            figures.available,
            figures.held,
            figures.sold,
            figures.reservations
        ),
        (
            sale.total(),
            sale.available(),
            sale.held(),
            sale.sold(),
            sale.reservation_count()
        )
    );
}

/// Reads everything that can be read of a complete sale, in the ways of GET, USER, INFO and EVENTS.
pub(crate) fn is_readable(sale: &Sale) {
    for now_ms in [0, sale.next_release_ms().unwrap_or(1), u64::MAX] {
        let _ = sale.phase(now_ms).as_str();
    }
    let _ = (sale.memory_bytes(), sale.allocation_count());
    let (mut after, mut count) = (EventId::ZERO, 0);
    while let Some(batch) = sale.events_after(after, 7) {
        assert!(!batch.events.is_empty() && batch.events.len() <= 7);
        comes_out_again(&batch);
        let last = batch.last_id().unwrap();
        assert!(last > after, "{last} comes after {after}");
        after = last;
        count += batch.events.len() as u64;
    }
    assert_eq!(count, sale.events_pending());
    assert_eq!(count > 0, sale.stored() < sale.head());
    assert!(count == 0 || after == sale.head());
    for reservation in known(sale) {
        assert_eq!(sale.reservation(reservation.rid), Some(reservation));
        let _ = sale.is_stored(reservation.rid);
    }
    let none = ReservationId::new(sale.head().epoch, sale.head().seq.wrapping_add(1));
    assert_eq!(sale.reservation(none), None, "{none} comes next");
}

/// The reservations of the usual buyers and of those who are in the log.
pub(crate) fn known(sale: &Sale) -> Vec<Reservation<'_>> {
    let mut uids: BTreeSet<Uid> = BUYERS
        .iter()
        .map(|buyer| Uid::new(buyer.as_bytes()).unwrap())
        .collect();
    let mut after = EventId::ZERO;
    while let Some(batch) = sale.events_after(after, 1000) {
        after = batch.last_id().unwrap();
        for event in batch.events {
            if let Fact::Accepted { uid, .. } = event.fact {
                uids.insert(uid);
            }
        }
    }
    let mut found = Vec::new();
    for uid in &uids {
        let uid = UidRef::new(uid.as_bytes()).unwrap();
        found.extend(
            sale.reservations_of(uid)
                .inspect(|r| assert_eq!(r.uid, uid)),
        );
    }
    found.sort_by_key(|reservation| reservation.rid);
    found
}

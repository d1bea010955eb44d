//! Reservations as they lie in memory: sixteen bytes each, and their texts.
//!
//! They are kept in the order in which they came and never removed, 1024 a chunk, so that growing
//! never copies more than one chunk. What most of them do not have is not in the sixteen bytes but
//! behind the buyer's id in the chunk's text:
//!
//! ```text
//! uid | links, 16 bytes, if he has an older one | quantity, 4 bytes, if above 65535 | token
//! ```

use super::Position;
use crate::codec::{STATE_BITS, state_code, state_in};
use seckill_protocol::ReservationState;

/// Reservations in a chunk.
const CHUNK: usize = 1024;

/// Room that a finished chunk's text may keep, as a part of its length.
const SLACK_PART: usize = 8;

const HAS_LINKS: u8 = 0b100;
const HAS_WIDE_QTY: u8 = 0b1000;
const HAS_TOKEN: u8 = 0b1_0000;
const REFUND_DUE: u8 = 0b10_0000;

#[derive(Default)]
pub(super) struct Records {
    chunks: Vec<Chunk>,
    len: Position,
    /// Of all chunks, on the heap.
    chunk_bytes: usize,
}

#[derive(Default)]
struct Chunk {
    slots: Vec<Slot>,
    text: Vec<u8>,
}

/// The fixed part of a reservation. What it counts from is in its run.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    /// Number of its event, from the run's first.
    pub(super) seq: u32,
    /// When it was granted, in ms after the run's first.
    pub(super) at: u32,
    /// Where its text begins.
    text: u32,
    qty: u16,
    uid_bytes: u8,
    bits: u8,
}

/// A reservation to be kept.
pub(super) struct NewRecord<'a> {
    pub(super) seq: u32,
    pub(super) at: u32,
    pub(super) uid: &'a [u8],
    pub(super) qty: u32,
    pub(super) state: ReservationState,
    pub(super) token: Option<&'a [u8]>,
    /// Of a buyer who has an older one.
    pub(super) links: Option<Links>,
}

/// What a reservation knows of its buyer's older ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Links {
    /// The next older one.
    pub(super) older: Position,
    /// An older one that nothing live lies before; the next live one, where this is his latest.
    pub(super) skip: Option<Position>,
    /// Live units of the buyer, up to this one; kept true on his latest reservation only.
    pub(super) live_units: u64,
}

// === impl Slot ===

impl Slot {
    pub(super) const fn state(self) -> ReservationState {
        state_in(self.bits)
    }

    pub(super) const fn has_links(self) -> bool {
        self.bits & HAS_LINKS != 0
    }

    pub(super) const fn is_refund_due(self) -> bool {
        self.bits & REFUND_DUE != 0
    }

    const fn text_place(self) -> usize {
        self.text as usize
    }

    const fn links_place(self) -> usize {
        self.text_place() + self.uid_bytes as usize
    }

    const fn wide_qty_place(self) -> usize {
        self.links_place() + if self.has_links() { Links::BYTES } else { 0 }
    }

    const fn token_place(self) -> usize {
        let wide = self.bits & HAS_WIDE_QTY != 0;
        self.wide_qty_place() + if wide { size_of::<u32>() } else { 0 }
    }
}

// === impl Links ===

impl Links {
    const BYTES: usize = 16;
    /// Stands for no position.
    const NONE: u32 = u32::MAX;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let skip = self.skip.unwrap_or(Self::NONE);
        let positions = u64::from(self.older) | u64::from(skip) << 32;
        (u128::from(positions) | u128::from(self.live_units) << 64).to_le_bytes()
    }

    fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, units @ ..] = bytes;
        let skip = u32::from_le_bytes([e, f, g, h]);
        Self {
            older: u32::from_le_bytes([a, b, c, d]),
            skip: (skip != Self::NONE).then_some(skip),
            live_units: u64::from_le_bytes(units),
        }
    }
}

// === impl Records ===

impl Records {
    pub(super) const fn len(&self) -> Position {
        self.len
    }

    /// Appends a reservation, for which there must be a position left.
    pub(super) fn push(&mut self, new: &NewRecord<'_>) -> Position {
        let position = self.len;
        let bytes_before = self.last_chunk_bytes();
        if (position as usize).is_multiple_of(CHUNK) {
            self.begin_chunk();
        } else {
            self.chunk_bytes -= bytes_before;
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.push(new);
        }
        self.chunk_bytes += self.last_chunk_bytes();
        self.len += 1;
        position
    }

    fn last_chunk_bytes(&self) -> usize {
        self.chunks.last().map_or(0, Chunk::heap_bytes)
    }

    /// The first chunk grows with its sale; the ones after it are made as large as the one before.
    fn begin_chunk(&mut self) {
        let mut next = Chunk::default();
        if let Some(chunk) = self.chunks.last_mut() {
            let before = chunk.heap_bytes();
            chunk.finish();
            self.chunk_bytes = self.chunk_bytes - before + chunk.heap_bytes();
            next.slots.reserve_exact(CHUNK);
            next.text.reserve_exact(chunk.text.len());
        }
        self.chunks.push(next);
    }

    pub(super) fn slot(&self, position: Position) -> Option<Slot> {
        self.place(position).map(|(_, slot)| *slot)
    }

    pub(super) fn uid(&self, position: Position) -> &[u8] {
        let place = self.place(position);
        place.map_or(&[], |(chunk, slot)| chunk.uid(*slot))
    }

    pub(super) fn token(&self, position: Position) -> Option<&[u8]> {
        let (chunk, slot) = self.place(position)?;
        if slot.bits & HAS_TOKEN == 0 {
            return None;
        }
        let (&length, bytes) = chunk.text.get(slot.token_place()..)?.split_first()?;
        bytes.get(..length.into())
    }

    pub(super) fn qty(&self, position: Position) -> u32 {
        let Some((chunk, slot)) = self.place(position) else {
            return 0;
        };
        if slot.bits & HAS_WIDE_QTY == 0 {
            return slot.qty.into();
        }
        let bytes = chunk.text.get(slot.wide_qty_place()..);
        let qty = bytes.and_then(<[u8]>::first_chunk);
        qty.map_or(0, |qty| u32::from_le_bytes(*qty))
    }

    pub(super) fn links(&self, position: Position) -> Option<Links> {
        let (chunk, slot) = self.place(position)?;
        if !slot.has_links() {
            return None;
        }
        let bytes = chunk.text.get(slot.links_place()..)?.first_chunk()?;
        Some(Links::from_bytes(*bytes))
    }

    /// Changes the links of a reservation that has some.
    pub(super) fn set_links(&mut self, position: Position, links: Links) {
        let Some((chunk, slot)) = self.place_mut(position) else {
            return;
        };
        if slot.has_links() {
            let place = slot.links_place();
            let bytes = chunk
                .text
                .get_mut(place..)
                .and_then(<[u8]>::first_chunk_mut);
            if let Some(bytes) = bytes {
                *bytes = links.to_bytes();
            }
        }
    }

    pub(super) fn set_state(&mut self, position: Position, state: ReservationState) {
        let at = position as usize;
        let chunk = self.chunks.get_mut(at / CHUNK);
        if let Some(slot) = chunk.and_then(|chunk| chunk.slots.get_mut(at % CHUNK)) {
            slot.bits = slot.bits & !STATE_BITS | state_code(state);
        }
    }

    /// A payment for it came too late.
    pub(super) fn owe_refund(&mut self, position: Position) {
        let at = position as usize;
        let chunk = self.chunks.get_mut(at / CHUNK);
        if let Some(slot) = chunk.and_then(|chunk| chunk.slots.get_mut(at % CHUNK)) {
            slot.bits |= REFUND_DUE;
        }
    }

    /// Bytes on the heap. O(1).
    pub(super) const fn heap_bytes(&self) -> usize {
        self.chunk_bytes + self.chunks.capacity() * size_of::<Chunk>()
    }

    /// Pieces of memory. O(1).
    pub(super) const fn allocation_count(&self) -> usize {
        2 * self.chunks.len()
    }

    fn place(&self, position: Position) -> Option<(&Chunk, &Slot)> {
        let at = position as usize;
        let chunk = self.chunks.get(at / CHUNK)?;
        Some((chunk, chunk.slots.get(at % CHUNK)?))
    }

    fn place_mut(&mut self, position: Position) -> Option<(&mut Chunk, Slot)> {
        let at = position as usize;
        let chunk = self.chunks.get_mut(at / CHUNK)?;
        let slot = *chunk.slots.get(at % CHUNK)?;
        Some((chunk, slot))
    }
}

// === impl Chunk ===

impl Chunk {
    fn push(&mut self, new: &NewRecord<'_>) {
        let text = &mut self.text;
        // 1024 of the longest texts take about 300 KB.
        let start = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let mut bits = state_code(new.state);
        text.extend_from_slice(new.uid);
        if let Some(links) = new.links {
            bits |= HAS_LINKS;
            text.extend_from_slice(&links.to_bytes());
        }
        let qty = u16::try_from(new.qty).unwrap_or_else(|_| {
            bits |= HAS_WIDE_QTY;
            text.extend_from_slice(&new.qty.to_le_bytes());
            0
        });
        if let Some(token) = new.token {
            bits |= HAS_TOKEN;
            text.push(u8::try_from(token.len()).unwrap_or(u8::MAX));
            text.extend_from_slice(token);
        }
        self.slots.push(Slot {
            seq: new.seq,
            at: new.at,
            text: start,
            qty,
            uid_bytes: u8::try_from(new.uid.len()).unwrap_or(u8::MAX),
            bits,
        });
    }

    fn uid(&self, slot: Slot) -> &[u8] {
        let bytes = self.text.get(slot.text_place()..slot.links_place());
        bytes.unwrap_or_default()
    }

    fn finish(&mut self) {
        if self.text.capacity() - self.text.len() > self.text.len() / SLACK_PART {
            self.text.shrink_to_fit();
        }
    }

    const fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.text.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINKS: Links = Links {
        older: 3,
        skip: None,
        live_units: 1 << 40,
    };

    #[test]
    fn a_slot_takes_sixteen_bytes() {
        assert_eq!(size_of::<Slot>(), 16);
    }

    #[test]
    fn what_was_kept_is_found_again_whatever_it_has() {
        let mut records = Records::default();
        let make = |n: u32| NewRecord {
            seq: n,
            at: n * 2,
            uid: &b"0123456789abcdef"[..1 + n as usize % 16],
            qty: if n.is_multiple_of(3) { 1 } else { 70_000 + n },
            state: [
                ReservationState::Held,
                ReservationState::Confirmed,
                ReservationState::Cancelled,
                ReservationState::Expired,
            ][n as usize % 4],
            token: n.is_multiple_of(5).then_some(b"token"),
            links: n.is_multiple_of(2).then_some(LINKS),
        };
        for n in 0..3000 {
            assert_eq!(records.push(&make(n)), n);
        }
        records.set_state(4, ReservationState::Expired);
        let moved = Links {
            skip: Some(1),
            ..LINKS
        };
        records.set_links(4, moved);
        for n in 0..3000 {
            let (new, slot) = (make(n), records.slot(n).unwrap());
            assert_eq!((slot.seq, slot.at), (new.seq, new.at));
            assert_eq!(records.uid(n), new.uid);
            assert_eq!(records.qty(n), new.qty);
            assert_eq!(records.token(n), new.token);
            if n == 4 {
                assert_eq!(slot.state(), ReservationState::Expired);
                assert_eq!(records.links(n), Some(moved));
            } else {
                assert_eq!(slot.state(), new.state);
                assert_eq!(records.links(n), new.links);
            }
        }
        assert!(records.slot(3000).is_none());
        let bytes: usize = records.chunks.iter().map(Chunk::heap_bytes).sum();
        assert_eq!(records.chunk_bytes, bytes);
    }
}

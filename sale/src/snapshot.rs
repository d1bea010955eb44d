//! A whole sale as blocks of bytes, for RDB files, rewritten AOFs and digests.
//!
//! The first block is the header, which says how many reservations and log entries follow; then come
//! the reservations, then the entries, some hundreds a block. Indexes are not saved, they are built
//! again from what is. Two sales with the same blocks are the same sale.
//!
//! A block of reservations says what they have in common and counts each from the one before: a
//! usual reservation takes its buyer's id and four bytes.

use crate::audit::AuditError;
use crate::codec::{
    DecodeError, Reader, STATE_BITS, put_bytes, put_id, put_instant, put_number, put_signed,
    state_code, state_in,
};
use crate::effect::{Block, begin_block, put_token, take_token};
use crate::log::{Entry, EntryFact, Log, Opened};
use crate::options::{Options, put_name, take_name};
use crate::reservations::{Position, RESERVATIONS_MAX, Reservation, Reservations};
use crate::sale::{EPOCH_MAX, Missing, Sale};
use seckill_protocol::{EventId, ReservationId};

/// Reservations, or entries, in a block: of the longest ids and tokens about 64 KiB.
const ITEMS_PER_BLOCK: Position = 240;

const HEADER: u8 = 1;
const RESERVATIONS: u8 = 2;
const ENTRIES: u8 = 3;

const HAS_OLDER: u8 = 0b100;
const HAS_TOKEN: u8 = 0b1000;
const IS_SINGLE: u8 = 0b1_0000;
const REFUND_DUE: u8 = 0b10_0000;
const ITEM_BITS: u8 = STATE_BITS | HAS_OLDER | HAS_TOKEN | IS_SINGLE | REFUND_DUE;

/// Why blocks do not make a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Its bytes do not read.
    #[error("{0}")]
    Decode(#[from] DecodeError),
    /// It is not the next block of this sale.
    #[error("a block of a snapshot is out of place")]
    OutOfPlace,
    /// A reservation cannot stand where it does.
    #[error("reservation {0} of a snapshot is out of place")]
    Reservation(ReservationId),
    /// A reservation says of its buyer what the others do not bear out.
    #[error("the reservations of a snapshot disagree about their buyers")]
    Buyers,
    /// The sale does not add up.
    #[error("the snapshot does not add up: {0}")]
    Audit(#[from] AuditError),
}

// === Writing ===

impl Sale {
    /// Hands the sale's blocks to `write`, in the order in which they are to be restored.
    pub fn for_each_block(&self, mut write: impl FnMut(&[u8])) {
        let mut out = Vec::new();
        self.put_header(&mut out);
        write(&out);
        for run in self.reservations.runs() {
            let mut next = run;
            while !next.is_empty() {
                let end = next.start.saturating_add(ITEMS_PER_BLOCK).min(next.end);
                self.put_reservations(&mut out, next.start..end);
                write(&out);
                next.start = end;
            }
        }
        let mut entries = self.log.after(EventId::ZERO).peekable();
        while entries.peek().is_some() {
            begin_block(&mut out);
            out.push(ENTRIES);
            for entry in entries.by_ref().take(ITEMS_PER_BLOCK as usize) {
                put_entry(&mut out, entry);
            }
            write(&out);
        }
    }

    fn put_header(&self, out: &mut Vec<u8>) {
        begin_block(out);
        out.push(HEADER);
        self.options.put(out);
        out.extend([self.paused, self.closed, self.fenced].map(u8::from));
        for id in [self.head, self.relayed, self.stored] {
            put_id(out, id);
        }
        for number in [
            self.total,
            self.available,
            self.held,
            self.sold,
            self.sold_before,
            self.reservations.len().into(),
            self.log.len() as u64,
        ] {
            put_number(out, number);
        }
    }

    /// A block of reservations of one run.
    fn put_reservations(&self, out: &mut Vec<u8>, positions: std::ops::Range<Position>) {
        begin_block(out);
        out.push(RESERVATIONS);
        let mut before: Option<Reservation<'_>> = None;
        for position in positions {
            let Some(reservation) = self.reservations.at(position) else {
                return;
            };
            let (seq, at_ms) = match before {
                None => {
                    put_instant(out, reservation.rid.0.epoch);
                    put_number(out, reservation.hold_ms);
                    out.push(reservation.restored.into());
                    (0, 0)
                }
                Some(before) => (before.rid.0.seq, before.at_ms),
            };
            put_number(out, reservation.rid.0.seq - seq);
            put_number(out, reservation.at_ms - at_ms);
            let has_older = self.reservations.has_older(position);
            let refund_due = self.reservations.is_refund_due(position);
            put_item(out, &reservation, has_older, refund_due);
            before = Some(reservation);
        }
    }
}

fn put_item(out: &mut Vec<u8>, reservation: &Reservation<'_>, has_older: bool, refund_due: bool) {
    let mut bits = state_code(reservation.state);
    for (bit, is_set) in [
        (HAS_OLDER, has_older),
        (HAS_TOKEN, reservation.token.is_some()),
        (IS_SINGLE, reservation.qty == 1),
        (REFUND_DUE, refund_due),
    ] {
        bits |= if is_set { bit } else { 0 };
    }
    out.push(bits);
    put_bytes(out, reservation.uid.as_bytes());
    if reservation.qty != 1 {
        put_number(out, reservation.qty.into());
    }
    if reservation.token.is_some() {
        put_token(out, reservation.token);
    }
}

/// The byte that names an entry's fact.
mod fact {
    pub(super) const CONFIRMED: u8 = 1;
    pub(super) const CANCELLED: u8 = 2;
    pub(super) const EXPIRED: u8 = 3;
    pub(super) const RESTOCKED: u8 = 4;
    pub(super) const CLOSED: u8 = 5;
    pub(super) const OPENED: u8 = 6;
    pub(super) const EPOCH: u8 = 7;
    pub(super) const LATE_PAYMENT: u8 = 8;
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    put_id(out, entry.id);
    put_instant(out, entry.at_ms);
    match &entry.fact {
        EntryFact::Confirmed(position) => put_step(out, fact::CONFIRMED, *position),
        EntryFact::Cancelled(position) => put_step(out, fact::CANCELLED, *position),
        EntryFact::Expired(position) => put_step(out, fact::EXPIRED, *position),
        EntryFact::Restocked(delta) => {
            out.push(fact::RESTOCKED);
            put_signed(out, *delta);
        }
        EntryFact::Closed => out.push(fact::CLOSED),
        EntryFact::Opened(opened) => {
            out.push(fact::OPENED);
            put_name(out, &opened.name);
            put_number(out, opened.total);
            put_number(out, opened.sold);
        }
        EntryFact::Epoch(previous) => {
            out.push(fact::EPOCH);
            put_id(out, **previous);
        }
        EntryFact::LatePayment(position) => put_step(out, fact::LATE_PAYMENT, *position),
    }
}

fn put_step(out: &mut Vec<u8>, fact: u8, position: Position) {
    out.push(fact);
    put_number(out, position.into());
}

// === Reading ===

impl Sale {
    /// Begins a sale from its first block.
    ///
    /// # Errors
    /// [`RestoreError`] if it is another block, or broken.
    pub fn from_block(block: Block<'_>, seed: u64) -> Result<Self, RestoreError> {
        let mut reader = block.0;
        if reader.byte()? != HEADER {
            return Err(RestoreError::OutOfPlace);
        }
        let options = Options::take(&mut reader)?;
        let (paused, closed) = (reader.flag("paused")?, reader.flag("closed")?);
        let fenced = reader.flag("fenced")?;
        let (head, relayed, stored) = (reader.id()?, reader.id()?, reader.id()?);
        let mut sale = Self {
            options,
            paused,
            closed,
            fenced,
            head,
            total: reader.number()?,
            available: reader.number()?,
            held: reader.number()?,
            sold: reader.number()?,
            sold_before: reader.number()?,
            reservations: Reservations::new(seed),
            log: Log::default(),
            accepted_pending: 0,
            relayed,
            stored,
            released_from_ms: 0,
            missing: Missing {
                reservations: reader.number()?,
                entries: reader.number()?,
                is_lost: false,
            },
        };
        reader.end()?;
        if sale.head.epoch > EPOCH_MAX {
            return Err(DecodeError::Field("epoch").into());
        }
        if sale.missing.reservations > RESERVATIONS_MAX.into() {
            return Err(DecodeError::Field("reservations").into());
        }
        sale.finish_if_complete()?;
        Ok(sale)
    }

    /// Adds the next block; with the last one the sale is complete.
    ///
    /// # Errors
    /// [`RestoreError`] if it is not the next one, is broken, or is the last one and the sale does not
    /// add up. Then the sale stays incomplete, whatever else comes.
    pub fn restore_block(&mut self, block: Block<'_>) -> Result<(), RestoreError> {
        if self.missing.is_lost {
            return Err(RestoreError::OutOfPlace);
        }
        let restored = self.take_block(block.0);
        self.missing.is_lost = restored.is_err();
        restored
    }

    fn take_block(&mut self, mut reader: Reader<'_>) -> Result<(), RestoreError> {
        match reader.byte()? {
            RESERVATIONS => self.take_reservations(&mut reader)?,
            ENTRIES if self.missing.reservations == 0 => self.take_entries(&mut reader)?,
            _ => return Err(RestoreError::OutOfPlace),
        }
        self.finish_if_complete()
    }

    fn take_reservations(&mut self, reader: &mut Reader<'_>) -> Result<(), RestoreError> {
        let epoch = reader.instant()?;
        let hold_ms = reader.number()?;
        let restored = reader.flag("restored")?;
        let (mut seq, mut at_ms) = (0_u64, 0_u64);
        loop {
            let next = self.missing.reservations.checked_sub(1);
            self.missing.reservations = next.ok_or(RestoreError::OutOfPlace)?;
            let out_of_range = DecodeError::Field("reservation");
            seq = seq.checked_add(reader.number()?).ok_or(out_of_range)?;
            at_ms = at_ms.checked_add(reader.number()?).ok_or(out_of_range)?;
            let bits = reader.byte()?;
            if bits & !ITEM_BITS != 0 {
                return Err(out_of_range.into());
            }
            let uid = reader.uid()?;
            let qty = if bits & IS_SINGLE == 0 {
                reader.number_u32("qty")?
            } else {
                1
            };
            let token = if bits & HAS_TOKEN == 0 {
                None
            } else {
                take_token(reader)?
            };
            let reservation = Reservation {
                rid: ReservationId::new(epoch, seq),
                uid,
                qty,
                state: state_in(bits),
                at_ms,
                hold_ms,
                token,
                restored,
            };
            let position = self.load_reservation(&reservation, bits & HAS_OLDER != 0)?;
            if bits & REFUND_DUE != 0 {
                self.reservations.owe_refund(position);
            }
            if reader.is_empty() {
                return Ok(());
            }
        }
    }

    fn load_reservation(
        &mut self,
        reservation: &Reservation<'_>,
        has_older: bool,
    ) -> Result<Position, RestoreError> {
        let rid = reservation.rid;
        if rid.0 > self.head {
            return Err(RestoreError::Reservation(rid));
        }
        let loaded = self.reservations.load(reservation, has_older);
        loaded.ok_or(RestoreError::Reservation(rid))
    }

    fn take_entries(&mut self, reader: &mut Reader<'_>) -> Result<(), RestoreError> {
        loop {
            let next = self.missing.entries.checked_sub(1);
            self.missing.entries = next.ok_or(RestoreError::OutOfPlace)?;
            let entry = take_entry(reader)?;
            self.log.push(entry);
            if reader.is_empty() {
                return Ok(());
            }
        }
    }

    fn finish_if_complete(&mut self) -> Result<(), RestoreError> {
        if !self.is_complete() {
            return Ok(());
        }
        if !self.reservations.index() {
            return Err(RestoreError::Buyers);
        }
        self.accepted_pending = self.reservations.granted_count_after(self.stored);
        Ok(self.audit_figures()?)
    }
}

fn take_entry(reader: &mut Reader<'_>) -> Result<Entry, DecodeError> {
    Ok(Entry {
        id: reader.id()?,
        at_ms: reader.instant()?,
        fact: match reader.byte()? {
            fact::CONFIRMED => EntryFact::Confirmed(reader.number_u32("position")?),
            fact::CANCELLED => EntryFact::Cancelled(reader.number_u32("position")?),
            fact::EXPIRED => EntryFact::Expired(reader.number_u32("position")?),
            fact::RESTOCKED => EntryFact::Restocked(reader.signed()?),
            fact::CLOSED => EntryFact::Closed,
            fact::OPENED => EntryFact::Opened(Box::new(Opened {
                name: take_name(reader)?,
                total: reader.number()?,
                sold: reader.number()?,
            })),
            fact::EPOCH => EntryFact::Epoch(Box::new(reader.id()?)),
            fact::LATE_PAYMENT => EntryFact::LatePayment(reader.number_u32("position")?),
            _ => return Err(DecodeError::Field("fact")),
        },
    })
}

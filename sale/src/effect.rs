//! What can change in a sale, and how a change travels to replicas and the AOF.
//!
//! A payload is a version byte, a byte that says what follows, and that: either a change (the place
//! that it follows, then its effects up to the end) or a block of a snapshot. An effect is a byte
//! that names it and its fields; see `codec` for numbers and bytes. What version 1 can say may grow,
//! what it says may not change: a file that was written once is read for ever.

use crate::codec::{
    DecodeError, Reader, put_bytes, put_id, put_instant, put_number, put_signed, state_code,
};
use crate::news::{News, NewsSet};
use crate::options::Options;
use crate::reservations::Reservation;
use seckill_protocol::{EventId, ReservationId, Token, UidRef};

/// Version of a payload: its first byte.
pub const PAYLOAD_VERSION: u8 = 1;

const CHANGE: u8 = 1;
const BLOCK: u8 = 2;

/// One change. Instants were read once, by the primary; applying reads no clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<'a> {
    /// The sale is created.
    Opened {
        /// The first epoch.
        epoch: u64,
        /// When, Unix ms.
        at_ms: u64,
        /// What the operator set.
        options: Box<Options>,
        /// All units.
        total: u64,
        /// Units that are gone already.
        sold: u64,
        /// Whether it begins paused.
        paused: bool,
    },
    /// A buyer gets units; the reservation is named by the event that this becomes.
    Accepted(Acceptance<'a>),
    /// Held units are paid for; or expired ones are, late.
    Confirmed {
        /// When, Unix ms.
        at_ms: u64,
        /// Which reservation.
        rid: ReservationId,
    },
    /// Held units are given up.
    Cancelled {
        /// When, Unix ms.
        at_ms: u64,
        /// Which reservation.
        rid: ReservationId,
    },
    /// Held units were not paid for in time.
    Expired {
        /// When they were released, Unix ms.
        at_ms: u64,
        /// Which reservation.
        rid: ReservationId,
    },
    /// Units are added, or unsold ones taken away.
    Restocked {
        /// When, Unix ms.
        at_ms: u64,
        /// How many.
        delta: i64,
    },
    /// The sale is closed for good.
    Closed {
        /// When, Unix ms.
        at_ms: u64,
    },
    /// The sale stops.
    Paused,
    /// The sale goes on.
    Resumed,
    /// The broker has the events up to here.
    Relayed(EventId),
    /// MySQL has the events up to here.
    Stored(EventId),
    /// The operator sets other options.
    Altered(Box<Options>),
    /// A node took over with a copy that may lack the last facts: a new epoch.
    TookOver {
        /// The new epoch, above the one before.
        epoch: u64,
        /// When, Unix ms.
        at_ms: u64,
        /// Whether nothing is sold until MySQL is seen to have what this copy has.
        fenced: bool,
    },
    /// MySQL has what this copy has: the fence falls.
    Unfenced,
    /// A reservation that MySQL has is put back, or moved on to the state that it has there.
    Restored(Reservation<'a>),
    /// The units are what MySQL says.
    Recounted {
        /// All units.
        total: u64,
        /// Units that are gone and in no reservation.
        sold_before: u64,
    },
    /// This copy has all that MySQL has: the present epoch follows MySQL's place.
    Joined {
        /// MySQL's place.
        previous: EventId,
    },
    /// The same, and what happened here since then follows in an epoch of its own, under other numbers:
    /// no number then belongs to copies with and without what was put back.
    Rebased {
        /// MySQL's place.
        previous: EventId,
        /// The new epoch, above the one before.
        epoch: u64,
        /// When, Unix ms.
        at_ms: u64,
    },
    /// What was expired or given up was paid for, and is to be refunded.
    LatePayment {
        /// When, Unix ms.
        at_ms: u64,
        /// Which reservation.
        rid: ReservationId,
    },
    /// MySQL has it that the payment for what was expired or given up is to be refunded.
    RefundOwed {
        /// Which reservation.
        rid: ReservationId,
    },
}

/// Units that are granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acceptance<'a> {
    /// When, Unix ms.
    pub at_ms: u64,
    /// Who.
    pub uid: UidRef<'a>,
    /// How many units, at least 1.
    pub qty: u32,
    /// How long they are held, ms; 0: sold at once.
    pub hold_ms: u64,
    /// What he asked with.
    pub token: Option<&'a [u8]>,
}

/// The effects of one command, in order, as they travel.
#[derive(Clone, Debug, Default)]
pub struct Change {
    after: EventId,
    payload: Vec<u8>,
    pub(crate) news: NewsSet,
}

/// What one `SECKILL.APPLY` carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// The effects of a command.
    Change(Effects<'a>),
    /// A block of a snapshot.
    Block(Block<'a>),
}

/// The effects of a command that are to be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effects<'a> {
    /// The last event before them: a copy that stands elsewhere has lost something.
    pub after: EventId,
    rest: Reader<'a>,
}

/// A block of a snapshot that is to be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a>(pub(crate) Reader<'a>);

// === impl Change ===

impl Change {
    /// Forgets what was recorded; what is recorded next follows the event `after`, a sale's last one.
    pub fn begin(&mut self, after: EventId) {
        self.after = after;
        self.payload.clear();
        self.news = NewsSet::default();
    }

    /// Adds an effect.
    pub fn record(&mut self, effect: &Effect<'_>) {
        effect.put(self.place());
        if let Some(news) = News::of_effect(effect) {
            self.news.add(news);
        }
    }

    /// Adds an acceptance: the effect that there are many of.
    pub(crate) fn record_acceptance(&mut self, acceptance: &Acceptance<'_>) {
        acceptance.put(self.place());
    }

    /// Where the next effect is written.
    fn place(&mut self) -> &mut Vec<u8> {
        if self.payload.is_empty() {
            self.payload.extend_from_slice(&[PAYLOAD_VERSION, CHANGE]);
            put_id(&mut self.payload, self.after);
        }
        &mut self.payload
    }

    /// Whether nothing changes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }

    /// What `SECKILL.APPLY` carries; empty if nothing changes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Bytes on the heap.
    #[must_use]
    pub const fn heap_bytes(&self) -> usize {
        self.payload.capacity()
    }

    /// Gives back the room that an unusually large change took.
    pub fn shrink_to(&mut self, bytes: usize) {
        if self.payload.capacity() > bytes {
            self.payload = Vec::new();
        }
    }
}

// === impl Payload ===

impl<'a> Payload<'a> {
    /// Reads what a node wrote.
    ///
    /// # Errors
    /// [`DecodeError`] when it is empty, of another version, or neither change nor block. The
    /// effects themselves are read one by one.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.byte() {
            Err(_) => return Err(DecodeError::Empty),
            Ok(PAYLOAD_VERSION) => {}
            Ok(version) => return Err(DecodeError::Version(version)),
        }
        match reader.byte()? {
            CHANGE => Ok(Self::Change(Effects {
                after: reader.id()?,
                rest: reader,
            })),
            BLOCK => Ok(Self::Block(Block(reader))),
            _ => Err(DecodeError::Field("payload")),
        }
    }
}

/// Begins a block of a snapshot.
pub(crate) fn begin_block(out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&[PAYLOAD_VERSION, BLOCK]);
}

impl<'a> Iterator for Effects<'a> {
    type Item = Result<Effect<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let effect = Effect::take(&mut self.rest);
        if effect.is_err() {
            self.rest = Reader::new(&[]);
        }
        Some(effect)
    }
}

// === impl Effect ===

/// The byte that names an effect. A number is used once and for ever.
mod tag {
    pub(super) const OPENED: u8 = 1;
    pub(super) const ACCEPTED: u8 = 2;
    pub(super) const CONFIRMED: u8 = 3;
    pub(super) const CANCELLED: u8 = 4;
    pub(super) const EXPIRED: u8 = 5;
    pub(super) const RESTOCKED: u8 = 6;
    pub(super) const CLOSED: u8 = 7;
    pub(super) const PAUSED: u8 = 8;
    pub(super) const RESUMED: u8 = 9;
    pub(super) const RELAYED: u8 = 10;
    pub(super) const STORED: u8 = 11;
    pub(super) const ALTERED: u8 = 12;
    pub(super) const TOOK_OVER: u8 = 13;
    pub(super) const UNFENCED: u8 = 14;
    pub(super) const RESTORED: u8 = 15;
    pub(super) const RECOUNTED: u8 = 16;
    pub(super) const JOINED: u8 = 17;
    pub(super) const LATE_PAYMENT: u8 = 18;
    pub(super) const REFUND_OWED: u8 = 19;
    pub(super) const REBASED: u8 = 20;
}

impl<'a> Effect<'a> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Opened {
                epoch,
                at_ms,
                options,
                total,
                sold,
                paused,
            } => {
                out.push(tag::OPENED);
                put_instant(out, *epoch);
                put_instant(out, *at_ms);
                options.put(out);
                put_number(out, *total);
                put_number(out, *sold);
                out.push((*paused).into());
            }
            Self::Accepted(acceptance) => acceptance.put(out),
            Self::Confirmed { at_ms, rid } => put_step(out, tag::CONFIRMED, *at_ms, *rid),
            Self::Cancelled { at_ms, rid } => put_step(out, tag::CANCELLED, *at_ms, *rid),
            Self::Expired { at_ms, rid } => put_step(out, tag::EXPIRED, *at_ms, *rid),
            Self::Restocked { at_ms, delta } => {
                out.push(tag::RESTOCKED);
                put_instant(out, *at_ms);
                put_signed(out, *delta);
            }
            Self::Closed { at_ms } => {
                out.push(tag::CLOSED);
                put_instant(out, *at_ms);
            }
            Self::Paused => out.push(tag::PAUSED),
            Self::Resumed => out.push(tag::RESUMED),
            Self::Relayed(id) => {
                out.push(tag::RELAYED);
                put_id(out, *id);
            }
            Self::Stored(id) => {
                out.push(tag::STORED);
                put_id(out, *id);
            }
            Self::Altered(options) => {
                out.push(tag::ALTERED);
                options.put(out);
            }
            Self::TookOver {
                epoch,
                at_ms,
                fenced,
            } => {
                out.push(tag::TOOK_OVER);
                put_instant(out, *epoch);
                put_instant(out, *at_ms);
                out.push((*fenced).into());
            }
            Self::Unfenced => out.push(tag::UNFENCED),
            Self::Restored(reservation) => {
                out.push(tag::RESTORED);
                put_restored(out, reservation);
            }
            Self::Recounted { total, sold_before } => {
                out.push(tag::RECOUNTED);
                put_number(out, *total);
                put_number(out, *sold_before);
            }
            Self::Joined { previous } => {
                out.push(tag::JOINED);
                put_id(out, *previous);
            }
            Self::Rebased {
                previous,
                epoch,
                at_ms,
            } => {
                out.push(tag::REBASED);
                put_id(out, *previous);
                put_instant(out, *epoch);
                put_instant(out, *at_ms);
            }
            Self::LatePayment { at_ms, rid } => put_step(out, tag::LATE_PAYMENT, *at_ms, *rid),
            Self::RefundOwed { rid } => {
                out.push(tag::REFUND_OWED);
                put_id(out, rid.0);
            }
        }
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        match reader.byte()? {
            tag::OPENED => Ok(Self::Opened {
                epoch: reader.instant()?,
                at_ms: reader.instant()?,
                options: Box::new(Options::take(reader)?),
                total: reader.number()?,
                sold: reader.number()?,
                paused: reader.flag("paused")?,
            }),
            tag::ACCEPTED => Ok(Self::Accepted(Acceptance::take(reader)?)),
            tag::CONFIRMED => Ok(Self::Confirmed {
                at_ms: reader.instant()?,
                rid: reader.rid()?,
            }),
            tag::CANCELLED => Ok(Self::Cancelled {
                at_ms: reader.instant()?,
                rid: reader.rid()?,
            }),
            tag::EXPIRED => Ok(Self::Expired {
                at_ms: reader.instant()?,
                rid: reader.rid()?,
            }),
            tag::RESTOCKED => Ok(Self::Restocked {
                at_ms: reader.instant()?,
                delta: reader.signed()?,
            }),
            tag::CLOSED => Ok(Self::Closed {
                at_ms: reader.instant()?,
            }),
            tag::PAUSED => Ok(Self::Paused),
            tag::RESUMED => Ok(Self::Resumed),
            tag::RELAYED => Ok(Self::Relayed(reader.id()?)),
            tag::STORED => Ok(Self::Stored(reader.id()?)),
            tag::ALTERED => Ok(Self::Altered(Box::new(Options::take(reader)?))),
            tag::TOOK_OVER => Ok(Self::TookOver {
                epoch: reader.instant()?,
                at_ms: reader.instant()?,
                fenced: reader.flag("fenced")?,
            }),
            tag::UNFENCED => Ok(Self::Unfenced),
            tag::RESTORED => Ok(Self::Restored(take_restored(reader)?)),
            tag::RECOUNTED => Ok(Self::Recounted {
                total: reader.number()?,
                sold_before: reader.number()?,
            }),
            tag::JOINED => Ok(Self::Joined {
                previous: reader.id()?,
            }),
            tag::REBASED => Ok(Self::Rebased {
                previous: reader.id()?,
                epoch: reader.instant()?,
                at_ms: reader.instant()?,
            }),
            tag::LATE_PAYMENT => Ok(Self::LatePayment {
                at_ms: reader.instant()?,
                rid: reader.rid()?,
            }),
            tag::REFUND_OWED => Ok(Self::RefundOwed { rid: reader.rid()? }),
            _ => Err(DecodeError::Field("effect")),
        }
    }
}

fn put_step(out: &mut Vec<u8>, tag: u8, at_ms: u64, rid: ReservationId) {
    out.push(tag);
    put_instant(out, at_ms);
    put_id(out, rid.0);
}

impl<'a> Acceptance<'a> {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(tag::ACCEPTED);
        put_instant(out, self.at_ms);
        put_bytes(out, self.uid.as_bytes());
        put_number(out, self.qty.into());
        put_number(out, self.hold_ms);
        put_token(out, self.token);
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            at_ms: reader.instant()?,
            uid: reader.uid()?,
            qty: reader.number_u32("qty")?,
            hold_ms: reader.number()?,
            token: take_token(reader)?,
        })
    }
}

/// No token is written as an empty one, which nobody can ask with.
pub(crate) fn put_token(out: &mut Vec<u8>, token: Option<&[u8]>) {
    put_bytes(out, token.unwrap_or_default());
}

pub(crate) fn take_token<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, DecodeError> {
    match reader.bytes()? {
        [] => Ok(None),
        token if Token::check(token).is_ok() => Ok(Some(token)),
        _ => Err(DecodeError::Field("token")),
    }
}

fn put_restored(out: &mut Vec<u8>, reservation: &Reservation<'_>) {
    put_id(out, reservation.rid.0);
    put_bytes(out, reservation.uid.as_bytes());
    put_number(out, reservation.qty.into());
    out.push(state_code(reservation.state));
    put_instant(out, reservation.at_ms);
    put_number(out, reservation.hold_ms);
    put_token(out, reservation.token);
}

fn take_restored<'a>(reader: &mut Reader<'a>) -> Result<Reservation<'a>, DecodeError> {
    Ok(Reservation {
        rid: reader.rid()?,
        uid: reader.uid()?,
        qty: reader.number_u32("qty")?,
        state: reader.state()?,
        at_ms: reader.instant()?,
        hold_ms: reader.number()?,
        token: take_token(reader)?,
        restored: true,
    })
}

//! Numbers and bytes as they stand in effects and snapshots.
//!
//! A number takes seven bits a byte, the lowest first, and the top bit says that more follow; an
//! instant takes eight bytes. Bytes come after their length. There is one spelling of everything, so equal sales have equal bytes.
//!
//! Reading never trusts what it reads: nothing is allocated by a length that is only claimed.

use seckill_protocol::{EventId, ReservationId, ReservationState, UidRef};

/// Why bytes do not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Nothing there.
    #[error("the payload is empty")]
    Empty,
    /// Of a version that this node does not know.
    #[error("payload of version {0}: this node reads version 1; load a newer module")]
    Version(u8),
    /// It ends too early.
    #[error("the payload is cut off")]
    Cut,
    /// Something follows its end.
    #[error("the payload is too long")]
    Rest,
    /// A field holds what no writer puts there.
    #[error("the payload is broken: {0} is out of range")]
    Field(&'static str),
}

/// Appends a number.
pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    if number < MORE.into() {
        out.push(low_bits(number));
        return;
    }
    let mut bytes = [0; NUMBER_BYTES_MAX];
    let mut length = 0;
    for byte in &mut bytes {
        length += 1;
        *byte = low_bits(number);
        number >>= 7;
        if number == 0 {
            break;
        }
        *byte |= MORE;
    }
    out.extend_from_slice(bytes.get(..length).unwrap_or_default());
}

/// Appends a number that may be negative: 0, −1, 1, −2, 2 … are written as 0, 1, 2, 3, 4 …
pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_number(
        out,
        (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned(),
    );
}

/// Appends bytes, after their length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends an instant, or an epoch, which is one: always large, so eight bytes as they are.
pub(crate) fn put_instant(out: &mut Vec<u8>, instant: u64) {
    out.extend_from_slice(&instant.to_le_bytes());
}

/// Appends the place of an event.
pub(crate) fn put_id(out: &mut Vec<u8>, id: EventId) {
    put_instant(out, id.epoch);
    put_number(out, id.seq);
}

/// The code of a state, of two bits: in memory, in effects and in snapshots.
pub(crate) const fn state_code(state: ReservationState) -> u8 {
    match state {
        ReservationState::Held => 0,
        ReservationState::Confirmed => 1,
        ReservationState::Cancelled => 2,
        ReservationState::Expired => 3,
    }
}

/// The bits that a state's code takes.
pub(crate) const STATE_BITS: u8 = 0b11;

/// The state whose code stands in the two lowest bits.
pub(crate) const fn state_in(bits: u8) -> ReservationState {
    match bits & STATE_BITS {
        0 => ReservationState::Held,
        1 => ReservationState::Confirmed,
        2 => ReservationState::Cancelled,
        _ => ReservationState::Expired,
    }
}

/// Of 64 bits, seven a byte.
const NUMBER_BYTES_MAX: usize = 10;
const MORE: u8 = 0x80;

const fn low_bits(number: u64) -> u8 {
    number.to_le_bytes()[0] & !MORE
}

/// Bytes that are not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Nothing may be left.
    pub(crate) const fn end(self) -> Result<(), DecodeError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Rest)
        }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&first, rest) = self.0.split_first().ok_or(DecodeError::Cut)?;
        self.0 = rest;
        Ok(first)
    }

    /// So many bytes.
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(DecodeError::Cut)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn number(&mut self) -> Result<u64, DecodeError> {
        let first = self.byte()?;
        if first & MORE == 0 {
            return Ok(first.into());
        }
        let mut number = u64::from(first & !MORE);
        let mut shift = 7;
        loop {
            let byte = self.byte()?;
            let bits = u64::from(byte & !MORE);
            // The tenth byte has room for one bit; a last byte of zero is a second spelling.
            if shift == 63 && byte > 1 || byte == 0 {
                return Err(DecodeError::Field("number"));
            }
            number |= bits << shift;
            if byte & MORE == 0 {
                return Ok(number);
            }
            shift += 7;
        }
    }

    pub(crate) fn instant(&mut self) -> Result<u64, DecodeError> {
        let (&bytes, rest) = self.0.split_first_chunk().ok_or(DecodeError::Cut)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(bytes))
    }

    pub(crate) fn signed(&mut self) -> Result<i64, DecodeError> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// A number of 32 bits.
    pub(crate) fn number_u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        u32::try_from(self.number()?).map_err(|_| DecodeError::Field(field))
    }

    /// 0 or 1.
    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Field(field)),
        }
    }

    /// Bytes after their length.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.number()?).map_err(|_| DecodeError::Cut)?;
        self.take(length)
    }

    pub(crate) fn state(&mut self) -> Result<ReservationState, DecodeError> {
        match self.byte()? {
            code @ 0..=STATE_BITS => Ok(state_in(code)),
            _ => Err(DecodeError::Field("state")),
        }
    }

    pub(crate) fn uid(&mut self) -> Result<UidRef<'a>, DecodeError> {
        UidRef::new(self.bytes()?).map_err(|_| DecodeError::Field("uid"))
    }

    pub(crate) fn id(&mut self) -> Result<EventId, DecodeError> {
        Ok(EventId::new(self.instant()?, self.number()?))
    }

    pub(crate) fn rid(&mut self) -> Result<ReservationId, DecodeError> {
        self.id().map(ReservationId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_spelling() {
        let bits = (0..64).flat_map(|shift| [1_u64 << shift, (1 << shift) - 1]);
        for number in bits.chain([u64::MAX]) {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.number(), Ok(number));
            assert!(reader.is_empty());

            let signed = number.cast_signed();
            let mut bytes = Vec::new();
            put_signed(&mut bytes, signed);
            assert_eq!(Reader::new(&bytes).signed(), Ok(signed));
        }
        for longer in [&[0x80, 0x00][..], &[0x81, 0x80, 0x00], &[0xff; 11]] {
            assert!(Reader::new(longer).number().is_err(), "{longer:?}");
        }
        let above_64_bits = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert!(Reader::new(&above_64_bits).number().is_err());
    }

    #[test]
    fn a_claimed_length_is_not_believed() {
        let mut bytes = Vec::new();
        put_number(&mut bytes, u64::MAX);
        assert_eq!(Reader::new(&bytes).bytes(), Err(DecodeError::Cut));
    }
}

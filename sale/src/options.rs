//! What an operator sets on a sale.

use crate::codec::{DecodeError, Reader, put_bytes, put_number};

/// Units of one sale at most: what JSON readers that count in doubles still hold exactly.
pub const UNITS_MAX: u64 = (1 << 53) - 1;
/// Bytes of a sale's name at most.
pub const NAME_BYTES_MAX: usize = 255;
/// Tries a second, and burst, at most: one a nanosecond is the resolution of the arithmetic.
pub const RATE_MAX: u32 = 1_000_000_000;
/// Units a buyer, unless said otherwise.
pub const DEFAULT_LIMIT: u32 = 1;
/// How long units are held unpaid, unless said otherwise: 15 minutes.
pub const DEFAULT_HOLD_MS: u64 = 900_000;

/// The options of a sale. Zero stands for "none" in every number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What is sold, for people.
    pub name: Box<str>,
    /// Live units that one buyer may have; 0: any number.
    pub limit: u32,
    /// First instant of the sale, Unix ms; 0: at once.
    pub start_ms: u64,
    /// First instant after the sale, Unix ms; 0: never.
    pub end_ms: u64,
    /// How long units are held unpaid, ms; 0: an acceptance is a sale.
    pub hold_ms: u64,
    /// Accepted tries over the whole sale.
    pub rate: Option<Rate>,
    /// Tries of one buyer.
    pub user_rate: Option<Rate>,
}

/// So many a second, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Sustained, from 1 to [`RATE_MAX`].
    pub per_second: u32,
    /// At once after a pause, from 1 to [`RATE_MAX`].
    pub burst: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "".into(),
            limit: DEFAULT_LIMIT,
            start_ms: 0,
            end_ms: 0,
            hold_ms: DEFAULT_HOLD_MS,
            rate: None,
            user_rate: None,
        }
    }
}

// === impl Options ===

impl Options {
    /// The start and the end, if the sale would end before it starts.
    #[must_use]
    pub const fn empty_window(&self) -> Option<(u64, u64)> {
        if self.end_ms != 0 && self.end_ms <= self.start_ms {
            Some((self.start_ms, self.end_ms))
        } else {
            None
        }
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_name(out, &self.name);
        put_number(out, self.limit.into());
        put_number(out, self.start_ms);
        put_number(out, self.end_ms);
        put_number(out, self.hold_ms);
        put_rate(out, self.rate);
        put_rate(out, self.user_rate);
    }

    pub(crate) fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: take_name(reader)?,
            limit: reader.number_u32("limit")?,
            start_ms: reader.number()?,
            end_ms: reader.number()?,
            hold_ms: reader.number()?,
            rate: take_rate(reader)?,
            user_rate: take_rate(reader)?,
        })
    }
}

/// Whether a text can be a sale's name: short, and without control characters.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control)
}

pub(crate) fn put_name(out: &mut Vec<u8>, name: &str) {
    put_bytes(out, name.as_bytes());
}

pub(crate) fn take_name(reader: &mut Reader<'_>) -> Result<Box<str>, DecodeError> {
    let name = std::str::from_utf8(reader.bytes()?).ok();
    let name = name.filter(|name| is_name(name));
    Ok(name.ok_or(DecodeError::Field("name"))?.into())
}

/// No rate is written as a rate of 0.
fn put_rate(out: &mut Vec<u8>, rate: Option<Rate>) {
    match rate {
        None => out.push(0),
        Some(Rate { per_second, burst }) => {
            put_number(out, per_second.into());
            put_number(out, burst.into());
        }
    }
}

fn take_rate(reader: &mut Reader<'_>) -> Result<Option<Rate>, DecodeError> {
    let per_second = reader.number_u32("rate")?;
    if per_second == 0 {
        return Ok(None);
    }
    let burst = reader.number_u32("burst")?;
    let known = 1..=RATE_MAX;
    if known.contains(&per_second) && known.contains(&burst) {
        Ok(Some(Rate { per_second, burst }))
    } else {
        Err(DecodeError::Field("rate"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sale_ends_after_it_starts() {
        for (start_ms, end_ms, is_empty) in [
            (0, 0, false),
            (5, 0, false),
            (0, 5, false),
            (4, 5, false),
            (5, 5, true),
            (6, 5, true),
        ] {
            let options = Options {
                start_ms,
                end_ms,
                ..Options::default()
            };
            let window = is_empty.then_some((start_ms, end_ms));
            assert_eq!(options.empty_window(), window, "{start_ms} {end_ms}");
        }
    }

    #[test]
    fn a_name_is_short_and_one_line() {
        assert!(is_name("") && is_name(&"x".repeat(255)));
        assert!(!is_name(&"x".repeat(256)) && !is_name("a\nb"));
    }

    #[test]
    fn a_rate_that_no_operator_can_set_is_refused() {
        let read = |rate: Rate| {
            let mut bytes = Vec::new();
            put_rate(&mut bytes, Some(rate));
            take_rate(&mut Reader::new(&bytes))
        };
        let most = Rate {
            per_second: RATE_MAX,
            burst: RATE_MAX,
        };
        assert_eq!(read(most), Ok(Some(most)));
        for (per_second, burst) in [(RATE_MAX + 1, 1), (1, RATE_MAX + 1), (1, 0)] {
            let bad = Rate { per_second, burst };
            assert_eq!(read(bad), Err(DecodeError::Field("rate")), "{bad:?}");
        }
    }

    /// What JSON readers that count in doubles still hold exactly.
    #[test]
    fn so_many_units_can_a_sale_have() {
        assert_eq!(UNITS_MAX, 9_007_199_254_740_991);
    }
}

//! The words of a command, read from left to right, and what is said of a wrong one.

use seckill_protocol::{ReservationId, Uid};
use std::fmt;

/// What a refused command is answered: the whole line, with its code in front.
pub(crate) type Refused<T> = Result<T, String>;

/// Instants and spans, ms.
pub(crate) const MS_MAX: i128 = i64::MAX as i128;
const U32_MAX: i128 = u32::MAX as i128;
const U64_MAX: i128 = u64::MAX as i128;
const RATE_MAX: i128 = 1_000_000_000;
/// The largest number that every JSON reader takes for what it is.
pub(crate) const UNITS_MAX: i128 = (1 << 53) - 1;

pub(crate) struct Words<'a>(pub(crate) &'a [Vec<u8>]);

/// What CREATE and ALTER may be given.
#[derive(Default)]
pub(crate) struct Given {
    pub(crate) stock: Option<u64>,
    pub(crate) sold: Option<u64>,
    pub(crate) paused: Option<()>,
    pub(crate) limit: Option<u64>,
    pub(crate) start: Option<u64>,
    pub(crate) end: Option<u64>,
    pub(crate) hold: Option<u64>,
    pub(crate) rate: Option<Rate>,
    pub(crate) user_rate: Option<Rate>,
    pub(crate) name: Option<String>,
}

/// Tries a second, and how many of them at once; no rate at all is zero and zero.
#[derive(Clone, Copy, Default)]
pub(crate) struct Rate {
    pub(crate) per_second: u64,
    pub(crate) burst: u64,
}

impl Rate {
    pub(crate) fn interval_ns(self) -> i128 {
        1_000_000_000_i128
            .checked_div(self.per_second.into())
            .unwrap_or(0)
    }

    pub(crate) fn burst_ns(self) -> i128 {
        self.interval_ns() * i128::from(self.burst)
    }
}

pub(crate) fn err<T>(message: impl fmt::Display) -> Refused<T> {
    Err(format!("ERR {message}"))
}

impl<'a> Words<'a> {
    pub(crate) fn next(&mut self) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// The next word, which the number of words says is there.
    fn must(&mut self) -> &'a [u8] {
        self.next().unwrap()
    }

    pub(crate) fn value_of(&mut self, option: &str) -> Refused<&'a [u8]> {
        self.next()
            .map_or_else(|| err(format!("{option} needs a value")), Ok)
    }

    fn number_of(&mut self, option: &str, min: i128, max: i128) -> Refused<u64> {
        let value = self.value_of(option)?;
        number(option, value, min, max).map(|number| u64::try_from(number).unwrap())
    }

    pub(crate) fn uid(&mut self) -> Refused<String> {
        match Uid::new(self.must()) {
            Ok(uid) => Ok(uid.to_string()),
            Err(error) => err(error),
        }
    }

    pub(crate) fn rid(&mut self) -> Refused<ReservationId> {
        let bytes = self.must();
        let text = String::from_utf8_lossy(bytes);
        text.parse().or_else(|_| {
            let quoted = quote(bytes);
            err(format!(
                "rid must be <epoch>-<seq>, for example 1763800000000-42, got {quoted}"
            ))
        })
    }

    pub(crate) fn delta(&mut self) -> Refused<i128> {
        number("delta", self.must(), i64::MIN.into(), i64::MAX.into())
    }

    /// `epoch seq`, each named like this in an error.
    pub(crate) fn place(&mut self, epoch: &str, seq: &str) -> Refused<(u64, u64)> {
        Ok((
            self.number_of(epoch, 0, U64_MAX)?,
            self.number_of(seq, 0, U64_MAX)?,
        ))
    }

    /// `[QTY n] [TOKEN t]`.
    pub(crate) fn try_options(&mut self) -> Refused<(u64, Option<Vec<u8>>)> {
        let (mut qty, mut token) = (None, None);
        while let Some(word) = self.next() {
            match &word.to_ascii_uppercase()[..] {
                b"QTY" => {
                    let value = self.number_of("QTY", 1, U32_MAX)?;
                    once(&mut qty, "QTY", value)?;
                }
                b"TOKEN" => {
                    let value = self.value_of("TOKEN")?;
                    let text = std::str::from_utf8(value).unwrap_or("\0");
                    if !(1..=128).contains(&value.len()) || text.chars().any(char::is_control) {
                        let quoted = quote(value);
                        return err(format!(
                            "TOKEN: expected 1 to 128 bytes of UTF-8 without control characters, \
                             got {quoted}"
                        ));
                    }
                    once(&mut token, "TOKEN", value.to_vec())?;
                }
                other => return unknown(other, "QTY or TOKEN"),
            }
        }
        Ok((qty.unwrap_or(1), token))
    }

    /// The options of CREATE; ALTER takes fewer.
    pub(crate) fn given(&mut self, create: bool) -> Refused<Given> {
        let mut given = Given::default();
        while let Some(word) = self.next() {
            match &word.to_ascii_uppercase()[..] {
                b"STOCK" if create => {
                    let value = self.number_of("STOCK", 0, UNITS_MAX)?;
                    once(&mut given.stock, "STOCK", value)?;
                }
                b"SOLD" if create => {
                    let value = self.number_of("SOLD", 0, UNITS_MAX)?;
                    once(&mut given.sold, "SOLD", value)?;
                }
                b"PAUSED" if create => once(&mut given.paused, "PAUSED", ())?,
                b"LIMIT" => {
                    let value = self.number_of("LIMIT", 0, U32_MAX)?;
                    once(&mut given.limit, "LIMIT", value)?;
                }
                b"START" => {
                    let value = self.number_of("START", 0, MS_MAX)?;
                    once(&mut given.start, "START", value)?;
                }
                b"END" => {
                    let value = self.number_of("END", 0, MS_MAX)?;
                    once(&mut given.end, "END", value)?;
                }
                b"HOLD" => {
                    let value = self.number_of("HOLD", 0, MS_MAX)?;
                    once(&mut given.hold, "HOLD", value)?;
                }
                b"RATE" => {
                    let value = self.rate("RATE")?;
                    once(&mut given.rate, "RATE", value)?;
                }
                b"USERRATE" => {
                    let value = self.rate("USERRATE")?;
                    once(&mut given.user_rate, "USERRATE", value)?;
                }
                b"NAME" => {
                    let value = name(self.value_of("NAME")?)?;
                    once(&mut given.name, "NAME", value)?;
                }
                other if create => {
                    return unknown(
                        other,
                        "STOCK, SOLD, LIMIT, START, END, HOLD, RATE, USERRATE, NAME or PAUSED",
                    );
                }
                other => return unknown(other, "LIMIT, START, END, HOLD, RATE, USERRATE or NAME"),
            }
        }
        Ok(given)
    }

    /// `r [BURST b]`.
    fn rate(&mut self, option: &str) -> Refused<Rate> {
        let per_second = self.number_of(option, 0, RATE_MAX)?;
        let mut burst = per_second;
        if self
            .0
            .first()
            .is_some_and(|word| word.eq_ignore_ascii_case(b"BURST"))
        {
            self.next();
            burst = self.number_of("BURST", 1, RATE_MAX)?;
        }
        Ok(match per_second {
            0 => Rate::default(),
            _ => Rate { per_second, burst },
        })
    }
}

fn name(bytes: &[u8]) -> Refused<String> {
    match String::from_utf8(bytes.to_vec()) {
        Ok(text) if text.len() <= 255 && !text.contains(char::is_control) => Ok(text),
        _ => err("NAME must be at most 255 bytes of UTF-8 without control characters"),
    }
}

/// A value that may be given once.
pub(crate) fn once<T>(slot: &mut Option<T>, option: &str, value: T) -> Refused<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => err(format!("{option} is given twice")),
    }
}

pub(crate) fn number(name: &str, bytes: &[u8], min: i128, max: i128) -> Refused<i128> {
    let text = String::from_utf8_lossy(bytes);
    let parsed = text.parse::<i128>();
    match parsed {
        Ok(number) if (min..=max).contains(&number) && !text.starts_with('+') => Ok(number),
        _ => {
            let quoted = quote(bytes);
            err(format!(
                "{name} must be an integer from {min} to {max}, got {quoted}"
            ))
        }
    }
}

pub(crate) fn unknown<T>(word: &[u8], expected: &str) -> Refused<T> {
    let quoted = quote(&word.to_ascii_uppercase());
    err(format!("unknown option {quoted}: expected {expected}"))
}

/// A client's own bytes in an error: safe to print, and at most 64 of them.
pub(crate) fn quote(bytes: &[u8]) -> String {
    match bytes.len() {
        0..=64 => format!("'{}'", bytes.escape_ascii()),
        _ => format!("'{}…'", bytes[..64].escape_ascii()),
    }
}

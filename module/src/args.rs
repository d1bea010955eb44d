//! Reading arguments, with errors that name them and what was expected.

use crate::api::{self, RawString};
use crate::error::{Error, Result, bad, quote};
use seckill_protocol::{ReservationId, Token, UidRef};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The arguments of a call that are not read yet.
pub(crate) struct Args<'a> {
    rest: &'a [RawString],
}

/// Instants and spans at most, ms: what a signed 64-bit reply still holds.
pub(crate) const MS_MAX: u64 = i64::MAX.unsigned_abs();

impl<'a> Args<'a> {
    pub(crate) const fn new(args: &'a [RawString]) -> Self {
        Self { rest: args }
    }

    fn take(&mut self) -> Option<&'a [u8]> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(api::bytes(first))
    }

    /// How many are left.
    pub(crate) const fn len(&self) -> usize {
        self.rest.len()
    }

    /// The next argument, which must be there.
    pub(crate) fn next(&mut self) -> Result<&'a [u8]> {
        self.take().ok_or(Error::Arity)
    }

    /// The next word, in upper case, or `None` at the end.
    pub(crate) fn next_word(&mut self) -> Option<Word<'a>> {
        self.take().map(Word::new)
    }

    /// The value that follows a word.
    pub(crate) fn value_of(&mut self, word: &str) -> Result<&'a [u8]> {
        self.take()
            .ok_or_else(|| bad(format_args!("{word} needs a value")))
    }

    /// The number that follows a word.
    pub(crate) fn number_of<T>(&mut self, word: &str, range: RangeInclusive<T>) -> Result<T>
    where
        T: FromStr + PartialOrd + std::fmt::Display,
    {
        number(word, self.value_of(word)?, range)
    }

    /// Moves past the next argument if it is this word.
    pub(crate) fn take_word(&mut self, word: &str) -> bool {
        let mut ahead = Args::new(self.rest);
        let next = ahead.take();
        let is_next = next.is_some_and(|bytes| bytes.eq_ignore_ascii_case(word.as_bytes()));
        if is_next {
            self.rest = ahead.rest;
        }
        is_next
    }

    /// Nothing more may follow.
    pub(crate) const fn end(&self) -> Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Error::Arity)
        }
    }
}

/// A subcommand or option, in upper case.
pub(crate) struct Word<'a> {
    typed: &'a [u8],
    upper: [u8; WORD_BYTES_MAX],
}

/// The longest word that means something, and some.
const WORD_BYTES_MAX: usize = 16;

impl<'a> Word<'a> {
    fn new(typed: &'a [u8]) -> Self {
        let mut upper = [0; WORD_BYTES_MAX];
        for (upper, byte) in upper.iter_mut().zip(typed) {
            *upper = byte.to_ascii_uppercase();
        }
        Self { typed, upper }
    }

    /// The word; what is longer than any word, as it was typed.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.upper.get(..self.typed.len()).unwrap_or(self.typed)
    }

    /// The error for a word that does not belong here.
    pub(crate) fn unknown(&self, expected: &str) -> Error {
        bad(format_args!(
            "unknown option {}: expected {expected}",
            quote(&self.typed.to_ascii_uppercase())
        ))
    }
}

/// A whole number within a range.
pub(crate) fn number<T>(name: &str, bytes: &[u8], range: RangeInclusive<T>) -> Result<T>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    // A sign or blank that `parse` would let through has no place in what operators copy around.
    let plain = bytes.first().is_some_and(|&first| first != b'+');
    let parsed = std::str::from_utf8(bytes)
        .ok()
        .filter(|_| plain)
        .and_then(|text| text.parse::<T>().ok())
        .filter(|number| range.contains(number));
    parsed.ok_or_else(|| {
        bad(format_args!(
            "{name} must be an integer from {} to {}, got {}",
            range.start(),
            range.end(),
            quote(bytes)
        ))
    })
}

/// A buyer's id.
pub(crate) fn uid(bytes: &[u8]) -> Result<UidRef<'_>> {
    UidRef::new(bytes).map_err(bad)
}

/// A worker's name.
pub(crate) fn holder(bytes: &[u8]) -> Result<&str> {
    // The same kind of text as a buyer's id.
    UidRef::new(bytes).map(UidRef::as_str).map_err(|_| {
        bad(format_args!(
            "holder must be 1 to 128 bytes of text without control characters, got {}",
            quote(bytes)
        ))
    })
}

/// A reservation's id.
pub(crate) fn rid(bytes: &[u8]) -> Result<ReservationId> {
    let parsed = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| {
        bad(format_args!(
            "rid must be <epoch>-<seq>, for example 1763800000000-42, got {}",
            quote(bytes)
        ))
    })
}

/// An idempotency token.
pub(crate) fn token(bytes: &[u8]) -> Result<&[u8]> {
    match Token::check(bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(bad(format_args!("TOKEN: {error}, got {}", quote(bytes)))),
    }
}

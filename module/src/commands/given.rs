//! The options of a sale as `SECKILL.CREATE` and `SECKILL.ALTER` take them.

use crate::args::{Args, MS_MAX, Word};
use crate::error::{Result, bad};
use seckill_sale::{NAME_BYTES_MAX, Options, RATE_MAX, Rate, is_name};

/// What was given; nothing may be given twice.
#[derive(Default)]
pub(crate) struct Given {
    limit: Option<u32>,
    start_ms: Option<u64>,
    end_ms: Option<u64>,
    hold_ms: Option<u64>,
    rate: Option<Option<Rate>>,
    user_rate: Option<Option<Rate>>,
    name: Option<Box<str>>,
}

impl Given {
    /// Takes the value of an option; false if the word names none.
    pub(crate) fn take(&mut self, word: &Word<'_>, args: &mut Args<'_>) -> Result<bool> {
        match word.as_bytes() {
            b"LIMIT" => once(
                &mut self.limit,
                "LIMIT",
                args.number_of("LIMIT", 0..=u32::MAX)?,
            )?,
            b"START" => once(
                &mut self.start_ms,
                "START",
                args.number_of("START", 0..=MS_MAX)?,
            )?,
            b"END" => once(&mut self.end_ms, "END", args.number_of("END", 0..=MS_MAX)?)?,
            b"HOLD" => once(
                &mut self.hold_ms,
                "HOLD",
                args.number_of("HOLD", 0..=MS_MAX)?,
            )?,
            b"RATE" => once(&mut self.rate, "RATE", rate(args, "RATE")?)?,
            b"USERRATE" => once(&mut self.user_rate, "USERRATE", rate(args, "USERRATE")?)?,
            b"NAME" => once(&mut self.name, "NAME", name(args.value_of("NAME")?)?)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Puts what was given in place of what was there.
    pub(crate) fn put_into(self, options: &mut Options) {
        let Self {
            limit,
            start_ms,
            end_ms,
            hold_ms,
            rate,
            user_rate,
            name,
        } = self;
        put(limit, &mut options.limit);
        put(start_ms, &mut options.start_ms);
        put(end_ms, &mut options.end_ms);
        put(hold_ms, &mut options.hold_ms);
        put(rate, &mut options.rate);
        put(user_rate, &mut options.user_rate);
        put(name, &mut options.name);
    }
}

fn put<T>(given: Option<T>, place: &mut T) {
    if let Some(given) = given {
        *place = given;
    }
}

/// Keeps a value that may be given once.
pub(crate) fn once<T>(slot: &mut Option<T>, word: &str, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(bad(format_args!("{word} is given twice"))),
    }
}

/// `RATE r [BURST b]`; a rate of 0 is none.
fn rate(args: &mut Args<'_>, word: &str) -> Result<Option<Rate>> {
    let per_second = args.number_of(word, 0..=RATE_MAX)?;
    let burst = if args.take_word("BURST") {
        args.number_of("BURST", 1..=RATE_MAX)?
    } else {
        per_second
    };
    Ok((per_second != 0).then_some(Rate { per_second, burst }))
}

fn name(bytes: &[u8]) -> Result<Box<str>> {
    match std::str::from_utf8(bytes).ok().filter(|text| is_name(text)) {
        Some(text) => Ok(text.into()),
        None => Err(bad(format_args!(
            "NAME must be at most {NAME_BYTES_MAX} bytes of UTF-8 without control characters"
        ))),
    }
}

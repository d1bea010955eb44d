//! `SECKILL.CREATE`

use crate::api;
use crate::args::{Args, MS_MAX};
use crate::entry::next_epoch;
use crate::error::{Result, bad};
use crate::request::Request;
use seckill_protocol::EventId;
use seckill_sale::{
    Change, DEFAULT_HOLD_MS, DEFAULT_LIMIT, Effect, NAME_BYTES_MAX, Options, RATE_MAX, Rate,
    UNITS_MAX,
};

const EXPECTED: &str = "STOCK, SOLD, LIMIT, START, END, HOLD, RATE, USERRATE, NAME or PAUSED";

/// What was given so far; nothing may be given twice.
#[derive(Default)]
struct Given {
    stock: Option<u64>,
    sold: Option<u64>,
    limit: Option<u32>,
    start_ms: Option<u64>,
    end_ms: Option<u64>,
    hold_ms: Option<u64>,
    rate: Option<Rate>,
    user_rate: Option<Rate>,
    name: Option<Box<str>>,
    paused: Option<()>,
}

pub(crate) fn create(request: &Request<'_>) -> Result<()> {
    let given = Given::read(Args::new(request.args()))?;
    let now_ms = api::now_ms();
    let mut change = Change::new(EventId::ZERO);
    change.effects.push(given.into_effect(now_ms)?);
    request.create(change)?;
    request.reply_ok();
    Ok(())
}

impl Given {
    fn read(mut args: Args<'_>) -> Result<Self> {
        let mut given = Self::default();
        while let Some(word) = args.next_word() {
            match word.as_bytes() {
                b"STOCK" => once(
                    &mut given.stock,
                    "STOCK",
                    args.number_of("STOCK", 0..=UNITS_MAX)?,
                )?,
                b"SOLD" => once(
                    &mut given.sold,
                    "SOLD",
                    args.number_of("SOLD", 0..=UNITS_MAX)?,
                )?,
                b"LIMIT" => once(
                    &mut given.limit,
                    "LIMIT",
                    args.number_of("LIMIT", 0..=u32::MAX)?,
                )?,
                b"START" => once(
                    &mut given.start_ms,
                    "START",
                    args.number_of("START", 0..=MS_MAX)?,
                )?,
                b"END" => once(&mut given.end_ms, "END", args.number_of("END", 0..=MS_MAX)?)?,
                b"HOLD" => once(
                    &mut given.hold_ms,
                    "HOLD",
                    args.number_of("HOLD", 0..=MS_MAX)?,
                )?,
                b"RATE" => once(&mut given.rate, "RATE", rate(&mut args, "RATE")?)?,
                b"USERRATE" => once(
                    &mut given.user_rate,
                    "USERRATE",
                    rate(&mut args, "USERRATE")?,
                )?,
                b"NAME" => once(&mut given.name, "NAME", name(args.value_of("NAME")?)?)?,
                b"PAUSED" => once(&mut given.paused, "PAUSED", ())?,
                _ => return Err(word.unknown(EXPECTED)),
            }
        }
        Ok(given)
    }

    fn into_effect(self, now_ms: u64) -> Result<Effect> {
        let total = self.stock.ok_or_else(|| bad("STOCK is missing"))?;
        let sold = self.sold.unwrap_or(0);
        if sold > total {
            return Err(bad(format_args!("SOLD {sold} is more than STOCK {total}")));
        }
        let start_ms = self.start_ms.unwrap_or(0);
        let end_ms = self.end_ms.unwrap_or(0);
        if end_ms != 0 && end_ms <= start_ms {
            return Err(bad(format_args!(
                "END {end_ms} is not after START {start_ms}"
            )));
        }
        Ok(Effect::Opened {
            epoch: next_epoch(now_ms),
            at_ms: now_ms,
            options: Options {
                name: self.name.unwrap_or_default(),
                limit: self.limit.unwrap_or(DEFAULT_LIMIT),
                start_ms,
                end_ms,
                hold_ms: self.hold_ms.unwrap_or(DEFAULT_HOLD_MS),
                rate: self.rate,
                user_rate: self.user_rate,
            },
            total,
            sold,
            paused: self.paused.is_some(),
        })
    }
}

fn once<T>(slot: &mut Option<T>, word: &str, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(bad(format_args!("{word} is given twice"))),
    }
}

fn rate(args: &mut Args<'_>, word: &str) -> Result<Rate> {
    let per_second = args.number_of(word, 1..=RATE_MAX)?;
    let burst = if args.take_word("BURST") {
        args.number_of("BURST", 1..=RATE_MAX)?
    } else {
        per_second
    };
    Ok(Rate { per_second, burst })
}

fn name(bytes: &[u8]) -> Result<Box<str>> {
    let printable = |text: &&str| !text.chars().any(char::is_control);
    match std::str::from_utf8(bytes).ok().filter(printable) {
        Some(text) if text.len() <= NAME_BYTES_MAX => Ok(text.into()),
        _ => Err(bad(format_args!(
            "NAME must be at most {NAME_BYTES_MAX} bytes of UTF-8 without control characters"
        ))),
    }
}

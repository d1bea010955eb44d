//! `SECKILL.CREATE`

use super::given::{Given, once};
use crate::api;
use crate::entry::next_epoch;
use crate::error::{Result, bad};
use crate::request::Request;
use seckill_sale::{Effect, Options, UNITS_MAX};

const EXPECTED: &str = "STOCK, SOLD, LIMIT, START, END, HOLD, RATE, USERRATE, NAME or PAUSED";

pub(crate) fn create(request: &Request<'_>) -> Result<()> {
    let mut args = request.args();
    let mut given = Given::default();
    let (mut stock, mut sold, mut paused) = (None, None, None);
    while let Some(word) = args.next_word() {
        match word.as_bytes() {
            b"STOCK" => once(&mut stock, "STOCK", args.number_of("STOCK", 0..=UNITS_MAX)?)?,
            b"SOLD" => once(&mut sold, "SOLD", args.number_of("SOLD", 0..=UNITS_MAX)?)?,
            b"PAUSED" => once(&mut paused, "PAUSED", ())?,
            _ if given.take(&word, &mut args)? => {}
            _ => return Err(word.unknown(EXPECTED)),
        }
    }
    let total = stock.ok_or_else(|| bad("STOCK is missing"))?;
    let sold = sold.unwrap_or(0);
    if sold > total {
        return Err(bad(format_args!("SOLD {sold} is more than STOCK {total}")));
    }
    let mut options = Options::default();
    given.put_into(&mut options);
    if let Some((start_ms, end_ms)) = options.empty_window() {
        return Err(bad(format_args!(
            "END {end_ms} is not after START {start_ms}"
        )));
    }
    let now_ms = api::now_ms();
    request.create(&Effect::Opened {
        epoch: next_epoch(now_ms),
        at_ms: now_ms,
        options: Box::new(options),
        total,
        sold,
        paused: paused.is_some(),
    })?;
    request.reply_ok();
    Ok(())
}

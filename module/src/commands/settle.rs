//! `SECKILL.CONFIRM` and `SECKILL.CANCEL`: the two ways in which a buyer ends a hold.

use crate::args;
use crate::entry::Entry;
use crate::error::Result;
use crate::request::Request;
use seckill_sale::decide::IfLate;

pub(crate) fn confirm(request: &Request<'_>) -> Result<()> {
    let mut args = request.args();
    let rid = args::rid(args.next()?)?;
    let if_late = match args.next_word() {
        None => IfLate::Refuse,
        Some(word) => match word.as_bytes() {
            b"LATE" => IfLate::Take,
            b"REFUND" => IfLate::Refund,
            _ => return Err(word.unknown("LATE or REFUND")),
        },
    };
    args.end()?;
    request.write_with(
        |entry, now_ms| {
            let Entry { sale, change, .. } = entry;
            sale.perform_confirm(now_ms, change, rid, if_late)
        },
        |()| request.reply_ok(),
    )
}

pub(crate) fn cancel(request: &Request<'_>) -> Result<()> {
    let mut args = request.args();
    let rid = args::rid(args.next()?)?;
    args.end()?;
    request.write(
        |sale, now_ms| sale.decide_cancel(now_ms, rid),
        |()| request.reply_ok(),
    )
}

//! `SECKILL.CONFIRM` and `SECKILL.CANCEL`: the two ways in which a buyer ends a hold.

use crate::args;
use crate::error::Result;
use crate::request::Request;

pub(crate) fn confirm(request: &Request<'_>) -> Result<()> {
    let mut args = request.args();
    let rid = args::rid(args.next()?)?;
    let late = args.take_word("LATE");
    if !late && let Some(word) = args.next_word() {
        return Err(word.unknown("LATE"));
    }
    args.end()?;
    request.write(
        |sale, now_ms| sale.decide_confirm(now_ms, rid, late),
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

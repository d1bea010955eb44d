//! `SECKILL.PAUSE`, `SECKILL.RESUME`, `SECKILL.CLOSE`, `SECKILL.RESTOCK`: what an operator does to a
//! running sale.

use crate::args;
use crate::error::Result;
use crate::request::Request;
use seckill_sale::Sale;

pub(crate) fn pause(request: &Request<'_>) -> Result<()> {
    request.args().end()?;
    request.write(|sale, _| sale.decide_pause(), |()| request.reply_ok())
}

pub(crate) fn resume(request: &Request<'_>) -> Result<()> {
    request.args().end()?;
    request.write(|sale, _| sale.decide_resume(), |()| request.reply_ok())
}

pub(crate) fn close(request: &Request<'_>) -> Result<()> {
    request.args().end()?;
    request.write(Sale::decide_close, |()| request.reply_ok())
}

pub(crate) fn restock(request: &Request<'_>) -> Result<()> {
    let mut args = request.args();
    let delta = args::number("delta", args.next()?, i64::MIN..=i64::MAX)?;
    args.end()?;
    request.write(
        |sale, now_ms| sale.decide_restock(now_ms, delta),
        |()| request.reply_ok(),
    )
}

//! `SECKILL.PAUSE`, `SECKILL.RESUME`, `SECKILL.CLOSE`, `SECKILL.RESTOCK`: what an operator does to a
//! running sale.

use crate::args;
use crate::error::Result;
use crate::request::Request;

pub(crate) fn pause(request: &Request<'_>) -> Result<()> {
    request.args().end()?;
    request.write(|sale, _, _| sale.decide_pause(), |_, ()| request.reply_ok())
}

pub(crate) fn resume(request: &Request<'_>) -> Result<()> {
    request.args().end()?;
    request.write(
        |sale, _, _| sale.decide_resume(),
        |_, ()| request.reply_ok(),
    )
}

pub(crate) fn close(request: &Request<'_>) -> Result<()> {
    request.args().end()?;
    request.write(
        |sale, _, now_ms| sale.decide_close(now_ms),
        |_, ()| request.reply_ok(),
    )
}

pub(crate) fn restock(request: &Request<'_>) -> Result<()> {
    let mut args = request.args();
    let delta = args::number("delta", args.next()?, i64::MIN..=i64::MAX)?;
    args.end()?;
    request.write(
        |sale, _, now_ms| sale.decide_restock(now_ms, delta),
        |_, ()| request.reply_ok(),
    )
}

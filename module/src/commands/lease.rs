//! `SECKILL.LEASE`

use crate::args;
use crate::error::Result;
use crate::request::Request;
use seckill_sale::{LEASE_MS_MAX, Leased};

/// Replies who has the lease, for how many ms still, and who else asks for it. It is this node's own:
/// nothing is replicated, and where the sale goes the lease is free.
pub(crate) fn lease(request: &Request<'_>) -> Result<()> {
    let mut args = request.args();
    let holder = args::holder(args.next()?)?;
    let span_ms = args::number("ms", args.next()?, 0..=LEASE_MS_MAX)?;
    args.end()?;
    request.write_with(
        |entry, now_ms| {
            let Leased {
                holder,
                left_ms,
                rival,
            } = entry.lease.ask(holder, span_ms, now_ms);
            Ok((holder.map(str::to_owned), left_ms, rival.map(str::to_owned)))
        },
        |(holder, left_ms, rival)| {
            let reply_name = |name: Option<String>| match name {
                Some(name) => request.reply_string(name),
                None => request.reply_null(),
            };
            request.reply_array(3);
            reply_name(holder);
            request.reply_unsigned(left_ms);
            reply_name(rival);
        },
    )
}

//! `SECKILL.TRY`, and `SECKILL.MTRY`: many tries for one sale in one command.

use super::given::once;
use crate::args::{self, Args};
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::request::Request;
use crate::totals;
use seckill_protocol::{Verdict, VerdictDetail};
use seckill_sale::Try;

pub(crate) fn try_(request: &Request<'_>) -> Result<()> {
    let asked = read(request.args())?;
    request.write_with(
        |entry, now_ms| {
            let Entry {
                sale, soft, change, ..
            } = entry;
            sale.perform_try(now_ms, change, soft, &asked)
        },
        |verdict| {
            request.reply_array(2);
            reply(request, &verdict);
        },
    )
}

pub(crate) fn mtry(request: &Request<'_>) -> Result<()> {
    let mut args = request.args();
    if args.len() == 0 {
        return Err(Error::Arity);
    }
    // All are looked at before the first is decided: a command is carried out or refused.
    let mut tries = Vec::with_capacity(args.len());
    while args.len() > 0 {
        tries.push(Try {
            uid: args::uid(args.next()?)?,
            qty: 1,
            token: None,
        });
    }
    request.write_with(
        |entry, now_ms| {
            let Entry {
                sale, soft, change, ..
            } = entry;
            sale.perform_tries(now_ms, change, soft, tries.into_iter())
        },
        |verdicts| {
            request.reply_array(verdicts.len().saturating_mul(2));
            for verdict in &verdicts {
                reply(request, verdict);
            }
        },
    )
}

/// The word goes as a bulk string: a simple string costs Redis twice as much, because it looks for
/// line breaks in it.
fn reply(request: &Request<'_>, verdict: &Verdict) {
    totals::decided(verdict);
    request.reply_string(verdict.word());
    match verdict.detail() {
        VerdictDetail::Integer(number) => request.reply_integer(number),
        VerdictDetail::Reservation(rid) => request.reply_rid(rid),
    }
}

fn read(mut args: Args<'_>) -> Result<Try<'_>> {
    let uid = args::uid(args.next()?)?;
    let mut qty = None;
    let mut token = None;
    while let Some(word) = args.next_word() {
        match word.as_bytes() {
            b"QTY" => once(&mut qty, "QTY", args.number_of("QTY", 1..=u32::MAX)?)?,
            b"TOKEN" => {
                let value = args.value_of("TOKEN")?;
                once(&mut token, "TOKEN", args::token(value)?)?;
            }
            _ => return Err(word.unknown("QTY or TOKEN")),
        }
    }
    Ok(Try {
        uid,
        qty: qty.unwrap_or(1),
        token,
    })
}

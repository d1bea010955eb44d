//! `SECKILL.TRY`, and `SECKILL.MTRY`: many tries for one sale in one command.

use crate::args::{self, Args};
use crate::error::{Error, Result, bad};
use crate::request::Request;
use crate::totals;
use seckill_protocol::{Verdict, VerdictDetail};
use seckill_sale::Try;
use std::ffi::CStr;

pub(crate) fn try_(request: &Request<'_>) -> Result<()> {
    let asked = read(request.args())?;
    request.write(
        |sale, soft, now_ms| sale.decide_try(soft, now_ms, &asked),
        |_, verdict| {
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
    let mut uids = Vec::with_capacity(args.len());
    while args.len() > 0 {
        uids.push(args::uid(args.next()?)?);
    }
    request.write_each(
        uids,
        |sale, soft, now_ms, uid| {
            let asked = Try {
                uid,
                qty: 1,
                token: None,
            };
            sale.decide_try(soft, now_ms, &asked)
        },
        |_, verdicts| {
            request.reply_array(verdicts.len().saturating_mul(2));
            for verdict in &verdicts {
                reply(request, verdict);
            }
        },
    )
}

fn reply(request: &Request<'_>, verdict: &Verdict) {
    totals::decided(verdict);
    request.reply_word(word(verdict));
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
        let given_before = match word.as_bytes() {
            b"QTY" => qty.replace(args.number_of("QTY", 1..=u32::MAX)?).is_some(),
            b"TOKEN" => token
                .replace(args::token(args.value_of("TOKEN")?)?)
                .is_some(),
            _ => return Err(word.unknown("QTY or TOKEN")),
        };
        if given_before {
            return Err(twice(word.as_bytes()));
        }
    }
    Ok(Try {
        uid,
        qty: qty.unwrap_or(1),
        token,
    })
}

fn twice(word: &[u8]) -> Error {
    bad(format_args!("{} is given twice", word.escape_ascii()))
}

/// [`Verdict::word`], as C wants it.
const fn word(verdict: &Verdict) -> &'static CStr {
    match verdict {
        Verdict::Paused => c"PAUSED",
        Verdict::NotStarted { .. } => c"NOTSTARTED",
        Verdict::Ended => c"ENDED",
        Verdict::Duplicate(_) => c"DUPLICATE",
        Verdict::SoldOut { .. } => c"SOLDOUT",
        Verdict::Limited { .. } => c"LIMITED",
        Verdict::Accepted(_) => c"ACCEPTED",
    }
}

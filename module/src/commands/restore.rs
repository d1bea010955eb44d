//! `SECKILL.RESTORE`: puts back facts that MySQL has and this node does not.

use crate::args::{self, Args, MS_MAX};
use crate::entry::{Entry, next_epoch};
use crate::error::{Error, Result, bad, quote};
use crate::request::{Field, Request};
use seckill_protocol::{EventId, ReservationState};
use seckill_sale::restore::Step;
use seckill_sale::{Put, Reservation, UNITS_MAX};

const EXPECTED: &str = "UNITS, RESERVATION, REFUND, EPOCH or JOIN";

pub(crate) fn restore(request: &Request<'_>) -> Result<()> {
    let steps = read(request.args())?;
    request.write_with(
        |entry, now_ms| {
            let Entry { sale, change, .. } = entry;
            sale.perform_restore(now_ms, change, steps, next_epoch(now_ms))
        },
        |put| {
            let count = |what| put.iter().filter(|&&put| put == Some(what)).count() as u64;
            request.reply_map(&[
                ("added", Field::Number(count(Put::Added))),
                ("moved", Field::Number(count(Put::Moved))),
                ("known", Field::Number(count(Put::Known))),
            ]);
        },
    )
}

/// All steps are read before the first is taken.
fn read(mut args: Args<'_>) -> Result<Vec<Step<'_>>> {
    if args.len() == 0 {
        return Err(Error::Arity);
    }
    let mut steps = Vec::new();
    while let Some(word) = args.next_word() {
        let step = match word.as_bytes() {
            b"UNITS" => Step::Units {
                total: args.number_of("UNITS total", 0..=UNITS_MAX)?,
                sold_before: args.number_of("UNITS sold", 0..=UNITS_MAX)?,
            },
            b"RESERVATION" => Step::Reservation(reservation(&mut args)?),
            b"REFUND" => Step::Refund(args::rid(args.value_of("REFUND rid")?)?),
            b"EPOCH" => Step::Epoch(args.number_of("EPOCH above", 0..=MS_MAX - 1)?),
            b"JOIN" => Step::Join(EventId::new(
                args.number_of("JOIN epoch", 0..=u64::MAX)?,
                args.number_of("JOIN seq", 0..=u64::MAX)?,
            )),
            _ => return Err(word.unknown(EXPECTED)),
        };
        steps.push(step);
    }
    Ok(steps)
}

/// `rid uid qty state at deadline [TOKEN t]`
fn reservation<'a>(args: &mut Args<'a>) -> Result<Reservation<'a>> {
    let rid = args::rid(args.value_of("RESERVATION rid")?)?;
    let uid = args::uid(args.value_of("RESERVATION uid")?)?;
    let qty = args.number_of("RESERVATION qty", 1..=u32::MAX)?;
    let state = state(args.value_of("RESERVATION state")?)?;
    let at_ms = args.number_of("RESERVATION at", 0..=MS_MAX)?;
    let deadline_ms: u64 = args.number_of("RESERVATION deadline", 0..=MS_MAX)?;
    let token = if args.take_word("TOKEN") {
        Some(args::token(args.value_of("TOKEN")?)?)
    } else {
        None
    };
    let hold_ms = match deadline_ms {
        0 if state == ReservationState::Held => {
            return Err(bad("a held RESERVATION needs a deadline"));
        }
        0 => 0,
        _ => match deadline_ms.checked_sub(at_ms) {
            Some(hold_ms @ 1..) => hold_ms,
            _ => {
                return Err(bad(format_args!(
                    "RESERVATION deadline {deadline_ms} is not after its at {at_ms}"
                )));
            }
        },
    };
    Ok(Reservation {
        rid,
        uid,
        qty,
        state,
        at_ms,
        hold_ms,
        token,
        restored: true,
    })
}

fn state(bytes: &[u8]) -> Result<ReservationState> {
    let word = std::str::from_utf8(bytes).unwrap_or_default();
    word.to_ascii_lowercase().parse().map_err(|error| {
        bad(format_args!(
            "RESERVATION state: {error}, got {}",
            quote(bytes)
        ))
    })
}

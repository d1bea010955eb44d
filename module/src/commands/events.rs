//! `SECKILL.EVENTS`: the log, now or as soon as there is something in it.

use super::given::once;
use crate::api::{self, RawContext, RawString};
use crate::args::{Args, MS_MAX};
use crate::entry::Entry;
use crate::error::{Result, bad, quote};
use crate::request::{Request, run};
use seckill_protocol::{Event, EventBatch, EventId, Fact, Token};
use std::ffi::c_int;
use std::fmt::Write as _;

const COUNT_DEFAULT: usize = 1000;
/// Also bounds how long one call keeps the server busy.
const COUNT_MAX: usize = 10_000;

enum Format {
    Packed,
    Text,
}

struct Asked {
    after: EventId,
    count: usize,
    format: Format,
    /// For how long the client waits for an event; 0: for ever.
    block_ms: Option<u64>,
}

pub(crate) fn events(request: &Request<'_>) -> Result<()> {
    let asked = read(request.args())?;
    // Reading the log is a writing command: it releases what is overdue first, so that a sale that
    // nobody asks for still gives its units back in time.
    let (mut batch, mut due_in_ms) = (None, None);
    request.write_with(
        |entry, now_ms| {
            let Entry { sale, change, .. } = entry;
            sale.perform(now_ms, change, |_| Ok(((), None)))?;
            batch = sale.events_after(asked.after, asked.count);
            let release_ms = sale.next_release_ms();
            due_in_ms = release_ms.map(|ms| ms.saturating_sub(now_ms).max(1));
            // The worker asks each sale now and then: a good time to clear away.
            entry.tidy(now_ms);
            Ok(())
        },
        |()| {},
    )?;
    match asked.block_ms {
        Some(block_ms) if batch.is_none() && !request.is_blocking_denied() => {
            // No longer than until a hold lapses: whoever asks again then releases it.
            let timeout_ms = match (block_ms, due_in_ms) {
                (0, due_in_ms) => due_in_ms.unwrap_or(0),
                (block_ms, due_in_ms) => due_in_ms.map_or(block_ms, |ms| ms.min(block_ms)),
            };
            request.wait(timeout_ms, ready, timeout);
            Ok(())
        }
        _ => reply(request, &asked, batch),
    }
}

/// Something happened to a sale that the client waits for.
extern "C" fn ready(context: RawContext, argv: *mut RawString, argc: c_int) -> c_int {
    let mut waits_on = false;
    run(context, argv, argc, |request| {
        let asked = read(request.args())?;
        let batch = request.read(|entry| Ok(entry.sale.events_after(asked.after, asked.count)))?;
        waits_on = batch.is_none();
        if waits_on {
            return Ok(());
        }
        reply(request, &asked, batch)
    });
    if waits_on { api::WAIT_ON } else { 0 }
}

/// Nothing happened while the client waited.
extern "C" fn timeout(context: RawContext, argv: *mut RawString, argc: c_int) -> c_int {
    run(context, argv, argc, |request| {
        let asked = read(request.args())?;
        reply(request, &asked, None)
    })
}

fn reply(request: &Request<'_>, asked: &Asked, batch: Option<EventBatch>) -> Result<()> {
    match (batch, &asked.format) {
        (None, Format::Packed) => request.reply_null(),
        (Some(batch), Format::Packed) => {
            let packed = batch.to_packed().map_err(bad)?;
            request.reply_string(packed);
        }
        (None, Format::Text) => request.reply_array(0),
        (Some(EventBatch { epoch, events }), Format::Text) => {
            request.reply_array(events.len());
            for event in &events {
                request.reply_string(line(epoch, event));
            }
        }
    }
    Ok(())
}

fn read(mut args: Args<'_>) -> Result<Asked> {
    let (mut after, mut count, mut form, mut block_ms) = (None, None, None, None);
    while let Some(word) = args.next_word() {
        match word.as_bytes() {
            b"AFTER" => {
                let epoch = args.number_of("AFTER epoch", 0..=u64::MAX)?;
                let seq = args.number_of("AFTER seq", 0..=u64::MAX)?;
                once(&mut after, "AFTER", EventId::new(epoch, seq))?;
            }
            b"COUNT" => once(&mut count, "COUNT", args.number_of("COUNT", 1..=COUNT_MAX)?)?,
            b"FORMAT" => once(&mut form, "FORMAT", format(args.value_of("FORMAT")?)?)?,
            b"BLOCK" => once(
                &mut block_ms,
                "BLOCK",
                args.number_of("BLOCK", 0..=BLOCK_MS_MAX)?,
            )?,
            _ => return Err(word.unknown("AFTER, COUNT, FORMAT or BLOCK")),
        }
    }
    Ok(Asked {
        after: after.unwrap_or(EventId::ZERO),
        count: count.unwrap_or(COUNT_DEFAULT),
        format: form.unwrap_or(Format::Packed),
        block_ms,
    })
}

/// Added to the server's clock it still has to be a number.
const BLOCK_MS_MAX: u64 = MS_MAX / 2;

fn format(bytes: &[u8]) -> Result<Format> {
    if bytes.eq_ignore_ascii_case(b"packed") {
        Ok(Format::Packed)
    } else if bytes.eq_ignore_ascii_case(b"text") {
        Ok(Format::Text)
    } else {
        Err(bad(format_args!(
            "FORMAT must be packed or text, got {}",
            quote(bytes)
        )))
    }
}

/// An event as a person reads it.
fn line(epoch: u64, event: &Event) -> String {
    let Event { seq, at, fact } = event;
    let mut line = format!("{epoch}-{seq} at={at} ");
    let written = match fact {
        Fact::Opened { name, total, sold } => {
            write!(line, "opened total={total} sold={sold} name={name}")
        }
        Fact::Accepted {
            uid,
            qty,
            deadline,
            token,
        } => {
            let deadline = deadline.unwrap_or(0);
            let token = token.as_ref().map_or("", Token::as_str);
            write!(
                line,
                "accepted qty={qty} deadline={deadline} token={token} uid={uid}"
            )
        }
        Fact::Confirmed { rid } => write!(line, "confirmed rid={rid}"),
        Fact::Cancelled { rid } => write!(line, "cancelled rid={rid}"),
        Fact::Expired { rid } => write!(line, "expired rid={rid}"),
        Fact::Restocked { delta } => write!(line, "restocked delta={delta}"),
        Fact::Closed => write!(line, "closed"),
        Fact::Epoch { previous } => write!(line, "epoch previous={previous}"),
        Fact::LatePayment { rid } => write!(line, "late_payment rid={rid}"),
    };
    // Writing to a string does not fail.
    written.map(|()| line).unwrap_or_default()
}

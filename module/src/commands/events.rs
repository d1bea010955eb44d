//! `SECKILL.EVENTS`

use crate::args::Args;
use crate::error::{Result, bad, quote};
use crate::request::Request;
use seckill_protocol::{Event, EventBatch, EventId, Fact};
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
}

pub(crate) fn events(request: &Request<'_>) -> Result<()> {
    let asked = read(Args::new(request.args()))?;
    // Reading the log is a writing command: it releases what is overdue first, so that a sale that
    // nobody asks for still gives its units back in time.
    let mut batch = None;
    request.write(
        |_, _, _| Ok(((), None)),
        |sale, ()| batch = sale.events_after(asked.after, asked.count),
    )?;
    match (batch, asked.format) {
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
    let mut asked = Asked {
        after: EventId::ZERO,
        count: COUNT_DEFAULT,
        format: Format::Packed,
    };
    while let Some(word) = args.next_word() {
        match word.as_bytes() {
            b"AFTER" => {
                let epoch = args.number_of("AFTER epoch", 0..=u64::MAX)?;
                let seq = args.number_of("AFTER seq", 0..=u64::MAX)?;
                asked.after = EventId::new(epoch, seq);
            }
            b"COUNT" => asked.count = args.number_of("COUNT", 1..=COUNT_MAX)?,
            b"FORMAT" => asked.format = format(args.value_of("FORMAT")?)?,
            _ => return Err(word.unknown("AFTER, COUNT or FORMAT")),
        }
    }
    Ok(asked)
}

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
        Fact::Accepted { uid, qty, deadline } => {
            let deadline = deadline.unwrap_or(0);
            write!(line, "accepted qty={qty} deadline={deadline} uid={uid}")
        }
        Fact::Confirmed { rid } => write!(line, "confirmed rid={rid}"),
        Fact::Cancelled { rid } => write!(line, "cancelled rid={rid}"),
        Fact::Expired { rid } => write!(line, "expired rid={rid}"),
        Fact::Restocked { delta } => write!(line, "restocked delta={delta}"),
        Fact::Closed => write!(line, "closed"),
        Fact::Epoch { previous } => write!(line, "epoch previous={previous}"),
    };
    // Writing to a string does not fail.
    written.map(|()| line).unwrap_or_default()
}

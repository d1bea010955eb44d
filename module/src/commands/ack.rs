//! `SECKILL.ACK`

use crate::args;
use crate::error::Result;
use crate::request::Request;
use seckill_protocol::EventId;
use seckill_sale::Cursor;

pub(crate) fn ack(request: &Request<'_>) -> Result<()> {
    let mut args = request.args();
    let cursor = match args.next_word() {
        None => return Err(crate::error::Error::Arity),
        Some(word) => match word.as_bytes() {
            b"RELAYED" => Cursor::Relayed,
            b"STORED" => Cursor::Stored,
            _ => return Err(word.unknown("RELAYED or STORED")),
        },
    };
    let epoch = args::number("epoch", args.next()?, 0..=u64::MAX)?;
    let seq = args::number("seq", args.next()?, 0..=u64::MAX)?;
    args.end()?;
    request.write(
        |sale, _| sale.decide_ack(cursor, EventId::new(epoch, seq)),
        |()| request.reply_ok(),
    )
}

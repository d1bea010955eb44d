//! `SECKILL.APPLY`: how effects reach replicas and the AOF.

use crate::error::{Error, Result, bad};
use crate::request::Request;
use seckill_sale::Payload;

pub(crate) fn apply(request: &Request<'_>) -> Result<()> {
    if !request.is_replayed() {
        return Err(bad(
            "SECKILL.APPLY is for replication and the AOF; it is refused from a client",
        ));
    }
    let mut args = request.args();
    let payload = args.next()?;
    args.end()?;
    let replayed = Payload::decode(payload)
        .map_err(Error::from)
        .and_then(|payload| request.replay(payload));
    if let Err(Error::Line(line)) = &replayed {
        // Nobody reads a reply to a primary or to an AOF.
        request.warn(&format!(
            "seckill: SECKILL.APPLY failed, this copy has parted: {line}"
        ));
    }
    replayed?;
    request.reply_ok();
    Ok(())
}

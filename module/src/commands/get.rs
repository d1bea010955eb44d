//! `SECKILL.GET`

use crate::args::{self, Args};
use crate::error::{Error, Result};
use crate::request::{Field, Request};
use seckill_sale::Refusal;

pub(crate) fn get(request: &Request<'_>) -> Result<()> {
    let mut args = Args::new(request.args());
    let rid = args::rid(args.next()?)?;
    args.end()?;
    request.read(|entry| {
        let reservation = entry.sale.reservation(rid);
        let reservation = reservation.ok_or_else(|| Error::from(Refusal::NoReservation))?;
        request.reply_map(&[
            ("rid", Field::Text(reservation.rid.to_string())),
            ("uid", Field::Text(reservation.uid.to_string())),
            ("qty", Field::Number(reservation.qty.into())),
            ("state", Field::Text(reservation.state.to_string())),
            ("at", Field::Number(reservation.at_ms)),
            (
                "deadline",
                Field::Number(reservation.deadline_ms.unwrap_or(0)),
            ),
            ("stored", Field::Number(entry.sale.is_stored(rid).into())),
        ]);
        Ok(())
    })
}

//! `SECKILL.GET` and `SECKILL.USER`: reservations, by their id and by their buyer.

use crate::args;
use crate::error::{Error, Result};
use crate::request::{Field, Request};
use seckill_sale::{Refusal, Reservation, Sale};

/// Reservations of one buyer that one reply shows: somebody who buys and gives up all day long is
/// no reason to keep the server busy.
const SHOWN_MAX: usize = 1000;

pub(crate) fn get(request: &Request<'_>) -> Result<()> {
    let mut args = request.args();
    let rid = args::rid(args.next()?)?;
    args.end()?;
    request.read(|entry| {
        let reservation = entry.sale.reservation(rid);
        let reservation = reservation.ok_or_else(|| Error::from(Refusal::NoReservation))?;
        request.reply_map(&fields(&entry.sale, &reservation));
        Ok(())
    })
}

pub(crate) fn user(request: &Request<'_>) -> Result<()> {
    let mut args = request.args();
    let uid = args::uid(args.next()?)?;
    args.end()?;
    request.read(|entry| {
        let reservations = || entry.sale.reservations_of(uid).take(SHOWN_MAX);
        request.reply_array(reservations().count());
        for reservation in reservations() {
            request.reply_map(&fields(&entry.sale, &reservation));
        }
        Ok(())
    })
}

fn fields(sale: &Sale, reservation: &Reservation<'_>) -> [(&'static str, Field); 7] {
    let Reservation { rid, qty, .. } = *reservation;
    [
        ("rid", Field::Text(rid.to_string())),
        ("uid", Field::Text(reservation.uid.as_str().to_owned())),
        ("qty", Field::Number(qty.into())),
        ("state", Field::Text(reservation.state.to_string())),
        ("at", Field::Number(reservation.at_ms)),
        (
            "deadline",
            Field::Number(reservation.deadline_ms().unwrap_or(0)),
        ),
        ("stored", Field::Number(sale.is_stored(rid).into())),
    ]
}

//! `SECKILL.GET`, `SECKILL.USER` and `SECKILL.RESERVATIONS`: reservations, by their id, by their
//! buyer, and all.

use super::given::once;
use crate::args;
use crate::error::Result;
use crate::request::{Field, Request};
use seckill_sale::{Reservation, Sale};

/// Reservations of one buyer that one reply shows: somebody who buys and gives up all day long is
/// no reason to keep the server busy.
const SHOWN_MAX: usize = 1000;

pub(crate) fn get(request: &Request<'_>) -> Result<()> {
    let mut args = request.args();
    let rid = args::rid(args.next()?)?;
    args.end()?;
    request.read(|entry| {
        let reservation = entry.sale.granted(rid)?;
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

/// Reservations of one page, unless said otherwise.
const COUNT_DEFAULT: usize = 1000;
/// Also bounds how long one call keeps the server busy.
const COUNT_MAX: usize = 10_000;

/// As `SECKILL.RESTORE` takes them: rid, uid, units, state, instant, deadline, token.
pub(crate) fn reservations(request: &Request<'_>) -> Result<()> {
    let mut args = request.args();
    let (mut first, mut count) = (None, None);
    while let Some(word) = args.next_word() {
        match word.as_bytes() {
            b"FROM" => once(&mut first, "FROM", args.number_of("FROM", 0..=u32::MAX)?)?,
            b"COUNT" => once(&mut count, "COUNT", args.number_of("COUNT", 1..=COUNT_MAX)?)?,
            _ => return Err(word.unknown("FROM or COUNT")),
        }
    }
    let (first, count) = (first.unwrap_or(0), count.unwrap_or(COUNT_DEFAULT));
    request.read(|entry| {
        let page = || entry.sale.reservations_from(first).take(count);
        request.reply_array(page().count());
        for reservation in page() {
            request.reply_array(7);
            request.reply_rid(reservation.rid);
            request.reply_string(reservation.uid.as_bytes());
            request.reply_unsigned(reservation.qty.into());
            request.reply_string(reservation.state.as_str());
            request.reply_unsigned(reservation.at_ms);
            request.reply_unsigned(reservation.deadline_ms().unwrap_or(0));
            match reservation.token {
                Some(token) => request.reply_string(token),
                None => request.reply_null(),
            }
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

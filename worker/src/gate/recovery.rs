//! What `warm` and `recover` ask the module, and what `SECKILL.INFO` says of a sale.

use super::{Gate, Refused};
use crate::options::{Given, Options, Seen};
use redis::{Cmd, FromRedisValue, Value};
use seckill_protocol::{EventId, ReservationState, Token, Uid};
use std::collections::HashMap;

/// A sale, of `SECKILL.INFO`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sale {
    /// `open`, `paused`, `fenced` …
    pub(crate) state: String,
    pub(crate) total: u64,
    pub(crate) available: u64,
    pub(crate) held: u64,
    pub(crate) sold: u64,
    pub(crate) reservations: u64,
    /// The last event.
    pub(crate) head: EventId,
    /// What MySQL has, as the module was told.
    pub(crate) stored: EventId,
    pub(crate) seen: Seen,
}

/// What a sale begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning<'a> {
    pub(crate) total: i64,
    pub(crate) sold: i64,
    pub(crate) name: &'a str,
    pub(crate) options: Given,
    pub(crate) paused: bool,
}

/// A reservation, as MySQL has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// The event that granted it.
    pub(crate) id: EventId,
    pub(crate) uid: Uid,
    pub(crate) qty: u32,
    pub(crate) state: ReservationState,
    /// When it was granted, Unix time in milliseconds.
    pub(crate) at_ms: u64,
    /// `None`: it was sold at once.
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) token: Option<Token>,
    /// A payment for it is to be refunded, so that none takes its units again.
    pub(crate) refund_due: bool,
}

/// How often `SECKILL.RESTORE` did what with a reservation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Put {
    pub(crate) added: u64,
    pub(crate) moved: u64,
    pub(crate) known: u64,
}

// === impl Gate ===

impl Gate {
    /// What a sale is like.
    pub(crate) async fn sale(&self, sid: &str) -> Result<Sale, Refused> {
        let info = self.info(sid).await?;
        let number = |name| field::<u64>(&info, name);
        Ok(Sale {
            state: field(&info, "state")?,
            total: number("total")?,
            available: number("available")?,
            held: number("held")?,
            sold: number("sold")?,
            reservations: number("reservations")?,
            head: place(&info, "head")?,
            stored: place(&info, "stored")?,
            seen: seen(&info)?,
        })
    }

    /// Makes a sale. The module never makes one over another.
    pub(crate) async fn begin(&self, sid: &str, sale: Beginning<'_>) -> Result<(), Refused> {
        let mut command = self.command("SECKILL.CREATE", sid);
        command.arg("STOCK").arg(sale.total);
        command.arg("SOLD").arg(sale.sold);
        if !sale.name.is_empty() {
            command.arg("NAME").arg(sale.name);
        }
        sale.options.put_into(&mut command);
        if sale.paused {
            command.arg("PAUSED");
        }
        self.ask(&command).await
    }

    /// Puts reservations back.
    pub(crate) async fn put_back(
        &self,
        sid: &str,
        reservations: &[Recorded],
    ) -> Result<Put, Refused> {
        let mut command = self.command("SECKILL.RESTORE", sid);
        for reservation in reservations {
            reservation.put_into(&mut command);
        }
        let answer: HashMap<String, Value> = self.ask(&command).await?;
        Ok(Put {
            added: field(&answer, "added")?,
            moved: field(&answer, "moved")?,
            known: field(&answer, "known")?,
        })
    }

    /// Says how many units there are, and how many of them are gone in no reservation.
    pub(crate) async fn recount(&self, sid: &str, total: u64, sold: u64) -> Result<(), Refused> {
        let mut command = self.command("SECKILL.RESTORE", sid);
        command.arg("UNITS").arg(total).arg(sold);
        self.ask(&command).await
    }

    /// Begins an epoch above another one.
    pub(crate) async fn begin_epoch(&self, sid: &str, above: u64) -> Result<(), Refused> {
        let mut command = self.command("SECKILL.RESTORE", sid);
        command.arg("EPOCH").arg(above);
        self.ask(&command).await
    }

    /// All that MySQL has up to this place is there.
    pub(crate) async fn join(&self, sid: &str, place: EventId) -> Result<(), Refused> {
        let mut command = self.command("SECKILL.RESTORE", sid);
        command.arg("JOIN").arg(place.epoch).arg(place.seq);
        self.ask(&command).await
    }

    /// Recounts everything, and says what does not add up.
    pub(crate) async fn audit(&self, sid: &str) -> Result<(), Refused> {
        self.ask(&self.command("SECKILL.AUDIT", sid)).await
    }

    /// Stops the selling.
    pub(crate) async fn pause(&self, sid: &str) -> Result<(), Refused> {
        self.ask(&self.command("SECKILL.PAUSE", sid)).await
    }

    /// Goes on selling.
    pub(crate) async fn resume(&self, sid: &str) -> Result<(), Refused> {
        self.ask(&self.command("SECKILL.RESUME", sid)).await
    }

    /// Ends the sale for good.
    pub(crate) async fn close(&self, sid: &str) -> Result<(), Refused> {
        self.ask(&self.command("SECKILL.CLOSE", sid)).await
    }
}

/// What the table of options keeps of a sale.
pub(super) fn seen(info: &HashMap<String, Value>) -> Result<Seen, Refused> {
    let number = |name| field::<u64>(info, name);
    let stored = place(info, "stored")?;
    Ok(Seen {
        options: Options {
            limit: number("limit")?,
            start: number("start")?,
            end: number("end")?,
            hold: number("hold")?,
            rate: number("rate")?,
            burst: number("burst")?,
            user_rate: number("user_rate")?,
            user_burst: number("user_burst")?,
        },
        closed: field::<String>(info, "state")? == "closed",
        // Before its first event is in MySQL, a sale stands at the place before it.
        opened: (stored.seq == 0).then_some(stored.epoch),
    })
}

fn field<T: FromRedisValue>(info: &HashMap<String, Value>, name: &str) -> Result<T, Refused> {
    let value = info.get(name).cloned();
    let value = value.and_then(|value| redis::from_redis_value(value).ok());
    value.ok_or_else(|| Refused::Other(format!("the module's answer lacks {name}")))
}

fn place(info: &HashMap<String, Value>, name: &str) -> Result<EventId, Refused> {
    let text: String = field(info, name)?;
    let place = text.parse();
    place.map_err(|_| Refused::Other(format!("SECKILL.INFO: expected {name} as <epoch>-<seq>")))
}

// === impl Recorded ===

impl Recorded {
    fn put_into(&self, command: &mut Cmd) {
        command.arg("RESERVATION").arg(self.id.to_string());
        command.arg(self.uid.as_str()).arg(self.qty);
        command.arg(self.state.to_string()).arg(self.at_ms);
        command.arg(self.deadline_ms.unwrap_or(0));
        if let Some(token) = &self.token {
            command.arg("TOKEN").arg(token.as_str());
        }
        if self.refund_due {
            command.arg("REFUND").arg(self.id.to_string());
        }
    }
}

// === impl Put ===

impl std::ops::AddAssign for Put {
    fn add_assign(&mut self, other: Self) {
        self.added += other.added;
        self.moved += other.moved;
        self.known += other.known;
    }
}

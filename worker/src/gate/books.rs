//! What `status`, `reconcile` and the dashboard ask the module.

use super::recovery::seen;
use super::{Gate, Refused};
use crate::options::Options;
use redis::Value;
use seckill_protocol::{EventId, ReservationId, ReservationState};
use std::collections::HashMap;
use std::str::FromStr;

/// A sale as `SECKILL.INFO` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SaleInfo {
    /// What it is doing, in one word.
    pub(crate) state: String,
    /// What is sold, for people.
    pub(crate) name: String,
    /// All units.
    pub(crate) total: u64,
    /// Units that can be had.
    pub(crate) available: u64,
    /// Units that are held and not paid for.
    pub(crate) held: u64,
    /// Units that are sold, those from before the sale among them.
    pub(crate) sold: u64,
    /// Units that were sold before the sale: among those sold, in no reservation.
    pub(crate) sold_before: u64,
    /// Reservations that were ever granted.
    pub(crate) reservations: u64,
    /// The last event.
    pub(crate) head: EventId,
    /// What the broker has.
    pub(crate) relayed: EventId,
    /// What MySQL has.
    pub(crate) stored: EventId,
    /// Events that MySQL does not have yet.
    pub(crate) log: u64,
    /// Acceptances that MySQL does not have yet.
    pub(crate) unordered: u64,
    /// When the first event was decided that the broker does not have, Unix ms; 0: it has all.
    pub(crate) unrelayed_since_ms: u64,
    /// The same for MySQL.
    pub(crate) unstored_since_ms: u64,
    /// When the first acceptance was decided that has no order, Unix ms; 0: each has one.
    pub(crate) unordered_since_ms: u64,
    /// The node's clock, Unix ms.
    pub(crate) now_ms: u64,
    /// Tries that this node has decided.
    pub(crate) tries: u64,
    /// Those of them that were accepted.
    pub(crate) accepted: u64,
    /// The others, by what they were told.
    pub(crate) rejected: Rejected,
    /// When it starts and ends, and what it allows.
    pub(crate) options: Options,
}

/// Tries that this node did not accept, by what they were told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub(crate) duplicate: u64,
    pub(crate) soldout: u64,
    pub(crate) limited: u64,
    pub(crate) notstarted: u64,
    pub(crate) ended: u64,
    pub(crate) paused: u64,
}

/// A reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    /// Its name.
    pub(crate) rid: EventId,
    /// Whose it is.
    pub(crate) uid: String,
    /// Units.
    pub(crate) qty: u32,
    /// What became of it.
    pub(crate) state: ReservationState,
    /// When it was granted, Unix ms.
    pub(crate) at_ms: u64,
    /// Until when it is held, Unix ms; `None`: sold at once.
    pub(crate) deadline_ms: Option<u64>,
    /// What the buyer asked with.
    pub(crate) token: Option<String>,
}

/// A reservation as it comes over the wire.
type Row = (String, String, u32, String, u64, u64, Option<String>);

// === impl Gate ===

impl Gate {
    /// A sale's figures.
    pub(crate) async fn sale_info(&self, sid: &str) -> Result<SaleInfo, Refused> {
        let fields = self.info(sid).await?;
        let fields = Fields { sid, fields };
        Ok(SaleInfo {
            state: fields.get("state")?,
            name: fields.get("name")?,
            total: fields.get("total")?,
            available: fields.get("available")?,
            held: fields.get("held")?,
            sold: fields.get("sold")?,
            sold_before: fields.get("sold_before")?,
            reservations: fields.get("reservations")?,
            head: fields.get("head")?,
            relayed: fields.get("relayed")?,
            stored: fields.get("stored")?,
            log: fields.get("log")?,
            unordered: fields.get("unordered")?,
            unrelayed_since_ms: fields.get("unrelayed_since")?,
            unstored_since_ms: fields.get("unstored_since")?,
            unordered_since_ms: fields.get("unordered_since")?,
            now_ms: fields.get("now")?,
            tries: fields.get("tries")?,
            accepted: fields.get("accepted")?,
            rejected: Rejected {
                duplicate: fields.get("duplicate")?,
                soldout: fields.get("soldout")?,
                limited: fields.get("limited")?,
                notstarted: fields.get("notstarted")?,
                ended: fields.get("ended")?,
                paused: fields.get("paused")?,
            },
            options: seen(&fields.fields)?.options,
        })
    }

    /// A page of at most `count` reservations, in the order in which they came, from the `first` on.
    pub(crate) async fn reservations(
        &self,
        sid: &str,
        first: usize,
        count: usize,
    ) -> Result<Vec<Reservation>, Refused> {
        let mut command = self.command("SECKILL.RESERVATIONS", sid);
        command.arg("FROM").arg(first).arg("COUNT").arg(count);
        let rows: Vec<Row> = self.ask(&command).await?;
        rows.into_iter().map(Reservation::read).collect()
    }

    /// One reservation, without its token; `None` if there is none of this name here.
    pub(crate) async fn reservation(
        &self,
        sid: &str,
        rid: EventId,
    ) -> Result<Option<Reservation>, Refused> {
        let mut command = self.command("SECKILL.GET", sid);
        command.arg(ReservationId(rid).to_string());
        let fields: HashMap<String, Value> = match self.ask(&command).await {
            Ok(fields) => fields,
            Err(Refused::NoReservation | Refused::Fenced) => return Ok(None),
            Err(refused) => return Err(refused),
        };
        let fields = Fields { sid, fields };
        let deadline: u64 = fields.get("deadline")?;
        Ok(Some(Reservation {
            rid,
            uid: fields.get("uid")?,
            qty: fields.get("qty")?,
            state: fields.get("state")?,
            at_ms: fields.get("at")?,
            deadline_ms: (deadline != 0).then_some(deadline),
            token: None,
        }))
    }

    /// The name of a sale's key.
    pub(crate) fn key(&self, sid: &str) -> String {
        format!("{}{sid}", self.key_prefix)
    }
}

/// A reply that is a map.
pub(super) struct Fields<'a> {
    pub(super) sid: &'a str,
    pub(super) fields: HashMap<String, Value>,
}

// === impl Fields ===

impl Fields<'_> {
    pub(super) fn get<T: FromStr>(&self, name: &str) -> Result<T, Refused> {
        let value = self.fields.get(name).cloned();
        let text = value.and_then(|value| redis::from_redis_value::<String>(value).ok());
        text.and_then(|text| text.parse().ok()).ok_or_else(|| {
            let sid = self.sid;
            Refused::Other(format!(
                "sale {sid}: the module says nothing that can be read as {name}: expected a \
                 libseckill.so as new as this program"
            ))
        })
    }
}

// === impl Reservation ===

impl Reservation {
    fn read((rid, uid, qty, state, at_ms, deadline, token): Row) -> Result<Self, Refused> {
        let unreadable = |what: &str| Refused::Other(format!("SECKILL.RESERVATIONS: {what}"));
        let id: ReservationId = rid.parse().map_err(|_| unreadable(&rid))?;
        Ok(Self {
            rid: id.0,
            uid,
            qty,
            state: state.parse().map_err(|_| unreadable(&state))?,
            at_ms,
            deadline_ms: (deadline != 0).then_some(deadline),
            token,
        })
    }
}

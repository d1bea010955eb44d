//! What only the dashboard asks the module.

use super::books::Fields;
use super::{Gate, Refused};
use redis::Value;
use seckill_protocol::{EventId, ReservationId};
use std::collections::HashMap;

/// A reservation as the module shows it to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Its name.
    pub(crate) rid: EventId,
    /// Whose it is.
    pub(crate) uid: String,
    /// Units.
    pub(crate) qty: u32,
    /// What became of it.
    pub(crate) state: String,
    /// When it was granted, Unix ms.
    pub(crate) at_ms: u64,
    /// Until when it is held, Unix ms; 0: sold at once.
    pub(crate) deadline_ms: u64,
    /// Whether the module knows that MySQL has it.
    pub(crate) stored: bool,
}

// === impl Gate ===

impl Gate {
    /// Adds units, or takes unsold ones away.
    pub(crate) async fn restock(&self, sid: &str, delta: i64) -> Result<(), Refused> {
        let mut command = self.command("SECKILL.RESTOCK", sid);
        command.arg(delta);
        self.ask(&command).await
    }

    /// A buyer's reservations, the latest first.
    pub(crate) async fn reservations_of(&self, sid: &str, uid: &str) -> Result<Vec<Held>, Refused> {
        let mut command = self.command("SECKILL.USER", sid);
        command.arg(uid);
        let found: Vec<HashMap<String, Value>> = self.ask(&command).await?;
        found.into_iter().map(|fields| held(sid, fields)).collect()
    }

    /// One reservation, whoever has it.
    pub(crate) async fn held(&self, sid: &str, rid: EventId) -> Result<Held, Refused> {
        let mut command = self.command("SECKILL.GET", sid);
        command.arg(ReservationId(rid).to_string());
        held(sid, self.ask(&command).await?)
    }
}

fn held(sid: &str, fields: HashMap<String, Value>) -> Result<Held, Refused> {
    let fields = Fields { sid, fields };
    let rid: ReservationId = fields.get("rid")?;
    Ok(Held {
        rid: rid.0,
        uid: fields.get("uid")?,
        qty: fields.get("qty")?,
        state: fields.get("state")?,
        at_ms: fields.get("at")?,
        deadline_ms: fields.get("deadline")?,
        stored: fields.get::<u64>("stored")? != 0,
    })
}

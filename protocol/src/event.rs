//! The facts of a sale, and the message that carries them through Kafka.

use crate::{EventId, ReservationId, Token, Uid};
use serde::{Deserialize, Serialize};

/// Version of the JSON message.
pub const JSON_VERSION: u32 = 1;

/// One fact of a sale's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Number within the batch's epoch, from 1 without gaps.
    pub seq: u64,
    /// When it was decided, Unix time in milliseconds.
    pub at: u64,
    /// What happened.
    pub fact: Fact,
}

/// What happened.
///
/// The packed form names a variant by its place: new ones go to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// The sale was created; always the first event of all.
    Opened {
        /// What is sold, for people.
        name: Box<str>,
        /// All units of the sale.
        total: u64,
        /// Units that were sold before the sale was created.
        sold: u64,
    },
    /// A buyer got units. The reservation's id is the event's own.
    Accepted {
        /// Who.
        uid: Uid,
        /// How many units.
        qty: u32,
        /// Until when they are held, Unix time in milliseconds; `None`: sold at once.
        deadline: Option<u64>,
        /// What he asked with, so that MySQL can give it back to a module that lost it.
        token: Option<Token>,
    },
    /// Held units were paid for; or, late, expired ones were taken again.
    Confirmed {
        /// Which reservation.
        rid: ReservationId,
    },
    /// Held units were given up.
    Cancelled {
        /// Which reservation.
        rid: ReservationId,
    },
    /// Held units were not paid for in time.
    Expired {
        /// Which reservation.
        rid: ReservationId,
    },
    /// Units were added, or unsold ones taken away.
    Restocked {
        /// How many; negative: taken away.
        delta: i64,
    },
    /// The sale was closed for good.
    Closed,
    /// A node took over with a copy that may lack facts; always the first event of its epoch.
    Epoch {
        /// The last event that the copy has of the epochs before.
        previous: EventId,
    },
    /// Units that were expired or given up were paid for, and are not to be had again: the payment
    /// is to be refunded. At most once a reservation.
    LatePayment {
        /// Which reservation.
        rid: ReservationId,
    },
}

/// Consecutive events of one sale in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventBatch {
    /// The epoch of all of them.
    pub epoch: u64,
    /// The events, `seq` ascending by one.
    pub events: Vec<Event>,
}

/// Why a message is not a batch of events.
#[derive(Debug, thiserror::Error)]
pub enum EventJsonError {
    /// Not JSON, or not of the expected shape.
    #[error("not a seckill event message: {0}")]
    Shape(#[from] serde_json::Error),
    /// Of a version that this program does not know.
    #[error("event message of version {0}: this program reads version 1")]
    Version(u32),
    /// The events' numbers are not consecutive.
    #[error("event {found} follows event {previous}: numbers must be consecutive")]
    Gap {
        /// The number before the break.
        previous: u64,
        /// The number after it.
        found: u64,
    },
    /// An acceptance's reservation id is not the event's own id.
    #[error("event {seq} carries reservation {rid}: an acceptance's reservation is its own id")]
    ForeignReservation {
        /// The event.
        seq: u64,
        /// What it carries.
        rid: ReservationId,
    },
}

// === impl EventBatch ===

impl EventBatch {
    /// The place of the last event, if there is one.
    #[must_use]
    pub fn last_id(&self) -> Option<EventId> {
        self.events
            .last()
            .map(|event| EventId::new(self.epoch, event.seq))
    }

    /// The Kafka message for these events of sale `sid`.
    ///
    /// # Errors
    /// None in practice: every field has a JSON form.
    pub fn to_json(&self, sid: &str) -> Result<Vec<u8>, serde_json::Error> {
        let events = self
            .events
            .iter()
            .map(|event| EventJson::from_event(self.epoch, event))
            .collect();
        serde_json::to_vec(&MessageJson {
            v: JSON_VERSION,
            sid: sid.into(),
            epoch: self.epoch,
            events,
        })
    }

    /// Reads a Kafka message: the sale and its events.
    ///
    /// # Errors
    /// [`EventJsonError`] when it is not a message of this version with consecutive events.
    pub fn from_json(bytes: &[u8]) -> Result<(Box<str>, Self), EventJsonError> {
        // The version is looked at first: a later one may have any shape.
        let VersionJson { v } = serde_json::from_slice(bytes)?;
        if v != JSON_VERSION {
            return Err(EventJsonError::Version(v));
        }
        let message: MessageJson = serde_json::from_slice(bytes)?;
        let events = message.events.into_iter();
        let batch = Self {
            epoch: message.epoch,
            events: events
                .map(|event| event.into_event(message.epoch))
                .collect::<Result<_, _>>()?,
        };
        match batch.gap() {
            None => Ok((message.sid, batch)),
            Some((previous, found)) => Err(EventJsonError::Gap { previous, found }),
        }
    }

    /// The numbers before and after the first place where they are not consecutive.
    pub(crate) fn gap(&self) -> Option<(u64, u64)> {
        let numbers = self.events.iter().map(|event| event.seq);
        let mut pairs = numbers.clone().zip(numbers.skip(1));
        pairs.find(|(previous, found)| previous.checked_add(1) != Some(*found))
    }
}

#[derive(Deserialize)]
struct VersionJson {
    v: u32,
}

#[derive(Serialize, Deserialize)]
struct MessageJson {
    v: u32,
    sid: Box<str>,
    epoch: u64,
    events: Vec<EventJson>,
}

#[derive(Serialize, Deserialize)]
struct EventJson {
    seq: u64,
    at: u64,
    #[serde(flatten)]
    fact: FactJson,
}

/// [`Fact`] as JSON spells it: tagged by `kind`, and an acceptance names its reservation, for a
/// reader that does not know that it is the event's own id.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum FactJson {
    Opened {
        name: Box<str>,
        total: u64,
        sold: u64,
    },
    Accepted {
        rid: ReservationId,
        uid: Uid,
        qty: u32,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        deadline: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        token: Option<Token>,
    },
    Confirmed {
        rid: ReservationId,
    },
    Cancelled {
        rid: ReservationId,
    },
    Expired {
        rid: ReservationId,
    },
    Restocked {
        delta: i64,
    },
    Closed,
    Epoch {
        previous: EventId,
    },
    #[serde(rename = "late_payment")]
    LatePayment {
        rid: ReservationId,
    },
}

impl EventJson {
    fn from_event(epoch: u64, event: &Event) -> Self {
        let fact = match event.fact.clone() {
            Fact::Opened { name, total, sold } => FactJson::Opened { name, total, sold },
            Fact::Accepted {
                uid,
                qty,
                deadline,
                token,
            } => FactJson::Accepted {
                rid: ReservationId::new(epoch, event.seq),
                uid,
                qty,
                deadline,
                token,
            },
            Fact::Confirmed { rid } => FactJson::Confirmed { rid },
            Fact::Cancelled { rid } => FactJson::Cancelled { rid },
            Fact::Expired { rid } => FactJson::Expired { rid },
            Fact::Restocked { delta } => FactJson::Restocked { delta },
            Fact::Closed => FactJson::Closed,
            Fact::Epoch { previous } => FactJson::Epoch { previous },
            Fact::LatePayment { rid } => FactJson::LatePayment { rid },
        };
        Self {
            seq: event.seq,
            at: event.at,
            fact,
        }
    }

    fn into_event(self, epoch: u64) -> Result<Event, EventJsonError> {
        let fact = match self.fact {
            FactJson::Opened { name, total, sold } => Fact::Opened { name, total, sold },
            FactJson::Accepted {
                rid,
                uid,
                qty,
                deadline,
                token,
            } => {
                if rid != ReservationId::new(epoch, self.seq) {
                    return Err(EventJsonError::ForeignReservation { seq: self.seq, rid });
                }
                Fact::Accepted {
                    uid,
                    qty,
                    deadline,
                    token,
                }
            }
            FactJson::Confirmed { rid } => Fact::Confirmed { rid },
            FactJson::Cancelled { rid } => Fact::Cancelled { rid },
            FactJson::Expired { rid } => Fact::Expired { rid },
            FactJson::Restocked { delta } => Fact::Restocked { delta },
            FactJson::Closed => Fact::Closed,
            FactJson::Epoch { previous } => Fact::Epoch { previous },
            FactJson::LatePayment { rid } => Fact::LatePayment { rid },
        };
        Ok(Event {
            seq: self.seq,
            at: self.at,
            fact,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: u64 = 1_763_800_000_000;

    fn every_kind() -> EventBatch {
        let rid = ReservationId::new(EPOCH, 2);
        let uid = Uid::new(b"u7").unwrap();
        let facts = [
            Fact::Opened {
                name: "Lamp".into(),
                total: 100,
                sold: 3,
            },
            Fact::Accepted {
                uid: uid.clone(),
                qty: 1,
                deadline: Some(EPOCH + 900_000),
                token: None,
            },
            Fact::Accepted {
                uid,
                qty: 2,
                deadline: None,
                token: Some(Token::new(b"t1").unwrap()),
            },
            Fact::Confirmed { rid },
            Fact::Cancelled { rid },
            Fact::Expired { rid },
            Fact::Restocked { delta: -5 },
            Fact::Closed,
            Fact::Epoch {
                previous: EventId::new(EPOCH - 1, 9),
            },
            Fact::LatePayment { rid },
        ];
        EventBatch {
            epoch: EPOCH,
            events: facts
                .into_iter()
                .zip(1..)
                .map(|(fact, seq)| Event {
                    seq,
                    at: EPOCH + seq,
                    fact,
                })
                .collect(),
        }
    }

    #[test]
    fn every_kind_of_event_survives_json() {
        let batch = every_kind();
        let json = batch.to_json("1001").unwrap();
        let (sid, back) = EventBatch::from_json(&json).unwrap();
        assert_eq!(&*sid, "1001");
        assert_eq!(back, batch);
    }

    #[test]
    fn the_message_has_the_documented_shape() {
        let mut batch = every_kind();
        batch.events = vec![batch.events.swap_remove(1)];
        let json: serde_json::Value =
            serde_json::from_slice(&batch.to_json("1001").unwrap()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"v":1,"sid":"1001","epoch":EPOCH,"events":[
                {"seq":2,"at":EPOCH + 2,"kind":"accepted","rid":"1763800000000-2","uid":"u7",
                 "qty":1,"deadline":EPOCH + 900_000}]})
        );
    }

    #[test]
    fn a_message_of_another_version_is_named_as_such() {
        let error = EventBatch::from_json(br#"{"v":2,"anything":[]}"#).unwrap_err();
        assert!(matches!(error, EventJsonError::Version(2)), "{error}");
    }

    #[test]
    fn garbage_holes_and_foreign_reservations_are_refused() {
        for bytes in [&b""[..], b"\xff", b"[]", b"{}", br#"{"v":1}"#] {
            assert!(EventBatch::from_json(bytes).is_err());
        }
        let hole = br#"{"v":1,"sid":"1","epoch":5,"events":[
            {"seq":1,"at":1,"kind":"closed"},{"seq":3,"at":1,"kind":"closed"}]}"#;
        assert!(matches!(
            EventBatch::from_json(hole),
            Err(EventJsonError::Gap {
                previous: 1,
                found: 3
            })
        ));
        let foreign = br#"{"v":1,"sid":"1","epoch":5,"events":[
            {"seq":4,"at":1,"kind":"accepted","rid":"5-3","uid":"u","qty":1}]}"#;
        assert!(matches!(
            EventBatch::from_json(foreign),
            Err(EventJsonError::ForeignReservation { seq: 4, .. })
        ));
    }
}

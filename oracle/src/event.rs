//! The events of a sale's log: an own reading of the messages on the topic and of the lines that
//! `SECKILL.EVENTS … FORMAT text` replies.

use crate::place::Place;
use serde::Deserialize;
use serde_json::Value;
use std::fmt;

/// The version of the message that this program reads.
const VERSION: u64 = 1;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number.
    pub place: Place,
    /// When it was decided, Unix time in milliseconds by the module's clock.
    pub at: u64,
    /// What happened.
    pub fact: Fact,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The sale was created.
    Opened {
        /// All units.
        total: i64,
        /// Units that were gone before.
        sold: i64,
    },
    /// A node took over with a copy.
    Epoch {
        /// The last event that the copy has.
        previous: Place,
    },
    /// A buyer got units.
    Accepted(Acceptance),
    /// A reservation takes a step.
    Step {
        /// Which reservation.
        rid: Place,
        /// Which step.
        step: Step,
    },
    /// Units were added or taken away.
    Restocked {
        /// How many.
        delta: i64,
    },
    /// The sale was closed.
    Closed,
}

/// Units that were granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// Whose they are.
    pub uid: String,
    /// How many.
    pub qty: i64,
    /// Until when they are held; `None`: sold at once.
    pub deadline: Option<u64>,
    /// What he asked with.
    pub token: Option<String>,
}

/// A step in the life of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Paid for.
    Confirmed,
    /// Given up.
    Cancelled,
    /// Not paid for in time.
    Expired,
    /// Paid for when it had ended, and to be refunded.
    LatePayment,
}

/// The events of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Of which sale.
    pub sid: String,
    /// In the order in which they stand there.
    pub events: Vec<Event>,
}

#[derive(Deserialize)]
struct BatchJson {
    v: u64,
    sid: String,
    epoch: u64,
    events: Vec<EventJson>,
}

#[derive(Deserialize)]
struct EventJson {
    seq: u64,
    at: u64,
    kind: String,
    rid: Option<String>,
    uid: Option<String>,
    qty: Option<u32>,
    deadline: Option<u64>,
    token: Option<String>,
    total: Option<i64>,
    sold: Option<i64>,
    delta: Option<i64>,
    previous: Option<String>,
}

/// Reads a message of the topic.
///
/// # Errors
/// What is wrong with it.
pub fn read_message(bytes: &[u8]) -> Result<Batch, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let BatchJson {
        v,
        sid,
        epoch,
        events,
    } = BatchJson::deserialize(value).map_err(|error| error.to_string())?;
    if v != VERSION {
        return Err(format!("version {v}, expected {VERSION}"));
    }
    let events: Result<Vec<Event>, String> =
        events.into_iter().map(|event| event.read(epoch)).collect();
    Ok(Batch {
        sid,
        events: events?,
    })
}

/// Reads a line of `SECKILL.EVENTS … FORMAT text`. Of an acceptance, buyer and token stand side by
/// side and may both have spaces: `known` says what they are.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_line(
    line: &str,
    known: impl Fn(Place) -> Option<(String, Option<String>)>,
) -> Result<Event, String> {
    let wrong = || format!("no event: {line}");
    let mut words = line.splitn(4, ' ');
    let mut word = || words.next().ok_or_else(wrong);
    let place: Place = word()?.parse().map_err(|_| wrong())?;
    let at = number(word()?, "at=").ok_or_else(wrong)?;
    let kind = word()?;
    let rest = words.next().unwrap_or_default();
    let field = |name: &str| rest.split(' ').find_map(|word| word.strip_prefix(name));
    let integer = |name: &str| field(name)?.parse::<i64>().ok();
    let named = |name: &str| field(name)?.parse::<Place>().ok();
    let fact = match kind {
        "opened" => integer("total=")
            .zip(integer("sold="))
            .map(|(total, sold)| Fact::Opened { total, sold }),
        "epoch" => named("previous=").map(|previous| Fact::Epoch { previous }),
        "restocked" => integer("delta=").map(|delta| Fact::Restocked { delta }),
        "closed" => Some(Fact::Closed),
        "accepted" => accepted(rest, known(place)).map(Fact::Accepted),
        kind => {
            let step = Step::from_kind(kind);
            step.zip(named("rid="))
                .map(|(step, rid)| Fact::Step { rid, step })
        }
    };
    let fact = fact.ok_or_else(wrong)?;
    Ok(Event { place, at, fact })
}

fn number(word: &str, name: &str) -> Option<u64> {
    word.strip_prefix(name)?.parse().ok()
}

/// `qty=1 deadline=5 token=t uid=u`
fn accepted(rest: &str, known: Option<(String, Option<String>)>) -> Option<Acceptance> {
    let mut words = rest.splitn(3, ' ');
    let qty = words.next()?.strip_prefix("qty=")?.parse().ok()?;
    let deadline = number(words.next()?, "deadline=")?;
    let who = words.next()?.strip_prefix("token=")?;
    let spelled = |uid: &str, token: Option<&str>| format!("{} uid={uid}", token.unwrap_or(""));
    let (uid, token) = match known {
        Some((uid, token)) if spelled(&uid, token.as_deref()) == who => (uid, token),
        _ => {
            let (token, uid) = who.split_once(" uid=")?;
            let token = (!token.is_empty()).then(|| token.to_owned());
            (uid.to_owned(), token)
        }
    };
    Some(Acceptance {
        uid,
        qty,
        deadline: (deadline > 0).then_some(deadline),
        token,
    })
}

// === impl EventJson ===

impl EventJson {
    fn read(self, epoch: u64) -> Result<Event, String> {
        let Self { seq, at, kind, .. } = &self;
        let place = Place::new(epoch, *seq);
        let lacks = |what: &str| format!("event {place}, {kind}, has no {what}");
        let named = |text: &Option<String>, what: &str| {
            let text = text.as_deref().ok_or_else(|| lacks(what))?;
            text.parse::<Place>()
                .map_err(|error| format!("event {place}: {what}: {error}"))
        };
        let fact = match kind.as_str() {
            "opened" => Fact::Opened {
                total: self.total.ok_or_else(|| lacks("total"))?,
                sold: self.sold.ok_or_else(|| lacks("sold"))?,
            },
            "epoch" => Fact::Epoch {
                previous: named(&self.previous, "previous")?,
            },
            "restocked" => Fact::Restocked {
                delta: self.delta.ok_or_else(|| lacks("delta"))?,
            },
            "closed" => Fact::Closed,
            "accepted" => {
                let rid = named(&self.rid, "rid")?;
                if rid != place {
                    return Err(format!("event {place} grants reservation {rid}"));
                }
                Fact::Accepted(Acceptance {
                    uid: self.uid.clone().ok_or_else(|| lacks("uid"))?,
                    qty: self.qty.ok_or_else(|| lacks("qty"))?.into(),
                    deadline: self.deadline,
                    token: self.token.clone(),
                })
            }
            other => Fact::Step {
                step: Step::from_kind(other)
                    .ok_or_else(|| format!("event {place} is of no known kind: {other:?}"))?,
                rid: named(&self.rid, "rid")?,
            },
        };
        Ok(Event {
            place,
            at: *at,
            fact,
        })
    }
}

// === impl Fact ===

impl Fact {
    /// Whether an epoch begins with it.
    #[must_use]
    pub const fn begins_epoch(&self) -> bool {
        matches!(self, Self::Opened { .. } | Self::Epoch { .. })
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { total, sold } => write!(f, "opened with {total} units, {sold} sold"),
            Self::Epoch { previous } => write!(f, "epoch after {previous}"),
            Self::Accepted(acceptance) => write!(f, "accepted: {acceptance}"),
            Self::Step { rid, step } => write!(f, "{step} {rid}"),
            Self::Restocked { delta } => write!(f, "restocked by {delta}"),
            Self::Closed => f.write_str("closed"),
        }
    }
}

// === impl Acceptance ===

impl fmt::Display for Acceptance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            uid,
            qty,
            deadline,
            token,
        } = self;
        write!(f, "{qty} for {uid}")?;
        match deadline {
            Some(deadline) => write!(f, ", held until {deadline}")?,
            None => f.write_str(", sold at once")?,
        }
        match token {
            Some(token) => write!(f, ", token {token}"),
            None => Ok(()),
        }
    }
}

// === impl Step ===

impl Step {
    fn from_kind(kind: &str) -> Option<Self> {
        Some(match kind {
            "confirmed" => Self::Confirmed,
            "cancelled" => Self::Cancelled,
            "expired" => Self::Expired,
            "late_payment" => Self::LatePayment,
            _ => return None,
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::LatePayment => "late_payment",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(token: Option<&str>) -> Fact {
        Fact::Accepted(Acceptance {
            uid: "u 7".to_owned(),
            qty: 2,
            deadline: Some(9),
            token: token.map(str::to_owned),
        })
    }

    #[test]
    fn messages_and_lines_say_the_same() {
        let message = br#"{"v":1,"sid":"1001","epoch":5,"events":[
            {"seq":1,"at":6,"kind":"opened","name":"Lamp","total":9,"sold":2},
            {"seq":2,"at":6,"kind":"accepted","rid":"5-2","uid":"u 7","qty":2,"deadline":9,"token":"a b"},
            {"seq":3,"at":6,"kind":"accepted","rid":"5-3","uid":"u 7","qty":2,"deadline":9},
            {"seq":4,"at":6,"kind":"confirmed","rid":"5-2"},
            {"seq":5,"at":6,"kind":"late_payment","rid":"5-3"},
            {"seq":6,"at":6,"kind":"restocked","delta":-1},
            {"seq":7,"at":6,"kind":"closed"},
            {"seq":8,"at":6,"kind":"epoch","previous":"4-9"}]}"#;
        let lines = [
            "5-1 at=6 opened total=9 sold=2 name=Lamp",
            "5-2 at=6 accepted qty=2 deadline=9 token=a b uid=u 7",
            "5-3 at=6 accepted qty=2 deadline=9 token= uid=u 7",
            "5-4 at=6 confirmed rid=5-2",
            "5-5 at=6 late_payment rid=5-3",
            "5-6 at=6 restocked delta=-1",
            "5-7 at=6 closed",
            "5-8 at=6 epoch previous=4-9",
        ];
        let batch = read_message(message).unwrap();
        assert_eq!(batch.sid, "1001");
        let lines = lines.map(|line| read_line(line, |_| None).unwrap());
        assert_eq!(batch.events, lines);
        assert_eq!(batch.events[1].fact, accepted(Some("a b")));
        assert_eq!(batch.events[2].fact, accepted(None));
    }

    #[test]
    fn what_a_buyer_calls_himself_does_not_confuse_a_line() {
        let line = "5-2 at=6 accepted qty=2 deadline=0 token=t uid=x uid=y";
        let known = |_| Some(("y".to_owned(), Some("t uid=x".to_owned())));
        let read = read_line(line, known).unwrap();
        let Fact::Accepted(acceptance) = read.fact else {
            panic!("{read:?}");
        };
        assert_eq!((acceptance.uid.as_str(), acceptance.deadline), ("y", None));
    }

    #[test]
    fn what_is_no_message_is_named() {
        for (text, what) in [
            ("rubbish", "expected value"),
            (r#"{"v":2,"sid":"1","epoch":5,"events":[]}"#, "version 2"),
            (
                r#"{"v":1,"sid":"1","epoch":5,"events":[{"seq":1,"at":1,"kind":"stolen"}]}"#,
                "no known kind",
            ),
            (
                r#"{"v":1,"sid":"1","epoch":5,"events":[{"seq":1,"at":1,"kind":"accepted","rid":"5-2","uid":"u","qty":1}]}"#,
                "grants reservation 5-2",
            ),
            (
                r#"{"v":1,"sid":"1","epoch":5,"events":[{"seq":1,"at":1,"kind":"expired"}]}"#,
                "no rid",
            ),
        ] {
            let error = read_message(text.as_bytes()).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
    }
}

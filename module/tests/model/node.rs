//! A node: sales under keys, and which command does what.

use crate::rates::Soft;
use crate::reply::Reply;
use crate::sale::Sale;
use crate::words::{Refused, Words, err, number, once, quote, unknown};
use seckill_protocol::{Event, EventBatch, EventId, Fact};
use std::collections::HashMap;

/// The key that holds a plain string.
pub(crate) const TEXT: &[u8] = b"text";

#[derive(Default)]
pub(crate) struct Node {
    pub(crate) now: u64,
    pub(crate) sales: HashMap<Vec<u8>, Sale>,
    /// The latest epoch that was given away.
    epoch: u64,
}

impl Node {
    /// Carries out a command.
    pub(crate) fn call(&mut self, words: &[Vec<u8>]) -> Reply {
        self.carry_out(words).unwrap_or_else(Reply::Error)
    }

    fn carry_out(&mut self, words: &[Vec<u8>]) -> Refused<Reply> {
        let name = String::from_utf8(words[0].to_ascii_uppercase()).unwrap();
        if name == "DEBUG" {
            // Saved and loaded again: what is the node's own is forgotten.
            for sale in self.sales.values_mut() {
                sale.soft = Soft::default();
            }
            return Ok(Reply::ok());
        }
        if name == "DEL" {
            let deleted = self.sales.remove(&words[1]).is_some();
            return Ok(Reply::number(deleted.into()));
        }
        let wrong_number = || err(format!("wrong number of arguments for '{name}' command"));
        let (at_least, at_most) = match &name["SECKILL.".len()..] {
            "CREATE" => (4, usize::MAX),
            "ALTER" | "TRY" | "MTRY" => (3, usize::MAX),
            "EVENTS" | "RESERVATIONS" => (2, usize::MAX),
            "CONFIRM" => (3, usize::MAX),
            "CANCEL" | "GET" | "USER" | "RESTOCK" | "APPLY" => (3, 3),
            "ACK" => (5, 5),
            _ => (2, 2),
        };
        if words.len() < at_least || words.len() > at_most {
            return wrong_number();
        }
        let sid = &words[1];
        let mut rest = Words(&words[2..]);
        let now = self.now;
        match &name["SECKILL.".len()..] {
            "CREATE" => {
                let given = rest.given(true)?;
                let epoch = now.max(self.epoch + 1);
                let sale = Sale::create(given, epoch, now)?;
                // The next one is later also where this one is refused below.
                self.epoch = epoch;
                if sid == TEXT {
                    return Err(WRONG_TYPE.into());
                }
                if self.sales.contains_key(sid) {
                    return err("sale already exists");
                }
                self.sales.insert(sid.clone(), sale);
            }
            "ALTER" => {
                let given = rest.given(false)?;
                self.write(sid)?.alter(given)?;
            }
            "TRY" => {
                let uid = rest.uid()?;
                let (qty, token) = rest.try_options()?;
                let verdict = self.write(sid)?.try_(now, &uid, qty, token)?;
                return Ok(Reply::List(Reply::verdict(&verdict).into()));
            }
            "MTRY" => {
                let uids: Vec<String> =
                    rest.0.iter().map(|_| rest.uid()).collect::<Refused<_>>()?;
                let sale = self.write(sid)?;
                let mut replies = Vec::new();
                for uid in uids {
                    replies.extend(Reply::verdict(&sale.try_(now, &uid, 1, None)?));
                }
                return Ok(Reply::List(replies));
            }
            "CONFIRM" => {
                let rid = rest.rid()?;
                let word = rest.next();
                match word.map(<[u8]>::to_ascii_uppercase).as_deref() {
                    None | Some(b"LATE" | b"REFUND") => {}
                    Some(_) => return unknown(word.unwrap(), "LATE or REFUND"),
                }
                let late = word.is_some_and(|word| word.eq_ignore_ascii_case(b"LATE"));
                if rest.next().is_some() {
                    return wrong_number();
                }
                let sale = self.write(sid)?;
                let confirmed = sale.confirm(now, rid, late);
                if word.is_some() && confirmed.is_err() {
                    sale.owe_refund(now, rid);
                }
                confirmed?;
            }
            "CANCEL" => {
                let rid = rest.rid()?;
                self.write(sid)?.cancel(now, rid)?;
            }
            "GET" => {
                let rid = rest.rid()?;
                return self.sale(sid)?.get(rid);
            }
            "USER" => {
                let uid = rest.uid()?;
                return Ok(self.sale(sid)?.user(&uid));
            }
            "RESERVATIONS" => {
                let (mut first, mut count) = (None, None);
                while let Some(word) = rest.next() {
                    match &word.to_ascii_uppercase()[..] {
                        b"FROM" => {
                            let value = rest.value_of("FROM")?;
                            let value = number("FROM", value, 0, u32::MAX.into())?;
                            once(&mut first, "FROM", value)?;
                        }
                        b"COUNT" => {
                            let value = rest.value_of("COUNT")?;
                            once(&mut count, "COUNT", number("COUNT", value, 1, 10_000)?)?;
                        }
                        other => return unknown(other, "FROM or COUNT"),
                    }
                }
                let [first, count] = [first.unwrap_or(0), count.unwrap_or(1000)];
                let [first, count] = [first, count].map(|n| usize::try_from(n).unwrap());
                return Ok(self.sale(sid)?.page(first, count));
            }
            "INFO" => return Ok(self.sale(sid)?.info(now)),
            "EVENTS" => {
                let (after, count, text) = events_options(&mut rest)?;
                let sale = self.write(sid)?;
                sale.soft.forget(now);
                let batch = sale.events_after(after, count);
                return Ok(match (batch, text) {
                    (None, false) => Reply::Null,
                    (Some(batch), false) => Reply::Events(batch),
                    (batch, true) => Reply::List(batch.iter().flat_map(lines).collect()),
                });
            }
            "ACK" => {
                let cursor = rest.next().unwrap();
                let stored = match &cursor.to_ascii_uppercase()[..] {
                    b"RELAYED" => false,
                    b"STORED" => true,
                    _ => return unknown(cursor, "RELAYED or STORED"),
                };
                let (epoch, seq) = rest.place("epoch", "seq")?;
                self.write(sid)?.ack(stored, EventId::new(epoch, seq))?;
            }
            "PAUSE" => self.write(sid)?.pause(true),
            "RESUME" => self.write(sid)?.pause(false),
            "CLOSE" => self.write(sid)?.close(now),
            "RESTOCK" => {
                let delta = rest.delta()?;
                self.write(sid)?.restock(now, delta)?;
            }
            "AUDIT" => return Ok(self.sale(sid)?.audit()),
            "APPLY" => {
                return err(
                    "SECKILL.APPLY is for replication and the AOF; it is refused from a client",
                );
            }
            other => panic!("the model knows no {other}"),
        }
        Ok(Reply::ok())
    }

    fn sale(&mut self, sid: &[u8]) -> Refused<&mut Sale> {
        if sid == TEXT {
            return Err(WRONG_TYPE.into());
        }
        let sale = self.sales.get_mut(sid);
        sale.ok_or_else(|| "NOSALE no such sale".into())
    }

    /// A writing command, refused or not, releases first what is overdue.
    fn write(&mut self, sid: &[u8]) -> Refused<&mut Sale> {
        let now = self.now;
        let sale = self.sale(sid)?;
        sale.release(now);
        Ok(sale)
    }
}

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

/// `[AFTER epoch seq] [COUNT n] [FORMAT packed|text]`.
fn events_options(words: &mut Words<'_>) -> Refused<(EventId, usize, bool)> {
    let (mut after, mut count, mut text) = (None, None, None);
    while let Some(word) = words.next() {
        match &word.to_ascii_uppercase()[..] {
            b"AFTER" => {
                let (epoch, seq) = words.place("AFTER epoch", "AFTER seq")?;
                once(&mut after, "AFTER", EventId::new(epoch, seq))?;
            }
            b"COUNT" => {
                let value = words.value_of("COUNT")?;
                let value = usize::try_from(number("COUNT", value, 1, 10_000)?).unwrap();
                once(&mut count, "COUNT", value)?;
            }
            b"FORMAT" => {
                let value = words.value_of("FORMAT")?;
                let is_text = match &value.to_ascii_lowercase()[..] {
                    b"packed" => false,
                    b"text" => true,
                    _ => {
                        let quoted = quote(value);
                        return err(format!("FORMAT must be packed or text, got {quoted}"));
                    }
                };
                once(&mut text, "FORMAT", is_text)?;
            }
            other => return unknown(other, "AFTER, COUNT, FORMAT or BLOCK"),
        }
    }
    Ok((
        after.unwrap_or(EventId::ZERO),
        count.unwrap_or(1000),
        text.unwrap_or(false),
    ))
}

/// The text form of the log.
fn lines(batch: &EventBatch) -> Vec<Reply> {
    let line = |event: &Event| {
        let (epoch, Event { seq, at, fact }) = (batch.epoch, event);
        let fact = match fact {
            Fact::Opened { name, total, sold } => {
                format!("opened total={total} sold={sold} name={name}")
            }
            Fact::Accepted {
                uid,
                qty,
                deadline,
                token,
            } => {
                let deadline = deadline.unwrap_or(0);
                let token = token.as_ref().map_or("", |token| token.as_str());
                format!("accepted qty={qty} deadline={deadline} token={token} uid={uid}")
            }
            Fact::Confirmed { rid } => format!("confirmed rid={rid}"),
            Fact::LatePayment { rid } => format!("late_payment rid={rid}"),
            Fact::Cancelled { rid } => format!("cancelled rid={rid}"),
            Fact::Expired { rid } => format!("expired rid={rid}"),
            Fact::Restocked { delta } => format!("restocked delta={delta}"),
            Fact::Closed => "closed".to_owned(),
            Fact::Epoch { previous } => format!("epoch previous={previous}"),
        };
        Reply::text(format!("{epoch}-{seq} at={at} {fact}"))
    };
    batch.events.iter().map(line).collect()
}

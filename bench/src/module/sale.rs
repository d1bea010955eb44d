//! Sales, buyers, and the script's counterpart of both.

use super::client::{BATCH, Batch, Client};
use anyhow::{Context, Result, bail};
use redis::{Cmd, Value};
use seckill_testbed::{Place, Redis};

/// The key of the sale.
pub(crate) const SID: &str = "1001";

/// More than anybody will buy.
pub(crate) const PLENTY: &str = "STOCK 1000000000";

/// How many MTRYs are on the wire at once where only their effect matters.
const MANY: usize = 16;

const UIDS: u64 = 1_000_000_000_000;

/// Without a factor in common with `UIDS`, so that each buyer has a name of his own.
const STEP: u64 = 387_420_489;

/// A buyer's name, 13 bytes. Those who come after each other have names far apart.
pub(crate) fn uid(number: u64) -> String {
    format!("u{:012}", number.wrapping_mul(STEP) % UIDS)
}

pub(crate) fn try_by(number: u64) -> Cmd {
    let mut command = redis::cmd("SECKILL.TRY");
    command.arg(SID).arg(uid(number));
    command
}

pub(crate) fn mtry_by(numbers: impl Iterator<Item = u64>) -> Cmd {
    let mut command = redis::cmd("SECKILL.MTRY");
    command.arg(SID);
    for number in numbers {
        command.arg(uid(number));
    }
    command
}

/// A new sale instead of everything that is there.
pub(crate) fn create(client: &mut Client, options: &str) -> Result<()> {
    client.run::<()>("FLUSHALL SYNC")?;
    client.run(&format!("SECKILL.CREATE {SID} {options}"))
}

/// Each of these buyers gets a unit; returns the names of their reservations.
pub(crate) fn fill(client: &mut Client, from: u64, count: u64) -> Result<Vec<String>> {
    let mut rids = Vec::new();
    each_mtry(from, count, |batch| {
        for reply in client.ask(&[batch])? {
            collect_rids(reply, &mut rids)?;
        }
        Ok(())
    })?;
    Ok(rids)
}

/// MTRYs of 64 by these buyers, some at once.
fn each_mtry(from: u64, count: u64, mut send: impl FnMut(Batch) -> Result<()>) -> Result<()> {
    let end = from + count;
    let mut next = from;
    while next < end {
        let commands = (0..MANY).map_while(|_| {
            let until = end.min(next + BATCH as u64);
            let command = (next < until).then(|| mtry_by(next..until));
            next = until;
            command
        });
        for batch in Batch::all(commands, MANY) {
            send(batch)?;
        }
    }
    Ok(())
}

fn collect_rids(reply: Value, rids: &mut Vec<String>) -> Result<()> {
    let Value::Array(parts) = reply else {
        bail!("MTRY answers {reply:?}");
    };
    for pair in parts.chunks(2) {
        match pair {
            [Value::SimpleString(word), Value::BulkString(rid)] if word == "ACCEPTED" => {
                rids.push(String::from_utf8(rid.clone())?);
            }
            other => bail!("expected a reservation, got {other:?}"),
        }
    }
    Ok(())
}

/// The script of a team that has no module.
pub(crate) struct Script {
    sha: String,
}

impl Script {
    const TEXT: &str = include_str!("../../lua/try.lua");

    pub(crate) fn load(client: &mut Client) -> Result<Self> {
        let command = redis::cmd("SCRIPT").arg("LOAD").arg(Self::TEXT).to_owned();
        let sha = client.query(&command)?;
        Ok(Self { sha })
    }

    /// Puts up stock instead of everything that is there.
    pub(crate) fn create(&self, client: &mut Client, stock: u64) -> Result<()> {
        client.run::<()>("FLUSHALL SYNC")?;
        client.run(&format!("SET {{{SID}}}:stock {stock}"))
    }

    /// One unit for a buyer who may have one, ten tries a second, held 15 minutes.
    pub(crate) fn try_by(&self, number: u64) -> Cmd {
        let uid = uid(number);
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.sha).arg(5);
        for key in ["stock", "buyers", "holds", "log"] {
            command.arg(format!("{{{SID}}}:{key}"));
        }
        command.arg(format!("{{{SID}}}:rate:{uid}"));
        command
            .arg(uid)
            .arg(1)
            .arg(1)
            .arg(10)
            .arg(1000)
            .arg(900_000);
        command
    }
}

/// The version of the server that is measured.
pub(crate) fn redis_version() -> Result<String> {
    let place = Place::temporary("bench")?;
    let redis = Redis::start(&place)?;
    let info: String = Client::of(&redis)?.run("INFO server")?;
    let version = field(&info, "redis_version").context("INFO has no redis_version")?;
    Ok(version.to_owned())
}

/// A field of INFO.
pub(crate) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = info.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_buyer_has_a_name_of_13_bytes_of_his_own() {
        let names: HashSet<String> = (0..100_000).map(uid).collect();
        assert_eq!(names.len(), 100_000);
        assert!(names.iter().all(|name| name.len() == 13));
    }

    #[test]
    fn every_buyer_is_in_one_mtry_of_at_most_64() {
        let mut sizes = Vec::new();
        each_mtry(0, 64 * 20 + 5, |batch| {
            sizes.push(batch.replies);
            Ok(())
        })
        .unwrap();
        assert_eq!(sizes, [16, 5]);
    }

    #[test]
    fn a_field_of_info_is_found_by_its_whole_name() {
        let info = "# Memory\r\nused_memory_human:1M\r\nused_memory:1048576\r\n";
        assert_eq!(field(info, "used_memory"), Some("1048576"));
        assert_eq!(field(info, "used"), None);
    }
}

//! Sales, buyers, and the script's counterpart of both.

use super::client::{BATCH, Batch, Client};
use anyhow::{Context, Result};
use redis::Cmd;
use seckill_testbed::{Place, Redis};
use std::collections::HashMap;
use std::ops::Range;

/// More than anybody will buy.
pub(crate) const PLENTY: &str = "STOCK 1000000000";

/// The first of the buyers of whom no sale has heard, when it sells to those from 0 on.
pub(crate) const STRANGERS: u64 = 100_000_000_000;

/// How many MTRYs are on the wire at once where only their effect matters.
const MANY: usize = 16;

const UIDS: u64 = 1_000_000_000_000;

/// Without a factor in common with `UIDS`, so that each buyer has a name of his own.
const STEP: u64 = 387_420_489;

/// A buyer's name, 13 bytes. Those who come after each other have names far apart.
pub(crate) fn uid(number: u64) -> String {
    let place = u128::from(number) * u128::from(STEP) % u128::from(UIDS);
    format!("u{place:012}")
}

/// Deletes everything that is there.
pub(crate) fn clear(client: &mut Client) -> Result<()> {
    client.run("FLUSHALL SYNC")
}

/// A sale, by its key.
pub(crate) struct Sale(String);

impl Sale {
    pub(crate) fn create(client: &mut Client, sid: &str, options: &str) -> Result<Self> {
        client.run::<()>(&format!("SECKILL.CREATE {sid} {options}"))?;
        Ok(Self(sid.to_owned()))
    }

    /// A sale whose last unit is held by the last of so many buyers.
    pub(crate) fn sold_out(client: &mut Client, sid: &str, stock: u64) -> Result<Self> {
        let sale = Self::create(client, sid, &format!("STOCK {stock}"))?;
        sale.fill(client, 0, stock)?;
        Ok(sale)
    }

    pub(crate) fn sid(&self) -> &str {
        &self.0
    }

    pub(crate) fn try_by(&self, number: u64) -> Cmd {
        let mut command = redis::cmd("SECKILL.TRY");
        command.arg(&self.0).arg(uid(number));
        command
    }

    pub(crate) fn mtry_by(&self, numbers: Range<u64>) -> Cmd {
        let mut command = redis::cmd("SECKILL.MTRY");
        command.arg(&self.0);
        for number in numbers {
            command.arg(uid(number));
        }
        command
    }

    /// MTRYs of 64 by these buyers.
    pub(crate) fn mtries_by(&self, numbers: Range<u64>) -> impl Iterator<Item = Cmd> {
        let starts = numbers.clone().step_by(BATCH);
        starts.map(move |start| self.mtry_by(start..numbers.end.min(start + BATCH as u64)))
    }

    /// So many buyers get a unit each.
    pub(crate) fn fill(&self, client: &mut Client, from: u64, count: u64) -> Result<()> {
        let batches = Batch::all(self.mtries_by(from..from + count), MANY);
        client.expect(batches, &["ACCEPTED"])
    }

    /// A field of `SECKILL.INFO`.
    pub(crate) fn info(&self, client: &mut Client, field: &str) -> Result<String> {
        let mut map: HashMap<String, String> = client.run(&format!("SECKILL.INFO {}", self.0))?;
        map.remove(field)
            .with_context(|| format!("SECKILL.INFO has no {field}"))
    }

    /// MySQL has everything.
    pub(crate) fn store_all(&self, client: &mut Client) -> Result<()> {
        let head = self.info(client, "head")?.replace('-', " ");
        client.run(&format!("SECKILL.ACK {} STORED {head}", self.0))
    }

    /// Takes away what is not sold.
    pub(crate) fn sell_out(&self, client: &mut Client) -> Result<()> {
        let available = self.info(client, "available")?;
        client.run(&format!("SECKILL.RESTOCK {} -{available}", self.0))
    }
}

/// The script of a team that has no module.
pub(crate) struct Script {
    sha: String,
}

impl Script {
    pub(crate) const TEXT: &str = include_str!("../../lua/try.lua");

    fn load(client: &mut Client) -> Result<Self> {
        let command = redis::cmd("SCRIPT").arg("LOAD").arg(Self::TEXT).to_owned();
        let sha = client.query(&command)?;
        Ok(Self { sha })
    }

    /// The keys that stay: rate windows lapse.
    pub(crate) const KEYS: [&str; 4] = [
        "{1001}:stock",
        "{1001}:buyers",
        "{1001}:holds",
        "{1001}:log",
    ];

    pub(crate) fn create(client: &mut Client, stock: u64) -> Result<Self> {
        let [key, ..] = Self::KEYS;
        client.run::<()>(&format!("SET {key} {stock}"))?;
        Self::load(client)
    }

    /// So many buyers get a unit each.
    pub(crate) fn fill(&self, client: &mut Client, count: u64) -> Result<()> {
        let batches = Batch::all((0..count).map(|number| self.try_by(number)), BATCH);
        client.expect(batches, &["ACCEPTED"])
    }

    /// MySQL has everything: the log is not needed any more.
    pub(crate) fn store_all(client: &mut Client) -> Result<()> {
        let [.., log] = Self::KEYS;
        client.run(&format!("XTRIM {log} MAXLEN 0"))
    }

    /// One unit for a buyer who may have one, ten tries a second, held 15 minutes.
    pub(crate) fn try_by(&self, number: u64) -> Cmd {
        let uid = uid(number);
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.sha).arg(5);
        command.arg(&Self::KEYS);
        command.arg(format!("{{1001}}:rate:{uid}"));
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

/// The version of the server that is installed here.
pub(crate) fn redis_version() -> Result<String> {
    let place = Place::temporary("bench")?;
    version_of(&Redis::start(&place)?)
}

/// The version of a server.
pub(crate) fn version_of(redis: &Redis) -> Result<String> {
    let info: String = Client::of(redis)?.run("INFO server")?;
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
        let sale = Sale("s".to_owned());
        let packed: Vec<_> = sale
            .mtries_by(10..10 + 64 + 5)
            .map(|command| command.get_packed_command())
            .collect();
        assert_eq!(
            packed,
            [
                sale.mtry_by(10..74).get_packed_command(),
                sale.mtry_by(74..79).get_packed_command()
            ]
        );
    }

    #[test]
    fn a_field_of_info_is_found_by_its_whole_name() {
        let info = "# Memory\r\nused_memory_human:1M\r\nused_memory:1048576\r\n";
        assert_eq!(field(info, "used_memory"), Some("1048576"));
        assert_eq!(field(info, "used"), None);
    }
}

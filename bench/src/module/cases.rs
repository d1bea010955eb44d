//! The commands whose instructions are counted.

use super::client::{BATCH, Batch, Client};
use super::sale::{PLENTY, STRANGERS, Sale, Script, uid};
use crate::report::Wanted::{self, AtLeast, AtMost};
use anyhow::{Result, bail};
use redis::{Cmd, Value};

/// How many buyers there are in a sale of which nothing is to be had.
const FEW: u64 = 1_000;

/// How many of them ask again and again.
const INSISTENT: u64 = 16;

/// The key of the sale.
const SID: &str = "1001";

/// One kind of decision.
pub(crate) struct Case {
    /// What a person types to see its profile.
    pub(crate) id: &'static str,
    /// What it is called in the table.
    pub(crate) name: &'static str,
    /// Makes the situation and prepares as many decisions as asked for.
    pub(crate) prepare: fn(&mut Client, usize) -> Result<Vec<Batch>>,
    /// What each of them is answered.
    pub(crate) expected: &'static str,
    pub(crate) aof: bool,
    pub(crate) role: Role,
}

/// What a case is compared with.
pub(crate) enum Role {
    /// What every other case is divided by.
    Incr,
    /// Something else that Redis does, divided by INCR.
    Ours(Option<Wanted>),
    /// The script, divided by INCR and by the case of ours with this id.
    Script(&'static str, Wanted),
}

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "ping",
        name: "PING",
        prepare: |_, count| Ok(singles(count, |_| redis::cmd("PING"))),
        expected: "PONG",
        aof: false,
        role: Role::Ours(None),
    },
    Case {
        id: "incr",
        name: "INCR",
        prepare: incr,
        expected: "an integer",
        aof: false,
        role: Role::Incr,
    },
    Case {
        id: "try-paused",
        name: "TRY rejected PAUSED: nothing is decided",
        prepare: |client, count| {
            let sale = Sale::create(client, SID, &format!("{PLENTY} PAUSED"))?;
            Ok(singles(count, |number| sale.try_by(number)))
        },
        expected: "PAUSED",
        aof: false,
        role: Role::Ours(None),
    },
    Case {
        id: "try-soldout",
        name: "TRY rejected SOLDOUT",
        prepare: try_soldout,
        expected: "SOLDOUT",
        aof: false,
        role: Role::Ours(Some(AtMost(1.2))),
    },
    Case {
        id: "try-duplicate",
        name: "TRY rejected DUPLICATE by LIMIT",
        prepare: |client, count| {
            let sale = Sale::create(client, SID, PLENTY)?;
            sale.fill(client, 0, FEW)?;
            Ok(singles(count, |number| sale.try_by(number % FEW)))
        },
        expected: "DUPLICATE",
        aof: false,
        role: Role::Ours(None),
    },
    Case {
        id: "try-limited",
        name: "TRY rejected LIMITED by USERRATE",
        prepare: |client, count| {
            let options = format!("{PLENTY} LIMIT 0 USERRATE 1");
            let sale = Sale::create(client, SID, &options)?;
            // Each of a few buyers may ask once a second, and asks without end.
            sale.fill(client, 0, INSISTENT)?;
            Ok(singles(count, |number| sale.try_by(number % INSISTENT)))
        },
        expected: "LIMITED",
        aof: false,
        role: Role::Ours(None),
    },
    Case {
        id: "try-accepted",
        name: "TRY accepted",
        prepare: try_accepted,
        expected: "ACCEPTED",
        aof: false,
        role: Role::Ours(Some(AtMost(2.2))),
    },
    Case {
        id: "try-accepted-userrate",
        name: "TRY accepted, with USERRATE",
        prepare: try_accepted_userrate,
        expected: "ACCEPTED",
        aof: false,
        role: Role::Ours(None),
    },
    Case {
        id: "mtry-soldout",
        name: "MTRY of 64 rejected, one of them",
        prepare: |client, count| {
            let sale = Sale::sold_out(client, SID, FEW)?;
            Ok(sixty_fours(&sale, STRANGERS, count))
        },
        expected: "SOLDOUT",
        aof: false,
        role: Role::Ours(Some(AtMost(0.25))),
    },
    Case {
        id: "mtry-accepted",
        name: "MTRY of 64 accepted, one of them",
        prepare: mtry_accepted,
        expected: "ACCEPTED",
        aof: false,
        role: Role::Ours(None),
    },
    Case {
        id: "lua-soldout",
        name: "Lua script, sold out",
        prepare: lua_soldout,
        expected: "SOLDOUT",
        aof: false,
        role: Role::Script("try-soldout", AtLeast(11.0)),
    },
    Case {
        id: "lua-accepted",
        name: "Lua script, accepted",
        prepare: lua_accepted,
        expected: "ACCEPTED",
        aof: false,
        role: Role::Script("try-accepted-userrate", AtLeast(10.0)),
    },
    Case {
        id: "incr-aof",
        name: "INCR",
        prepare: incr,
        expected: "an integer",
        aof: true,
        role: Role::Incr,
    },
    Case {
        id: "try-soldout-aof",
        name: "TRY rejected SOLDOUT",
        prepare: try_soldout,
        expected: "SOLDOUT",
        aof: true,
        role: Role::Ours(None),
    },
    Case {
        id: "try-accepted-aof",
        name: "TRY accepted",
        prepare: try_accepted,
        expected: "ACCEPTED",
        aof: true,
        role: Role::Ours(Some(AtMost(2.0))),
    },
    Case {
        id: "try-accepted-userrate-aof",
        name: "TRY accepted, with USERRATE",
        prepare: try_accepted_userrate,
        expected: "ACCEPTED",
        aof: true,
        role: Role::Ours(None),
    },
    Case {
        id: "try-accepted-token-aof",
        name: "TRY accepted, with TOKEN of 36 bytes",
        prepare: |client, count| {
            let sale = Sale::create(client, SID, PLENTY)?;
            Ok(singles(count, |number| {
                let mut command = sale.try_by(number);
                command.arg("TOKEN").arg(token(number));
                command
            }))
        },
        expected: "ACCEPTED",
        aof: true,
        role: Role::Ours(None),
    },
    Case {
        id: "mtry-accepted-aof",
        name: "MTRY of 64 accepted, one of them",
        prepare: mtry_accepted,
        expected: "ACCEPTED",
        aof: true,
        role: Role::Ours(Some(AtMost(0.6))),
    },
    Case {
        id: "confirm-aof",
        name: "CONFIRM",
        prepare: |client, count| {
            let sale = Sale::create(client, SID, PLENTY)?;
            let tries = Batch::all(sale.mtries_by(0..count as u64), 1);
            let replies = client.ask(tries)?;
            let commands = reservations(&replies)?.into_iter().map(|rid| {
                let mut command = redis::cmd("SECKILL.CONFIRM");
                command.arg(SID).arg(rid);
                command
            });
            Ok(Batch::all(commands, BATCH).collect())
        },
        expected: "OK",
        aof: true,
        role: Role::Ours(None),
    },
    Case {
        id: "lua-soldout-aof",
        name: "Lua script, sold out",
        prepare: lua_soldout,
        expected: "SOLDOUT",
        aof: true,
        role: Role::Script("try-soldout-aof", AtLeast(11.0)),
    },
    Case {
        id: "lua-accepted-aof",
        name: "Lua script, accepted",
        prepare: lua_accepted,
        expected: "ACCEPTED",
        aof: true,
        role: Role::Script("try-accepted-userrate-aof", AtLeast(10.0)),
    },
];

/// Redis keeps the numbers up to 10,000 ready and makes the others; the counter is past that.
fn incr(client: &mut Client, count: usize) -> Result<Vec<Batch>> {
    client.run::<()>("SET k 1000000")?;
    Ok(singles(count, |_| redis::cmd("INCR").arg("k").to_owned()))
}

fn try_soldout(client: &mut Client, count: usize) -> Result<Vec<Batch>> {
    let sale = Sale::sold_out(client, SID, FEW)?;
    Ok(singles(count, |number| sale.try_by(STRANGERS + number)))
}

fn try_accepted(client: &mut Client, count: usize) -> Result<Vec<Batch>> {
    let sale = Sale::create(client, SID, PLENTY)?;
    Ok(singles(count, |number| sale.try_by(number)))
}

fn try_accepted_userrate(client: &mut Client, count: usize) -> Result<Vec<Batch>> {
    let sale = Sale::create(client, SID, &format!("{PLENTY} USERRATE 10"))?;
    Ok(singles(count, |number| sale.try_by(number)))
}

fn mtry_accepted(client: &mut Client, count: usize) -> Result<Vec<Batch>> {
    let sale = Sale::create(client, SID, PLENTY)?;
    Ok(sixty_fours(&sale, 0, count))
}

fn lua_soldout(client: &mut Client, count: usize) -> Result<Vec<Batch>> {
    let script = Script::create(client, FEW)?;
    script.fill(client, FEW)?;
    Ok(singles(count, |number| script.try_by(STRANGERS + number)))
}

fn lua_accepted(client: &mut Client, count: usize) -> Result<Vec<Batch>> {
    let script = Script::create(client, 1_000_000_000)?;
    Ok(singles(count, |number| script.try_by(number)))
}

/// What a proxy hands on as a buyer's `Idempotency-Key`.
fn token(number: u64) -> String {
    let number = uid(number);
    format!("9f1c6e02-5d0b-4c1e-8a73-{}", number.trim_start_matches('u'))
}

/// One command a decision.
fn singles(count: usize, command: impl Fn(u64) -> Cmd) -> Vec<Batch> {
    Batch::all((0..count as u64).map(command), BATCH).collect()
}

/// One command for 64 decisions.
fn sixty_fours(sale: &Sale, from: u64, count: usize) -> Vec<Batch> {
    Batch::all(sale.mtries_by(from..from + count as u64), 1).collect()
}

/// The names of the reservations that MTRYs were answered with.
fn reservations(replies: &[Value]) -> Result<Vec<String>> {
    let mut rids = Vec::new();
    for reply in replies {
        let Value::Array(parts) = reply else {
            bail!("MTRY answers {reply:?}");
        };
        for pair in parts.chunks(2) {
            match pair {
                [Value::BulkString(word), Value::BulkString(rid)] if word == b"ACCEPTED" => {
                    rids.push(String::from_utf8(rid.clone())?);
                }
                other => bail!("expected a reservation, got {other:?}"),
            }
        }
    }
    Ok(rids)
}

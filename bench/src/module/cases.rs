//! The commands whose instructions are counted.

use super::client::{BATCH, Batch, Client};
use super::sale::{self, PLENTY, SID, Script, mtry_by, try_by, uid};
use crate::report::Wanted::{self, AtLeast, AtMost};
use anyhow::Result;

/// How many buyers there are in a sale of which nothing is to be had.
const FEW: u64 = 1_000;

/// The first of the buyers who come when those are served.
const STRANGERS: u64 = 1_000_000_000;

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
            sale::create(client, &format!("{PLENTY} PAUSED"))?;
            Ok(singles(count, try_by))
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
            sale::create(client, PLENTY)?;
            sale::fill(client, 0, FEW)?;
            Ok(singles(count, |number| try_by(number % FEW)))
        },
        expected: "DUPLICATE",
        aof: false,
        role: Role::Ours(None),
    },
    Case {
        id: "try-limited",
        name: "TRY rejected LIMITED by USERRATE",
        prepare: |client, count| {
            sale::create(client, &format!("{PLENTY} LIMIT 0 USERRATE 1"))?;
            // Everybody spends what he may ask for; from then on he is told to wait.
            let buyers = 16;
            client.expect(&singles(16, try_by), "ACCEPTED")?;
            Ok(singles(count, |number| try_by(number % buyers)))
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
            sold_out(client)?;
            Ok(sixty_fours(count, STRANGERS))
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
            sale::create(client, PLENTY)?;
            Ok(singles(count, |number| {
                let mut command = try_by(number);
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
            sale::create(client, PLENTY)?;
            let rids = sale::fill(client, 0, count as u64)?;
            let commands = rids.into_iter().map(|rid| {
                let mut command = redis::cmd("SECKILL.CONFIRM");
                command.arg(SID).arg(rid);
                command
            });
            Ok(Batch::all(commands, BATCH))
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

fn incr(_: &mut Client, count: usize) -> Result<Vec<Batch>> {
    Ok(singles(count, |_| redis::cmd("INCR").arg("k").to_owned()))
}

fn try_soldout(client: &mut Client, count: usize) -> Result<Vec<Batch>> {
    sold_out(client)?;
    Ok(singles(count, |number| try_by(STRANGERS + number)))
}

fn try_accepted(client: &mut Client, count: usize) -> Result<Vec<Batch>> {
    sale::create(client, PLENTY)?;
    Ok(singles(count, try_by))
}

fn try_accepted_userrate(client: &mut Client, count: usize) -> Result<Vec<Batch>> {
    sale::create(client, &format!("{PLENTY} USERRATE 10"))?;
    Ok(singles(count, try_by))
}

fn mtry_accepted(client: &mut Client, count: usize) -> Result<Vec<Batch>> {
    sale::create(client, PLENTY)?;
    Ok(sixty_fours(count, 0))
}

fn lua_soldout(client: &mut Client, count: usize) -> Result<Vec<Batch>> {
    let script = Script::load(client)?;
    script.create(client, FEW)?;
    client.expect(&singles(1_000, |number| script.try_by(number)), "ACCEPTED")?;
    Ok(singles(count, |number| script.try_by(STRANGERS + number)))
}

fn lua_accepted(client: &mut Client, count: usize) -> Result<Vec<Batch>> {
    let script = Script::load(client)?;
    script.create(client, 1_000_000_000)?;
    Ok(singles(count, |number| script.try_by(number)))
}

/// A sale whose last unit is held by somebody.
fn sold_out(client: &mut Client) -> Result<()> {
    sale::create(client, &format!("STOCK {FEW}"))?;
    sale::fill(client, 0, FEW)?;
    Ok(())
}

/// What a proxy hands on as a buyer's `Idempotency-Key`.
fn token(number: u64) -> String {
    format!("9f1c6e02-5d0b-4c1e-8a73-{}", &uid(number)[1..])
}

/// One command a decision.
fn singles(count: usize, command: impl Fn(u64) -> redis::Cmd) -> Vec<Batch> {
    Batch::all((0..count as u64).map(command), BATCH)
}

/// One command for 64 decisions.
fn sixty_fours(count: usize, from: u64) -> Vec<Batch> {
    let starts = (from..from + count as u64).step_by(BATCH);
    let commands = starts.map(|start| mtry_by(start..start + BATCH as u64));
    Batch::all(commands, 1)
}

//! The module against commands and payloads that no program of ours sends.
//!
//! A round begins with an empty server, so that its seed and number are all that it depends on. It
//! sends a few hundred lines, alone, in transactions and in scripts, some to a replica, and restores
//! damaged dumps. Then the books of every sale have to add up, the replica has to have the same, and
//! so does the server when it was killed and has read its file.

mod dump;
mod words;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use redis::{Connection, RedisResult, Value};
use seckill_testbed::{Part, Place, Redis, User};

use crate::plan::{Finding, Plan, Report, Run, say};
use words::{Line, SALES, TEXT, Words};

const LIVES: &str = "the server lives";
const BOOKS: &str = "the books of every sale add up";
const SAME: &str = "a copy is the same as its original";
const FROM_CLIENT: &str = "effects are taken from a primary and from nobody else";

/// Lines of a round.
const LINES: usize = 300;

/// In so many rounds once the server is killed and reads its file.
const KILL_EVERY: u64 = 4;

/// How long a replica may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// After so many findings nobody reads on.
const FINDINGS_MAX: usize = 20;

/// The servers, and what was sent in this round.
struct Stand {
    primary: Redis,
    replica: Redis,
    /// Of both servers.
    pids: [u32; 2],
    sent: Vec<u8>,
    lines: u64,
    errors: u64,
    taken: u64,
    _place: Place,
}

/// Attacks a server and its replica for some time.
///
/// # Errors
/// If a server does not start, or cannot be asked.
pub fn attack(plan: Plan) -> Result<Report> {
    let mut stand = Stand::start()?;
    let mut run = Run::begin(&plan);
    let mut report = Report::default();
    let mut round = plan.case.unwrap_or(0);
    let mut rounds = 0;
    loop {
        let found = stand.round(&plan, round)?;
        rounds += 1;
        for finding in found {
            let finding = finding.of(round, stand.sent.clone());
            say(&finding.to_string());
            report.findings.push(finding);
        }
        let is_dead = !stand.primary.is_running() || !stand.replica.is_running();
        if is_dead || report.findings.len() >= FINDINGS_MAX || plan.case.is_some() || !run.goes_on()
        {
            break;
        }
        run.tell(|| {
            format!(
                "module: {rounds} rounds, {} lines, {} findings",
                stand.lines,
                report.findings.len()
            )
        });
        round += 1;
    }
    report.counts = vec![
        ("rounds", rounds),
        ("command lines", stand.lines),
        ("of them refused", stand.errors),
        ("damaged dumps that were taken as sales", stand.taken),
    ];
    Ok(report)
}

// === impl Stand ===

impl Stand {
    fn start() -> Result<Self> {
        let place = Place::temporary("attack-module")?;
        let primary = Redis::start(&place)?;
        let replica = Redis::start_replica(&place, &primary)?;
        Ok(Self {
            pids: [primary.pid(), replica.pid()],
            primary,
            replica,
            sent: Vec::new(),
            lines: 0,
            errors: 0,
            taken: 0,
            _place: place,
        })
    }

    fn round(&mut self, plan: &Plan, round: u64) -> Result<Vec<Finding>> {
        self.sent.clear();
        let mut random = plan.random(round);
        let mut here = self.primary.connect(User::Anything)?;
        let mut there = self.replica.connect(User::Anything)?;
        let mut findings = Vec::new();
        self.prepare(&mut here)?;
        let mut rids: Vec<String> = Vec::new();
        for _ in 0..LINES {
            let mut words = Words {
                random: &mut random,
                rids: &rids,
            };
            let line = words.line();
            let is_text = line.get(1).is_some_and(|key| key == TEXT.as_bytes());
            let reply = match words.random.u32(..100) {
                0..70 => self.send(&mut here, &line),
                70..80 => self.transaction(&mut here, &[line.clone(), words.line()]),
                80..90 => self.script(&mut here, &line, words.random.bool()),
                90..95 => self.send(&mut there, &line),
                95..98 => self.damage(&mut here, words.random),
                98 if words.one_in(4) => self.send(&mut here, &one("DEBUG RELOAD")),
                98 => self.send(&mut here, &one("SECKILL.RESUME s1")),
                _ => self.send(&mut here, &one("BGREWRITEAOF")),
            };
            let name = line
                .first()
                .map(|name| name.to_ascii_uppercase())
                .unwrap_or_default();
            if name == b"SECKILL.APPLY" && reply.is_ok() && !is_text {
                findings.extend(self.is_refused(&mut here, &line));
            }
            match reply {
                Ok(reply) => gather(&reply, &mut rids),
                Err(error) if error.is_io_error() || error.is_connection_dropped() => {
                    // Also what the server answers before it closes: too much of anything.
                    here = match self.primary.connect(User::Anything) {
                        Ok(connection) => connection,
                        Err(_) => break,
                    };
                    there = match self.replica.connect(User::Anything) {
                        Ok(connection) => connection,
                        Err(_) => break,
                    };
                }
                Err(_) => {}
            }
        }
        findings.extend(self.check(round)?);
        Ok(findings)
    }

    /// Everything is gone, and there are sales of each kind and keys that are none.
    fn prepare(&mut self, here: &mut Connection) -> Result<()> {
        for line in [
            "FLUSHALL",
            "CONFIG SET seckill.fence promotion",
            "SECKILL.CREATE s1 STOCK 50 LIMIT 3 HOLD 30",
            "SECKILL.CREATE s2 STOCK 1000 LIMIT 0 HOLD 900000 RATE 1000 USERRATE 100",
            "SECKILL.CREATE s3 STOCK 5 HOLD 0",
            "SECKILL.CREATE s4 STOCK 200 PAUSED",
            "SET text value",
            "RPUSH list a b",
        ] {
            self.send(here, &one(line))
                .with_context(|| line.to_owned())?;
        }
        Ok(())
    }

    fn send(&mut self, connection: &mut Connection, line: &Line) -> RedisResult<Value> {
        self.note(line);
        let reply = command(line).query(connection);
        if reply.is_err() {
            self.errors += 1;
        }
        reply
    }

    fn note(&mut self, line: &Line) {
        self.lines += 1;
        for word in line {
            // A word of a megabyte tells no more than its beginning.
            self.sent.extend(word.iter().take(200));
            self.sent.push(b' ');
        }
        self.sent.extend(b"\n");
    }

    fn transaction(&mut self, here: &mut Connection, lines: &[Line]) -> RedisResult<Value> {
        self.send(here, &one("MULTI"))?;
        for line in lines {
            // What is refused already makes the transaction fail.
            drop(self.send(here, line));
        }
        self.send(here, &one("EXEC"))
    }

    fn script(
        &mut self,
        here: &mut Connection,
        line: &Line,
        is_forgiving: bool,
    ) -> RedisResult<Value> {
        let call = if is_forgiving { "pcall" } else { "call" };
        let text = format!("return redis.{call}(unpack(ARGV))");
        let mut script = vec![b"EVAL".to_vec(), text.into_bytes(), b"1".to_vec()];
        script.push(line.get(1).cloned().unwrap_or_default());
        // Lua's stack has room for some thousands.
        script.extend(line.iter().take(4000).cloned());
        self.send(here, &script)
    }

    /// Takes a sale out, damages it, and puts it in as another.
    fn damage(&mut self, here: &mut Connection, random: &mut Rng) -> RedisResult<Value> {
        let key = random.choice(SALES).unwrap_or_default();
        let dump: Vec<u8> = redis::cmd("DUMP").arg(key).query(here)?;
        let damaged = dump::damaged(&dump, random);
        let target = format!("damaged-{}", random.u32(..5));
        self.note(&vec![
            b"RESTORE".to_vec(),
            target.clone().into_bytes(),
            damaged.escape_ascii().to_string().into_bytes(),
        ]);
        let mut restore = redis::cmd("RESTORE");
        restore.arg(&target).arg(0).arg(damaged).arg("REPLACE");
        let restored: RedisResult<()> = restore.query(here);
        if restored.is_err() {
            self.errors += 1;
            return Ok(Value::Nil);
        }
        self.taken += 1;
        for words in [
            "INFO",
            "EVENTS",
            "TRY u1",
            "TRY u2 QTY 2",
            "RESTOCK 1",
            "RESUME",
            "AUDIT",
        ] {
            let (name, rest) = words
                .split_once(' ')
                .map_or((words, String::new()), |(name, rest)| {
                    (name, format!(" {rest}"))
                });
            drop(self.send(here, &one(&format!("SECKILL.{name} {target}{rest}"))));
        }
        Ok(Value::Nil)
    }

    /// An `APPLY` that was answered without an error has changed nothing, or it is a finding.
    fn is_refused(&mut self, here: &mut Connection, line: &Line) -> Option<Finding> {
        let reply = self.send(here, line);
        let evidence = format!("{:?}", reply.as_ref().ok()?);
        Some(Finding::new(FROM_CLIENT, evidence))
    }

    fn check(&mut self, round: u64) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let is_there = self.primary.is_running() && self.replica.is_running();
        if !is_there || [self.primary.pid(), self.replica.pid()] != self.pids {
            return Ok(vec![Finding::new(LIVES, self.last_words()?)]);
        }
        let mut here = self.primary.connect(User::Anything)?;
        let mut there = self.replica.connect(User::Anything)?;
        findings.extend(audit(&mut here)?);
        let before = digest(&mut here)?;
        await_copy(&mut here, &mut there)?;
        // A hold may lapse meanwhile, and nobody asks: nothing changes.
        let copied = digest(&mut there)?;
        if copied != before {
            findings.push(Finding::new(
                SAME,
                format!(
                    "the replica has {copied} and not {before}{}",
                    differences(&mut here, &mut there)?
                ),
            ));
        }
        if round.is_multiple_of(KILL_EVERY) {
            self.primary.kill()?;
            if let Err(error) = self.primary.restart() {
                return Ok(vec![Finding::new(
                    SAME,
                    format!("it does not start from its file: {error:#}"),
                )]);
            }
            self.pids = [self.primary.pid(), self.replica.pid()];
            let mut here = self.primary.connect(User::Anything)?;
            let after = digest(&mut here)?;
            if after != before {
                findings.push(Finding::new(
                    SAME,
                    format!("from its file it has {after} and not {before}"),
                ));
            }
            findings.extend(audit(&mut here)?);
            self.replica.await_link()?;
        }
        Ok(findings)
    }

    fn last_words(&self) -> Result<String> {
        let mut text = String::new();
        for server in [&self.primary, &self.replica] {
            let log = std::fs::read(server.log())?;
            let tail = log
                .get(log.len().saturating_sub(6000)..)
                .unwrap_or_default();
            text.push_str(&String::from_utf8_lossy(tail));
        }
        Ok(text)
    }
}

fn command(line: &Line) -> redis::Cmd {
    let mut command = redis::Cmd::new();
    for word in line {
        command.arg(word.as_slice());
    }
    command
}

fn one(line: &str) -> Line {
    line.split(' ')
        .map(|word| word.as_bytes().to_vec())
        .collect()
}

/// Remembers reservations that a reply names.
fn gather(reply: &Value, rids: &mut Vec<String>) {
    match reply {
        Value::Array(parts) => parts.iter().for_each(|part| gather(part, rids)),
        Value::BulkString(bytes) => {
            let text = str::from_utf8(bytes).unwrap_or_default();
            let is_rid = text.len() < 42
                && text.split_once('-').is_some_and(|(epoch, seq)| {
                    epoch.len() > 9 && [epoch, seq].iter().all(|part| part.parse::<u64>().is_ok())
                });
            if is_rid && rids.len() < 500 {
                rids.push(text.to_owned());
            }
        }
        _ => {}
    }
}

/// Recounts every sale.
fn audit(here: &mut Connection) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for key in sales(here)? {
        let audit: RedisResult<String> = redis::cmd("SECKILL.AUDIT").arg(&key).query(here);
        match audit {
            Ok(text) if text.starts_with("OK ") => {}
            other => findings.push(Finding::new(
                BOOKS,
                format!("{}: {other:?}", key.escape_ascii()),
            )),
        }
    }
    Ok(findings)
}

fn sales(here: &mut Connection) -> Result<Vec<Vec<u8>>> {
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(here)?;
    let mut sales = Vec::new();
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query(here)?;
        if kind == "flashsale" {
            sales.push(key);
        }
    }
    Ok(sales)
}

fn digest(server: &mut Connection) -> Result<String> {
    Ok(redis::cmd("DEBUG").arg("DIGEST").query(server)?)
}

/// Which keys are not the same.
fn differences(here: &mut Connection, there: &mut Connection) -> Result<String> {
    let mut text = String::new();
    for key in sales(here)? {
        let mut ask = redis::cmd("DEBUG");
        ask.arg("DIGEST-VALUE").arg(&key);
        let digests: [Vec<String>; 2] = [ask.query(here)?, ask.query(there)?];
        if digests[0] != digests[1] {
            text.push_str(&format!(", {} differs", key.escape_ascii()));
        }
    }
    Ok(text)
}

/// Waits until the replica has all that its primary has done.
fn await_copy(here: &mut Connection, there: &mut Connection) -> Result<()> {
    let since = Instant::now();
    loop {
        // Anew each time: a primary begins a new history with the first replica after its start.
        let (history, goal) = place(here, "master_repl_offset")?;
        let (copied, reached) = place(there, "slave_repl_offset")?;
        if copied == history && reached >= goal {
            return Ok(());
        }
        ensure!(since.elapsed() < PATIENCE, "the replica does not follow");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Which history a server has, and how far.
fn place(server: &mut Connection, offset: &str) -> Result<(String, u64)> {
    let info: String = redis::cmd("INFO").arg("replication").query(server)?;
    let field = |name: &str| {
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        let value = lines
            .find(|(own, _)| *own == name)
            .map(|(_, value)| value.trim());
        value.with_context(|| format!("no {name}"))
    };
    Ok((field("master_replid")?.to_owned(), field(offset)?.parse()?))
}

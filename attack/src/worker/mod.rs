//! The worker against a topic that anybody has written to.
//!
//! An honest sale goes on meanwhile. What is none of its events has to end up in the dead topic with
//! its reason, or to be a message as it should be, which the order writer's rules skip or leave aside.
//! Whoever may write to the topic may of course also write what the module would: that is not judged.

mod letters;
mod message;
mod producer;
mod stand;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use seckill_testbed::{Kafka, Part};
use serde_json::Value;

use crate::plan::{Finding, Plan, Report, Run, say};
use crate::process::memory_kb;
use letters::Letters;
use message::{HONEST, ROWS};
use producer::{Lies, Producer};
use stand::Stand;

const LIVES: &str = "the worker lives, and nothing in it panics";
const KEPT: &str = "what is no message is kept with its reason";
const MEMORY: &str = "the worker's memory is bounded";
const GETS_ON: &str = "the topic is read to its end, and the honest sale is written";

const TOPIC: &str = "seckill.events";

/// More than the worker needs: two batches of messages of the largest size, in pieces.
const MEMORY_KB_MAX: u64 = 900_000;

/// A reason is for a person.
const REASON_BYTES_MAX: usize = 4096;

/// Messages that are sent before the next look.
const BURST: u64 = 20;

/// How long the end may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What of a message a finding shows.
const SHOWN_BYTES: usize = 2000;

/// After so many findings nobody reads on.
const FINDINGS_MAX: usize = 20;

/// Whether the servers that are needed can be started here, or why not.
///
/// # Errors
/// The reason.
pub fn available() -> Result<(), String> {
    Kafka::available()
}

/// Attacks a worker for some time.
///
/// # Errors
/// If a server does not start, or cannot be asked.
pub fn attack(plan: Plan) -> Result<Report> {
    let mut stand = Stand::start()?;
    let brokers = stand.kafka.brokers();
    let (taken, inbox) = mpsc::channel();
    let producer = Producer::new(&brokers, taken)?;
    let mut letters = Letters::new(&brokers)?;
    let mut run = Run::begin(&plan);
    let over = AtomicBool::new(false);
    let (mut number, mut memory) = (plan.case.unwrap_or(0), 0);
    let mut lies: Vec<Lies> = Vec::new();
    let sold = thread::scope(|scope| {
        let seller = scope.spawn(|| stand.sell(&over));
        let mut bombard = || -> Result<()> {
            loop {
                for _ in 0..plan.case.map_or(BURST, |_| 1) {
                    producer.send(TOPIC, number, &message::message(&plan, number))?;
                    number += 1;
                }
                producer.flush()?;
                letters.read(Duration::from_millis(100))?;
                lies.extend(inbox.try_iter());
                memory = memory.max(memory_kb(stand.pid).unwrap_or(0));
                if plan.case.is_some() || !run.goes_on() {
                    return Ok(());
                }
                run.tell(|| {
                    format!(
                        "worker: {number} messages, {} dead letters, {memory} kB",
                        letters.reasons.len()
                    )
                });
            }
        };
        let bombarded = bombard();
        over.store(true, Ordering::Relaxed);
        let sold = seller
            .join()
            .map_err(|_| anyhow::anyhow!("the seller panicked"));
        bombarded.and(sold?)
    })?;
    let unaccounted = |lies: &[Lies], letters: &Letters| -> Vec<Lies> {
        let is_kept = |one: &Lies| letters.reasons.contains_key(&(one.partition, one.offset));
        let may_stay = |one: &Lies| {
            let payload = message::message(&plan, one.number).payload;
            payload.is_some_and(|payload| is_message(&payload))
        };
        lies.iter()
            .filter(|one| !is_kept(one) && !may_stay(one))
            .copied()
            .collect()
    };
    let since = Instant::now();
    let mut missing = unaccounted(&lies, &letters);
    let mut is_stored = stand.is_stored()?;
    while (!missing.is_empty() || !is_stored)
        && since.elapsed() < PATIENCE
        && stand.worker.is_running()
    {
        run.tell(|| format!("worker: {} letters are still to come", missing.len()));
        letters.read(Duration::from_millis(500))?;
        missing = unaccounted(&missing, &letters);
        is_stored = stand.is_stored()?;
        memory = memory.max(memory_kb(stand.pid).unwrap_or(0));
    }
    let mut findings = Vec::new();
    if !stand.worker.is_running() || stand.worker.pid() != stand.pid {
        findings.push(Finding::new(LIVES, "it has ended"));
    }
    let log = stand.log()?;
    findings.extend(
        log.lines()
            .filter(|line| line.contains("panicked"))
            .map(|line| Finding::new(LIVES, line)),
    );
    let show = |one: &Lies| {
        let mut payload = message::message(&plan, one.number)
            .payload
            .unwrap_or_default();
        payload.truncate(SHOWN_BYTES);
        payload
    };
    if is_stored {
        findings.extend(stand.audit()?);
    } else {
        findings.push(Finding::new(
            GETS_ON,
            "after two minutes its log is not in MySQL",
        ));
    }
    for one in missing.iter().take(FINDINGS_MAX) {
        let evidence = format!("the message at {}:{} is nowhere", one.partition, one.offset);
        findings.push(Finding::new(KEPT, evidence).of(one.number, show(one)));
    }
    for one in &lies {
        let reason = letters.reasons.get(&(one.partition, one.offset));
        if reason.is_some_and(|reason| reason.is_empty() || reason.len() > REASON_BYTES_MAX) {
            let evidence = format!("a reason of {} bytes", reason.map_or(0, String::len));
            findings.push(Finding::new(KEPT, evidence).of(one.number, show(one)));
        }
    }
    if memory > MEMORY_KB_MAX {
        findings.push(Finding::new(MEMORY, format!("{memory} kB")));
    }
    findings.truncate(FINDINGS_MAX);
    for finding in &findings {
        say(&finding.to_string());
    }
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    Ok(Report {
        counts: vec![
            ("hostile messages", count(lies.len())),
            ("of them dead letters", count(letters.reasons.len())),
            ("honest buyers", sold),
            ("kB of memory at most", memory),
            ("bytes of log", count(log.len())),
        ],
        findings,
    })
}

/// Whether it is a message as it should be, as far as JSON can tell, of a sale with a stock row: then
/// the order writer may skip it or leave it aside.
fn is_message(payload: &[u8]) -> bool {
    fn read(payload: &[u8]) -> Option<bool> {
        let message: Value = serde_json::from_slice(payload).ok()?;
        let sid: u32 = message.get("sid")?.as_str()?.parse().ok()?;
        let has_row = sid == HONEST || ROWS.contains(&sid);
        let events = message.get("events")?.as_array()?;
        let are_events = events
            .iter()
            .all(|event| event.get("seq").is_some_and(Value::is_u64));
        let is_ours = message.get("v")?.as_u64()? == 1 && message.get("epoch")?.is_u64();
        Some(is_ours && has_row && are_events)
    }
    read(payload).unwrap_or(false)
}

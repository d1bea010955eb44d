//! What must hold of what the clients heard and of what the shop saw.

use std::collections::HashMap;

use super::case::{Attacker, Case, marked};
use super::client::Heard;
use super::h2;
use super::origin::Seen;
use super::reading::{self, Asked, Reading};
use super::strict::Request;
use crate::plan::{Finding, Plan};

const WELL_FORMED: &str = "the shop gets well-formed requests only";
const ONE_REQUEST: &str = "the shop sees what a client sent as one request, and nothing else";
const OWN_ANSWERS: &str = "a client gets well-formed answers, to his own requests only";
const REFUSED: &str = "what is no request is refused";
const OURS: &str = "what the proxy tells the shop nobody else can tell it";

/// What the proxy tells the shop about a purchase.
const TOLD: [&str; 7] = [
    "seckill-sale",
    "seckill-user",
    "seckill-reservation",
    "seckill-quantity",
    "seckill-timestamp",
    "seckill-signature",
    "seckill-unreserved",
];

/// What a gateway says of its client, and a stranger of himself.
const HEARSAY: [&str; 5] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-real-ip",
    "forwarded",
];

/// Judges what the shop saw.
pub(crate) struct Judge {
    plan: Plan,
    /// Of each case, how many of its requests the shop has seen.
    matched: HashMap<u64, usize>,
    /// Requests of the honest buyers.
    pub(crate) honest: u64,
    /// Requests of the attacks.
    pub(crate) forwarded: u64,
    /// Requests in which nothing says whose they are.
    pub(crate) unknown: u64,
}

/// Judges what a client heard.
pub(crate) fn heard(number: u64, reading: &Reading, heard: &Heard) -> Result<(), Finding> {
    let found = |rule, evidence: String| {
        let answer = heard
            .bytes
            .get(..heard.bytes.len().min(4096))
            .unwrap_or_default();
        Finding::new(
            rule,
            format!("{evidence}; answered: {}", answer.escape_ascii()),
        )
    };
    let answers = heard
        .answers(reading)
        .map_err(|problem| found(OWN_ANSWERS, problem))?;
    if let Some(other) = marked(&heard.bytes)
        .into_iter()
        .find(|other| *other != number)
    {
        return Err(found(OWN_ANSWERS, format!("this is of case {other}")));
    }
    if answers.statuses.len() > reading.asked.len() + 1 {
        let (count, asked) = (answers.statuses.len(), reading.asked.len());
        return Err(found(
            REFUSED,
            format!("{count} answers to {asked} requests"),
        ));
    }
    match answers.statuses.get(reading.asked.len()) {
        Some(status) if *status < 400 => {
            let why = reading.refused.unwrap_or("it is not here entirely");
            Err(found(
                REFUSED,
                format!("{why}, and yet the answer is {status}"),
            ))
        }
        _ => Ok(()),
    }
}

// === impl Judge ===

impl Judge {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            plan,
            matched: HashMap::new(),
            honest: 0,
            forwarded: 0,
            unknown: 0,
        }
    }

    /// Judges one request at the shop.
    pub(crate) fn see(&mut self, seen: &Seen) -> Result<(), Finding> {
        let raw = seen.raw.escape_ascii().to_string();
        let number = marked(&seen.raw).first().copied();
        let plan = self.plan;
        let blame = |rule, evidence: String| {
            let body = seen
                .body
                .get(..seen.body.len().min(400))
                .unwrap_or_default();
            let (whole, body) = (seen.is_whole, body.escape_ascii());
            let evidence = format!("{evidence}; the shop got: {raw}{body} (whole: {whole})");
            let finding = Finding::new(rule, evidence);
            match number {
                Some(number) => finding.of(number, sent(&plan, number)),
                None => finding,
            }
        };
        if let Some(problem) = &seen.problem {
            return Err(blame(WELL_FORMED, problem.clone()));
        }
        let Some(request) = &seen.request else {
            return Ok(());
        };
        told_once(request).map_err(|evidence| blame(OURS, evidence))?;
        if request.target.windows(7).any(|window| window == b"canary-") {
            self.honest += 1;
            return Ok(());
        }
        let Some(number) = number else {
            self.unknown += 1;
            return Ok(());
        };
        self.forwarded += 1;
        if h2::is_ours(number) {
            return h2::see(request).map_err(|evidence| blame(ONE_REQUEST, evidence));
        }
        let case = Case::new(&self.plan, number);
        let reading = reading::read(&case.bytes());
        let first = self.matched.get(&number).copied().unwrap_or(0);
        let candidates = reading.asked.iter().enumerate().skip(first);
        let found = candidates
            .into_iter()
            .find(|(_, asked)| is_same(asked, request, seen));
        let Some((at, asked)) = found else {
            let asked: Vec<String> = reading
                .asked
                .iter()
                .map(|a| a.target.escape_ascii().to_string())
                .collect();
            let evidence = format!(
                "a client's requests are {asked:?}, then: {:?}",
                reading.refused
            );
            return Err(blame(ONE_REQUEST, evidence));
        };
        told_truly(case.attacker, asked, request).map_err(|evidence| blame(OURS, evidence))?;
        self.matched.insert(number, at + 1);
        Ok(())
    }

    /// Judges a reservation by who asked for it.
    pub(crate) fn reserved(&self, uid: &str) -> Result<(), Finding> {
        const RULE: &str = "units go to whoever asked for them in a well-formed request";
        // A mutant's name is his own, and nobody knows him by it.
        let Some(number) = marked(uid.as_bytes()).first().copied() else {
            return Ok(());
        };
        if h2::is_ours(number) {
            return Ok(());
        }
        let case = Case::new(&self.plan, number);
        let bought = |asked: &Asked| {
            let mut buyers = reading::values(&asked.fields, "x-user-id");
            asked.method == b"POST"
                && buyers.next() == Some(uid.as_bytes())
                && buyers.next().is_none()
        };
        let reading = reading::read(&case.bytes());
        if case.attacker == Attacker::BehindGateway && reading.asked.iter().any(bought) {
            return Ok(());
        }
        let evidence = format!(
            "{uid:?} has units, {:?}, refused: {:?}",
            case.attacker, reading.refused
        );
        Err(Finding::new(RULE, evidence).of(number, case.bytes()))
    }
}

/// What a case sent.
fn sent(plan: &Plan, number: u64) -> Vec<u8> {
    if h2::is_ours(number) {
        h2::bytes(plan, number)
    } else {
        Case::new(plan, number).bytes()
    }
}

/// Whether the shop's request is that of the client.
fn is_same(asked: &Asked, request: &Request, seen: &Seen) -> bool {
    // An absolute target may be sent on as a path, and signs that no target has in their code.
    let is_target = [asked.target.clone(), encoded(&asked.target)]
        .iter()
        .any(|target| target.ends_with(&request.target));
    let is_body = if seen.is_whole {
        asked.is_whole && asked.body == seen.body
    } else {
        asked.body.starts_with(&seen.body)
    };
    asked.method == request.method && is_target && is_body
}

/// A target without its fragment, in which what is no sign of a target is percent-encoded.
fn encoded(target: &[u8]) -> Vec<u8> {
    let whole = target.split(|&b| b == b'#').next().unwrap_or_default();
    let mut encoded = Vec::with_capacity(whole.len());
    for byte in whole {
        if byte.is_ascii_graphic() && !b"<>\"".contains(byte) {
            encoded.push(*byte);
        } else {
            encoded.extend(format!("%{byte:02X}").into_bytes());
        }
    }
    encoded
}

/// A name as a gateway to CGI reads it.
fn folded(name: &[u8]) -> String {
    let sign = |b: &u8| {
        if b.is_ascii_alphanumeric() {
            char::from(*b)
        } else {
            '-'
        }
    };
    name.iter().map(sign).collect()
}

/// Whether there is nothing of ours besides what the proxy says of a purchase, once.
fn told_once(request: &Request) -> Result<(), String> {
    for (name, _) in &request.head.fields {
        let shown = folded(name);
        if !shown.starts_with("seckill-") {
            continue;
        }
        if !TOLD.contains(&shown.as_str()) || shown.as_bytes() != name.as_slice() {
            return Err(format!("the field {}", name.escape_ascii()));
        }
        if request.head.values(&shown).count() != 1 {
            return Err(format!("{shown} is said twice"));
        }
    }
    Ok(())
}

/// Whether what is said is true.
fn told_truly(attacker: Attacker, asked: &Asked, request: &Request) -> Result<(), String> {
    let value = |name: &str| request.head.values(name).next();
    if attacker == Attacker::Stranger {
        let forged = request.head.fields.iter().find(|(name, value)| {
            HEARSAY.contains(&folded(name).as_str()) && value.starts_with(b"forged")
        });
        if let Some((name, _)) = forged {
            return Err(format!("a stranger says {}", name.escape_ascii()));
        }
        let chain = value("x-forwarded-for");
        if chain != Some(b"127.0.0.2") || value("x-forwarded-proto") != Some(b"http") {
            return Err("where the request comes from is not told as it is".into());
        }
        if value("seckill-user").is_some() {
            return Err("a stranger is told to be a buyer".into());
        }
    }
    let Some(user) = value("seckill-user") else {
        return Ok(());
    };
    let buyers: Vec<&[u8]> = reading::values(&asked.fields, "x-user-id").collect();
    if buyers != [user] || asked.method != b"POST" || value("seckill-reservation").is_none() {
        return Err(format!("{} is told to have bought", user.escape_ascii()));
    }
    Ok(())
}

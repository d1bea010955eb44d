//! The proxy against peers who speak HTTP as nobody should.
//!
//! | file | idea |
//! | --- | --- |
//! | `case.rs`, `words.rs` | what is sent, made from a seed |
//! | `h2.rs` | the same in HTTP/2 |
//! | `slow.rs` | who holds connections |
//! | `canary.rs` | who is served meanwhile |
//! | `client.rs` | a connection, and the answers on it |
//! | `origin.rs` | a shop that writes down what it gets |
//! | `strict.rs` | the strictest reader of HTTP/1.1 |
//! | `reading.rs` | what a client's bytes are by the RFC |
//! | `judge.rs` | what must hold |
//! | `stand.rs`, `tls.rs` | the servers |

mod canary;
mod case;
mod client;
mod h2;
mod judge;
mod origin;
mod reading;
mod slow;
mod stand;
mod strict;
mod tls;
mod words;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::plan::{Finding, Plan, Report, Run, say};
use case::Case;
use judge::Judge;
use origin::Seen;
use slow::{LONG_SLOTHS, SLOTHS, Sloth};
use stand::Stand;

/// Who attacks at the same time, in each version of HTTP. Most of them wait most of the time.
const ATTACKERS: usize = 24;
const ATTACKERS_H2: usize = 6;

/// From this time on, attacks are made that take minutes.
const LONG: Duration = Duration::from_secs(120);

/// After so many findings nobody reads on.
const FINDINGS_MAX: usize = 20;

/// What all attackers share.
struct Field<'a> {
    plan: Plan,
    stand: &'a Stand,
    next: AtomicU64,
    next_h2: AtomicU64,
    over: AtomicBool,
    findings: Mutex<Vec<Finding>>,
}

/// Attacks a proxy for some time.
///
/// # Errors
/// If a server does not start, or cannot be asked.
pub fn attack(plan: Plan) -> Result<Report> {
    let (seen, inbox) = mpsc::channel();
    let mut stand = Stand::start(&seen)?;
    // The shop has its own.
    drop(seen);
    let field = Field {
        plan,
        stand: &stand,
        next: AtomicU64::new(0),
        next_h2: AtomicU64::new(0),
        over: AtomicBool::new(false),
        findings: Mutex::new(Vec::new()),
    };
    let mut judge = Judge::new(plan);
    let mut report = field.fight(&inbox, &mut judge);
    for uid in stand.buyers()? {
        report.findings.extend(judge.reserved(&uid).err());
    }
    report.findings.extend(stand.check()?);
    report.findings.truncate(FINDINGS_MAX);
    Ok(report)
}

// === impl Field ===

impl Field<'_> {
    fn fight(self, inbox: &Receiver<Seen>, judge: &mut Judge) -> Report {
        let mut run = Run::begin(&self.plan);
        let (served, cut) = (AtomicU64::new(0), AtomicU64::new(0));
        let address = self.stand.proxy.address();
        thread::scope(|scope| {
            let field = &self;
            let (served, cut, address) = (&served, &cut, &address);
            let mut begun = Vec::new();
            if let Some(number) = self.plan.case {
                begun.push(scope.spawn(move || field.once(number)));
            } else {
                for _ in 0..ATTACKERS {
                    begun.push(scope.spawn(move || field.attack()));
                }
                for _ in 0..ATTACKERS_H2 {
                    begun.push(scope.spawn(move || field.attack_h2()));
                }
                for sloth in field.sloths() {
                    scope.spawn(move || {
                        let held = sloth.hold(address, &field.stand.tls, &field.over);
                        field.tell(held.map(|count| cut.fetch_add(count, Ordering::Relaxed)));
                    });
                }
            }
            scope.spawn(move || {
                let sung = canary::sing(address, &field.over);
                field.tell(sung.map(|count| served.fetch_add(count, Ordering::Relaxed)));
            });
            let mut ended = false;
            loop {
                match inbox.recv_timeout(Duration::from_millis(100)) {
                    Ok(seen) => field.tell(judge.see(&seen)),
                    // What is on its way has come.
                    Err(RecvTimeoutError::Timeout) if ended => break,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                let is_over = if self.plan.case.is_some() {
                    begun.iter().all(thread::ScopedJoinHandle::is_finished)
                } else {
                    !run.goes_on() || field.count() >= FINDINGS_MAX
                };
                if is_over {
                    field.over.store(true, Ordering::Relaxed);
                    ended = begun.iter().all(thread::ScopedJoinHandle::is_finished);
                }
                run.tell(|| {
                    let cases =
                        field.next.load(Ordering::Relaxed) + field.next_h2.load(Ordering::Relaxed);
                    format!(
                        "proxy: {cases} connections, {} requests at the shop, {} findings",
                        judge.forwarded,
                        field.count()
                    )
                });
            }
        });
        Report {
            counts: vec![
                ("connections in HTTP/1.1", self.next.into_inner()),
                ("connections in HTTP/2", self.next_h2.into_inner()),
                ("their requests at the shop", judge.forwarded),
                ("requests that nobody can be named for", judge.unknown),
                ("slow connections that were cut off", cut.into_inner()),
                ("honest buyers served", served.into_inner()),
            ],
            findings: self
                .findings
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
        }
    }

    fn sloths(&self) -> Vec<Sloth> {
        let mut sloths = SLOTHS.to_vec();
        if self.plan.time >= LONG {
            sloths.extend(LONG_SLOTHS);
        }
        sloths
    }

    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    fn attack(&self) {
        while self.goes_on() {
            self.once(self.next.fetch_add(1, Ordering::Relaxed));
        }
    }

    fn attack_h2(&self) {
        while self.goes_on() {
            self.once(h2::number(self.next_h2.fetch_add(1, Ordering::Relaxed)));
        }
    }

    /// One case. That a connection is refused is seen by those who must be served.
    fn once(&self, number: u64) {
        if h2::is_ours(number) {
            if let Ok(judged) = h2::perform(&self.plan, number, &self.stand.tls) {
                self.tell(judged);
            }
            return;
        }
        let case = Case::new(&self.plan, number);
        let sent = case.bytes();
        let reading = reading::read(&sent);
        if let Ok(heard) = client::perform(&case, &reading, &self.stand.proxy.address()) {
            self.tell(
                judge::heard(number, &reading, &heard).map_err(|finding| finding.of(number, sent)),
            );
        }
    }

    fn tell<T>(&self, judged: Result<T, Finding>) {
        if let Err(finding) = judged {
            let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
            if findings.len() < FINDINGS_MAX {
                say(&finding.to_string());
                findings.push(finding);
            }
        }
    }

    fn count(&self) -> usize {
        self.findings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

//! Buyers in several threads, and what they were told.

use super::{Client, Route, verdict};
use seckill_protocol::{ReservationId, Verdict};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// An acceptance that was answered: who has it, and its name.
pub(crate) type Told = (String, ReservationId);

const PATIENCE: Duration = Duration::from_secs(20);

/// What a buyer waits for after each answer, so that a sale lasts as long as what happens to it.
const PAUSE: Duration = Duration::from_micros(500);

/// Threads of buyers, who come one after the other, until nothing is left, until the server is gone
/// or decides no more, or until they are told to leave.
pub(crate) struct Crowd {
    leave: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Vec<Told>>>,
}

impl Crowd {
    /// A thread for each route. `name` is in every uid.
    pub(crate) fn start(name: &str, sid: &str, routes: impl IntoIterator<Item = Route>) -> Self {
        let (leave, accepted) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let start = |(thread, route): (usize, Route)| {
            let (leave, accepted) = (leave.clone(), accepted.clone());
            let (prefix, sid) = (format!("{name}-{thread}"), sid.to_owned());
            thread::spawn(move || buy(&prefix, &sid, route, &leave, &accepted))
        };
        let threads = routes.into_iter().enumerate().map(start).collect();
        Self {
            leave,
            accepted,
            threads,
        }
    }

    /// Waits until so many more have been accepted.
    pub(crate) fn await_accepted(&self, more: usize) {
        let deadline = Instant::now() + PATIENCE;
        let goal = self.accepted.load(Ordering::Relaxed) + more;
        while self.accepted.load(Ordering::Relaxed) < goal {
            let over = self.threads.iter().all(JoinHandle::is_finished);
            assert!(!over, "the buyers have left before {goal} were accepted");
            assert!(Instant::now() < deadline, "nobody is served any more");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Everybody leaves, with what he was told.
    pub(crate) fn leave(self) -> Vec<Told> {
        self.leave.store(true, Ordering::Relaxed);
        self.wait()
    }

    /// Waits until nothing is left.
    pub(crate) fn wait(self) -> Vec<Told> {
        let threads = self.threads.into_iter();
        threads.flat_map(|thread| thread.join().unwrap()).collect()
    }
}

fn buy(
    prefix: &str,
    sid: &str,
    mut route: Route,
    leave: &AtomicBool,
    accepted: &AtomicUsize,
) -> Vec<Told> {
    let mut told = Vec::new();
    while !leave.load(Ordering::Relaxed) {
        let uid = format!("{prefix}-{}", told.len());
        let mut command = redis::cmd("SECKILL.TRY");
        match route.send(command.arg(sid).arg(&uid)) {
            Ok(reply) => match verdict(reply) {
                Verdict::Accepted(rid) => told.push((uid, rid)),
                Verdict::SoldOut { .. } => break,
                other => panic!("{uid}: {other:?}"),
            },
            Err(error) if error.is_io_error() || error.code() == Some("READONLY") => break,
            Err(error) => panic!("{uid}: {error}"),
        }
        accepted.fetch_add(1, Ordering::Relaxed);
        thread::sleep(PAUSE);
    }
    told
}

/// Everybody who was told that he has a reservation has that one. For a sale with a limit of one.
pub(crate) fn found_again(client: &mut Client, sid: &str, told: &[Told]) {
    for (uid, rid) in told {
        let found = client.try_(&format!("{sid} {uid}"));
        assert_eq!(found, Verdict::Duplicate(*rid), "{uid} was told {rid}");
    }
}

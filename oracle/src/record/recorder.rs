//! Writes a record.

use super::{Answer, Answered, Begun, Op};
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes what one process asks and is told. For any number of threads.
#[derive(Debug)]
pub struct Recorder(Mutex<State>);

#[derive(Debug)]
struct State {
    file: File,
    next_call: u64,
    /// A line could not be written: the file may end in the middle of it, and ends there.
    is_broken: bool,
}

/// A call that waits for its answer. Dropped without one, its outcome is unknown.
#[derive(Debug)]
#[must_use = "what the client is told has to be recorded"]
pub struct Pending {
    call: u64,
    op: Op,
}

// === impl Recorder ===

impl Recorder {
    /// Begins a new file.
    ///
    /// # Errors
    /// If there is such a file already, or it cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path)?;
        Ok(Self(Mutex::new(State {
            file,
            next_call: 1,
            is_broken: false,
        })))
    }

    /// Records that a client is about to ask. Ask only when this has returned.
    ///
    /// # Errors
    /// If it cannot be written: then do not ask.
    pub fn begin(&self, sid: &str, uid: &str, op: Op) -> io::Result<Pending> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let call = state.next_call;
        state.next_call += 1;
        let begun = Begun {
            call,
            at: now_ms(),
            sid: sid.to_owned(),
            uid: uid.to_owned(),
            op,
        };
        state.write(&begun)?;
        Ok(Pending { call, op: begun.op })
    }

    /// Records what the client was told. Act on it only when this has returned.
    ///
    /// # Errors
    /// If it cannot be written, or no such question is answered like this.
    pub fn answer(&self, pending: Pending, answer: Answer) -> io::Result<()> {
        let Pending { call, op } = pending;
        if !op.can_have(&answer) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("call {call}: a {op} cannot be answered with: {answer}"),
            ));
        }
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Read with the lock held, so that times do not go back from line to line.
        let at = now_ms();
        state.write(&Answered { call, at, answer })
    }
}

// === impl State ===

impl State {
    /// No buffer of our own: what was given to the system outlives this process.
    fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::other("an earlier line could not be written"));
        }
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        let written = self.file.write_all(&bytes);
        self.is_broken = written.is_err();
        written
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

//! A pid that cannot be mistaken for a later process.

use std::fmt;
use std::fs;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A process, known by its pid and by when it was started: the system gives pids away again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pid: u32,
    /// Clock ticks after the boot of the machine.
    started_ticks: u64,
}

impl Identity {
    /// Who has this pid now.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let (_, started_ticks) = stat(pid).with_context(|| format!("no process has pid {pid}"))?;
        Ok(Self { pid, started_ticks })
    }

    /// Whether it is still there; what has ended and only waits to be reaped is not.
    pub(crate) fn is_running(self) -> bool {
        stat(self.pid).is_some_and(|(state, started_ticks)| {
            started_ticks == self.started_ticks && state != "Z" && state != "X"
        })
    }

    pub(crate) fn started_ticks(self) -> u64 {
        self.started_ticks
    }

    pub(crate) fn pid(self) -> u32 {
        self.pid
    }

    /// Asks it to end, and kills it if it has not ended after `patience`.
    ///
    /// For processes that somebody else started; a child has to be waited for as well.
    pub(crate) fn end(self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        signal(self.pid, Signal::TERM)?;
        // A frozen process cannot hear the request.
        signal(self.pid, Signal::CONT)?;
        while self.is_running() {
            if Instant::now() > deadline {
                signal(self.pid, Signal::KILL)?;
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pid, self.started_ticks)
    }
}

impl FromStr for Identity {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((pid, started_ticks)) = text.trim().split_once(' ') else {
            bail!("expected a pid and a start time, found {text:?}");
        };
        Ok(Self {
            pid: pid.parse()?,
            started_ticks: started_ticks.parse()?,
        })
    }
}

/// Sends a signal to one process.
pub(crate) fn signal(pid: u32, signal: Signal) -> Result<()> {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let raw = raw.with_context(|| format!("{pid} is no pid"))?;
    kill_process(raw, signal).with_context(|| format!("signal {signal:?} to pid {pid}"))
}

/// The state and the start time of a process, from `/proc`.
fn stat(pid: u32) -> Option<(String, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, and the name may contain both.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?.to_owned();
    let started_ticks = fields.nth(18)?.parse().ok()?;
    Some((state, started_ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_itself_and_nobody_else() {
        let me = Identity::of(std::process::id()).unwrap();
        assert!(me.is_running());
        assert_eq!(me.to_string().parse::<Identity>().unwrap(), me);
        let earlier = Identity {
            started_ticks: me.started_ticks - 1,
            ..me
        };
        assert!(!earlier.is_running());
    }
}

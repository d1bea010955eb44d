//! What runs in `.run`, and how to start it again.

use crate::stage::{Addresses, Name, Running};
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The folder, in the one from which `up` and `down` are called.
pub(crate) const FOLDER: &str = ".run";

const STATE_FILE: &str = "state.json";

/// Kafka's virtual machine has to warm up.
const START_LIMIT: Duration = Duration::from_secs(120);
/// Who does not listen anywhere is started when it has not ended by then.
const FAILS_WITHIN: Duration = Duration::from_millis(500);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What an earlier `up` started.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) addresses: Addresses,
    /// In the order in which they are stopped.
    pub(crate) parts: Vec<KeptPart>,
}

/// A part that goes on without us.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeptPart {
    pub(crate) name: Name,
    process: Process,
    /// Its data, its configuration and its log.
    folder: PathBuf,
    command: Vec<String>,
    /// `host:port`; `None`: it does not listen.
    address: Option<String>,
}

/// A process that cannot be mistaken for a later one with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Process {
    pid: i32,
    /// Clock ticks after the boot of the machine.
    started_ticks: u64,
}

// === impl Kept ===

impl Kept {
    /// What to remember of `parts`, which were just started.
    pub(crate) fn new(parts: &[Running], addresses: Addresses) -> Result<Self> {
        let parts = parts.iter().map(|(name, part)| {
            let process = Process::of(part.pid())?;
            let log = part.log();
            let folder = log.parent().context("a log lies in no folder")?;
            Ok(KeptPart {
                name: *name,
                process,
                folder: folder.to_owned(),
                command: process.command()?,
                address: addresses.of(*name)?,
            })
        });
        let parts = parts.collect::<Result<_>>()?;
        Ok(Self { addresses, parts })
    }

    /// What an earlier `up` wrote down; `None` if there was none.
    pub(crate) fn read() -> Result<Option<Self>> {
        let path = Path::new(FOLDER).join(STATE_FILE);
        match fs::read(&path) {
            Ok(bytes) => {
                let kept = serde_json::from_slice(&bytes).with_context(|| {
                    format!(
                        "{} is not what `up` writes: stop what runs there and delete {FOLDER}",
                        path.display()
                    )
                })?;
                Ok(Some(kept))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Writes it down for the next `up` or `down`.
    pub(crate) fn write(&self) -> Result<()> {
        let path = Path::new(FOLDER).join(STATE_FILE);
        // Passwords stand in it.
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&path);
        let file = file.with_context(|| path.display().to_string())?;
        Ok(serde_json::to_writer_pretty(file, self)?)
    }
}

// === impl KeptPart ===

impl KeptPart {
    pub(crate) fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// Starts it as it was started first: the same command, folder, data and port.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        let name = self.name;
        if let Some(address) = &self.address
            && TcpStream::connect(address).is_ok()
        {
            bail!("{name} cannot start: another program listens at {address}");
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))?;
        // A session of its own: neither Ctrl-C nor the end of this terminal ends it.
        let child = Command::new("setsid")
            .args(&self.command)
            .current_dir(&self.folder)
            .env_remove("SECKILL_REDIS_URL")
            .env_remove("SECKILL_MYSQL_URL")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{name} cannot start"))?;
        self.process = Process::of(child.id())?;
        self.wait_until_ready()
    }

    fn wait_until_ready(&self) -> Result<()> {
        let began = Instant::now();
        while self.is_running() {
            let ready = match &self.address {
                Some(address) => TcpStream::connect(address).is_ok(),
                None => began.elapsed() > FAILS_WITHIN,
            };
            if ready {
                return Ok(());
            }
            if began.elapsed() > START_LIMIT {
                bail!(
                    "{} is not ready after {START_LIMIT:?}: see {}/log",
                    self.name,
                    self.folder.display()
                );
            }
            thread::sleep(LOOK_EVERY);
        }
        bail!(
            "{} ended at once: see {}/log",
            self.name,
            self.folder.display()
        );
    }

    /// Asks it to end, and kills it if it does not. Whether it was running.
    pub(crate) fn stop(&self) -> Result<bool> {
        if !self.is_running() {
            return Ok(false);
        }
        self.process.signal(Signal::TERM)?;
        let began = Instant::now();
        while self.is_running() {
            if began.elapsed() > STOP_LIMIT {
                self.process.signal(Signal::KILL)?;
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(true)
    }
}

// === impl Process ===

impl Process {
    /// The process that has this pid now.
    fn of(pid: u32) -> Result<Self> {
        let pid = i32::try_from(pid)?;
        let (_, started_ticks) = stat(pid).with_context(|| format!("no process has pid {pid}"))?;
        Ok(Self { pid, started_ticks })
    }

    /// Whether it is still there; what has ended and only waits to be reaped is not.
    fn is_running(self) -> bool {
        stat(self.pid).is_some_and(|(state, started_ticks)| {
            started_ticks == self.started_ticks && state != 'Z' && state != 'X'
        })
    }

    fn command(self) -> Result<Vec<String>> {
        let path = format!("/proc/{}/cmdline", self.pid);
        let text = fs::read_to_string(&path).context(path)?;
        Ok(text.split_terminator('\0').map(str::to_owned).collect())
    }

    fn signal(self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.pid).with_context(|| format!("{} is no pid", self.pid))?;
        kill_process(pid, signal).with_context(|| format!("{signal:?} to pid {}", self.pid))
    }
}

/// The state and the start time of a process, from `/proc`.
fn stat(pid: i32) -> Option<(char, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, and the name may contain both.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let started_ticks = fields.nth(18)?.parse().ok()?;
    Some((state, started_ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_process_with_the_same_pid_is_not_the_one_that_was_started() {
        let me = Process::of(std::process::id()).unwrap();
        assert!(me.is_running());
        let earlier = Process {
            started_ticks: me.started_ticks - 1,
            ..me
        };
        assert!(!earlier.is_running());
    }

    #[test]
    fn a_command_line_is_read_word_by_word() {
        let words = Process::of(std::process::id()).unwrap().command().unwrap();
        assert_eq!(words, std::env::args().collect::<Vec<_>>());
    }
}

//! One child process: its log, its start, its end.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::home::Home;
use crate::identity::{self, Identity};
use crate::place::{Place, STOP_PATIENCE};
use crate::tools;

/// How much of a log an error shows.
const TAIL_LINES: usize = 25;

/// How often the state of a process is looked at while something waits for it.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Succeeds when the part does its work.
pub(crate) type Probe = Box<dyn Fn(&Process) -> Result<()> + Send + Sync>;

/// How a part is started, the first time and after that.
pub(crate) struct Plan {
    pub(crate) home: Home,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// Variables besides those that this program has itself.
    pub(crate) environment: Vec<(&'static str, OsString)>,
    pub(crate) ready_within: Duration,
    pub(crate) probe: Probe,
}

/// The process of a part.
pub struct Process {
    plan: Plan,
    body: Body,
    /// Where in the log the present process begins.
    log_start_bytes: u64,
    place: Place,
}

enum Body {
    Child(Child),
    /// An earlier program started it and left it running.
    Adopted(Identity),
}

impl Process {
    /// Starts a process, unless it runs in a detached place, and waits until it is ready.
    pub(crate) fn start(place: &Place, plan: Plan) -> Result<Self> {
        let (body, log_start_bytes) = match plan.home.occupant() {
            None => spawn(place, &plan)?,
            Some(identity) if place.is_detached() => (Body::Adopted(identity), 0),
            Some(identity) => {
                let Home { name, folder } = &plan.home;
                let pid = identity.pid();
                bail!(
                    "{name} runs in {} already (pid {pid}): stop it first",
                    folder.display()
                );
            }
        };
        let mut process = Self {
            plan,
            body,
            log_start_bytes,
            place: place.clone(),
        };
        process.await_ready()?;
        Ok(process)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.plan.home.folder
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.plan.home.log()
    }

    pub(crate) fn pid(&self) -> u32 {
        match &self.body {
            Body::Child(child) => child.id(),
            Body::Adopted(identity) => identity.pid(),
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.ended(), Ok(None))
    }

    /// Sends a signal, unless the process has ended.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.is_running() {
            identity::signal(self.pid(), signal).with_context(|| self.name().to_owned())?;
        }
        Ok(())
    }

    pub(crate) fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.wait(None)?;
        Ok(())
    }

    /// Asks the process to end. If it does not, it is killed, and that is an error.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        // A frozen process cannot hear the request.
        self.signal(Signal::CONT)?;
        if !self.wait(Some(STOP_PATIENCE))? {
            self.kill()?;
            bail!(
                "{} did not stop within {STOP_PATIENCE:?} and was killed",
                self.name()
            );
        }
        Ok(())
    }

    /// Stops the process if it runs, starts it again, and waits until it is ready.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.stop()?;
        (self.body, self.log_start_bytes) = spawn(&self.place, &self.plan)?;
        self.await_ready()
    }

    /// Sends a signal at which the process starts its own successor and then ends, and follows the
    /// successor.
    pub(crate) fn hand_over(&mut self, signal: Signal) -> Result<()> {
        let old = self.pid();
        let since = Instant::now();
        self.signal(signal)?;
        let mut successor = None;
        while self.ended()?.is_none() {
            if since.elapsed() > self.plan.ready_within {
                bail!("{} does not hand over. {}", self.name(), self.log_tail());
            }
            // Its child as long as it is there; nobody's after that.
            successor = children_of(old).first().copied().or(successor);
            thread::sleep(LOOK_EVERY);
        }
        let successor = successor.with_context(|| format!("{} left nobody", self.name()))?;
        let identity = Identity::of(successor)?;
        self.plan.home.remember_occupant(identity)?;
        self.body = Body::Adopted(identity);
        self.await_ready()
    }

    /// What the present process has logged.
    pub(crate) fn log_since_start(&self) -> Result<String> {
        let mut log = File::open(self.log())?;
        log.seek(SeekFrom::Start(self.log_start_bytes))?;
        let mut text = Vec::new();
        log.read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Waits for the probe. The process must not end meanwhile; if it does, or if its time passes,
    /// the error shows the end of the log.
    fn await_ready(&mut self) -> Result<()> {
        let limit = self.plan.ready_within;
        let deadline = Instant::now() + limit;
        loop {
            let answer = (self.plan.probe)(self);
            // Asked after the probe: what answered it could be a stranger at our port.
            if let Some(status) = self.ended()? {
                bail!("{} ended with {status}. {}", self.name(), self.log_tail());
            }
            match answer {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    let tail = self.log_tail();
                    self.kill()?;
                    bail!(
                        "{} is not ready after {limit:?}: {error:#}. {tail}",
                        self.name()
                    );
                }
                Err(_) => thread::sleep(LOOK_EVERY),
            }
        }
    }

    fn log_tail(&self) -> String {
        let text = self.log_since_start().unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines
            .get(lines.len().saturating_sub(TAIL_LINES)..)
            .unwrap_or_default();
        format!("The end of {}:\n{}", self.log().display(), tail.join("\n"))
    }

    fn name(&self) -> &str {
        &self.plan.home.name
    }

    /// How it ended, if it has.
    fn ended(&mut self) -> Result<Option<String>> {
        match &mut self.body {
            Body::Child(child) => Ok(child.try_wait()?.map(|status| status.to_string())),
            Body::Adopted(identity) => Ok((!identity.is_running()).then(|| "no status".to_owned())),
        }
    }

    /// Waits for its end, and returns whether it came in time.
    fn wait(&mut self, limit: Option<Duration>) -> Result<bool> {
        let began = Instant::now();
        while self.ended()?.is_none() {
            if limit.is_some_and(|limit| began.elapsed() > limit) {
                return Ok(false);
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(true)
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name(), self.pid())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.place.is_detached() {
            return;
        }
        // Data that is deleted next does not have to be put in order first.
        let _ = if self.place.is_temporary() {
            self.kill()
        } else {
            self.stop()
        };
    }
}

fn children_of(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    let children = threads.flatten().filter_map(|thread| {
        let pids = fs::read_to_string(thread.path().join("children")).ok()?;
        pids.split_whitespace().next()?.parse().ok()
    });
    children.collect()
}

fn spawn(place: &Place, plan: &Plan) -> Result<(Body, u64)> {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(plan.home.log())?;
    let log_start_bytes = log.metadata()?.len();

    // Both prefixes exec: the pid stays.
    let mut command = if place.is_detached() {
        Command::new("setsid")
    } else {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        // Ctrl-C in a terminal is for the program that uses us, which then stops its parts in order.
        command.process_group(0);
        command
    };
    command
        .arg(&plan.program)
        .args(&plan.arguments)
        .envs(place.environment())
        .envs(plan.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&plan.home.folder);
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    tools::without_our_variables(&mut command);

    let child = spawn_from_keeper(command);
    let child = child.with_context(|| format!("cannot start {}", plan.home.name))?;
    // One that has ended already fails its first probe, and that error says more.
    if let Ok(identity) = Identity::of(child.id()) {
        plan.home.remember_occupant(identity)?;
    }
    Ok((Body::Child(child), log_start_bytes))
}

/// A command to start, and where to send the child.
type Order = (Command, Sender<io::Result<Child>>);

/// Starts a command from a thread that lives as long as this program. "Die with your parent" is
/// tied by Linux to the thread that started the child, and a test's thread ends with the test.
fn spawn_from_keeper(command: Command) -> io::Result<Child> {
    static KEEPER: LazyLock<Sender<Order>> = LazyLock::new(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in inbox {
                let _ = reply.send(command.spawn());
            }
        });
        orders
    });
    let gone = || io::Error::other("the thread that starts parts is gone");
    let (reply, answer) = mpsc::channel();
    KEEPER.send((command, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

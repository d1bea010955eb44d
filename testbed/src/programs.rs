//! The start of our own programs: services such as the shop, the worker and the proxy.

use std::ffi::OsString;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;

use crate::home::Home;
use crate::part::{Part, Seal};
use crate::place::Place;
use crate::port::Port;
use crate::process::{Plan, Probe, Process};
use crate::settings::Settings;
use crate::tools;

const START_LIMIT: Duration = Duration::from_secs(20);

/// A worker listens before it has what it needs. One that cannot start says so at once.
const WORKER_FAILS_WITHIN: Duration = Duration::from_millis(300);

/// A program of this workspace that listens where it is told to.
#[derive(Debug)]
pub struct Service {
    process: Process,
    port: Port,
}

impl Service {
    /// Starts a program with these words, `--listen` and an address behind them, and with these
    /// variables in its environment; waits until it listens.
    ///
    /// # Errors
    /// If it was not built or does not start.
    pub fn start(
        place: &Place,
        program: &str,
        words: &[&str],
        environment: Vec<(&'static str, OsString)>,
    ) -> Result<Self> {
        let name = program.strip_prefix("seckill-").unwrap_or(program);
        let home = place.home(name)?;
        let port = home.port("port")?;
        let mut arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
        arguments.extend(["--listen".into(), port.address().into()]);
        let plan = Plan {
            home,
            program: tools::built(program)?,
            arguments,
            environment,
            ready_within: START_LIMIT,
            probe: listens(&port),
        };
        Ok(Self {
            process: Process::start(place, plan)?,
            port,
        })
    }

    /// Where it listens, `host:port`.
    pub fn address(&self) -> String {
        self.port.address()
    }
}

/// A shop to stand behind the proxy.
#[derive(Debug)]
pub struct SampleShop(Service);

impl SampleShop {
    /// Starts the shop and waits until it listens.
    ///
    /// # Errors
    /// If it was not built or does not start.
    pub fn start(place: &Place) -> Result<Self> {
        Service::start(place, "seckill-sample-shop", &[], Vec::new()).map(Self)
    }

    /// The same, as a shop that believes only its proxy, by the keys in this folder.
    pub(crate) fn start_behind(place: &Place, proxy: &str, keys: &Path) -> Result<Self> {
        let keys = keys.display().to_string();
        let words = ["--proxy", proxy, "--keys", &keys];
        Service::start(place, "seckill-sample-shop", &words, Vec::new()).map(Self)
    }

    /// Where it listens, `host:port`.
    pub fn address(&self) -> String {
        self.0.address()
    }
}

/// A worker: relay and order writer.
#[derive(Debug)]
pub struct Worker {
    process: Process,
    admin: Port,
}

impl Worker {
    /// Starts `seckill-worker run`, which can be asked how it is on a free port. The tables must be
    /// there: see [`Worker::command`].
    ///
    /// # Errors
    /// If it was not built or ends at once.
    pub fn start(place: &Place, settings: &Settings) -> Result<Self> {
        Self::start_with(place, settings, Vec::new())
    }

    /// The same, with variables in its environment besides ours.
    ///
    /// # Errors
    /// As for [`Worker::start`].
    pub fn start_with(
        place: &Place,
        settings: &Settings,
        environment: Vec<(&'static str, OsString)>,
    ) -> Result<Self> {
        let home = place.home("worker")?;
        let admin = home.port("admin-port")?;
        let settings = settings.clone().with("admin.listen", admin.address());
        let config = settings.write(&home.folder, "worker.toml")?;
        let plan = Plan {
            home,
            program: tools::built("seckill-worker")?,
            arguments: vec!["--config".into(), config.into(), "run".into()],
            environment,
            ready_within: START_LIMIT,
            probe: Box::new(|_| {
                thread::sleep(WORKER_FAILS_WITHIN);
                Ok(())
            }),
        };
        Ok(Self {
            process: Process::start(place, plan)?,
            admin,
        })
    }

    /// Where it can be asked how it is, `host:port`.
    pub fn admin_address(&self) -> String {
        self.admin.address()
    }

    /// Runs a command of the worker, such as `&["migrate"]` or `&["warm", "1001"]`, to its end and
    /// returns what it printed.
    ///
    /// # Errors
    /// If it fails; what it printed is in the message.
    pub fn command(place: &Place, settings: &Settings, words: &[&str]) -> Result<String> {
        let home = place.home("worker-command")?;
        let config = settings.write(&home.folder, "worker.toml")?;
        let mut command = Command::new(tools::built("seckill-worker")?);
        tools::without_our_variables(&mut command);
        tools::run(command.arg("--config").arg(config).args(words))
    }
}

/// A proxy that is not started yet.
pub(crate) struct Reserved {
    home: Home,
    port: Port,
    admin: Port,
}

// === impl Reserved ===

impl Reserved {
    /// The folder that it is going to live in.
    pub(crate) fn folder(&self) -> &Path {
        &self.home.folder
    }

    /// Where it is going to listen, `host:port`.
    pub(crate) fn address(&self) -> String {
        self.port.address()
    }

    /// Starts it, as [`Proxy::start`] does.
    pub(crate) fn start(self, place: &Place, settings: &Settings) -> Result<Proxy> {
        let Self { home, port, admin } = self;
        let folder = home.folder.clone();
        let config = write_proxy(settings, &folder, &port, &admin)?;
        let plan = Plan {
            home,
            program: tools::built("seckill-proxy")?,
            arguments: vec![OsString::from("--config"), config.into()],
            environment: Vec::new(),
            ready_within: START_LIMIT,
            probe: both(listens(&port), listens(&admin)),
        };
        Ok(Proxy {
            process: Process::start(place, plan)?,
            port,
            admin,
            folder,
        })
    }
}

/// A proxy.
#[derive(Debug)]
pub struct Proxy {
    process: Process,
    port: Port,
    admin: Port,
    folder: PathBuf,
}

impl Proxy {
    /// Starts a proxy on free ports, whatever the settings say about `listen` and `admin.listen`,
    /// and waits until it listens on both.
    ///
    /// # Errors
    /// If it was not built or does not start.
    pub fn start(place: &Place, settings: &Settings) -> Result<Self> {
        Self::reserve(place, "proxy")?.start(place, settings)
    }

    /// The ports of a proxy of this name that is to be started: for whoever has to know them before.
    pub(crate) fn reserve(place: &Place, name: &str) -> Result<Reserved> {
        let home = place.home(name)?;
        Ok(Reserved {
            port: home.port("port")?,
            admin: home.port("admin-port")?,
            home,
        })
    }

    /// Replaces its configuration, which it reads again at SIGHUP.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn rewrite(&self, settings: &Settings) -> Result<()> {
        write_proxy(settings, &self.folder, &self.port, &self.admin).map(drop)
    }

    /// Has it replace itself by the program that is there now (SIGUSR2), which takes an
    /// `upgrade.socket` in its settings, and waits until the old process has ended.
    ///
    /// # Errors
    /// If that does not come about.
    pub fn replace(&mut self) -> Result<()> {
        self.process.hand_over(Signal::USR2)
    }

    /// Where it listens, `host:port`.
    pub fn address(&self) -> String {
        self.port.address()
    }

    /// Where it can be asked how it is, `host:port`.
    pub fn admin_address(&self) -> String {
        self.admin.address()
    }

    /// The address with `http://`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}

impl Seal for Service {
    fn process(&self) -> &Process {
        &self.process
    }

    fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Seal for SampleShop {
    fn process(&self) -> &Process {
        &self.0.process
    }

    fn process_mut(&mut self) -> &mut Process {
        &mut self.0.process
    }
}

impl Seal for Worker {
    fn process(&self) -> &Process {
        &self.process
    }

    fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Seal for Proxy {
    fn process(&self) -> &Process {
        &self.process
    }

    fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Part for Service {}
impl Part for SampleShop {}
impl Part for Worker {}
impl Part for Proxy {}

fn write_proxy(settings: &Settings, folder: &Path, port: &Port, admin: &Port) -> Result<PathBuf> {
    settings
        .clone()
        .with("listen", port.address())
        .with("admin.listen", admin.address())
        .write(folder, "proxy.toml")
}

/// Whether somebody answers at a port.
pub(crate) fn listens(port: &Port) -> Probe {
    let address = port.address();
    Box::new(move |_| {
        TcpStream::connect(&address)?;
        Ok(())
    })
}

fn both(one: Probe, other: Probe) -> Probe {
    Box::new(move |process| one(process).and_then(|()| other(process)))
}

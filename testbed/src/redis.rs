//! Redis with the module, configured by the files that ship.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use redis::{Client, Connection};

use crate::authority::{Authority, Certificate};
use crate::clock::Clock;
use crate::home::Home;
use crate::part::{Part, Seal};
use crate::place::Place;
use crate::port::Port;
use crate::process::{Plan, Process};
use crate::tools;

const KIND: &str = "redis";
const DATA: &str = "data";

/// Loading a sale of millions is included.
const START_LIMIT: Duration = Duration::from_secs(120);
const REPLY_LIMIT: Duration = Duration::from_secs(5);

/// The lines that a test has to run with have to stand in the shipped file word for word.
const SHIPPED_PORT: &str = "port 6379";
const SHIPPED_FOLDER: &str = "dir /var/lib/redis";
const SHIPPED_MODULE: &str = "loadmodule /usr/lib/redis/modules/libseckill.so";
const SHIPPED_USERS: &str = "aclfile /etc/redis/users.acl";

/// Who talks to Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// The proxies, as in the shipped `users.acl`.
    Proxy,
    /// The workers, as in the shipped `users.acl`.
    Worker,
    /// Who creates and watches sales, as in the shipped `users.acl`.
    Operator,
    /// A monitoring system, as in the shipped `users.acl`.
    Metrics,
    /// A sentinel, as in the shipped `users.acl`.
    Sentinel,
    /// A test, which may do anything, `DEBUG` included. No such user ships.
    Anything,
}

/// What a test adds to a server as it ships.
#[derive(Clone, Copy, Default)]
struct Extras<'a> {
    /// What runs the server, and its words.
    tool: &'a [&'a str],
    /// Lines of configuration.
    lines: &'a [&'a str],
    /// Whether it is a Redis without the module.
    is_bare: bool,
}

impl User {
    fn name(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Worker => "worker",
            Self::Operator => "operator",
            Self::Metrics => "metrics",
            Self::Sentinel => "sentinel",
            Self::Anything => "anything",
        }
    }
}

/// A Redis server with `libseckill.so`.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: Port,
    /// Of every user; a replica has that of its primary, as it may become one.
    password: String,
    /// Where it listens for TLS, if it does.
    tls_port: Option<Port>,
}

impl Redis {
    /// Starts a server as it ships: every answered acceptance is on disk.
    ///
    /// # Errors
    /// If a shipped file lacks a line that has to be replaced, or the server does not start.
    pub fn start(place: &Place) -> Result<Self> {
        Self::start_with(place, &[])
    }

    /// Starts a server with more lines of configuration, which win over the shipped ones.
    ///
    /// # Errors
    /// As for [`Redis::start`].
    pub fn start_with(place: &Place, lines: &[&str]) -> Result<Self> {
        Self::start_below(place, &[], lines)
    }

    /// Starts a server with more lines of configuration below a tool that runs it in its own
    /// process: the words of a command line that ends where the server's begins, as
    /// `valgrind --tool=callgrind`.
    ///
    /// # Errors
    /// As for [`Redis::start`], or if the tool is not installed.
    pub fn start_below(place: &Place, tool: &[&str], lines: &[&str]) -> Result<Self> {
        let home = place.home(KIND)?;
        let password = home.password()?;
        let extras = Extras {
            tool,
            lines,
            ..Extras::default()
        };
        Self::start_server(place, home, extras, password)
    }

    /// Starts a server whose time of day is that of `clock`, over restarts too.
    ///
    /// # Errors
    /// As for [`Redis::start`].
    pub fn start_with_clock(place: &Place, lines: &[&str], clock: &Clock) -> Result<Self> {
        Self::start_with(&place.with_clock(clock), lines)
    }

    /// Starts a server that listens for TLS, too, and lets in only who has a certificate of the same
    /// authority.
    ///
    /// # Errors
    /// As for [`Redis::start`], or if `openssl` is not installed.
    pub fn start_with_tls(place: &Place, authority: &Authority) -> Result<Self> {
        let home = place.home(KIND)?;
        let password = home.password()?;
        let tls_port = home.port("tls-port")?;
        let Certificate { cert, key } = authority.certify("redis")?;
        let lines = [
            format!("tls-port {}", tls_port.number()),
            format!("tls-cert-file {}", quoted(&cert)),
            format!("tls-key-file {}", quoted(&key)),
            format!("tls-ca-cert-file {}", quoted(&authority.cert())),
        ];
        let extras = Extras {
            lines: &lines.each_ref().map(String::as_str),
            ..Extras::default()
        };
        let mut redis = Self::start_server(place, home, extras, password)?;
        redis.tls_port = Some(tls_port);
        Ok(redis)
    }

    /// Starts a server that has the users and not the module.
    ///
    /// # Errors
    /// As for [`Redis::start`].
    pub fn start_bare(place: &Place) -> Result<Self> {
        let home = place.home(KIND)?;
        let password = home.password()?;
        let extras = Extras {
            is_bare: true,
            ..Extras::default()
        };
        Self::start_server(place, home, extras, password)
    }

    /// Starts a replica with the users of its primary, and waits until it has its data.
    ///
    /// # Errors
    /// As for [`Redis::start`], or if it does not reach its primary.
    pub fn start_replica(place: &Place, primary: &Self) -> Result<Self> {
        Self::start_replica_through(place, primary, primary.port())
    }

    /// The same, and it reaches its primary at another port, where something passes on what is said.
    ///
    /// # Errors
    /// As for [`Redis::start_replica`].
    pub fn start_replica_through(place: &Place, primary: &Self, port: u16) -> Result<Self> {
        let line = format!("replicaof 127.0.0.1 {port}");
        let password = primary.password.clone();
        let extras = Extras {
            lines: &[&line],
            ..Extras::default()
        };
        let replica = Self::start_server(place, place.home(KIND)?, extras, password)?;
        replica.await_link()?;
        Ok(replica)
    }

    /// Makes it a replica of another server until it is restarted. It gets its data by and by: see
    /// [`Redis::await_link`].
    ///
    /// # Errors
    /// If it does not answer.
    pub fn follow(&self, primary: &Self) -> Result<()> {
        let mut connection = self.connect(User::Anything)?;
        for (name, value) in [("masteruser", "replica"), ("masterauth", &primary.password)] {
            redis::cmd("CONFIG")
                .arg(&["SET", name, value])
                .exec(&mut connection)?;
        }
        let mut follow = redis::cmd("REPLICAOF");
        follow.arg("127.0.0.1").arg(primary.port());
        Ok(follow.exec(&mut connection)?)
    }

    /// Starts a node of a cluster that knows nobody yet, with the users of another node if there is
    /// one. The port is the one at which nodes talk to each other.
    pub(crate) fn start_cluster_node(place: &Place, other: Option<&Self>) -> Result<(Self, Port)> {
        let home = place.home(KIND)?;
        let password = match other {
            Some(node) => node.password.clone(),
            None => home.password()?,
        };
        let bus_port = home.port("bus-port")?;
        let lines = [
            "cluster-enabled yes".to_owned(),
            format!("cluster-port {}", bus_port.number()),
            "cluster-announce-ip 127.0.0.1".to_owned(),
        ];
        let lines = lines.each_ref().map(String::as_str);
        let extras = Extras {
            lines: &lines,
            ..Extras::default()
        };
        Ok((Self::start_server(place, home, extras, password)?, bus_port))
    }

    /// Moves keys to another server (`MIGRATE`): they are there, or still here.
    ///
    /// # Errors
    /// If either server refuses.
    pub fn migrate(&self, keys: &[impl AsRef<[u8]>], to: &Self) -> Result<()> {
        let mut migrate = redis::cmd("MIGRATE");
        migrate.arg("127.0.0.1").arg(to.port()).arg("").arg(0);
        migrate.arg(REPLY_LIMIT.as_millis().to_string());
        migrate.arg(&["AUTH2", User::Anything.name(), &to.password, "KEYS"]);
        for key in keys {
            migrate.arg(key.as_ref());
        }
        Ok(migrate.exec(&mut self.connect(User::Anything)?)?)
    }

    /// Waits until this replica has the data of its primary.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn await_link(&self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let mut connection = self.connect(User::Anything)?;
            let info: String = redis::cmd("INFO")
                .arg("replication")
                .query(&mut connection)?;
            if info.contains("master_link_status:up") {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "no link to the primary:\n{info}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn start_server(
        place: &Place,
        home: Home,
        extras: Extras<'_>,
        password: String,
    ) -> Result<Self> {
        let port = home.port("port")?;
        let folder = &home.folder;
        let data = folder.join(DATA);
        fs::create_dir_all(&data)?;
        let users = folder.join("users.acl");
        let mut acl = users_acl(&tools::shipped("users.acl")?, &password)?;
        if extras.is_bare {
            acl = without_words(&acl, "+seckill.");
        }
        fs::write(&users, acl)?;

        let mut text = tools::shipped("redis.conf")?;
        let module = tools::built("libseckill.so")?;
        for (shipped, ours) in [
            (SHIPPED_PORT, format!("port {}", port.number())),
            (SHIPPED_FOLDER, format!("dir {}", quoted(&data))),
            (SHIPPED_MODULE, format!("loadmodule {}", quoted(&module))),
            (SHIPPED_USERS, format!("aclfile {}", quoted(&users))),
        ] {
            text = replace_line(&text, shipped, &ours)?;
        }
        if extras.is_bare {
            text = without_lines(&text, &["loadmodule ", "seckill."]);
        }
        text.push_str("enable-debug-command local\n");
        // Whoever has a role now may have the other one later.
        text.push_str(&format!("masteruser replica\nmasterauth {password}\n"));
        // A full copy begins at once, and not five seconds later for the sake of other replicas.
        text.push_str("repl-diskless-sync-delay 0\n");
        for line in extras.lines {
            text.push_str(line);
            text.push('\n');
        }
        let config = folder.join("redis.conf");
        fs::write(&config, text)?;

        let url = url(User::Anything, &password, port.number());
        let mut program = tools::redis_server()?;
        let mut arguments = vec![config.into()];
        if let [tool, words @ ..] = extras.tool {
            let server = std::mem::replace(&mut program, tools::installed(tool)?);
            let words = words.iter().map(OsString::from);
            arguments.splice(0..0, words.chain([server.into()]));
        }
        let plan = Plan {
            home,
            program,
            arguments,
            environment: Vec::new(),
            ready_within: START_LIMIT,
            probe: Box::new(move |_| is_ready(&url)),
        };
        Ok(Self {
            process: Process::start(place, plan)?,
            port,
            password,
            tls_port: None,
        })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The address with the name and the password of a user.
    pub fn url(&self, user: User) -> String {
        url(user, &self.password, self.port())
    }

    /// The address for TLS with the name and the password of a user, of a server that was started
    /// with it.
    pub fn tls_url(&self, user: User) -> Option<String> {
        let port = self.tls_port.as_ref()?.number();
        Some(url(user, &self.password, port).replacen("redis:", "rediss:", 1))
    }

    /// The password of every user.
    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// The folder with its data: the append-only file, and dumps.
    pub fn data(&self) -> PathBuf {
        self.process.folder().join(DATA)
    }

    /// A new connection that waits at most a few seconds for each reply.
    ///
    /// # Errors
    /// If the server is not there.
    pub fn connect(&self, user: User) -> Result<Connection> {
        connect(&self.url(user))
    }
}

impl Seal for Redis {
    fn process(&self) -> &Process {
        &self.process
    }

    fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Part for Redis {}

fn url(user: User, password: &str, port: u16) -> String {
    format!("redis://{}:{password}@127.0.0.1:{port}/", user.name())
}

/// While it loads its data, Redis answers `PING` with an error.
fn is_ready(url: &str) -> Result<()> {
    redis::cmd("PING").exec(&mut connect(url)?).context("PING")
}

fn connect(url: &str) -> Result<Connection> {
    let connection = Client::open(url)?.get_connection_with_timeout(REPLY_LIMIT)?;
    connection.set_read_timeout(Some(REPLY_LIMIT))?;
    connection.set_write_timeout(Some(REPLY_LIMIT))?;
    Ok(connection)
}

/// The shipped users with a password, and the user for tests.
fn users_acl(shipped: &str, password: &str) -> Result<String> {
    let mut text = shipped.to_owned();
    for name in [
        "proxy", "worker", "operator", "metrics", "replica", "sentinel",
    ] {
        let placeholder = format!("#SHA256-OF-THE-PASSWORD-OF-{}", name.to_uppercase());
        ensure!(
            text.matches(&placeholder).count() == 1,
            "conf/users.acl: expected {placeholder} once"
        );
        text = text.replace(&placeholder, &format!(">{password}"));
    }
    text.push_str(&format!("user anything on >{password} ~* &* +@all\n"));
    Ok(text)
}

fn without_words(text: &str, start: &str) -> String {
    let words = |line: &str| {
        let kept = line.split(' ').filter(|word| !word.starts_with(start));
        kept.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(|line| words(line) + "\n").collect()
}

fn without_lines(text: &str, starts: &[&str]) -> String {
    let kept = |line: &&str| !starts.iter().any(|start| line.starts_with(start));
    let lines = text.lines().filter(kept);
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn replace_line(text: &str, shipped: &str, ours: &str) -> Result<String> {
    let count = text.lines().filter(|line| *line == shipped).count();
    ensure!(
        count == 1,
        "conf/redis.conf: expected the line {shipped:?} once, found it {count}×"
    );
    let lines = text
        .lines()
        .map(|line| if line == shipped { ours } else { line });
    Ok(lines.flat_map(|line| [line, "\n"]).collect())
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

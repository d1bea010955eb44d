//! MariaDB with the database `seckill`; or MySQL, where [`MYSQLD`] names one.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::geteuid;

use crate::authority::{Authority, Certificate};
use crate::part::{Part, Seal};
use crate::place::Place;
use crate::port::Port;
use crate::process::{Plan, Process};
use crate::tools;

/// Recovery after a kill is included.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The first words of a server to a client: the length of the packet, its number, the version of
/// the protocol.
const GREETING_BYTES: usize = 5;
const PROTOCOL_VERSION: u8 = 10;

/// The path of a `mysqld` that takes MariaDB's place: Debian 12 has none.
const MYSQLD: &str = "SECKILL_TEST_MYSQLD";

/// Whose server it is.
#[derive(Clone, Debug)]
enum Make {
    MariaDb(PathBuf),
    MySql(PathBuf),
}

/// A MariaDB server with an empty database `seckill` and a user of that name.
#[derive(Debug)]
pub struct MariaDb {
    make: Make,
    process: Process,
    port: Port,
    password: String,
}

impl MariaDb {
    /// Starts a server on which a commit is on disk before it is answered.
    ///
    /// # Errors
    /// If MariaDB is not installed or does not start.
    pub fn start(place: &Place) -> Result<Self> {
        Self::launch(place, None)
    }

    /// The same, but whoever comes over TCP has to come with TLS, and with a certificate of this
    /// authority.
    ///
    /// # Errors
    /// As for [`MariaDb::start`], or if the authority makes no certificate.
    pub fn start_secured(place: &Place, authority: &Authority) -> Result<Self> {
        Self::launch(place, Some(authority))
    }

    fn launch(place: &Place, authority: Option<&Authority>) -> Result<Self> {
        let make = Make::here()?;
        let home = place.home("mariadb")?;
        let port = home.port("port")?;
        let password = home.password()?;
        let folder = &home.folder;
        let data = folder.join("data");
        if !data.exists() {
            copy_folder(&template(&make)?, &data)?;
        }
        let temporary = folder.join("tmp");
        fs::create_dir_all(&temporary)?;
        let init = folder.join("init.sql");
        let require = authority.map_or("", |_| "REQUIRE X509");
        fs::write(
            &init,
            format!(
                "CREATE DATABASE IF NOT EXISTS seckill CHARACTER SET utf8mb4;\n\
                 CREATE USER IF NOT EXISTS seckill@'127.0.0.1';\n\
                 ALTER USER seckill@'127.0.0.1' IDENTIFIED BY '{password}' {require};\n\
                 GRANT ALL ON seckill.* TO seckill@'127.0.0.1';\n"
            ),
        )?;

        let mut arguments = make.arguments(&data);
        arguments.extend([
            format!("--socket={}", socket_in(folder).display()),
            format!("--pid-file={}", folder.join("mariadbd.pid").display()),
            format!("--tmpdir={}", temporary.display()),
            format!("--init-file={}", init.display()),
            format!("--port={}", port.number()),
            "--bind-address=127.0.0.1".to_owned(),
            "--skip-networking=0".to_owned(),
            "--skip-name-resolve".to_owned(),
            "--character-set-server=utf8mb4".to_owned(),
            "--innodb-flush-log-at-trx-commit=1".to_owned(),
            "--innodb-buffer-pool-size=128M".to_owned(),
        ]);
        if let Some(authority) = authority {
            let Certificate { cert, key } = authority.certify("mariadb")?;
            arguments.extend([
                "--require-secure-transport=ON".to_owned(),
                format!("--ssl-ca={}", authority.cert().display()),
                format!("--ssl-cert={}", cert.display()),
                format!("--ssl-key={}", key.display()),
            ]);
        }
        let number = port.number();
        let plan = Plan {
            home,
            program: make.server().to_owned(),
            arguments: arguments.into_iter().map(OsString::from).collect(),
            environment: Vec::new(),
            ready_within: START_LIMIT,
            probe: Box::new(move |_| await_greeting(number)),
        };
        Ok(Self {
            make,
            process: Process::start(place, plan)?,
            port,
            password,
        })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The password of its user.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The address of the database with the name and the password of its user.
    pub fn url(&self) -> String {
        format!(
            "mysql://seckill:{}@127.0.0.1:{}/seckill",
            self.password,
            self.port()
        )
    }

    /// Where its administrator connects.
    pub fn socket(&self) -> PathBuf {
        socket_in(self.process.folder())
    }

    /// Runs SQL as the server's administrator in the database `seckill`. Returns the rows of the
    /// results as text; what is NULL is the text `NULL`.
    ///
    /// # Errors
    /// If the server is not there or refuses a statement.
    pub fn query(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        let mut client = Command::new(tools::installed("mariadb")?);
        client.arg("--no-defaults");
        if let Make::MySql(_) = self.make {
            client.arg("--user=root");
        }
        client.arg(format!("--socket={}", self.socket().display()));
        client.args([
            "--batch",
            "--skip-column-names",
            "--database=seckill",
            "--execute",
            sql,
        ]);
        let text = tools::run(&mut client)?;
        Ok(text
            .lines()
            .map(|line| line.split('\t').map(str::to_owned).collect())
            .collect())
    }
}

impl Seal for MariaDb {
    fn process(&self) -> &Process {
        &self.process
    }

    fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Part for MariaDb {}

fn await_greeting(port: u16) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(START_LIMIT))?;
    let mut greeting = [0; GREETING_BYTES];
    stream.read_exact(&mut greeting)?;
    ensure!(
        greeting.last() == Some(&PROTOCOL_VERSION),
        "port {port} speaks no MySQL"
    );
    Ok(())
}

fn socket_in(folder: &Path) -> PathBuf {
    folder.join("socket")
}

/// A data folder as it is right after the installation. Making one takes seconds, a copy does not,
/// so that one is made for each version of the server and kept.
fn template(make: &Make) -> Result<PathBuf> {
    let cache = tools::cache();
    fs::create_dir_all(&cache)?;
    let template = cache.join(make.version()?);
    let lock = File::create(cache.join("mariadb.lock"))?;
    lock.lock()?;
    if !template.exists() {
        let unfinished = cache.join("mariadb-unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        make.install(&unfinished)?;
        fs::rename(&unfinished, &template)?;
    }
    Ok(template)
}

// === impl Make ===

impl Make {
    fn here() -> Result<Self> {
        match env::var_os(MYSQLD) {
            Some(path) => Ok(Self::MySql(path.into())),
            None => Ok(Self::MariaDb(tools::installed("mariadbd")?)),
        }
    }

    fn server(&self) -> &Path {
        match self {
            Self::MariaDb(server) | Self::MySql(server) => server,
        }
    }

    fn arguments(&self, data: &Path) -> Vec<String> {
        let mut arguments = vec![
            // Of the configuration of the machine's own server nothing is ours.
            "--no-defaults".to_owned(),
            format!("--datadir={}", data.display()),
        ];
        // The redo log: copied with each new server, and large enough for a burst of orders.
        match self {
            Self::MariaDb(_) => arguments.push("--innodb-log-file-size=32M".to_owned()),
            Self::MySql(_) => arguments.extend([
                "--innodb-redo-log-capacity=32M".to_owned(),
                // A port that everybody's server wants.
                "--mysqlx=OFF".to_owned(),
                // A folder that Debian's package makes, and files that no test reads.
                "--secure-file-priv=NULL".to_owned(),
            ]),
        }
        if geteuid().is_root() {
            arguments.push("--user=root".to_owned());
        }
        arguments
    }

    /// Its name and version, as a folder's name.
    fn version(&self) -> Result<String> {
        let text = tools::run(Command::new(self.server()).args(["--no-defaults", "--version"]))?;
        let mut words = text.split_whitespace().skip_while(|word| *word != "Ver");
        let version = words
            .nth(1)
            .with_context(|| format!("no version in {text:?}"))?;
        Ok(match self {
            Self::MariaDb(_) => format!("mariadb-{version}"),
            Self::MySql(_) => format!("mysql-{version}"),
        })
    }

    /// Makes a data folder in which `root` needs no password over the socket.
    fn install(&self, data: &Path) -> Result<()> {
        let mut install = match self {
            Self::MariaDb(_) => {
                let me = tools::run(Command::new("id").arg("-un"))?;
                let mut install = Command::new(tools::installed("mariadb-install-db")?);
                install.args(self.arguments(data));
                install.args(["--skip-test-db", "--skip-name-resolve"]);
                install.args(["--auth-root-authentication-method=socket"]);
                install.arg(format!("--auth-root-socket-user={}", me.trim()));
                install
            }
            Self::MySql(server) => {
                let mut install = Command::new(server);
                install.args(self.arguments(data));
                install.arg("--initialize-insecure");
                install
            }
        };
        tools::run(&mut install).map(drop)
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).with_context(|| target.display().to_string())?;
        }
    }
    Ok(())
}

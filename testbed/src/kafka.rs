//! Apache Kafka, one node.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::authority::{Authority, Certificate};
use crate::part::{Part, Seal};
use crate::place::Place;
use crate::port::Port;
use crate::process::{Plan, Process};
use crate::tools;

/// A virtual machine has to warm up, and to recover its log after a kill.
const START_LIMIT: Duration = Duration::from_secs(120);

/// The folder in the cache that `make kafka` fills.
const JARS: &str = "kafka-4.3.1/libs";

/// What the broker logs when it takes requests.
const STARTED: &str = "Kafka Server started";

/// 16 bytes in base64.
const CLUSTER_ID: &str = "c2Vja2lsbC10ZXN0YmVkcw";

/// Who may come to the secure listener, and how he is proven.
const USER: &str = "worker";
const MECHANISM: &str = "SCRAM-SHA-512";

const LOG4J: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="WARN">
  <Appenders>
    <Console name="out"><PatternLayout pattern="%d %p %m (%c)%n"/></Console>
  </Appenders>
  <Loggers>
    <Root level="INFO"><AppenderRef ref="out"/></Root>
  </Loggers>
</Configuration>
"#;

/// A Kafka broker, which is its own controller.
#[derive(Debug)]
pub struct Kafka {
    process: Process,
    port: Port,
    _controller_port: Port,
    secured: Option<Secured>,
    /// Where it listens for those who reach it at another port.
    behind: Vec<Port>,
}

/// A listener that wants TLS, with a certificate of an authority, and a name and a password.
#[derive(Debug)]
struct Secured {
    port: Port,
    password: String,
}

impl Kafka {
    /// Whether a broker can be started here, or in one line why not.
    ///
    /// # Errors
    /// The reason, fit for "skipped: …".
    pub fn available() -> Result<(), String> {
        jars()
            .and_then(|_| tools::installed("java"))
            .map(drop)
            .map_err(|error| error.to_string())
    }

    /// Whether a test of `what` can have a broker. Where it cannot, says so and why, and past the
    /// test harness, which keeps to itself what a test that passes prints.
    pub fn or_skip(what: &str) -> bool {
        match Self::available() {
            Ok(()) => true,
            Err(reason) => {
                // Nothing is left to do where even this cannot be written.
                let _ = writeln!(io::stderr(), "skipped: {what}: {reason}");
                false
            }
        }
    }

    /// Starts a broker. Topics are not made by themselves.
    ///
    /// # Errors
    /// If it is not [available](Kafka::available) or does not start.
    pub fn start(place: &Place) -> Result<Self> {
        Self::launch(place, None, &[])
    }

    /// The same, and for each of these ports it has one more [listener](Kafka::port_behind), whose
    /// clients are told to connect to that port: something there passes on what is said.
    ///
    /// # Errors
    /// As for [`Kafka::start`].
    pub fn start_behind(place: &Place, ports: &[u16]) -> Result<Self> {
        Self::launch(place, None, ports)
    }

    /// The same, and it listens at [another address](Kafka::secure_brokers), too: with TLS, for
    /// clients with a certificate of this authority who know the password of the user `worker`
    /// (SCRAM-SHA-512).
    ///
    /// # Errors
    /// As for [`Kafka::start`], or if the authority makes no certificate.
    pub fn start_secured(place: &Place, authority: &Authority) -> Result<Self> {
        Self::launch(place, Some(authority), &[])
    }

    fn launch(place: &Place, authority: Option<&Authority>, before: &[u16]) -> Result<Self> {
        let java = tools::installed("java")?;
        let home = place.home("kafka")?;
        let port = home.port("port")?;
        let controller_port = home.port("controller-port")?;
        let folder = &home.folder;
        let data = folder.join("data");
        let properties = folder.join("server.properties");
        let mut lines = server_properties(&data, port.number(), controller_port.number());
        let mut secured = None;
        if let Some(authority) = authority {
            let port = home.port("secure-port")?;
            lines = with_secure_listener(&lines, folder, port.number(), authority)?;
            let password = home.password()?;
            secured = Some(Secured { port, password });
        }
        let mut behind = Vec::new();
        for (number, announced) in (1..).zip(before) {
            let port = home.port(&format!("port-behind-{number}"))?;
            let name = format!("BEHIND{number}");
            lines = with_listener(&lines, &name, "PLAINTEXT", port.number(), *announced);
            behind.push(port);
        }
        fs::write(&properties, lines)?;
        let log4j = folder.join("log4j2.xml");
        fs::write(&log4j, LOG4J)?;

        let jvm = [
            "-Xms256m".to_owned(),
            "-Xmx512m".to_owned(),
            // Few cores and a small heap: the simplest collector starts fastest.
            "-XX:+UseSerialGC".to_owned(),
            format!("-Dlog4j2.configurationFile={}", log4j.display()),
            // Where it unpacks its compression libraries.
            format!("-Djava.io.tmpdir={}", folder.display()),
            "-classpath".to_owned(),
            format!("{}/*", jars()?.display()),
        ];
        if !data.join("meta.properties").exists() {
            let mut format = Command::new(&java);
            format
                .args(&jvm)
                .arg("kafka.tools.StorageTool")
                .current_dir(folder);
            format.args([
                "format",
                "--standalone",
                "--cluster-id",
                CLUSTER_ID,
                "--config",
            ]);
            format.arg(&properties);
            if let Some(Secured { password, .. }) = &secured {
                format.arg("--add-scram");
                format.arg(format!("{MECHANISM}=[name={USER},password={password}]"));
            }
            tools::run(&mut format)?;
        }

        let main = [OsString::from("kafka.Kafka"), OsString::from(properties)];
        let plan = Plan {
            home,
            program: java,
            arguments: jvm.map(OsString::from).into_iter().chain(main).collect(),
            environment: Vec::new(),
            ready_within: START_LIMIT,
            probe: Box::new(|process| {
                let started = process.log_since_start()?.contains(STARTED);
                ensure!(started, "it does not say {STARTED:?}");
                Ok(())
            }),
        };
        let process = Process::start(place, plan)?;
        Ok(Self {
            process,
            port,
            _controller_port: controller_port,
            secured,
            behind,
        })
    }

    /// Where the listener is whose clients are told to connect to the port of this
    /// [number](Kafka::start_behind).
    pub fn port_behind(&self, number: usize) -> Option<u16> {
        self.behind.get(number).map(Port::number)
    }

    /// The address for clients that prove who they are, `host:port`, and the password of the user
    /// `worker`; nothing if there is none.
    pub fn secure_brokers(&self) -> Option<(String, &str)> {
        let secured = self.secured.as_ref()?;
        Some((secured.port.address(), &secured.password))
    }

    /// The address for clients, `host:port`.
    pub fn brokers(&self) -> String {
        self.port.address()
    }
}

impl Seal for Kafka {
    fn process(&self) -> &Process {
        &self.process
    }

    fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Part for Kafka {}

fn jars() -> Result<PathBuf> {
    let jars = tools::cache().join(JARS);
    ensure!(
        jars.is_dir(),
        "no Kafka in {}: run `make kafka`",
        jars.display()
    );
    Ok(jars)
}

fn server_properties(data: &Path, port: u16, controller_port: u16) -> String {
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\n\
         controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         inter.broker.listener.name=PLAINTEXT\n\
         log.dirs={}\n\
         auto.create.topics.enable=false\n\
         offsets.topic.num.partitions=1\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n\
         broker.session.timeout.ms=2000\n\
         broker.heartbeat.interval.ms=500\n",
        data.display()
    )
}

/// Adds a listener that wants TLS.
fn with_secure_listener(
    properties: &str,
    folder: &Path,
    port: u16,
    authority: &Authority,
) -> Result<String> {
    let Certificate { cert, key } = authority.certify("kafka")?;
    // As PEM, Kafka wants both in one file.
    let keystore = folder.join("keystore.pem");
    let pem = [fs::read_to_string(key)?, fs::read_to_string(cert)?].concat();
    fs::write(&keystore, pem)?;
    let mut lines = with_listener(properties, "SASL_SSL", "SASL_SSL", port, port);
    let login = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    let more = [
        format!("sasl.enabled.mechanisms={MECHANISM}"),
        format!(
            "listener.name.sasl_ssl.{}.sasl.jaas.config={login}",
            MECHANISM.to_lowercase()
        ),
        "ssl.client.auth=required".to_owned(),
        "ssl.keystore.type=PEM".to_owned(),
        format!("ssl.keystore.location={}", keystore.display()),
        "ssl.truststore.type=PEM".to_owned(),
        format!("ssl.truststore.location={}", authority.cert().display()),
    ];
    lines.push_str(&(more.join("\n") + "\n"));
    Ok(lines)
}

/// Adds a listener of this name to those of the properties.
fn with_listener(
    properties: &str,
    name: &str,
    protocol: &str,
    port: u16,
    announced: u16,
) -> String {
    let added = |line: &str| match line.split_once('=') {
        Some(("listeners", _)) => format!(",{name}://127.0.0.1:{port}"),
        Some(("advertised.listeners", _)) => format!(",{name}://127.0.0.1:{announced}"),
        Some(("listener.security.protocol.map", _)) => format!(",{name}:{protocol}"),
        _ => String::new(),
    };
    let lines = properties.lines();
    lines
        .map(|line| format!("{line}{}\n", added(line)))
        .collect()
}

//! A Redis Sentinel: watches over a primary, and puts a replica in its place when it is gone.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use redis::Client;

use crate::part::{Part, Seal};
use crate::place::Place;
use crate::port::Port;
use crate::process::{Plan, Process};
use crate::redis::Redis;
use crate::tools;

const START_LIMIT: Duration = Duration::from_secs(20);

/// A primary that is silent for so long is gone.
const DOWN_AFTER_MS: u32 = 1000;

/// A sentinel. It finds the replicas and the other sentinels by itself.
#[derive(Debug)]
pub struct Sentinel {
    process: Process,
    port: Port,
}

impl Sentinel {
    /// Starts one that calls the primary `name`, and thinks it gone if `quorum` sentinels do.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(place: &Place, name: &str, primary: &Redis, quorum: usize) -> Result<Self> {
        let home = place.home("sentinel")?;
        let port = home.port("port")?;
        let lines = [
            format!("port {}", port.number()),
            "bind 127.0.0.1".to_owned(),
            format!("dir \"{}\"", home.folder.display()),
            format!(
                "sentinel monitor {name} 127.0.0.1 {} {quorum}",
                primary.port()
            ),
            format!("sentinel auth-user {name} sentinel"),
            format!("sentinel auth-pass {name} {}", primary.password()),
            format!("sentinel down-after-milliseconds {name} {DOWN_AFTER_MS}"),
            format!("sentinel failover-timeout {name} 10000"),
        ];
        let config = home.folder.join("sentinel.conf");
        fs::write(&config, lines.join("\n") + "\n")?;
        let url = format!("redis://127.0.0.1:{}/", port.number());
        let plan = Plan {
            home,
            program: tools::redis_server()?,
            arguments: vec![config.into(), "--sentinel".into()],
            environment: Vec::new(),
            ready_within: START_LIMIT,
            probe: Box::new(move |_| {
                let mut connection = Client::open(url.as_str())?.get_connection()?;
                redis::cmd("PING").exec(&mut connection).context("PING")
            }),
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

    /// Whether it knows so many replicas of the primary, and so many other sentinels.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn knows(&self, name: &str, replicas: usize, sentinels: usize) -> Result<bool> {
        let client = Client::open(format!("redis://{}/", self.address()))?;
        let mut connection = client.get_connection()?;
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("MASTER").arg(name);
        let answer: std::collections::HashMap<String, String> = ask.query(&mut connection)?;
        let count = |field: &str| {
            answer
                .get(field)
                .and_then(|text| text.parse::<usize>().ok())
        };
        Ok(
            count("num-slaves") == Some(replicas)
                && count("num-other-sentinels") == Some(sentinels),
        )
    }
}

impl Seal for Sentinel {
    fn process(&self) -> &Process {
        &self.process
    }

    fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Part for Sentinel {}

//! A server whose instructions are counted, by valgrind's callgrind. The kernel's are not, and the
//! client is another process.

use super::client::Client;
use super::dump::Dump;
use anyhow::{Context, Result, ensure};
use seckill_testbed::{Part, Place, Redis};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the server does besides commands is to be seen as little as possible: its clock ticks once
/// a second, and it does not rewrite its file in a child.
const QUIET: [&str; 2] = ["hz 1", "auto-aof-rewrite-percentage 0"];

/// A server below callgrind.
pub(crate) struct Counter {
    redis: Redis,
    place: Place,
    dumps: u32,
}

impl Counter {
    pub(crate) fn start(aof: bool) -> Result<Self> {
        let place = Place::temporary("bench-counted")?;
        let counts = format!("--callgrind-out-file={}", counts(&place).display());
        let pipes = pipes(&place);
        let tool = [
            "valgrind",
            "--tool=callgrind",
            "--instr-atstart=no",
            &counts,
            &pipes,
        ];
        let aof = if aof {
            "appendonly yes"
        } else {
            "appendonly no"
        };
        let [clock, rewrite] = QUIET;
        let redis = Redis::start_below(&place, &tool, &[clock, rewrite, aof])?;
        Ok(Self {
            redis,
            place,
            dumps: 0,
        })
    }

    pub(crate) fn client(&self) -> Result<Client> {
        Client::of(&self.redis)
    }

    /// From here on the server runs slowly and executes what is counted.
    pub(crate) fn switch_on(&self) -> Result<()> {
        self.tell(&["instrumentation", "on"])
    }

    pub(crate) fn switch_off(&self) -> Result<()> {
        self.tell(&["instrumentation", "off"])
    }

    /// What the server executes while `work` is done.
    pub(crate) fn count(&mut self, work: impl FnOnce() -> Result<()>) -> Result<Dump> {
        self.tell(&["zero"])?;
        work()?;
        self.tell(&["dump"])?;
        self.dumps += 1;
        let mut file = counts(&self.place).into_os_string();
        file.push(format!(".{}", self.dumps));
        let path = Path::new(&file);
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        std::fs::remove_file(path)?;
        Dump::read(&text)
    }

    fn tell(&self, words: &[&str]) -> Result<()> {
        let output = Command::new("vgdb")
            .arg(pipes(&self.place))
            .arg(format!("--pid={}", self.redis.pid()))
            .args(words)
            .output()
            .context("vgdb, which comes with valgrind")?;
        let answer = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "vgdb {words:?}: {answer}");
        Ok(())
    }
}

fn counts(place: &Place) -> PathBuf {
    place.path().join("callgrind.out")
}

/// Where callgrind is told what to do.
fn pipes(place: &Place) -> String {
    format!("--vgdb-prefix={}", place.path().join("vgdb").display())
}

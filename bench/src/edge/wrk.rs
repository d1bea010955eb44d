//! A hundred buyers who ask without end, each time under another name, by `wrk`.

use crate::say;
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Kept-alive connections.
pub(crate) const CONNECTIONS: u32 = 100;

/// How long an answer may take: with many connections, a turn is long.
const PATIENCE: &str = "20s";

const BUYERS: &str = include_str!("../../edge/buyers.lua");

/// What one run has seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Answers of 400 and above.
    pub(crate) rejections: f64,
}

/// Measures in so many rounds of this length. One more comes first, fills pools and caches, and is not
/// counted.
pub(crate) fn rounds<T>(
    count: usize,
    length: Duration,
    mut measure: impl FnMut(Duration) -> Result<T>,
) -> Result<Vec<T>> {
    say(&format!("round 0 of {count}"));
    measure(Duration::from_secs(1))?;
    let rounds = (1..=count).map(|round| {
        say(&format!("round {round} of {count}"));
        measure(length)
    });
    rounds.collect()
}

/// `wrk` and its script.
pub(crate) struct Wrk {
    script: PathBuf,
    _folder: tempfile::TempDir,
}

impl Wrk {
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("buyers.lua");
        std::fs::write(&script, BUYERS)?;
        Ok(Self {
            script,
            _folder: folder,
        })
    }

    pub(crate) fn run(
        &self,
        address: &str,
        method: &str,
        path: &str,
        connections: u32,
        length: Duration,
    ) -> Result<Seen> {
        let output = Command::new("wrk")
            .args(["--threads", "1", "--connections", &connections.to_string()])
            .args(["--timeout", PATIENCE])
            .args(["--duration", &length.as_secs().to_string(), "--script"])
            .arg(&self.script)
            .args([&format!("http://{address}/"), "--", method, path])
            .output()
            .context("wrk: run scripts/setup.sh bench")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let (seen, failures) = figures(&said).with_context(|| {
            let trouble = String::from_utf8_lossy(&output.stderr);
            format!("wrk says no figures: {said}{trouble}")
        })?;
        ensure!(failures == 0.0, "{failures} connections broke: {said}");
        Ok(seen)
    }
}

/// The line that the script prints: times in microseconds.
fn figures(said: &str) -> Option<(Seen, f64)> {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("figures "))?;
    let numbers: Vec<f64> = line.split(' ').map_while(|n| n.parse().ok()).collect();
    let [requests, us, rejections, failures, p50, p99] = numbers.try_into().ok()?;
    let seen = Seen {
        requests,
        seconds: us / 1e6,
        p50_ms: p50 / 1e3,
        p99_ms: p99 / 1e3,
        rejections,
    };
    Some((seen, failures))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_in_the_line_of_the_script() {
        let said = "Running 2s test\nfigures 1000 2000000 999 1 1500 2500\n";
        let seen = Seen {
            requests: 1000.0,
            seconds: 2.0,
            p50_ms: 1.5,
            p99_ms: 2.5,
            rejections: 999.0,
        };
        assert_eq!(figures(said), Some((seen, 1.0)));
        assert_eq!(figures("unable to connect"), None);
        assert_eq!(figures("figures 1 2 3"), None);
    }
}

//! The document of one run: what was measured, and on what.

use crate::charts;
use crate::figures::Climbed;
use crate::table;
use anyhow::{Context, Result};
use seckill_load::text;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::path::Path;

/// Everything that one run has measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) stock: u32,
    pub(crate) tries: u32,
    /// Requests a second that the limiter of rungs 3 to 5 lets pass.
    pub(crate) limit: u32,
    pub(crate) rungs: Vec<Climbed>,
}

/// Where it was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    /// What else ran when it began: the load average of a minute.
    pub(crate) load: f64,
    pub(crate) kernel: String,
    pub(crate) processor: String,
}

// === impl Machine ===

impl Machine {
    /// This machine. What it does not say of itself stays empty.
    pub(crate) fn here() -> Self {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let load = read("/proc/loadavg");
        let processors = read("/proc/cpuinfo");
        let model = processors
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            load: load
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or_default(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            processor: model.trim_start_matches([' ', '\t', ':']).to_owned(),
        }
    }
}

// === impl Report ===

impl Report {
    /// The numbers of buyers, each once, in their order.
    pub(crate) fn crowds(&self) -> Vec<u32> {
        let mut crowds: Vec<u32> = Vec::new();
        for rung in &self.rungs {
            if !crowds.contains(&rung.buyers) {
                crowds.push(rung.buyers);
            }
        }
        crowds
    }

    /// The rungs that so many buyers came to.
    pub(crate) fn of(&self, buyers: u32) -> Vec<&Climbed> {
        let rungs = self.rungs.iter();
        rungs.filter(|rung| rung.buyers == buyers).collect()
    }

    /// Prints it, for a person or for a machine, and keeps it in a file if one is named, with charts
    /// beside it.
    pub(crate) fn publish(&self, file: Option<&Path>, json: bool) -> Result<()> {
        if let Some(file) = file {
            charts::draw(self, file)?;
        }
        if tell_machines(self, file, json)? {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        for buyers in self.crowds() {
            let buyers_text = text::count(buyers.into());
            let stock = text::count(self.stock.into());
            writeln!(out, "\n{buyers_text} buyers, {stock} units")?;
            writeln!(out, "{}", table::of(&self.of(buyers)))?;
        }
        Ok(())
    }
}

/// Keeps a document in a file if one is named, and prints it if that is wanted. Returns whether it
/// was.
pub(crate) fn tell_machines(
    said: &impl Serialize,
    file: Option<&Path>,
    json: bool,
) -> Result<bool> {
    let document = serde_json::to_string_pretty(said)?;
    if let Some(file) = file {
        fs::write(file, format!("{document}\n")).with_context(|| file.display().to_string())?;
    }
    if json {
        writeln!(std::io::stdout(), "{document}")?;
    }
    Ok(json)
}

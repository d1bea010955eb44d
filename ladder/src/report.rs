//! The document of one run: what was measured, and on what.

use crate::charts;
use crate::figures::Climbed;
use crate::table;
use anyhow::{Context, Result};
use seckill_chart::Machine;
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

//! Stops what `up` started.

use crate::say::Say;
use crate::up::FOLDER;
use anyhow::Result;
use seckill_testbed::Place;
use std::path::Path;

/// Stops every part that still is the process that `up` started, and says which.
pub(crate) fn down() -> Result<()> {
    let say = Say::default();
    let stopped = if Path::new(FOLDER).exists() {
        Place::at(FOLDER)?.stop_all()?
    } else {
        Vec::new()
    };
    if stopped.is_empty() {
        say.line("  nothing to stop: nothing that `up` started runs in this folder");
        return Ok(());
    }
    for name in stopped {
        say.line(format!("  {name:<9} stopped"));
    }
    say.line(format!(
        "  the data stays in {FOLDER}; delete the folder to begin anew"
    ));
    Ok(())
}

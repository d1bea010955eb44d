//! Stops what `up` started.

use crate::kept::{FOLDER, Kept};
use crate::say::Say;
use anyhow::Result;

/// Stops every part that still is the process that `up` started, and says which.
pub(crate) fn down() -> Result<()> {
    let say = Say::default();
    let Some(kept) = Kept::read()? else {
        say.line("  nothing to stop: no `up` was completed in this folder");
        return Ok(());
    };
    for part in &kept.parts {
        let what = if part.stop()? {
            "stopped"
        } else {
            "was not running"
        };
        say.line(format!("  {:<9} {what}", part.name.to_string()));
    }
    say.line(format!(
        "  the data stays in {FOLDER}; delete the folder to begin anew"
    ));
    Ok(())
}

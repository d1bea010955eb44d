//! What the system knows of a process.

use std::fs;

use anyhow::{Context, Result};

/// Its memory, in kB.
pub(crate) fn memory_kb(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let digits = line.and_then(|line| line.split_whitespace().next());
    digits.context("no VmRSS")?.parse().context("VmRSS")
}

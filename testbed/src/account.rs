//! What the kernel says of a process.

use anyhow::{Context, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

/// What Linux answers about a thread that has ended.
const ESRCH: i32 = 3;

/// The CPU time that all threads of a process have taken so far, in user and in kernel mode.
///
/// # Errors
/// If there is no such process.
pub fn cpu(pid: u32) -> Result<Duration> {
    let tasks = PathBuf::from(format!("/proc/{pid}/task"));
    let mut total = Duration::ZERO;
    let entries = fs::read_dir(&tasks).with_context(|| tasks.display().to_string())?;
    for entry in entries {
        // Nanoseconds, where `stat` has ticks of a hundredth of a second.
        let file = entry?.path().join("schedstat");
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            // A thread that has just ended (ESRCH: after the file was opened). Those of a server do not.
            Err(error)
                if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH) =>
            {
                continue;
            }
            Err(error) => return Err(error).context(file.display().to_string()),
        };
        total += on_cpu(&text).with_context(|| format!("{}: {text}", file.display()))?;
    }
    Ok(total)
}

/// The memory that a process has in use, in bytes.
///
/// # Errors
/// If there is no such process.
pub fn resident(pid: u32) -> Result<u64> {
    let file = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&file).with_context(|| file.clone())?;
    in_use(&text).with_context(|| format!("{file} has no VmRSS"))
}

fn on_cpu(schedstat: &str) -> Option<Duration> {
    let nanoseconds = schedstat.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

fn in_use(status: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_figures_are_read() {
        assert_eq!(
            on_cpu("1234567890 5678 90\n"),
            Some(Duration::from_nanos(1_234_567_890))
        );
        assert_eq!(
            in_use("VmPeak:\t 9 kB\nVmRSS:\t    2048 kB\n"),
            Some(2 << 20)
        );
        assert!(cpu(std::process::id()).unwrap() > Duration::ZERO);
        assert!(resident(std::process::id()).unwrap() > 1 << 20);
    }
}

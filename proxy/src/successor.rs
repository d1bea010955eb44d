//! The process that is to replace this one, started by this one.
//!
//! Under a manager that counts the processes of a service, a new one has to come from the old one;
//! from there on it goes as in `upgrade.rs`.

use std::env;
use std::io;
use std::process::{Command, Stdio};
use std::thread;
use tracing::{error, info};

const UPGRADE: &str = "--upgrade";

/// Starts the program once more as this one was started, and with `--upgrade`. It is looked up anew,
/// so that it is the new version where the file has been replaced.
///
/// # Errors
/// It cannot be started.
pub(crate) fn start() -> io::Result<()> {
    let mut words = env::args_os();
    let program = words.next().ok_or(io::ErrorKind::NotFound)?;
    let mut child = Command::new(program)
        .args(words.filter(|word| word != UPGRADE))
        .arg(UPGRADE)
        .stdin(Stdio::null())
        .spawn()?;
    info!(
        pid = child.id(),
        "the process that is to replace this one starts"
    );
    // It outlives this process, unless it fails.
    thread::Builder::new()
        .name("successor".to_owned())
        .spawn(move || match child.wait() {
            Ok(status) => {
                error!("the process that was to replace this one has ended: {status}");
            }
            Err(error) => {
                error!("what became of the process that was to replace this one: {error}");
            }
        })?;
    Ok(())
}

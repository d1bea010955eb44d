//! What can be done to any part.

use std::path::PathBuf;

use anyhow::Result;
use rustix::process::Signal;

use crate::process::Process;

/// A running part of the system. It ends when it is dropped, unless its place is detached.
pub trait Part: Seal {
    /// The process id; after the end of the process, that of the last one.
    fn pid(&self) -> u32 {
        self.process().pid()
    }

    /// The file with everything that the part has printed, over restarts.
    fn log(&self) -> PathBuf {
        self.process().log()
    }

    /// Whether the process is there; frozen is there.
    fn is_running(&mut self) -> bool {
        self.process_mut().is_running()
    }

    /// Ends it at once, as a loss of power would (SIGKILL).
    ///
    /// # Errors
    /// If the signal cannot be sent.
    fn kill(&mut self) -> Result<()> {
        self.process_mut().kill()
    }

    /// Stops its time (SIGSTOP), as a stalled machine or a long garbage collection would.
    ///
    /// # Errors
    /// If the signal cannot be sent.
    fn freeze(&mut self) -> Result<()> {
        self.process_mut().signal(Signal::STOP)
    }

    /// Lets its time go on after [`freeze`](Part::freeze).
    ///
    /// # Errors
    /// If the signal cannot be sent.
    fn thaw(&mut self) -> Result<()> {
        self.process_mut().signal(Signal::CONT)
    }

    /// Asks it to end (SIGTERM) and waits. Nothing happens if it has ended already.
    ///
    /// # Errors
    /// If it does not end in time; it is killed then.
    fn stop(&mut self) -> Result<()> {
        self.process_mut().stop()
    }

    /// Stops it if it runs, starts it again with the same data on the same port, and waits until
    /// it is ready.
    ///
    /// # Errors
    /// If it does not stop or does not become ready; the message shows the end of its log.
    fn restart(&mut self) -> Result<()> {
        self.process_mut().restart()
    }
}

/// Keeps [`Part`] for this crate's own types.
pub trait Seal {
    /// The process of the part.
    #[doc(hidden)]
    fn process(&self) -> &Process;

    /// The process of the part.
    #[doc(hidden)]
    fn process_mut(&mut self) -> &mut Process;
}

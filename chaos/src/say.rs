//! The timeline of a round: on the terminal, and in a file for later.

use crate::look::Look;
use anyhow::Result;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// Tells of a round as it goes. Any thread may.
#[derive(Clone)]
pub(crate) struct Say(Arc<Inner>);

struct Inner {
    file: Mutex<File>,
    opening: Mutex<Instant>,
    latest: Mutex<Latest>,
}

/// What has become of the sale.
#[derive(Clone, Default)]
struct Latest {
    accepted: u64,
    look: Look,
}

// === impl Say ===

impl Say {
    /// Begins a timeline in a new file.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub(crate) fn begin(path: &Path) -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            file: Mutex::new(File::create(path)?),
            opening: Mutex::new(Instant::now()),
            latest: Mutex::default(),
        })))
    }

    /// The sale opens now.
    pub(crate) fn open(&self, opening: Instant) {
        *lock(&self.0.opening) = opening;
    }

    /// What is known of the sale by now.
    pub(crate) fn keep(&self, accepted: u64, look: Look) {
        *lock(&self.0.latest) = Latest { accepted, look };
    }

    /// Something was done, or happened.
    pub(crate) fn event(&self, what: &str) {
        let at = lock(&self.0.opening).elapsed().as_secs_f64();
        let Latest { accepted, look } = lock(&self.0.latest).clone();
        let Look { state, orders, .. } = look;
        let first = what.lines().next().unwrap_or_default();
        self.line(&format!(
            "  {at:6.1} s  {first:<60} accepted {accepted:>5}  orders {orders:>5}  {state}"
        ));
        for more in what.lines().skip(1) {
            self.line(&format!("            {more}"));
        }
    }

    /// A line.
    pub(crate) fn line(&self, line: &str) {
        // A reader that went away, or a full disk, is no reason to leave a round half-way.
        drop(writeln!(std::io::stdout(), "{line}"));
        drop(writeln!(lock(&self.0.file), "{line}"));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The folder that parts live in, and how long they live.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::clock::Clock;
use crate::disk::Disk;
use crate::home::Home;
use crate::identity::Identity;
use crate::preload::{self, Preload};

/// How long a part may take to stop when it is asked to.
pub(crate) const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// A folder with one folder a part. Parts keep the place alive, so it may be dropped before them.
#[derive(Clone, Debug)]
pub struct Place {
    inner: Arc<Inner>,
    /// What the parts are shown that are started through this handle.
    preloads: Vec<Preload>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    lifetime: Lifetime,
    /// How many parts of each name were started here.
    parts: Mutex<HashMap<String, u32>>,
}

#[derive(Debug)]
enum Lifetime {
    /// Folder and parts go when the place is dropped.
    Temporary(TempDir),
    /// The parts stop when they are dropped, the folder stays.
    Kept,
    /// Parts and folder stay, also after the end of this program.
    Detached,
}

impl Place {
    /// A new folder among the system's temporary files, deleted with the last part; after a panic
    /// it stays, and its path is printed.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn temporary(name: &str) -> Result<Self> {
        let prefix = format!("seckill-{name}-");
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir();
        let folder = folder.context("cannot make a temporary folder")?;
        Ok(Self::new(
            folder.path().to_owned(),
            Lifetime::Temporary(folder),
        ))
    }

    /// A folder that stays. The first part of a kind that is started here later finds the data, the
    /// port and the password of the first part of that kind from before, the second those of the
    /// second.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn at(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::new(make_private(path.as_ref())?, Lifetime::Kept))
    }

    /// Like [`Place::at`], and its parts go on when this program ends. Starting a part that still
    /// runs here from before leaves it as it is and returns it, which brings back what is missing.
    /// [`Place::stop_all`] ends them.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn detached(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::new(make_private(path.as_ref())?, Lifetime::Detached))
    }

    fn new(folder: PathBuf, lifetime: Lifetime) -> Self {
        let inner = Arc::new(Inner {
            folder,
            lifetime,
            parts: Mutex::default(),
        });
        Self {
            inner,
            preloads: Vec::new(),
        }
    }

    /// The same place. Parts that are started through it see this clock, over restarts too.
    #[must_use]
    pub fn with_clock(&self, clock: &Clock) -> Self {
        self.with_preload(clock.preload())
    }

    /// The same place. Parts that are started through it write to this disk, over restarts too.
    #[must_use]
    pub fn with_disk(&self, disk: &Disk) -> Self {
        self.with_preload(disk.preload())
    }

    fn with_preload(&self, preload: Preload) -> Self {
        let mut place = self.clone();
        place.preloads.push(preload);
        place
    }

    /// What the parts that are started through it have in their environment because of that.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        preload::environment(&self.preloads)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.inner.folder
    }

    /// The names of the parts that run here, whoever started them, the last started first.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn running(&self) -> Result<Vec<String>> {
        Ok(self
            .processes()?
            .into_iter()
            .map(|(name, _)| name)
            .collect())
    }

    /// Stops what runs here, whoever started it, the last started first. Returns the names.
    ///
    /// # Errors
    /// If a process must not be signalled: it belongs to another user.
    pub fn stop_all(&self) -> Result<Vec<String>> {
        let processes = self.processes()?;
        for (name, identity) in &processes {
            identity
                .end(STOP_PATIENCE)
                .with_context(|| format!("cannot stop {name}"))?;
        }
        Ok(processes.into_iter().map(|(name, _)| name).collect())
    }

    fn processes(&self) -> Result<Vec<(String, Identity)>> {
        let folder = self.path();
        let parts = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
        let mut processes = Vec::new();
        for part in parts {
            let part = part?;
            let name = part.file_name().to_string_lossy().into_owned();
            let home = Home {
                name,
                folder: part.path(),
            };
            if let Some(identity) = home.occupant() {
                processes.push((home.name, identity));
            }
        }
        processes.sort_by_key(|(_, identity)| std::cmp::Reverse(identity.started_ticks()));
        Ok(processes)
    }

    /// The home of a new part: `redis`, and for the second one `redis-2`.
    pub(crate) fn home(&self, kind: &str) -> Result<Home> {
        let mut parts = self
            .inner
            .parts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = parts.entry(kind.to_owned()).or_insert(0);
        *count += 1;
        let name = if *count == 1 {
            kind.to_owned()
        } else {
            format!("{kind}-{count}")
        };
        let folder = make_private(&self.path().join(&name))?;
        Ok(Home { name, folder })
    }

    pub(crate) fn is_detached(&self) -> bool {
        matches!(self.inner.lifetime, Lifetime::Detached)
    }

    pub(crate) fn is_temporary(&self) -> bool {
        matches!(self.inner.lifetime, Lifetime::Temporary(_))
    }
}

impl Drop for Inner {
    #[expect(clippy::print_stderr, reason = "a failed test says where the logs are")]
    fn drop(&mut self) {
        if let Lifetime::Temporary(folder) = &mut self.lifetime
            && thread::panicking()
        {
            folder.disable_cleanup(true);
            eprintln!("the logs of this test are in {}", self.folder.display());
        }
    }
}

/// Makes a folder that only we can enter: passwords are written there.
fn make_private(path: &Path) -> Result<PathBuf> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.with_context(|| format!("cannot make the folder {}", path.display()))?;
    Ok(path.canonicalize()?)
}

//! A disk that a test fills, and the library that shows it to a server.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::place::Place;
use crate::preload::{self, Preload};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/preload/disk.c");

/// What the library reads the file's path from.
const VARIABLE: &str = "SECKILL_DISK";

/// The disk of the parts that are started with it. While it is full, none of their files grows
/// (`ENOSPC`), their logs excepted. What goes through the C library's own buffers (Redis's snapshots)
/// or past the library (asynchronous writes into a file's middle) does not notice.
#[derive(Debug)]
pub struct Disk {
    /// One byte: 0 if there is room.
    file: File,
    path: PathBuf,
    library: PathBuf,
}

impl Disk {
    /// A disk with room.
    ///
    /// # Errors
    /// If the library cannot be compiled: it takes a C compiler.
    pub fn new(place: &Place) -> Result<Self> {
        let folder = place.home("disk")?.folder;
        let library = preload::compile(SOURCE, &folder)?;
        let path = folder.join("full");
        let mut options = File::options();
        let file = options.create(true).truncate(true).write(true).open(&path);
        let disk = Self {
            file: file.with_context(|| path.display().to_string())?,
            path,
            library,
        };
        disk.set_full(false)?;
        Ok(disk)
    }

    /// Fills it, or makes room.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn set_full(&self, is_full: bool) -> Result<()> {
        self.file
            .write_all_at(&[u8::from(is_full)], 0)
            .with_context(|| self.path.display().to_string())
    }

    /// The library that a program has to be started with to write to this disk.
    pub(crate) fn preload(&self) -> Preload {
        Preload {
            library: self.library.clone(),
            variable: VARIABLE,
            file: self.path.clone(),
        }
    }
}

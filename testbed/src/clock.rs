//! A clock that a test controls, and the library that shows it to a server.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::place::Place;
use crate::preload::{self, Preload};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/preload/clock.c");

/// What the library reads the file's path from.
const VARIABLE: &str = "SECKILL_CLOCK";

const US_PER_MS: u64 = 1000;

const FILE_BYTES: u64 = 16;

/// Where in the file it stands by how much the clock is wrong.
const WRONG_BY: u64 = 8;

/// The time of day of the servers that are started with it, to the millisecond. It is the real time
/// until it is set; from then on it stands still and moves when it is told to, also backwards. Time
/// that is only measured (timeouts, the server's own timers) goes on.
#[derive(Debug)]
pub struct Clock {
    /// Unix time in microseconds, or 0 for the real time; and by how many it is wrong.
    file: File,
    path: PathBuf,
    library: PathBuf,
}

impl Clock {
    /// A new clock, which shows the real time; in a kept place, the one from before.
    ///
    /// # Errors
    /// If the library cannot be compiled: it takes a C compiler.
    pub fn new(place: &Place) -> Result<Self> {
        // A folder for each clock: nobody else compiles into it at the same time.
        let folder = place.home("clock")?.folder;
        let library = preload::compile(SOURCE, &folder)?;

        let path = folder.join("now");
        let mut options = File::options();
        let file = options
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| path.display().to_string())?;
        // A new file holds zeros; one that was here before holds its time.
        file.set_len(FILE_BYTES)?;
        Ok(Self {
            file,
            path,
            library,
        })
    }

    /// Sets it to this Unix time.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn set_ms(&self, ms: u64) -> Result<()> {
        let us = ms.checked_mul(US_PER_MS);
        self.write_us(us.with_context(|| format!("{ms} ms is too late for a clock"))?)
    }

    /// Moves it, backwards if `by_ms` is negative.
    ///
    /// # Errors
    /// As for [`Clock::set_ms`], or if that would be before 1970.
    pub fn advance_ms(&self, by_ms: i64) -> Result<()> {
        let now_ms = self.now_ms()?;
        let moved = now_ms.checked_add_signed(by_ms);
        self.set_ms(moved.with_context(|| format!("no such time: {now_ms} ms {by_ms:+} ms"))?)
    }

    /// As long as it is not set: it goes on, wrong by this much; 0 puts it right.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn shift_ms(&self, by_ms: i64) -> Result<()> {
        let by_us = by_ms.checked_mul(1000);
        let by_us = by_us.with_context(|| format!("{by_ms} ms is too much for a clock"))?;
        self.write(&by_us.to_ne_bytes(), WRONG_BY)
    }

    /// The Unix time that it shows.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn now_ms(&self) -> Result<u64> {
        let (mut still_us, mut wrong_by_us) = ([0; 8], [0; 8]);
        self.file.read_exact_at(&mut still_us, 0)?;
        self.file.read_exact_at(&mut wrong_by_us, WRONG_BY)?;
        match u64::from_ne_bytes(still_us) {
            0 => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
                let shown = u64::try_from(now)?
                    .checked_add_signed(i64::from_ne_bytes(wrong_by_us))
                    .context("it shows a time before 1970")?;
                Ok(shown / US_PER_MS)
            }
            us => Ok(us / US_PER_MS),
        }
    }

    fn write_us(&self, us: u64) -> Result<()> {
        self.write(&us.to_ne_bytes(), 0)
    }

    /// One write of eight aligned bytes: who reads the file sees the old time or the new one.
    fn write(&self, bytes: &[u8; 8], place: u64) -> Result<()> {
        self.file
            .write_all_at(bytes, place)
            .with_context(|| self.path.display().to_string())
    }

    /// The library that a program has to be started with to see this clock.
    pub(crate) fn preload(&self) -> Preload {
        Preload {
            library: self.library.clone(),
            variable: VARIABLE,
            file: self.path.clone(),
        }
    }
}

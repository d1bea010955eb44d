//! The processes, and what can be done to each.

use super::servers::{RedisNode, Servers};
use super::watchdog::Watchdog;
use crate::fault::Victim;
use crate::schedule::PAIR;
use anyhow::{Context, Result};
use seckill_testbed::{Clock, Disk, MariaDb, Part};
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One process. Its methods block.
pub(crate) struct Watched {
    name: String,
    part: Arc<Mutex<dyn Part + Send>>,
    clock: Option<Clock>,
    disk: Option<Disk>,
    watchdog: Option<Watchdog>,
    /// Whether a fault wants it to be down: nobody starts it meanwhile.
    stays_down: AtomicBool,
}

/// What was found when somebody looked after a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// There was nothing to do.
    Well,
    /// It was down, and runs again.
    WasDown,
    /// It ran and did nothing; it was killed, and runs again.
    WasSilent,
}

/// All processes.
pub(crate) struct Parts {
    programs: Vec<(Victim, Arc<Watched>)>,
    redis: [Arc<Watched>; PAIR],
    /// Which Redis decides.
    primary: AtomicUsize,
    mariadb: Arc<Mutex<MariaDb>>,
}

// === impl Watched ===

impl Watched {
    pub(super) fn new(name: &impl Display, part: impl Part + Send + 'static) -> Self {
        Self::shared(name, Arc::new(Mutex::new(part)))
    }

    fn shared(name: &impl Display, part: Arc<Mutex<dyn Part + Send>>) -> Self {
        Self {
            name: name.to_string(),
            part,
            clock: None,
            disk: None,
            watchdog: None,
            stays_down: AtomicBool::new(false),
        }
    }

    pub(super) fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    pub(super) fn with_watchdog(mut self, watchdog: Watchdog) -> Self {
        self.watchdog = Some(watchdog);
        self
    }

    fn with_disk(mut self, disk: Disk) -> Self {
        self.disk = Some(disk);
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// SIGKILL, and nobody starts it until [`Watched::may_come_back`].
    pub(crate) fn kill(&self) -> Result<()> {
        self.stays_down.store(true, SeqCst);
        self.lock().kill()
    }

    /// If it dies, nobody starts it until [`Watched::may_come_back`].
    pub(crate) fn may_stay_down(&self) {
        self.stays_down.store(true, SeqCst);
    }

    /// Whoever keeps the parts alive starts it again if it is down.
    pub(crate) fn may_come_back(&self) {
        self.stays_down.store(false, SeqCst);
    }

    pub(crate) fn freeze(&self) -> Result<()> {
        self.lock().freeze()
    }

    pub(crate) fn thaw(&self) -> Result<()> {
        self.lock().thaw()
    }

    /// Stops it if it runs, starts it, and waits until it is ready.
    pub(crate) fn restart(&self) -> Result<()> {
        self.lock().restart()
    }

    /// Starts it if it has ended by itself or was killed, and ends it first if it gives no sign of
    /// life.
    pub(crate) fn keep(&self) -> Result<Kept> {
        // Somebody is busy with it: nothing for us.
        let Ok(mut part) = self.part.try_lock() else {
            return Ok(Kept::Well);
        };
        let is_running = part.is_running();
        let is_silent = self.watchdog.as_ref().is_some_and(Watchdog::is_silent);
        if self.stays_down.load(SeqCst) || (is_running && !is_silent) {
            return Ok(Kept::Well);
        }
        if is_running {
            part.kill()?;
        }
        part.restart()?;
        if let Some(watchdog) = &self.watchdog {
            watchdog.begin();
        }
        Ok(if is_running {
            Kept::WasSilent
        } else {
            Kept::WasDown
        })
    }

    /// Its wall clock is wrong by so much.
    pub(crate) fn shift_clock(&self, by_ms: i64) -> Result<()> {
        let clock = self.clock.as_ref();
        clock
            .with_context(|| format!("{} has no clock", self.name))?
            .shift_ms(by_ms)
    }

    pub(crate) fn fill_disk(&self, is_full: bool) -> Result<()> {
        let disk = self.disk.as_ref();
        disk.with_context(|| format!("{} has no disk", self.name))?
            .set_full(is_full)
    }

    fn lock(&self) -> MutexGuard<'_, dyn Part + Send + 'static> {
        self.part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Parts ===

impl Parts {
    pub(super) fn new(mut programs: Vec<(Victim, Arc<Watched>)>, servers: Servers) -> Self {
        let mariadb = Arc::new(Mutex::new(servers.mariadb));
        let watched: Arc<Mutex<dyn Part + Send>> = mariadb.clone();
        let watched = Watched::shared(&"mariadb", watched).with_disk(servers.mariadb_disk);
        programs.push((Victim::MariaDb, Arc::new(watched)));
        let kafka = Watched::new(&"kafka", servers.kafka).with_disk(servers.kafka_disk);
        programs.push((Victim::Kafka, Arc::new(kafka)));
        let [one, other] = servers.redis;
        let redis = |name: &str, node: RedisNode| {
            let watched = Watched::new(&name, node.server);
            Arc::new(watched.with_clock(node.clock).with_disk(node.disk))
        };
        Self {
            programs,
            redis: [redis("redis 1", one), redis("redis 2", other)],
            primary: AtomicUsize::new(0),
            mariadb,
        }
    }

    /// Which Redis decides: its number.
    pub(crate) fn primary(&self) -> usize {
        self.primary.load(SeqCst)
    }

    /// The other one's.
    pub(crate) fn replica(&self) -> usize {
        PAIR - 1 - self.primary()
    }

    /// They change places.
    pub(crate) fn promote(&self) {
        self.primary.store(self.replica(), SeqCst);
    }

    /// One of them, as it stands now.
    pub(crate) fn part(&self, victim: Victim) -> Result<Arc<Watched>> {
        let redis = |number| self.redis.get::<usize>(number);
        let part = match victim {
            Victim::Primary => redis(self.primary()),
            Victim::Replica => redis(self.replica()),
            _ => {
                let mut named = self.programs.iter().filter(|(name, _)| *name == victim);
                named.next().map(|(_, part)| part)
            }
        };
        part.cloned()
            .with_context(|| format!("there is no {victim}"))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Watched>> {
        let programs = self.programs.iter().map(|(_, part)| part);
        programs.chain(&self.redis)
    }

    /// MariaDB takes writes, or refuses them. Blocks.
    pub(crate) fn set_read_only(&self, is_read_only: bool) -> Result<()> {
        let sql = format!("SET GLOBAL read_only = {}", u8::from(is_read_only));
        let mariadb = self.mariadb.lock().unwrap_or_else(PoisonError::into_inner);
        mariadb.query(&sql).map(drop)
    }

    /// Ends all at once; what they have on disk is not needed any more.
    pub(crate) fn kill_all(&self) -> Result<()> {
        self.all().try_for_each(|part| part.kill())
    }
}

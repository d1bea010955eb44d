//! Whatever dies is started again, with the same data on the same port.

use crate::name::Name;
use crate::say::Say;
use crate::stage::Running;
use anyhow::Result;
use seckill_load::text;
use seckill_testbed::Part;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often a part is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The pause after a start that failed: what the part needs may be down as well.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Watches over running parts, each in a thread of its own.
pub(crate) struct Supervisor {
    parts: Vec<Watched>,
    threads: Vec<JoinHandle<()>>,
    over: Arc<AtomicBool>,
}

#[derive(Clone)]
struct Watched {
    name: Name,
    /// How long it stays away when it was killed.
    away: Duration,
    part: Arc<Mutex<Box<dyn Part + Send>>>,
}

// === impl Supervisor ===

impl Supervisor {
    /// Begins to watch. Redis stays away for a moment, where a replica is to take over.
    pub(crate) fn watch(parts: Vec<Running>, redis_away: Duration, say: &Say) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let parts: Vec<_> = parts
            .into_iter()
            .map(|(name, part)| Watched {
                name,
                away: if name == Name::Redis {
                    redis_away
                } else {
                    Duration::ZERO
                },
                part: Arc::new(Mutex::new(part)),
            })
            .collect();
        let threads = parts.iter().map(|watched| {
            let (watched, over, say) = (watched.clone(), Arc::clone(&over), say.clone());
            thread::spawn(move || watched.watch(&over, &say))
        });
        Self {
            threads: threads.collect(),
            parts,
            over,
        }
    }

    /// Ends a part at once, as a loss of power would; of several the first.
    pub(crate) fn kill(&self, name: Name) -> Result<()> {
        let mut named = self.parts.iter().filter(|watched| watched.name == name);
        named.next().map_or(Ok(()), |watched| watched.lock().kill())
    }

    /// Stops watching, and then the parts.
    pub(crate) fn stop(self) -> Result<()> {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            // A thread that broke off watches no longer, which is what is wanted here.
            drop(thread.join());
        }
        self.parts
            .iter()
            .try_for_each(|watched| watched.lock().stop())
    }
}

// === impl Watched ===

impl Watched {
    fn lock(&self) -> MutexGuard<'_, Box<dyn Part + Send>> {
        self.part.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, over: &AtomicBool, say: &Say) {
        while !over.load(Ordering::Relaxed) {
            if !self.lock().is_running() {
                self.bring_back(over, say);
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn bring_back(&self, over: &AtomicBool, say: &Say) {
        let gone = Instant::now();
        let name = self.name;
        while gone.elapsed() < self.away && !over.load(Ordering::Relaxed) {
            thread::sleep(LOOK_EVERY);
        }
        while !over.load(Ordering::Relaxed) {
            match self.lock().restart() {
                Ok(()) => {
                    let after = text::span(gone.elapsed());
                    return say.line(format!("  {name} was killed: back after {after}"));
                }
                Err(error) => say.line(format!("  {name} does not come back yet: {error:#}")),
            }
            thread::sleep(RETRY_AFTER);
        }
    }
}

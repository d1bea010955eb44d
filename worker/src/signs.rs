//! Signs of life of the parts that must never hang.

use crate::standing::Need;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How long a part may be silent. The longest it waits for a server that does not answer is 35 s.
const SILENT_MAX: Duration = Duration::from_secs(60);

/// The parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Looks for sales.
    Relay,
    /// Writes orders.
    Writer,
    /// Polls the topic.
    Consumer,
}

/// When each part gave its last sign.
#[derive(Debug)]
pub(crate) struct Signs {
    began: Instant,
    /// In milliseconds since then, and 0 before the first.
    last: [AtomicU64; Part::ALL.len()],
}

// === impl Part ===

impl Part {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Relay, Self::Writer, Self::Consumer];

    /// How it is called in a label.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Writer => "writer",
            Self::Consumer => "consumer",
        }
    }

    /// For what it waits, however long.
    const fn waits_for(self) -> &'static [Need] {
        match self {
            Self::Relay => &[Need::Redis],
            Self::Writer => &[Need::Mysql, Need::Kafka],
            Self::Consumer => &[],
        }
    }

    /// Whether it hangs: it is silent, and nothing that it waits for is missing.
    fn hangs(self, silent: Duration, is_missing: impl Fn(Need) -> bool) -> bool {
        silent > SILENT_MAX && !self.waits_for().iter().any(|need| is_missing(*need))
    }
}

// === impl Signs ===

impl Signs {
    /// No part is there yet.
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            last: Default::default(),
        }
    }

    /// A part is alive.
    pub(crate) fn of_life(&self, part: Part) {
        if let Some(last) = self.last.get(part as usize) {
            last.store(self.now_ms(), Relaxed);
        }
    }

    /// How long a part has been silent, if it is there.
    pub(crate) fn silent(&self, part: Part) -> Option<Duration> {
        let last = self.last.get(part as usize)?.load(Relaxed);
        (last > 0).then(|| Duration::from_millis(self.now_ms().saturating_sub(last)))
    }

    /// The parts that hang.
    pub(crate) fn hanging(&self, is_missing: impl Fn(Need) -> bool) -> Vec<Part> {
        let hangs = |part: &Part| {
            let silent = self.silent(*part);
            silent.is_some_and(|silent| part.hangs(silent, &is_missing))
        };
        Part::ALL.into_iter().filter(hangs).collect()
    }

    fn now_ms(&self) -> u64 {
        let since = self.began.elapsed().as_millis();
        u64::try_from(since).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_part_hangs_unless_it_waits_for_a_server() {
        let long = SILENT_MAX * 2;
        let nothing = |_| false;
        assert!(Part::Writer.hangs(long, nothing));
        assert!(!Part::Writer.hangs(SILENT_MAX, nothing));
        assert!(!Part::Writer.hangs(long, |need| need == Need::Mysql));
        assert!(Part::Writer.hangs(long, |need| need == Need::Redis));
        assert!(Part::Consumer.hangs(long, |need| need == Need::Kafka));
    }

    #[test]
    fn a_part_counts_from_its_first_sign() {
        let signs = Signs::new();
        assert_eq!(signs.silent(Part::Consumer), None);
        signs.of_life(Part::Consumer);
        assert!(signs.silent(Part::Consumer) < Some(SILENT_MAX));
        assert_eq!(signs.hanging(|_| false), []);
    }
}

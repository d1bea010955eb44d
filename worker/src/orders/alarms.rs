//! Alarms that last: raised at once, repeated while nobody mends the cause, cleared when it is gone.

use std::collections::HashMap;
use std::time::{Duration, Instant};
use tracing::{error, warn};

/// How often an alarm is raised again while nobody mends its cause.
const REPEAT: Duration = Duration::from_secs(60);

/// How long a cause that may end by itself has for that.
const GRACE: Duration = Duration::from_secs(5);

/// The alarms that last, at most one a sale. Only for the log: whether a sale may go on is decided
/// anew from MySQL's cursor each time.
#[derive(Debug, Default)]
pub(crate) struct Alarms(HashMap<String, Raised>);

/// An alarm, and when it may be raised next.
#[derive(Clone, Debug)]
struct Raised {
    kind: &'static str,
    cause: String,
    next: Instant,
    /// It may end by itself and was not raised yet.
    foreseen: bool,
}

// === impl Alarms ===

impl Alarms {
    /// Raises an alarm, unless the same one was raised a moment ago.
    pub(crate) fn raise(&mut self, sid: &str, kind: &'static str, cause: &str) {
        let raised = self.note(sid, kind, cause);
        if raised.next <= Instant::now() {
            raised.raise(sid);
        }
    }

    /// Raises an alarm that concerns every sale.
    pub(crate) fn raise_for_all(&mut self, kind: &'static str, cause: &str) {
        self.raise("", kind, cause);
    }

    /// Notes what may end by itself: it has a moment for that. If there is an alarm already, this
    /// only follows from it, and that one is repeated instead.
    pub(crate) fn foresee(&mut self, sid: &str, kind: &'static str, cause: &str) {
        if let Some(Raised { kind, cause, .. }) = self.0.get(sid).cloned() {
            self.raise(sid, kind, &cause);
            return;
        }
        warn!("sale {sid} {cause}");
        let noted = self.note(sid, kind, cause);
        noted.next += GRACE;
        noted.foreseen = true;
    }

    /// Raises what was foreseen and has not ended in time.
    pub(crate) fn raise_foreseen(&mut self) {
        let now = Instant::now();
        for (sid, noted) in &mut self.0 {
            if noted.foreseen && noted.next <= now {
                noted.raise(sid);
            }
        }
    }

    /// How long until something foreseen is to be raised, if there is anything.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let foreseen = self.0.values().filter(|raised| raised.foreseen);
        let next = foreseen.map(|raised| raised.next).min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// Nothing concerns every sale any more.
    pub(crate) fn clear_for_all(&mut self) {
        self.0.remove("");
    }

    /// The cause is gone. Returns whether there was an alarm.
    pub(crate) fn clear(&mut self, sid: &str) -> bool {
        self.0.remove(sid).is_some()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The alarm of this cause; a new one may be raised now.
    fn note(&mut self, sid: &str, kind: &'static str, cause: &str) -> &mut Raised {
        let new = || Raised {
            kind,
            cause: cause.to_owned(),
            next: Instant::now(),
            foreseen: false,
        };
        let raised = self.0.entry(sid.to_owned()).or_insert_with(new);
        if raised.cause != cause {
            *raised = new();
        }
        raised
    }
}

// === impl Raised ===

impl Raised {
    fn raise(&mut self, sid: &str) {
        self.next = Instant::now() + REPEAT;
        self.foreseen = false;
        let Self { kind, cause, .. } = &*self;
        if sid.is_empty() {
            error!(kind, "ALARM: {cause}");
        } else {
            error!(kind, sale = sid, "ALARM: sale {sid} {cause}");
        }
    }
}

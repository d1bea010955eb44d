//! Alarms that last: raised at once, repeated while nobody mends the cause, cleared when it is gone.

use std::collections::HashMap;
use std::time::{Duration, Instant};
use tracing::error;

/// How often an alarm is raised again while nobody mends its cause.
const REPEAT: Duration = Duration::from_secs(60);

/// The alarms that last, at most one a sale. Only for the log: whether a sale may go on is decided
/// anew from MySQL's cursor each time.
#[derive(Debug, Default)]
pub(crate) struct Alarms(HashMap<String, Raised>);

/// An alarm, and when it was raised last.
#[derive(Clone, Debug)]
struct Raised {
    kind: &'static str,
    cause: String,
    at: Instant,
}

// === impl Alarms ===

impl Alarms {
    /// Raises an alarm, unless the same one was raised a moment ago.
    ///
    /// `follows`: the cause may only be a consequence of an earlier one, which is the one to mend.
    pub(crate) fn raise(&mut self, sid: &str, kind: &'static str, cause: &str, follows: bool) {
        if let Some(Raised { kind, cause, .. }) = self.due(sid, kind, cause, follows) {
            error!(kind, sale = sid, "ALARM: sale {sid} {cause}");
        }
    }

    /// Raises an alarm that concerns every sale.
    pub(crate) fn raise_for_all(&mut self, kind: &'static str, cause: &str) {
        if let Some(Raised { kind, cause, .. }) = self.due("", kind, cause, false) {
            error!(kind, "ALARM: {cause}");
        }
    }

    /// What is to be said now, if anything.
    fn due(
        &mut self,
        subject: &str,
        kind: &'static str,
        cause: &str,
        follows: bool,
    ) -> Option<&Raised> {
        let now = Instant::now();
        let (kind, cause) = match self.0.get(subject) {
            Some(first) if follows || first.cause == cause => {
                if now.duration_since(first.at) < REPEAT {
                    return None;
                }
                (first.kind, first.cause.clone())
            }
            _ => (kind, cause.to_owned()),
        };
        let at = now;
        self.0
            .insert(subject.to_owned(), Raised { kind, cause, at });
        self.0.get(subject)
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
}

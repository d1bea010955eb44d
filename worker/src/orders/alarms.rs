//! Alarms that last: raised at once, repeated while nobody mends the cause, cleared when it is gone.

use std::collections::HashMap;
use std::time::{Duration, Instant};
use tracing::error;

/// How often an alarm is raised again while nobody mends its cause.
const REPEAT: Duration = Duration::from_secs(60);

/// The alarms that last, at most one a sale. Only for the log: whether a sale may go on is decided
/// anew from MySQL's cursor each time.
#[derive(Debug, Default)]
pub(crate) struct Alarms(HashMap<String, (String, Instant)>);

// === impl Alarms ===

impl Alarms {
    /// Raises an alarm, unless the same one was raised a moment ago.
    ///
    /// `follows`: the cause may only be a consequence of an earlier one, which is the one to mend.
    pub(crate) fn raise(&mut self, sid: &str, cause: &str, follows: bool) {
        let now = Instant::now();
        let cause = match self.0.get(sid) {
            Some((first, raised)) if follows || first == cause => {
                if now.duration_since(*raised) < REPEAT {
                    return;
                }
                first.clone()
            }
            _ => cause.to_owned(),
        };
        error!("ALARM: sale {sid} {cause}");
        self.0.insert(sid.to_owned(), (cause, now));
    }

    /// The cause is gone. Returns whether there was an alarm.
    pub(crate) fn clear(&mut self, sid: &str) -> bool {
        self.0.remove(sid).is_some()
    }
}

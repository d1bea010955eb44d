//! How it stands with Redis, for the log: a line when that changes, and not for every request.

use crate::refusal::Refusal;
use crate::throttle::Throttle;
use std::fmt::Display;
use std::sync::atomic::{AtomicU8, Ordering};
use tracing::{info, warn};

/// How it stands with Redis.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// What it is called.
    name: String,
    now: AtomicU8,
    /// Changes are few, unless they come by the hundred.
    away: Throttle,
    refused: [Throttle; Refusal::COUNT],
    decided: Throttle,
}

/// States as numbers; from [`REFUSES`] on, one for each refusal.
const UNKNOWN: u8 = 0;
const DECIDES: u8 = 1;
const AWAY: u8 = 2;
const REFUSES: u8 = 3;

// === impl Standing ===

impl Standing {
    /// Nothing is known yet of the server that the log calls so.
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    /// A question was decided.
    pub(crate) fn decides(&self) {
        if let Some(before) = self.change(DECIDES)
            && before != UNKNOWN
            && let Some(skipped) = self.decided.pass()
        {
            let name = &self.name;
            info!(skipped, "{name} decides again");
        }
    }

    /// A question was refused.
    pub(crate) fn refuses(&self, refusal: Refusal) {
        if self.change(REFUSES + refusal as u8).is_some()
            && let Some(throttle) = self.refused.get(usize::from(refusal as u8))
            && let Some(skipped) = throttle.pass()
        {
            let (name, reason) = (&self.name, refusal.words());
            warn!(
                skipped,
                "{name} decides nothing: {reason}; buyers are told to try again"
            );
        }
    }

    /// There is no connection, or no answer on it.
    pub(crate) fn is_away(&self, reason: &dyn Display) {
        if self.change(AWAY).is_some()
            && let Some(skipped) = self.away.pass()
        {
            let name = &self.name;
            warn!(
                skipped,
                "{name} is away ({reason}); buyers are told to try again"
            );
        }
    }

    /// Why nothing is decided, as far as is known.
    pub(crate) fn trouble(&self) -> Option<&'static str> {
        match self.now.load(Ordering::Relaxed) {
            UNKNOWN | DECIDES => None,
            AWAY => Some("there is no connection to it, or no answer"),
            refuses => Refusal::ALL
                .get(usize::from(refuses.saturating_sub(REFUSES)))
                // One sale may be elsewhere, and the others here.
                .filter(|&&refusal| refusal != Refusal::Elsewhere)
                .map(|refusal| refusal.words()),
        }
    }

    /// Returns what was before, if that was something else.
    fn change(&self, to: u8) -> Option<u8> {
        // Nearly always nothing has changed, and every thread passes here.
        if self.now.load(Ordering::Relaxed) == to {
            return None;
        }
        let before = self.now.swap(to, Ordering::Relaxed);
        (before != to).then_some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_news_once() {
        let standing = Standing::default();
        assert_eq!(standing.change(AWAY), Some(UNKNOWN));
        assert_eq!(standing.change(AWAY), None);
        let full = REFUSES + Refusal::OutOfMemory as u8;
        assert_eq!(standing.change(full), Some(AWAY));
        assert_eq!(standing.change(full), None);
        assert_eq!(standing.change(DECIDES), Some(full));
    }

    #[test]
    fn the_trouble_is_told_by_its_name_and_one_sale_elsewhere_is_none() {
        let standing = Standing::default();
        assert_eq!(standing.trouble(), None);
        standing.is_away(&"gone");
        assert!(standing.trouble().is_some());
        for refusal in Refusal::ALL {
            standing.refuses(refusal);
            let expected = (refusal != Refusal::Elsewhere).then_some(refusal.words());
            assert_eq!(standing.trouble(), expected);
        }
        standing.decides();
        assert_eq!(standing.trouble(), None);
    }
}

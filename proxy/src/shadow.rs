//! What would have become of the buys of a route that only looks on.
//!
//! The shop serves them as if the proxy were not there, and waits for nothing: the module is asked
//! on the side, and what it says is counted.

use crate::buy;
use crate::desk::Asked;
use crate::gate::Gate;
use crate::problem::{Problem, rejection};
use crate::site::Site;
use seckill_protocol::Verdict;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts what would have been answered, by its code.
#[derive(Debug, Default)]
pub(crate) struct Shadows(Mutex<BTreeMap<&'static str, u64>>);

// === impl Shadows ===

impl Shadows {
    /// Asks what would become of this buy, and does not wait for the answer.
    pub(crate) fn watch(
        self: &Arc<Self>,
        gate: &Arc<Gate>,
        site: &Site,
        asked: &Asked<'_>,
        sid: &str,
    ) {
        let wanted = site
            .clients
            .admit(asked.peer, asked.headers)
            .and_then(|()| site.buyers.buying(asked.peer, asked.headers))
            .and_then(|uid| Ok((uid, buy::quantity(asked.query)?, buy::token(asked.headers)?)));
        let (uid, qty, token) = match wanted {
            Ok(wanted) => wanted,
            Err(problem) => return self.count(problem.code()),
        };
        let token = token.map(<[u8]>::to_vec);
        let (shadows, gate, sid) = (Arc::clone(self), Arc::clone(gate), sid.to_owned());
        tokio::spawn(async move {
            let verdict = gate.try_for(&sid, &uid, qty, token.as_deref()).await;
            shadows.count(match verdict {
                Ok(Verdict::Duplicate(_)) => "duplicate",
                Ok(verdict) => rejection(verdict).map_or("accepted", Problem::code),
                Err(problem) => problem.code(),
            });
        });
    }

    /// How often each was counted.
    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(&code, &count)| (code, count)).collect()
    }

    fn count(&self, code: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(code).or_default();
        *count = count.saturating_add(1);
    }
}

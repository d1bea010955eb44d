//! What would have become of the buys of a route that only looks on.
//!
//! The shop serves them as if the proxy were not there, and waits for nothing: the module is asked
//! on the side, and what it says is counted.

use crate::buy::{self, Wanted};
use crate::code::Code;
use crate::counters::Counters;
use crate::desk::Asked;
use crate::gate::Gate;
use crate::ledger::Notes;
use crate::site::Site;
use std::sync::Arc;

/// Counts what would have been answered, by its code.
pub(crate) struct Shadows(Arc<Counters>);

// === impl Shadows ===

impl Shadows {
    /// Counts in `counters`.
    pub(crate) const fn new(counters: Arc<Counters>) -> Self {
        Self(counters)
    }

    /// Asks what would become of this buy, and does not wait for the answer.
    pub(crate) fn watch(&self, gate: &Arc<Gate>, site: &Site, asked: &Asked<'_>, sid: &str) {
        let Wanted { uid, qty, token } = match buy::wanted(site, asked) {
            Ok(wanted) => wanted,
            Err(problem) => return self.0.shadowed(problem.into()),
        };
        let token = token.map(<[u8]>::to_vec);
        let (counters, gate, sid) = (Arc::clone(&self.0), Arc::clone(gate), sid.to_owned());
        tokio::spawn(async move {
            let mut notes = Notes::new();
            let asked = gate.try_for(&sid, &uid, qty, token.as_deref(), &mut notes);
            counters.shadowed(asked.await.map_or_else(Code::from, Code::from));
        });
    }
}

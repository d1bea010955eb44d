//! What one request has tried with the shop, and what may be tried after a failure.
//!
//! While nothing was sent, any request may go on to the next address. What was sent is sent again
//! only if that does no harm: never a purchase.

use crate::shop::address::Address;
use pingora_core::{Error, ErrorSource, ErrorType};
use std::sync::Arc;

/// How many addresses one request tries to connect to.
const ATTEMPTS_MAX: usize = 3;

/// What one request has tried.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// Could not be connected to.
    tried: Vec<Arc<Address>>,
    current: Option<UnderWay>,
    /// Whether a connection that was kept turned out to be closed.
    stale: bool,
}

/// Counted among the requests of an address until it is dropped.
#[derive(Debug)]
struct UnderWay(Arc<Address>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.end();
    }
}

// === impl Attempts ===

impl Attempts {
    pub(super) fn has_tried(&self, address: &Arc<Address>) -> bool {
        self.tried
            .iter()
            .any(|tried| tried.address == address.address)
    }

    /// Whether the next connection has to be a new one.
    pub(super) const fn was_stale(&self) -> bool {
        self.stale
    }

    pub(super) fn begin(&mut self, address: Arc<Address>) {
        // The one before is over first, also in the count.
        self.current = None;
        address.begin();
        self.current = Some(UnderWay(address));
    }

    /// What is asked at the moment.
    pub(super) fn current(&self) -> Option<&Address> {
        self.current.as_ref().map(|current| &*current.0)
    }

    /// Whether another may be tried.
    pub(super) fn not_connected(&mut self, error: &Error) -> bool {
        let Some(current) = self.current.take() else {
            return false;
        };
        // Want of sockets is this machine's fault.
        if !matches!(
            error.etype(),
            ErrorType::InternalError | ErrorType::SocketError | ErrorType::BindError
        ) {
            current.0.failed(error);
        }
        self.tried.push(Arc::clone(&current.0));
        self.tried.len() < ATTEMPTS_MAX
    }

    /// The shop answers.
    pub(crate) fn answered(&self) {
        if let Some(current) = &self.current {
            current.0.answered();
        }
    }

    /// A connection failed after it was there; `kept` if it had been used before, `sent` if the
    /// client had sent his whole request. Whether it may have been closed before it was used.
    pub(crate) fn broken(&mut self, error: &Error, kept: bool, sent: bool) -> bool {
        if error.esource() != &ErrorSource::Upstream {
            return false;
        }
        let (closed, late) = match error.etype() {
            ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError => {
                (true, false)
            }
            ErrorType::ReadTimedout | ErrorType::WriteTimedout => (false, true),
            _ => (false, false),
        };
        // A server may close a connection that rests; this says nothing about it.
        self.stale |= kept && closed;
        // And whoever waits for the rest of a request is not late.
        let at_fault = closed && !kept || late && sent;
        if let Some(current) = self.current.as_ref().filter(|_| at_fault) {
            current.0.failed(error);
        }
        kept && closed
    }
}

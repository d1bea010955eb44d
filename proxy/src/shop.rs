//! The shop behind the proxy: where it is, and how long it may take.

use crate::callback::CallbackTable;
use crate::config::Mistakes;
use crate::sign::SigningTable;
use http::Method;
use pingora_core::upstreams::peer::HttpPeer;
use serde::Deserialize;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// For the connection, for one read, for one write, and for how long an idle connection is kept.
/// The last is below what common servers keep theirs, so that it is rarely they who close first.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// `[shop]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShopTable {
    upstream: String,
    /// Checked by its own file.
    pub(crate) signing: Option<SigningTable>,
    /// Checked by its own file.
    pub(crate) callback: Option<CallbackTable>,
}

/// The shop.
pub(crate) struct Shop {
    peer: HttpPeer,
    /// Numbers the connections that are used once.
    once: AtomicU64,
}

// === impl Shop ===

impl Shop {
    /// Checks the table.
    pub(crate) fn new(table: &ShopTable, mistakes: &mut Mistakes) -> Option<Self> {
        let address = mistakes.note(upstream(&table.upstream))?;
        let mut peer = HttpPeer::new(address, false, String::new());
        peer.options.connection_timeout = Some(CONNECT_TIMEOUT);
        peer.options.total_connection_timeout = Some(CONNECT_TIMEOUT);
        peer.options.read_timeout = Some(READ_TIMEOUT);
        peer.options.write_timeout = Some(WRITE_TIMEOUT);
        peer.options.idle_timeout = Some(IDLE_TIMEOUT);
        Some(Self {
            peer,
            once: AtomicU64::new(0),
        })
    }

    /// Whom to ask a request of this method.
    pub(crate) fn peer(&self, method: &Method) -> Box<HttpPeer> {
        let mut peer = Box::new(self.peer.clone());
        if must_not_repeat(method) {
            // Connections are kept by this key; no other request has the same.
            peer.group_key = self.once.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        }
        peer
    }

    /// Where it is.
    pub(crate) fn address(&self) -> String {
        self.peer._address.to_string()
    }
}

/// A request that must not be repeated gets a connection of its own: one that was kept could have
/// been closed by the shop this very moment, and then nobody knows whether it was carried out.
pub(crate) fn must_not_repeat(method: &Method) -> bool {
    !method.is_idempotent()
}

/// A name is resolved here, once: a lookup while buyers wait would stop a whole thread.
fn upstream(text: &str) -> Result<SocketAddr, String> {
    let expected = "expected host:port, for example \"127.0.0.1:8000\"";
    text.to_socket_addrs()
        .map_err(|error| format!("shop.upstream: {expected}, not {text:?} ({error})"))?
        .next()
        .ok_or_else(|| format!("shop.upstream: {expected}; {text:?} has no address"))
}

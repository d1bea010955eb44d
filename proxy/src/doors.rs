//! The start of the service: Redis is called when the doors open, not when the first buyer asks.
//!
//! The connection lives where the buyers are served, so that an answer of Redis need not wake
//! another runtime first.

use crate::front::Front;
use crate::gate::Gate;
use async_trait::async_trait;
use pingora_core::listeners::ListenerConfig;
use pingora_core::protocols::l4::stream::L4BufferSettings;
use pingora_core::server::{ListenFds, ShutdownWatch};
use pingora_core::services::Service;
use pingora_core::services::listening;
use std::net::SocketAddr;
use std::sync::Arc;

/// The listening service, and the gate that it opens with.
pub(crate) struct Doors {
    listening: listening::Service<Front>,
    gate: Arc<Gate>,
}

// === impl Doors ===

impl Doors {
    /// Lets buyers in to `front` through `address`.
    pub(crate) fn new(address: SocketAddr, front: Front, gate: Arc<Gate>) -> Self {
        let mut listening = listening::Service::new("buyers".to_owned(), front);
        listening.add_listener(
            // Heads are read into buffers of their own; another 64 KiB a connection would be read
            // into by nobody.
            ListenerConfig::tcp(address.to_string()).l4_buffer(L4BufferSettings::default().read(0)),
        );
        Self { listening, gate }
    }
}

#[async_trait]
impl Service for Doors {
    async fn start_service(
        &mut self,
        sockets: Option<ListenFds>,
        shutdown: ShutdownWatch,
        listeners_per_socket: usize,
    ) {
        self.gate.open();
        Service::start_service(&mut self.listening, sockets, shutdown, listeners_per_socket).await;
    }

    fn name(&self) -> &str {
        Service::name(&self.listening)
    }

    fn listen_addresses(&self) -> Option<Vec<String>> {
        Service::listen_addresses(&self.listening)
    }
}

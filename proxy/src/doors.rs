//! The start of the service: Redis is called when the doors open, not when the first buyer asks.
//!
//! The connection lives where the buyers are served, so that an answer of Redis need not wake
//! another runtime first.

use crate::closing::Closing;
use crate::front::Front;
use crate::gate::Gate;
use crate::systemd;
use crate::upgrade::Inheritance;
use async_trait::async_trait;
use pingora_core::listeners::ListenerConfig;
use pingora_core::protocols::l4::stream::L4BufferSettings;
use pingora_core::server::{ListenFds, ShutdownWatch};
use pingora_core::services::Service;
use pingora_core::services::listening;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// How long a process that replaces another waits for Redis before it takes buyers: as long as the
/// other one serves, there is no hurry.
const REDIS_PATIENCE: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The listening services, http and perhaps https, and the gate that they open with.
pub(crate) struct Doors {
    http: listening::Service<Front>,
    https: Option<listening::Service<Front>>,
    /// What they listen on.
    sockets: ListenFds,
    gate: Arc<Gate>,
    closing: Arc<Closing>,
    inheritance: Option<Inheritance>,
}

// === impl Doors ===

impl Doors {
    /// Lets buyers in to the first front, and by https to the second, until `closing`. The process
    /// that left an inheritance is told when that has begun.
    pub(crate) fn new(
        http: (SocketAddr, Front),
        https: Option<(SocketAddr, Front)>,
        sockets: ListenFds,
        gate: Arc<Gate>,
        closing: Arc<Closing>,
        inheritance: Option<Inheritance>,
    ) -> Self {
        Self {
            http: service("http", http),
            https: https.map(|https| service("https", https)),
            sockets,
            gate,
            closing,
            inheritance,
        }
    }
}

fn service(name: &str, (address, front): (SocketAddr, Front)) -> listening::Service<Front> {
    let mut listening = listening::Service::new(name.to_owned(), front);
    listening.add_listener(
        // Heads are read into buffers of their own; another 64 KiB a connection would be read
        // into by nobody.
        ListenerConfig::tcp(address.to_string()).l4_buffer(L4BufferSettings::default().read(0)),
    );
    listening
}

#[async_trait]
impl Service for Doors {
    /// Pingora's own word comes when all is over: the doors close before that.
    async fn start_service(
        &mut self,
        _: Option<ListenFds>,
        _: ShutdownWatch,
        listeners_per_socket: usize,
    ) {
        self.gate.open();
        let inheritance = self.inheritance.take();
        if inheritance.is_some() {
            let connected = async {
                while !self.gate.is_connected() {
                    sleep(LOOK_EVERY).await;
                }
            };
            // If Redis is away, it is for the other process, too.
            let _ = tokio::time::timeout(REDIS_PATIENCE, connected).await;
        }
        let closed = self.closing.watch();
        let open = |service| {
            Service::start_service(
                service,
                Some(Arc::clone(&self.sockets)),
                closed.clone(),
                listeners_per_socket,
            )
        };
        let https = async {
            if let Some(https) = &mut self.https {
                open(https).await;
            }
        };
        let told = async {
            // A word of a few bytes, at the other end somebody who waits for it.
            let telling = tokio::task::spawn_blocking(move || {
                systemd::serves();
                inheritance.as_ref().map(Inheritance::serves);
            });
            let _ = telling.await;
        };
        tokio::join!(open(&mut self.http), https, told);
    }

    fn name(&self) -> &str {
        "buyers"
    }

    fn listen_addresses(&self) -> Option<Vec<String>> {
        let https = self.https.as_ref().and_then(Service::listen_addresses);
        let http = Service::listen_addresses(&self.http)?;
        Some(http.into_iter().chain(https.unwrap_or_default()).collect())
    }
}

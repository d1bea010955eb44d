//! A wire between two parts: a TCP proxy that can be told to fail in the ways in which networks do.
//!
//! * `flow`: what happens to the bytes of one direction
//! * `connection`: one connection, both directions, and how it ends

mod connection;
mod flow;
#[cfg(test)]
mod tests;

use connection::Connection;
use flow::State;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Listens on an address of its own and passes on to its target what is said there. It ends, with
/// its connections, when it is dropped.
pub(crate) struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// What a wire can do to those who use it. Each lasts until [`Wire::heal`], [`Trouble::Cut`]
/// excepted, which is over at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// Every connection is reset, and every new one as soon as it is there.
    Refuse,
    /// Every connection is reset; new ones are welcome.
    Cut,
    /// What is said arrives late, in both directions.
    Delay(Duration),
    /// Nothing arrives. When it is over, everything arrives, as after a short partition.
    Hold,
    /// What is asked is lost, and the connection with it when it is over.
    SwallowQuestions,
    /// What is asked arrives; the answer is lost, and the connection with it when it is over.
    SwallowAnswers,
}

struct Shared {
    target: Mutex<Option<SocketAddr>>,
    state: watch::Sender<State>,
}

// === impl Wire ===

impl Wire {
    /// A wire to nowhere, whose connections are reset until it gets a target.
    ///
    /// # Errors
    /// If no port is free.
    pub(crate) async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target: Mutex::new(None),
            state: watch::Sender::new(State::default()),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            accepting,
        })
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where it listens, `host:port`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// New connections lead to this port of this machine from now on. Those that are there stay
    /// with whom they have, as they do when an address moves.
    pub(crate) fn lead_to(&self, port: u16) {
        let mut target = self
            .shared
            .target
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *target = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }

    /// Begins a trouble; one that lasts takes the place of the one before.
    pub(crate) fn trouble(&self, trouble: Trouble) {
        self.shared.state.send_modify(|state| state.suffer(trouble));
    }

    /// Ends what lasts.
    pub(crate) fn heal(&self) {
        self.shared.state.send_modify(State::heal);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
        self.trouble(Trouble::Refuse);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => drop(tokio::spawn(serve(client, Arc::clone(&shared)))),
            // No descriptor is free, or the client has gone already.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let state = shared.state.subscribe();
    let target = *shared.target.lock().unwrap_or_else(PoisonError::into_inner);
    // A wire that was dropped refuses, and its state with it: nobody waits for a change for ever.
    drop(shared);
    if let Some(target) = target.filter(|_| !state.borrow().refuses)
        && let Ok(server) = TcpStream::connect(target).await
    {
        Connection::new(client, server).run(state).await;
    } else {
        connection::reset(&client);
    }
}

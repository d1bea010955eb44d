//! The listening sockets: made here, before anything else starts, so that an address that is taken is
//! a reason to tell and not a panic; and kept, so that they can be handed to the next process.

use anyhow::Context;
use pingora_core::server::{Fds, ListenFds};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::sync::{Arc, Mutex, PoisonError};

/// A listening socket, and the address in the configuration that it is for.
pub(crate) type Socket = (String, TcpListener);

/// All listening sockets of the process.
pub(crate) struct Sockets(Mutex<Vec<Socket>>);

// === impl Sockets ===

impl Sockets {
    /// Listens on these addresses, each with its key in the configuration: with what `inherited` has
    /// for one, or with a new socket. What nobody wants of it is closed.
    ///
    /// # Errors
    /// An address is taken, or not this machine's.
    pub(crate) fn open(
        addresses: &[(&str, SocketAddr)],
        inherited: Vec<Socket>,
    ) -> anyhow::Result<Self> {
        let mut inherited = inherited;
        let mut all = Vec::new();
        for (key, address) in addresses {
            let name = address.to_string();
            let listener = match inherited.iter().position(|(other, _)| *other == name) {
                Some(at) => inherited.swap_remove(at).1,
                None => TcpListener::bind(address)
                    .with_context(|| format!("{key}: cannot listen on {address}"))?,
            };
            listener.set_nonblocking(true)?;
            all.push((name, listener));
        }
        Ok(Self(Mutex::new(all)))
    }

    /// The sockets for these addresses in the form that pingora looks for them in.
    ///
    /// # Errors
    /// Too many files are open.
    pub(crate) fn fds(&self, addresses: &[SocketAddr]) -> io::Result<ListenFds> {
        let mut fds = Fds::new();
        for &address in addresses {
            if let Some(listener) = self.copy_of(Some(address))? {
                fds.add(address.to_string(), listener.into_raw_fd());
            }
        }
        Ok(Arc::new(fds.into()))
    }

    /// The same sockets, for somebody else.
    ///
    /// # Errors
    /// Too many files are open.
    pub(crate) fn copies(&self) -> io::Result<Vec<Socket>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter()
            .map(|(name, listener)| Ok((name.clone(), listener.try_clone()?)))
            .collect()
    }

    /// The same socket for an address, if there is one.
    ///
    /// # Errors
    /// Too many files are open.
    pub(crate) fn copy_of(&self, address: Option<SocketAddr>) -> io::Result<Option<TcpListener>> {
        let wanted = address.map(|address| address.to_string());
        let mut all = self.copies()?.into_iter();
        let found = all.find(|(name, _)| Some(name) == wanted.as_ref());
        Ok(found.map(|(_, listener)| listener))
    }

    /// Listens no longer, once whoever has a copy does not either.
    pub(crate) fn close(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.clear();
    }
}

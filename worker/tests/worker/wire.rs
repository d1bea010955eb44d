//! A wire between a worker and MySQL that holds back what is said, or swallows answers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A COMMIT as it stands on the wire, behind the length and the number of its packet.
const COMMIT: &[u8] = b"\x03COMMIT";

/// The wire. What runs through it ends with the connections.
pub(crate) struct Wire {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// How many answers to COMMITs are still to be swallowed.
    to_swallow: AtomicUsize,
    holds: AtomicBool,
    /// What was held back.
    held: Mutex<Vec<u8>>,
}

// === impl Wire ===

impl Wire {
    /// To the server at a port of this machine.
    pub(crate) fn to(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else {
                    continue;
                };
                shared.connect(client.unwrap(), server);
            }
        });
        Self { port, state }
    }

    /// A URL that names the server's port, through this wire.
    pub(crate) fn url(&self, url: &str, server: u16) -> String {
        url.replace(&format!(":{server}/"), &format!(":{}/", self.port))
    }

    /// The next COMMITs reach the server; their answers, and the connections, are lost.
    pub(crate) fn swallow(&self, commits: usize) {
        self.state.to_swallow.store(commits, SeqCst);
    }

    /// Whether all have been swallowed.
    pub(crate) fn has_swallowed(&self) -> bool {
        self.state.to_swallow.load(SeqCst) == 0
    }

    /// Holds back what the worker says, or lets it go.
    pub(crate) fn hold(&self, holds: bool) {
        self.state.holds.store(holds, SeqCst);
    }

    /// Whether something is held back that has these words.
    pub(crate) fn holds_back(&self, words: &[u8]) -> bool {
        contains(&self.state.held.lock().unwrap(), words)
    }
}

// === impl State ===

impl State {
    fn connect(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let lost = Arc::new(AtomicBool::new(false));
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let (state, loses) = (Arc::clone(self), Arc::clone(&lost));
        thread::spawn(move || {
            while let Some(said) = read(&mut from) {
                while state.holds.load(SeqCst) {
                    let mut held = state.held.lock().unwrap();
                    if !contains(&held, &said) {
                        held.extend(&said);
                    }
                    drop(held);
                    thread::sleep(Duration::from_millis(5));
                }
                let left = state.to_swallow.load(SeqCst);
                if contains(&said, COMMIT) && left > 0 {
                    loses.store(true, SeqCst);
                    state.to_swallow.store(left - 1, SeqCst);
                }
                if to.write_all(&said).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
        });
        let (mut from, mut to) = (server, client);
        thread::spawn(move || {
            while let Some(said) = read(&mut from) {
                // The server has answered, so the COMMIT has taken place.
                if lost.load(SeqCst) || to.write_all(&said).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        });
    }
}

fn read(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 1 << 16];
    let count = from.read(&mut bytes).ok().filter(|count| *count > 0)?;
    bytes.truncate(count);
    Some(bytes)
}

fn contains(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

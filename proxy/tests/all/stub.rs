//! Shops that do one thing wrong, or slowly, when the test says so.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Everything that a stub was sent the head of, in order.
pub(crate) type Heads = Arc<Mutex<Vec<String>>>;

pub(crate) struct Stub {
    pub(crate) address: String,
    heads: Heads,
}

/// One connection, as the stub sees it.
pub(crate) struct Visit {
    pub(crate) stream: TcpStream,
    heads: Heads,
}

impl Stub {
    /// Does this with every connection, and closes it after that.
    pub(crate) fn start(serve: impl Fn(&mut Visit) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heads = Heads::default();
        let (seen, serve) = (Arc::clone(&heads), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (serve, heads) = (Arc::clone(&serve), Arc::clone(&seen));
                let stream = stream.unwrap();
                thread::spawn(move || serve(&mut Visit { stream, heads }));
            }
        });
        Self { address, heads }
    }

    /// How many requests it was sent that begin so.
    pub(crate) fn count(&self, beginning: &str) -> usize {
        let heads = self.heads.lock().unwrap();
        heads.iter().filter(|h| h.starts_with(beginning)).count()
    }
}

impl Visit {
    /// The head of the next request; none if the connection ends.
    pub(crate) fn head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if self.stream.read(&mut byte).unwrap_or(0) == 0 {
                return None;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        self.heads.lock().unwrap().push(head.clone());
        Some(head)
    }

    pub(crate) fn send(&mut self, bytes: &str) {
        // The proxy may be gone by now.
        let _ = self.stream.write_all(bytes.as_bytes());
    }

    pub(crate) fn answer(&mut self, status: &str) {
        self.send(&format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
    }

    /// Waits until the other side has enough of it.
    pub(crate) fn hang(&mut self) {
        while self.stream.read(&mut [0; 4096]).unwrap_or(0) > 0 {}
    }
}

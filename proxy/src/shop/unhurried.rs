//! Connections on which an answer is seen a moment after it came, for requests that may become a
//! WebSocket.
//!
//! Pingora 0.9.1 takes a WebSocket for over when it reads the shop's `101` before it has taken
//! notice that the request has no body: two things that it waits for at once, in either order. So
//! what follows a write is not read at once. The pauses are counted in turns of the task and not in
//! time: in one turn both are looked at, however busy the machine is.

use async_trait::async_trait;
use pingora_core::connectors::l4::Connect;
use pingora_core::protocols::l4::ext;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora_core::{Error, ErrorType, Result};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How many turns pass after a write before the first read. One is enough unless the task has used
/// up its share of the thread, which makes it look away from everything for a turn.
const TURNS: u8 = 3;

/// Makes such connections.
#[derive(Debug)]
pub(super) struct Unhurried;

#[derive(Debug)]
struct Socket {
    tcp: TcpStream,
    /// Turns to go.
    turns: u8,
}

// === impl Unhurried ===

#[async_trait]
impl Connect for Unhurried {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let SocketAddr::Inet(address) = address else {
            return Error::e_explain(
                ErrorType::InternalError,
                "the shop's addresses are of the internet",
            );
        };
        let tcp = ext::connect(address, None).await?;
        let socket = Socket { tcp, turns: 0 };
        Ok(VirtualSocketStream::new(Box::new(socket)).into())
    }
}

// === impl Socket ===

impl VirtualSocket for Socket {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => self.tcp.set_nodelay(true),
            // Nobody configures any for the shop; pingora has more options in mind than these.
            _ => Ok(()),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.turns > 0 {
            self.turns -= 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.tcp).poll_write(context, bytes));
        self.turns = TURNS;
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

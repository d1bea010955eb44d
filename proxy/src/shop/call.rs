//! A connection to the shop for one page: one that was kept, or a new one.

use crate::shop::upstream::Upstream;
use crate::shop::{Attempts, Shop};
use pingora_core::protocols::l4::ext;
use pingora_core::{Error, ErrorType, Result};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long nothing is waited for, where no time is set.
const UNLIMITED: Duration = Duration::from_secs(3600);

/// A connection for one page.
pub(crate) struct Call {
    pub(crate) connection: TcpStream,
    /// Whether it was used before, so that the shop may be closing it at this moment.
    pub(crate) is_kept: bool,
    /// For one read.
    pub(crate) read_limit: Duration,
    /// For one write.
    pub(crate) write_limit: Duration,
}

// === impl Shop ===

impl Shop {
    /// Whether it is spoken to without TLS, everywhere.
    pub(crate) fn is_plain(&self) -> bool {
        !self.upstreams.iter().any(Upstream::is_tls)
    }

    /// Connects to the address whose turn it is, or to another if that is not to be reached.
    ///
    /// # Errors
    /// Why the last that was tried is not.
    pub(crate) async fn call(
        &self,
        client: Option<IpAddr>,
        attempts: &mut Attempts,
    ) -> Result<Call> {
        loop {
            let address = self.choose(client, attempts)?;
            let to = address.address;
            let idle = self.template.options.idle_timeout.unwrap_or_default();
            let kept = if attempts.was_stale() {
                None
            } else {
                address.kept.take(idle)
            };
            attempts.begin(address);
            if let Some(connection) = kept {
                return Ok(self.over(connection, true));
            }
            match self.connect(to).await {
                Ok(connection) => return Ok(self.over(connection, false)),
                Err(error) if self.not_connected(attempts, &error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Keeps a connection for the next page.
    pub(crate) fn keep(attempts: &Attempts, connection: TcpStream) {
        if let Some(address) = attempts.current() {
            address.kept.lay_by(connection);
        }
    }

    fn over(&self, connection: TcpStream, is_kept: bool) -> Call {
        let options = &self.template.options;
        Call {
            connection,
            is_kept,
            read_limit: options.read_timeout.unwrap_or(UNLIMITED),
            write_limit: options.write_timeout.unwrap_or(UNLIMITED),
        }
    }

    async fn connect(&self, to: SocketAddr) -> Result<TcpStream> {
        let limit = self.template.options.connection_timeout;
        let connecting = ext::connect(&to, None);
        let connected = timeout(limit.unwrap_or(UNLIMITED), connecting).await;
        let connection = connected.unwrap_or_else(|_| {
            Error::e_explain(ErrorType::ConnectTimedout, "no connection in time")
        });
        let connection = connection.map_err(Error::into_up)?;
        // Whether it can be set is no reason not to ask.
        let _ = connection.set_nodelay(true);
        Ok(connection)
    }
}

//! A loopback port that nobody else takes.

use std::hash::{BuildHasher, RandomState};
use std::net::{TcpListener, UdpSocket};

use anyhow::{Result, bail};

/// Below the range from which the system numbers outgoing connections (32768 and up): a crowd of
/// test buyers must not sit on the port of a server that is being restarted.
const FIRST: u16 = 15_000;
const COUNT: u16 = 17_000;

/// A TCP port of 127.0.0.1, ours for as long as this value lives, whether or not a server listens.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    /// The UDP port of the same number says to the other programs that use this library, and to
    /// other threads of this one, that the number is taken. It ends with us, however we end.
    _claim: UdpSocket,
}

impl Port {
    pub(crate) fn free() -> Result<Self> {
        let random = RandomState::new().hash_one(0) % u64::from(COUNT);
        let start = u16::try_from(random)?;
        for step in 0..COUNT {
            if let Some(port) = Self::claim(FIRST + (start + step) % COUNT)
                && TcpListener::bind(port.address()).is_ok()
            {
                return Ok(port);
            }
        }
        bail!(
            "no free port on 127.0.0.1 from {FIRST} to {}",
            FIRST + COUNT - 1
        );
    }

    /// Takes a port that was ours before. Whether somebody listens there now is not looked at.
    pub(crate) fn claim(number: u16) -> Option<Self> {
        let claim = UdpSocket::bind(("127.0.0.1", number)).ok()?;
        Some(Self {
            number,
            _claim: claim,
        })
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_port_is_given_once() {
        let ports: Vec<Port> = (0..200).map(|_| Port::free().unwrap()).collect();
        let numbers: HashSet<u16> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), ports.len());
    }
}

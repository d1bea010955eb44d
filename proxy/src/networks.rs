//! Networks: lists of them in the configuration, and those that customers have.

use crate::config::Mistakes;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr};

/// The bits of an IPv6 address that name a network.
const NETWORK: u128 = !0 << 64;

/// Some networks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Networks(Vec<IpNet>);

// === impl Networks ===

impl Networks {
    /// Reads the list of the key `at`.
    pub(crate) fn new(at: &str, texts: &[String], mistakes: &mut Mistakes) -> Self {
        let mut networks = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(_) => mistakes.add(format!(
                    "{at}[{index}]: expected a network, for example \"10.0.0.0/8\", not {text:?}"
                )),
            }
        }
        Self(networks)
    }

    /// Whether an address is in one of them.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        // A socket that serves both families names an IPv4 peer ::ffff:a.b.c.d.
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// What an address is counted as: an IPv6 customer has a network of his own, and all its addresses.
pub(crate) fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

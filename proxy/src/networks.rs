//! Lists of networks in the configuration.

use crate::config::Mistakes;
use ipnet::IpNet;
use std::net::IpAddr;

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

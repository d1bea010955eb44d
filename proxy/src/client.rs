//! Where a request really comes from, also behind gateways, and how often it may come from there.
//!
//! What a gateway says of its client is believed from the networks in `trusted_proxies` only, and
//! read from its end: each gateway appends whom it saw, and whatever stands further left may have
//! come from the client itself.

use crate::config::Mistakes;
use crate::limit::Limit;
use crate::networks::Networks;
use crate::problem::Problem;
use crate::spelling;
use http::header::{FORWARDED, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora_core::Result;
use pingora_http::RequestHeader;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// What a client could tell the shop about itself.
static HEARSAY: [HeaderName; 5] = [
    FORWARDED_FOR,
    FORWARDED_PROTO,
    FORWARDED_HOST,
    FORWARDED,
    REAL_IP,
];

/// `[client]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientTable {
    trusted_proxies: Option<Vec<String>>,
    rate: Option<u32>,
    burst: Option<u32>,
}

/// Who is believed about clients, and how often one may come.
pub(crate) struct Clients {
    trusted: Networks,
    limit: Option<Limit>,
}

// === impl Clients ===

impl Clients {
    /// Checks the table. Without `trusted_proxies`, `gateways` are believed.
    pub(crate) fn new(table: &ClientTable, gateways: Networks, mistakes: &mut Mistakes) -> Self {
        let trusted = table.trusted_proxies.as_deref().map_or(gateways, |texts| {
            Networks::new("client.trusted_proxies", texts, mistakes)
        });
        Self {
            trusted,
            limit: Limit::new(table.rate, table.burst, mistakes),
        }
    }

    /// Whether others stand behind this peer.
    pub(crate) fn is_gateway(&self, peer: IpAddr) -> bool {
        self.trusted.contains(peer)
    }

    /// The client that `peer` speaks for; `None` if a gateway does not say.
    pub(crate) fn address(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = peer?.to_canonical();
        if !self.trusted.contains(peer) {
            return Some(peer);
        }
        let mut hops = headers
            .get_all(FORWARDED_FOR)
            .iter()
            .rev()
            .flat_map(|value| value.as_bytes().rsplit(|&byte| byte == b','));
        // What is no address was not written by a gateway; nor was anything before it.
        hops.by_ref()
            .map_while(hop)
            .find(|address| !self.trusted.contains(*address))
    }

    /// Lets a client through that has not come too often.
    ///
    /// # Errors
    /// [`Problem::ClientLimited`]
    pub(crate) fn admit(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(limit) = &self.limit else {
            return Ok(());
        };
        // Everybody behind a gateway that names nobody would share one allowance.
        let client = self.address(peer, headers);
        client.map_or(Ok(()), |address| limit.admit(address))
    }

    /// Forgets clients that have not come for a while.
    pub(crate) fn tidy(&self) {
        if let Some(limit) = &self.limit {
            limit.tidy();
        }
    }

    /// Tells the shop where a request comes from, instead of what the client says of itself.
    pub(crate) fn introduce(
        &self,
        peer: Option<IpAddr>,
        scheme: &'static str,
        request: &mut RequestHeader,
    ) -> Result<()> {
        let Some(peer) = peer.map(|peer| peer.to_canonical()) else {
            return Ok(());
        };
        let is_gateway = self.trusted.contains(peer);
        let mut chain = Vec::new();
        if is_gateway {
            for value in request.headers.get_all(FORWARDED_FOR) {
                chain.extend_from_slice(value.as_bytes());
                chain.extend_from_slice(b", ");
            }
        }
        chain.extend_from_slice(peer.to_string().as_bytes());
        let hearsay: Vec<HeaderName> = request
            .headers
            .keys()
            .filter(|name| {
                let like = HEARSAY.iter().find(|own| spelling::is_same(name, own));
                // Of a gateway's, only the spelling that was read here.
                like.is_some_and(|own| !is_gateway || own != **name)
            })
            .cloned()
            .collect();
        for name in &hearsay {
            request.remove_header(name);
        }
        if let Ok(chain) = HeaderValue::from_bytes(&chain) {
            request.insert_header(FORWARDED_FOR, chain)?;
        }
        if !request.headers.contains_key(FORWARDED_PROTO) {
            request.insert_header(FORWARDED_PROTO, scheme)?;
        }
        if !request.headers.contains_key(FORWARDED_HOST)
            && let Some(host) = request.headers.get(HOST).cloned()
        {
            request.insert_header(FORWARDED_HOST, host)?;
        }
        Ok(())
    }
}

/// One address of a chain, perhaps with a port.
fn hop(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let plain = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = plain.unwrap_or(text).parse().ok();
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    address
        .or_else(with_port)
        .map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients() -> Clients {
        let mut mistakes = Mistakes::default();
        let gateways = ["10.0.0.0/8".to_owned(), "fd00::/8".to_owned()];
        let gateways = Networks::new("", &gateways, &mut mistakes);
        Clients::new(&ClientTable::default(), gateways, &mut mistakes)
    }

    fn address(peer: &str, chains: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for chain in chains {
            headers.append(FORWARDED_FOR, chain.parse().unwrap());
        }
        let address = clients().address(Some(peer.parse().unwrap()), &headers);
        address.map(|address| address.to_string())
    }

    #[test]
    fn a_client_is_whom_the_last_trusted_gateway_saw() {
        for (peer, chains, client) in [
            ("192.0.2.1", &[][..], "192.0.2.1"),
            ("192.0.2.1", &["198.51.100.7"], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("::ffff:10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["1.1.1.1, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["198.51.100.7,10.0.0.2"], "198.51.100.7"),
            ("10.0.0.1", &["1.1.1.1", "198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7"),
            ("fd00::1", &["[2001:db8::7]:4711, fd00::2"], "2001:db8::7"),
            ("fd00::1", &["[2001:db8::7]"], "2001:db8::7"),
        ] {
            let found = address(peer, chains);
            assert_eq!(found.as_deref(), Some(client), "{peer} {chains:?}");
        }
    }

    #[test]
    fn a_gateway_that_says_nothing_is_no_client() {
        for chains in [&[][..], &["nobody"], &["1.1.1.1, nobody"], &["10.0.0.2"]] {
            assert_eq!(address("10.0.0.1", chains), None, "{chains:?}");
        }
    }

    fn introduced(peer: &str, headers: &[(&'static str, &str)]) -> Vec<(String, String)> {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        for (name, value) in headers {
            request.append_header(*name, *value).unwrap();
        }
        let peer = Some(peer.parse().unwrap());
        clients().introduce(peer, "http", &mut request).unwrap();
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        let mut told: Vec<_> = request.headers.iter().map(text).collect();
        told.sort();
        told
    }

    #[test]
    fn the_shop_hears_of_a_client_from_the_proxy_and_not_from_the_client() {
        let forged = [
            ("host", "shop.test"),
            ("x-forwarded-for", "1.1.1.1"),
            ("x_forwarded_for", "1.1.1.1"),
            ("x-forwarded-proto", "https"),
            ("x-real-ip", "1.1.1.1"),
            ("forwarded", "for=1.1.1.1"),
        ];
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            introduced("192.0.2.1", &forged),
            [
                pair("host", "shop.test"),
                pair("x-forwarded-for", "192.0.2.1"),
                pair("x-forwarded-host", "shop.test"),
                pair("x-forwarded-proto", "http"),
            ]
        );
        assert_eq!(
            introduced("10.0.0.1", &forged),
            [
                pair("forwarded", "for=1.1.1.1"),
                pair("host", "shop.test"),
                pair("x-forwarded-for", "1.1.1.1, 10.0.0.1"),
                pair("x-forwarded-host", "shop.test"),
                pair("x-forwarded-proto", "https"),
                pair("x-real-ip", "1.1.1.1"),
            ]
        );
    }
}

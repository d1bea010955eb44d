//! Where a request really comes from, also behind gateways, and how often it may come from there.
//!
//! What a gateway says of its client is believed from the networks in `trusted_proxies` only, and
//! read from its end: each gateway appends whom it saw, and whatever stands further left may have
//! come from the client itself.

use crate::config::Mistakes;
use crate::fields::Fields;
use crate::limit::Limit;
use crate::networks::Networks;
use crate::problem::Problem;
use crate::spelling;
use http::{HeaderName, HeaderValue};
use pingora_core::Result;
use pingora_http::RequestHeader;
use serde::Deserialize;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";
const FORWARDED_HOST: &str = "x-forwarded-host";

/// Stands for an address that cannot be told.
const UNKNOWN: HeaderValue = HeaderValue::from_static("unknown");

/// What a client could tell the shop about itself.
const HEARSAY: [&str; 5] = [
    FORWARDED_FOR,
    FORWARDED_PROTO,
    FORWARDED_HOST,
    "forwarded",
    "x-real-ip",
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

/// What the shop is told of where one request comes from.
pub(crate) struct Introduction {
    /// Whether a gateway is believed about the client.
    is_gateway: bool,
    /// Everybody on the way, the client first.
    chain: HeaderValue,
    /// What the gateway has not told already.
    scheme: Option<HeaderValue>,
    host: Option<HeaderValue>,
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
    pub(crate) fn address(&self, peer: Option<IpAddr>, headers: &Fields<'_>) -> Option<IpAddr> {
        let peer = peer?.to_canonical();
        if !self.trusted.contains(peer) {
            return Some(peer);
        }
        let mut hops = headers
            .all(FORWARDED_FOR)
            .rev()
            .flat_map(|value| value.rsplit(|&byte| byte == b','));
        // What is no address was not written by a gateway; nor was anything before it.
        hops.by_ref()
            .map_while(hop)
            .find(|address| !self.trusted.contains(*address))
    }

    /// Lets a client through that has not come too often.
    ///
    /// # Errors
    /// [`Problem::ClientLimited`]
    pub(crate) fn admit(&self, peer: Option<IpAddr>, headers: &Fields<'_>) -> Result<(), Problem> {
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

    /// What the shop is told of where a request comes from, instead of what the client says of itself;
    /// `None` if nobody knows who has connected.
    pub(crate) fn introduction(
        &self,
        peer: Option<IpAddr>,
        scheme: &'static str,
        headers: &Fields<'_>,
    ) -> Option<Introduction> {
        let peer = peer?.to_canonical();
        let is_gateway = self.trusted.contains(peer);
        let mut chain = Vec::new();
        if is_gateway {
            for value in headers.all(FORWARDED_FOR) {
                chain.extend_from_slice(value);
                chain.extend_from_slice(b", ");
            }
        }
        // A Vec takes everything.
        let _ = write!(chain, "{peer}");
        let is_told = |name| is_gateway && headers.first(name).is_some();
        let host = headers.first("host").filter(|_| !is_told(FORWARDED_HOST));
        Some(Introduction {
            is_gateway,
            // What headers and an address are made of is what a header may have in it.
            chain: HeaderValue::from_bytes(&chain).unwrap_or(UNKNOWN),
            scheme: (!is_told(FORWARDED_PROTO)).then_some(HeaderValue::from_static(scheme)),
            host: host.and_then(|host| HeaderValue::from_bytes(host).ok()),
        })
    }
}

// === impl Introduction ===

impl Introduction {
    /// Whether a header of the request does not reach the shop: it is replaced, or not to be believed.
    pub(crate) fn replaces(&self, name: &str) -> bool {
        let mut hearsay = HEARSAY.iter();
        let like = hearsay.find(|own| spelling::is_same(name, own));
        like.is_some_and(|own| {
            // Of a gateway's, only the spelling that was read here.
            let stays = name.eq_ignore_ascii_case(own) && *own != FORWARDED_FOR;
            !self.is_gateway || !stays
        })
    }

    /// What the shop is told instead.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'static str, &HeaderValue)> {
        let told = [
            (FORWARDED_FOR, Some(&self.chain)),
            (FORWARDED_PROTO, self.scheme.as_ref()),
            (FORWARDED_HOST, self.host.as_ref()),
        ];
        told.into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
    }

    /// Tells it in a request.
    ///
    /// # Errors
    /// There are too many headers.
    pub(crate) fn tell(&self, request: &mut RequestHeader) -> Result<()> {
        let names = request
            .headers
            .keys()
            .filter(|name| self.replaces(name.as_str()));
        let replaced: Vec<HeaderName> = names.cloned().collect();
        for name in &replaced {
            request.remove_header(name);
        }
        for (name, value) in self.headers() {
            request.insert_header(name, value)?;
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
    use http::HeaderMap;

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
        let address = clients().address(Some(peer.parse().unwrap()), &Fields::from(&headers));
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
        let told = clients().introduction(peer, "http", &Fields::from(&request.headers));
        told.unwrap().tell(&mut request).unwrap();
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

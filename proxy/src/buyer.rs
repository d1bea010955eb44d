//! Who the buyer is: what a trusted peer says in a header, and nobody else.

use crate::problem::Problem;
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use seckill_protocol::Uid;
use std::net::IpAddr;

/// Whose word on the buyer is believed, and where it stands.
#[derive(Debug)]
pub(crate) struct Buyers {
    header: HeaderName,
    trusted: Vec<IpNet>,
}

// === impl Buyers ===

impl Buyers {
    /// Believes `header` when it comes from one of the `trusted` networks.
    pub(crate) const fn new(header: HeaderName, trusted: Vec<IpNet>) -> Self {
        Self { header, trusted }
    }

    /// The buyer of a request that came from `peer`.
    ///
    /// # Errors
    /// [`Problem::NoBuyer`] if nobody who may says who it is; [`Problem::BadBuyer`] if that is
    /// said twice, or is no uid. Twice, because a peer that appends where it should replace would
    /// let a client choose its name.
    pub(crate) fn identify(
        &self,
        peer: Option<IpAddr>,
        headers: &HeaderMap,
    ) -> Result<Uid, Problem> {
        if !peer.is_some_and(|peer| self.trusts(peer)) {
            return Err(Problem::NoBuyer);
        }
        let mut values = headers.get_all(&self.header).iter();
        let value = values.next().ok_or(Problem::NoBuyer)?;
        if values.next().is_some() {
            return Err(Problem::BadBuyer);
        }
        if value.is_empty() {
            // How many gateways say "not signed in".
            return Err(Problem::NoBuyer);
        }
        Uid::new(value.as_bytes()).map_err(|_| Problem::BadBuyer)
    }

    fn trusts(&self, peer: IpAddr) -> bool {
        // A socket that serves both families names an IPv4 peer ::ffff:a.b.c.d.
        let peer = peer.to_canonical();
        self.trusted.iter().any(|network| network.contains(&peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const GATEWAY: &str = "10.1.2.3";

    fn identify(peer: &str, values: &[&[u8]]) -> Result<String, Problem> {
        let buyers = Buyers::new(
            HeaderName::from_static("x-user-id"),
            vec!["10.0.0.0/8".parse().unwrap()],
        );
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-user-id", HeaderValue::from_bytes(value).unwrap());
        }
        buyers
            .identify(Some(peer.parse().unwrap()), &headers)
            .map(|uid| uid.to_string())
    }

    #[test]
    fn a_trusted_peer_names_the_buyer() {
        assert_eq!(identify(GATEWAY, &[b"u7"]), Ok("u7".to_owned()));
        assert_eq!(identify("::ffff:10.1.2.3", &[b"u7"]), Ok("u7".to_owned()));
        assert_eq!(
            identify(GATEWAY, &["Žofie".as_bytes()]),
            Ok("Žofie".to_owned())
        );
    }

    #[test]
    fn nobody_else_does() {
        assert_eq!(identify("192.0.2.1", &[b"u7"]), Err(Problem::NoBuyer));
        assert_eq!(identify(GATEWAY, &[]), Err(Problem::NoBuyer));
        assert_eq!(identify(GATEWAY, &[b""]), Err(Problem::NoBuyer));
    }

    #[test]
    fn a_name_said_twice_or_unfit_is_refused() {
        assert_eq!(identify(GATEWAY, &[b"u7", b"u8"]), Err(Problem::BadBuyer));
        assert_eq!(identify(GATEWAY, &[b"u7", b"u7"]), Err(Problem::BadBuyer));
        assert_eq!(identify(GATEWAY, &[b"\xff"]), Err(Problem::BadBuyer));
        assert_eq!(identify(GATEWAY, &[&[b'x'; 129]]), Err(Problem::BadBuyer));
    }
}

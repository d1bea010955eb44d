//! Which of the shop's addresses gets a request.

use crate::shop::address::Address;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A rule.
#[derive(Debug)]
pub(super) enum Balance {
    /// One after the other.
    RoundRobin(AtomicUsize),
    /// The one with the fewest requests under way.
    LeastRequests,
    /// Any.
    Random,
    /// The same one for the same client, as long as it is up. When one goes, only its clients move
    /// (rendezvous hashing), and all proxies agree without talking to each other.
    Client,
}

impl FromStr for Balance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "round_robin" => Ok(Self::RoundRobin(AtomicUsize::new(0))),
            "least_requests" => Ok(Self::LeastRequests),
            "random" => Ok(Self::Random),
            "client" => Ok(Self::Client),
            other => Err(format!(
                "shop.balance: expected \"round_robin\", \"least_requests\", \"random\" or \"client\", not {other:?}"
            )),
        }
    }
}

// === impl Balance ===

impl Balance {
    /// One of these, unless there is none.
    pub(super) fn choose<'a>(
        &self,
        mut among: impl Iterator<Item = &'a Arc<Address>> + Clone,
        client: Option<IpAddr>,
    ) -> Option<&'a Arc<Address>> {
        let turn = match (self, client) {
            (Self::LeastRequests, _) => {
                // Those that have equally few take turns by chance.
                return among.min_by_key(|address| (address.in_flight(), fastrand::u32(..)));
            }
            (Self::Client, Some(client)) => {
                return among.max_by_key(|address| affinity(client, address));
            }
            (Self::Random | Self::Client, _) => fastrand::usize(..),
            // Where there is nothing to choose from, no turn is used up: the next choice is among
            // others, and two turns each time would skip every other one of those.
            (Self::RoundRobin(_), _) if among.clone().next().is_none() => return None,
            (Self::RoundRobin(turns), _) => turns.fetch_add(1, Ordering::Relaxed),
        };
        let at = turn.checked_rem(among.clone().count())?;
        among.nth(at)
    }
}

fn affinity(client: IpAddr, address: &Address) -> u64 {
    let mut hasher = DefaultHasher::new();
    (client, address.address).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shop::upstream::Upstream;
    use std::collections::{BTreeMap, BTreeSet};
    use std::net::Ipv4Addr;

    fn addresses(count: u16) -> Vec<Arc<Address>> {
        let address = |port| {
            let text = format!("127.0.0.1:{port}");
            let (upstream, found) = Upstream::new("", &text).unwrap();
            Arc::new(Address::new(found[0], &upstream))
        };
        (1..=count).map(address).collect()
    }

    fn port(rule: &Balance, among: &[Arc<Address>], client: Option<IpAddr>) -> Option<u16> {
        rule.choose(among.iter(), client).map(|a| a.address.port())
    }

    fn clients() -> impl Iterator<Item = Option<IpAddr>> {
        (0..300).map(|client| Some(Ipv4Addr::from_bits(client).into()))
    }

    #[test]
    fn every_rule_is_known_by_its_name_and_uses_every_address() {
        let addresses = addresses(3);
        for name in ["round_robin", "least_requests", "random", "client"] {
            let rule: Balance = name.parse().unwrap();
            let ports: BTreeSet<_> = clients().map(|c| port(&rule, &addresses, c)).collect();
            assert_eq!(ports, [Some(1), Some(2), Some(3)].into(), "{name}");
            assert_eq!(port(&rule, &[], None), None, "{name}");
        }
        assert!("fastest".parse::<Balance>().is_err());
    }

    #[test]
    fn round_robin_takes_one_after_the_other() {
        let (rule, addresses) = ("round_robin".parse().unwrap(), addresses(3));
        let ports: Vec<_> = (0..6)
            .filter_map(|_| port(&rule, &addresses, None))
            .collect();
        assert_eq!(ports, [1, 2, 3, 1, 2, 3]);
        let ports: Vec<_> = (0..4)
            .filter_map(|_| port(&rule, &[], None).or_else(|| port(&rule, &addresses[..2], None)))
            .collect();
        assert_eq!(
            ports,
            [1, 2, 1, 2],
            "also after there was nothing to choose from"
        );
    }

    #[test]
    fn least_requests_takes_the_one_with_the_fewest() {
        let addresses = addresses(3);
        addresses[0].begin();
        addresses[2].begin();
        for _ in 0..20 {
            assert_eq!(port(&Balance::LeastRequests, &addresses, None), Some(2));
        }
        addresses[0].end();
        addresses[1].begin();
        assert_eq!(port(&Balance::LeastRequests, &addresses, None), Some(1));
    }

    #[test]
    fn a_client_stays_where_he_was_when_another_address_goes() {
        let mut addresses = addresses(4);
        let choose = |addresses: &[_]| -> BTreeMap<_, _> {
            clients()
                .map(|client| (client, port(&Balance::Client, addresses, client)))
                .collect()
        };
        let before = choose(&addresses);
        let gone = addresses.remove(1).address.port();
        for (client, now) in choose(&addresses) {
            let then = before[&client];
            assert!(then == now || then == Some(gone), "{client:?}");
        }
    }
}

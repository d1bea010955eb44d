//! What proves that the shop speaks, when it says that a reservation is paid for or given up.

use crate::config::Mistakes;
use crate::fields::Fields;
use crate::live::{Live, Look};
use crate::networks::Networks;
use crate::ring::Ring;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use seckill_daemon::secret::Source;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// `[shop.callback]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallbackTable {
    keys: BTreeMap<String, Source>,
    trusted_peers: Option<Vec<String>>,
    #[serde(default)]
    late_payment: LatePayment,
}

/// What becomes of a payment that comes when its hold has lapsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LatePayment {
    /// It takes units again if there are any; if there are none it is to be refunded.
    #[default]
    Take,
    /// It is to be refunded.
    Refuse,
}

/// The keys of the shop.
pub(crate) struct Callback {
    keys: Arc<Live<Ring<Vec<u8>>>>,
    /// Where it has to come from, too.
    peers: Option<Networks>,
    late_payment: LatePayment,
}

// === impl Callback ===

impl Callback {
    /// Checks the table and reads its keys.
    pub(crate) fn new(table: &CallbackTable, mistakes: &mut Mistakes) -> Option<Self> {
        let keys = Ring::load("shop.callback.keys", &table.keys, <[u8]>::to_vec, mistakes);
        let peers = table.trusted_peers.as_deref();
        Some(Self {
            peers: peers.map(|texts| Networks::new("shop.callback.trusted_peers", texts, mistakes)),
            keys: Arc::new(keys?),
            late_payment: table.late_payment,
        })
    }

    /// Whether this is the shop.
    pub(crate) fn is_shop(&self, peer: Option<IpAddr>, headers: &Fields<'_>) -> bool {
        let from_there = match &self.peers {
            Some(peers) => peer.is_some_and(|peer| peers.contains(peer)),
            None => true,
        };
        from_there
            && bearer(headers).is_some_and(|said| {
                let keys = self.keys.get();
                keys.keys()
                    .any(|key| verify_slices_are_equal(key, said).is_ok())
            })
    }

    /// What becomes of a payment that comes late.
    pub(crate) const fn late_payment(&self) -> LatePayment {
        self.late_payment
    }

    /// The keys.
    pub(crate) fn keys(&self) -> Arc<dyn Look> {
        Arc::<Live<Ring<Vec<u8>>>>::clone(&self.keys)
    }
}

fn bearer<'h>(headers: &Fields<'h>) -> Option<&'h [u8]> {
    let mut all = headers.all("authorization");
    let (Some(value), None) = (all.next(), all.next()) else {
        return None;
    };
    let (scheme, key) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| key.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use http::header::AUTHORIZATION;

    #[test]
    fn a_key_is_said_once_and_as_a_bearer() {
        let said = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            bearer(&Fields::from(&headers)).map(<[u8]>::to_vec)
        };
        assert_eq!(said(&["Bearer k"]), Some(b"k".to_vec()));
        assert_eq!(said(&["bearer  k "]), Some(b"k".to_vec()));
        for values in [
            &[][..],
            &["Basic k"],
            &["Bearer"],
            &["Bearer k", "Bearer k"],
        ] {
            assert_eq!(said(values), None, "{values:?}");
        }
    }
}

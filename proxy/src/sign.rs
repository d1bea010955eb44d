//! The proxy's signature under what it tells the shop, so that the shop need not believe whoever
//! reaches it. `docs/verify.md` shows how a shop checks it.

use crate::clock::now_s;
use crate::config::Mistakes;
use crate::live::{Live, Look};
use crate::ring::{self, Ring};
use aws_lc_rs::hmac;
use seckill_daemon::secret::Source;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// Stands before everything that is signed, and before the signature.
const VERSION: &str = "v1";

/// `[shop.signing]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SigningTable {
    by: String,
    keys: BTreeMap<String, Source>,
}

/// Signs with one of several keys: the shop learns the others before and after.
pub(crate) struct Signing {
    by: String,
    keys: Arc<Live<Ring>>,
}

/// What is signed besides the time.
pub(crate) struct Told<'a> {
    /// The request's method.
    pub(crate) method: &'a str,
    /// Its path and query, byte by byte as the shop gets them.
    pub(crate) target: &'a [u8],
    /// The sale.
    pub(crate) sid: &'a str,
    /// The buyer.
    pub(crate) uid: &'a str,
    /// The reservation.
    pub(crate) rid: &'a str,
    /// Its units.
    pub(crate) qty: u64,
}

/// The two headers of a signature.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    /// Unix seconds.
    pub(crate) timestamp: String,
    /// `v1=<kid>:<hex>`.
    pub(crate) value: String,
}

// === impl Signing ===

impl Signing {
    /// Checks the table and reads its keys.
    pub(crate) fn new(table: &SigningTable, mistakes: &mut Mistakes) -> Option<Self> {
        let keys = Ring::load("shop.signing.keys", &table.keys, ring::signing, mistakes);
        if !table.keys.contains_key(&table.by) {
            mistakes.add(format!(
                "shop.signing.by: expected the name of one of shop.signing.keys, not {:?}",
                table.by
            ));
        }
        Some(Self {
            by: table.by.clone(),
            keys: Arc::new(keys?),
        })
    }

    /// Signs what the shop is told, as of now. `None` is impossible: the key was there at the start
    /// and its name does not change.
    pub(crate) fn sign(&self, told: &Told<'_>) -> Option<Signature> {
        let keys = self.keys.get();
        let key = keys.get(&self.by)?;
        Some(signed(&self.by, key, now_s(), told))
    }

    /// The keys.
    pub(crate) fn keys(&self) -> Arc<dyn Look> {
        Arc::<Live<Ring>>::clone(&self.keys)
    }
}

/// The lines of the contract, without a line end after the last. No part can hold a line end: a
/// uid has no control characters, and a request's target none at all.
fn signed(kid: &str, key: &hmac::Key, now_s: u64, told: &Told<'_>) -> Signature {
    let timestamp = now_s.to_string();
    let mut text = format!("{VERSION}\n{timestamp}\n{}\n", told.method).into_bytes();
    text.extend_from_slice(told.target);
    let Told {
        sid, uid, rid, qty, ..
    } = told;
    text.extend_from_slice(format!("\n{sid}\n{uid}\n{rid}\n{qty}").as_bytes());
    let mut value = format!("{VERSION}={kid}:");
    for byte in hmac::sign(key, &text).as_ref() {
        // A String takes everything.
        let _ = write!(value, "{byte:02x}");
    }
    Signature { timestamp, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_example_is_what_other_programs_make_of_it() {
        // printf 'v1\n1763800001\nPOST\n/seckill/1001?qty=2\n1001\nŽofie\n1763800000000-42\n2' |
        //   openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"0123456789abcdef0123456789abcdef");
        let told = Told {
            method: "POST",
            target: b"/seckill/1001?qty=2",
            sid: "1001",
            uid: "Žofie",
            rid: "1763800000000-42",
            qty: 2,
        };
        let expected = Signature {
            timestamp: "1763800001".to_owned(),
            value: "v1=k1:21d1f79b96c813aa51e186c6f0438e3d288637cc5f2071d1318d0c91da894e90"
                .to_owned(),
        };
        assert_eq!(signed("k1", &key, 1_763_800_001, &told), expected);
    }
}

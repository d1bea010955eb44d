//! Whether the proxy has sent a purchase: `docs/verify.md` in Rust.

use aws_lc_rs::hmac;
use axum::http::{HeaderMap, Method, Uri};

/// The name of the key, as `[shop.signing]` has it.
const KID: &str = "k1";

/// How far a signature's time may be away from this clock.
const SECONDS: u64 = 300;

/// Knows the proxy by its signature.
pub(crate) struct Verifier(hmac::Key);

// === impl Verifier ===

impl Verifier {
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Whether what the headers tell of the purchase is the proxy's word.
    pub(crate) fn believes(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        now_s: u64,
    ) -> bool {
        self.check(method, uri, headers, now_s).is_some()
    }

    fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap, now_s: u64) -> Option<()> {
        let told = |name: &str| headers.get(name).map(axum::http::HeaderValue::as_bytes);
        let signature = std::str::from_utf8(told("seckill-signature")?).ok()?;
        let mac = unhex(
            signature
                .strip_prefix("v1=")?
                .strip_prefix(KID)?
                .strip_prefix(':')?,
        )?;
        let timestamp = told("seckill-timestamp")?;
        let at: u64 = std::str::from_utf8(timestamp).ok()?.parse().ok()?;
        let text = [
            b"v1",
            timestamp,
            method.as_str().as_bytes(),
            uri.path_and_query()?.as_str().as_bytes(),
            told("seckill-sale")?,
            told("seckill-user")?,
            told("seckill-reservation")?,
            told("seckill-quantity")?,
        ]
        .join(&b'\n');
        // In constant time.
        hmac::verify(&self.0, &text, &mac).ok()?;
        (now_s.abs_diff(at) <= SECONDS).then_some(())
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_example_is_believed_and_nothing_that_differs() {
        let verifier = Verifier::new(b"0123456789abcdef0123456789abcdef");
        let told = [
            ("seckill-sale", "1001"),
            ("seckill-user", "Žofie"),
            ("seckill-reservation", "1763800000000-42"),
            ("seckill-quantity", "2"),
            ("seckill-timestamp", "1763800001"),
            (
                "seckill-signature",
                "v1=k1:21d1f79b96c813aa51e186c6f0438e3d288637cc5f2071d1318d0c91da894e90",
            ),
        ];
        let believed = |told: &[(&'static str, &str)], target: &str, now_s: u64| {
            let mut headers = HeaderMap::new();
            for (name, value) in told {
                headers.insert(*name, value.as_bytes().try_into().unwrap());
            }
            verifier.believes(&Method::POST, &target.parse().unwrap(), &headers, now_s)
        };
        let (target, now_s) = ("/seckill/1001?qty=2", 1_763_800_001);
        assert!(believed(&told, target, now_s));
        assert!(believed(&told, target, now_s + SECONDS));
        assert!(!believed(&told, target, now_s + SECONDS + 1));
        assert!(!believed(&told, "/seckill/1001?qty=1", now_s));
        for index in 0..told.len() {
            let mut changed = told;
            changed[index].1 = "3";
            assert!(!believed(&changed, target, now_s), "{}", told[index].0);
        }
    }
}

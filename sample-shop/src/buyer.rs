//! Who buys: a name for whoever comes without one, in a cookie that the proxy believes because this
//! shop has signed it. A real shop signs the name of its customer when he logs in.

use aws_lc_rs::{hmac, rand};
use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::{SystemTime, UNIX_EPOCH};

/// The proxy's default, `[buyer.cookie] name`. With https it would begin with `__Host-`.
const NAME: &str = "seckill_buyer";

/// The name of the key, as `[buyer.cookie.keys]` has it.
const KID: &str = "k1";

/// How long a cookie is believed: longer than any sale.
const DAYS_30_S: u64 = 30 * 24 * 3600;

/// Signs the cookies of guests.
pub(crate) struct Guests(hmac::Key);

// === impl Guests ===

impl Guests {
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The cookie to set, unless he has a good one for half of its time still.
    pub(crate) fn welcome(&self, headers: &HeaderMap) -> Option<String> {
        let now_s = now_s();
        let known = cookie(headers).and_then(|value| self.believe(value, now_s));
        let uid = match known {
            Some((_, expires)) if expires > now_s + DAYS_30_S / 2 => return None,
            Some((uid, _)) => uid,
            None => guest()?,
        };
        let value = self.signed(&uid, now_s + DAYS_30_S);
        Some(format!(
            "{NAME}={value}; Path=/; Max-Age={DAYS_30_S}; HttpOnly; SameSite=Lax"
        ))
    }

    /// `v1.<kid>.<uid>.<expires>.<mac>`, as `docs/design.md` has it.
    fn signed(&self, uid: &[u8], expires_s: u64) -> String {
        let uid = URL_SAFE_NO_PAD.encode(uid);
        let text = format!("v1.{KID}.{uid}.{expires_s}");
        let mac = hmac::sign(&self.0, text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    /// Who it is and until when, if this shop has signed it and it has not expired.
    fn believe(&self, value: &str, now_s: u64) -> Option<(Vec<u8>, u64)> {
        let (text, mac) = value.rsplit_once('.')?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        hmac::verify(&self.0, text.as_bytes(), &mac).ok()?;
        let mut parts = text.split('.').skip(2);
        let uid = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        let expires = parts.next()?.parse().ok()?;
        (expires > now_s).then_some((uid, expires))
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(COOKIE).into_iter();
    let pairs = all.filter_map(|header| header.to_str().ok());
    let mut pairs = pairs.flat_map(|header| header.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='))
}

/// A name that nobody has.
fn guest() -> Option<Vec<u8>> {
    let mut bytes = [0; 12];
    rand::fill(&mut bytes).ok()?;
    Some(format!("guest-{}", URL_SAFE_NO_PAD.encode(bytes)).into_bytes())
}

/// Unix seconds.
pub(crate) fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn welcome(cookie: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, cookie.parse().unwrap());
        Guests::new(SECRET).welcome(&headers)
    }

    #[test]
    fn a_cookie_is_the_contracts_example() {
        assert_eq!(
            Guests::new(SECRET).signed(b"u7", 4_102_444_800),
            "v1.k1.dTc.4102444800.zVrTanme8Eskup-25onpq59h3W2lydMu6X9aCpUVvWo"
        );
    }

    #[test]
    fn who_has_a_name_keeps_it_and_who_forges_one_gets_another() {
        let guests = Guests::new(SECRET);
        let name = |set: &str| {
            let value = set.split(['=', ';']).nth(1).unwrap();
            guests.believe(value, now_s()).unwrap().0
        };
        let fresh = guests.signed(b"u7", now_s() + DAYS_30_S);
        assert_eq!(welcome(&format!("a=b; {NAME}={fresh}")), None);
        let old = guests.signed(b"u7", now_s() + 60);
        let renewed = welcome(&format!("{NAME}={old}")).unwrap();
        assert_eq!(name(&renewed), b"u7");
        let expired = guests.signed(b"u7", now_s() - 1);
        let other = Guests::new(b"another secret of thirty-two byt");
        let forged = other.signed(b"u7", now_s() + DAYS_30_S);
        for bad in [expired, forged, String::new()] {
            let set = welcome(&format!("{NAME}={bad}")).unwrap();
            assert!(name(&set).starts_with(b"guest-"), "{set}");
        }
    }
}

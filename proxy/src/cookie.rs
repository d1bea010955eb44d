//! Cookies: finding the one of a name, and believing one that the shop has signed.
//!
//! A signed cookie is `v1.<kid>.<uid>.<expires>.<mac>`: the name of the key, the uid in base64url,
//! the Unix second from which it is not believed any more, and in base64url the HMAC-SHA256, with
//! that key, of everything before the last dot. base64url is without `=`.

use crate::clock::now_s;
use crate::config::Mistakes;
use crate::fields::Fields;
use crate::live::{Live, Look};
use crate::problem::Problem;
use crate::ring::{self, Ring};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use seckill_daemon::secret::Source;
use seckill_protocol::Uid;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What stands before the first dot.
const VERSION: &str = "v1";

/// `[buyer.cookie]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CookieTable {
    #[serde(default = "default_name")]
    name: String,
    keys: BTreeMap<String, Source>,
}

fn default_name() -> String {
    "seckill_buyer".to_owned()
}

/// The signed cookie that says who the buyer is.
pub(crate) struct SignedCookie {
    name: String,
    keys: Arc<Live<Ring>>,
}

// === impl SignedCookie ===

impl SignedCookie {
    /// Checks the table and reads its keys.
    pub(crate) fn new(table: &CookieTable, mistakes: &mut Mistakes) -> Option<Self> {
        let name = mistakes.note(name("buyer.cookie.name", &table.name));
        let keys = Ring::load("buyer.cookie.keys", &table.keys, ring::signing, mistakes);
        Some(Self {
            name: name?,
            keys: Arc::new(keys?),
        })
    }

    /// The buyer, as the cookie has it.
    ///
    /// # Errors
    /// [`Problem`] if there is no cookie of that name, or it is not to be believed.
    pub(crate) fn identify(&self, headers: &Fields<'_>) -> Result<Uid, Problem> {
        let value = only(headers, &self.name)?.ok_or(Problem::NoBuyer)?;
        believe(value, &self.keys.get(), now_s())
    }

    /// The keys.
    pub(crate) fn keys(&self) -> Arc<dyn Look> {
        Arc::<Live<Ring>>::clone(&self.keys)
    }
}

/// A cookie's name that every framework leaves as it is.
///
/// # Errors
/// It is none; `at` is the key of the configuration that names it.
pub(crate) fn name(at: &str, name: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(format!(
            "{at}: expected a cookie's name of A-Z a-z 0-9 _ -, not {name:?}"
        ));
    }
    Ok(name.to_owned())
}

/// The value of the cookie `name`, if there is one.
///
/// # Errors
/// [`Problem::BadBuyer`] if there are two: which of them a framework takes is anybody's guess, and
/// a neighbouring subdomain can add one.
pub(crate) fn only<'h>(headers: &Fields<'h>, name: &str) -> Result<Option<&'h str>, Problem> {
    let mut found = None;
    for header in headers.all("cookie") {
        for pair in header.split(|&byte| byte == b';') {
            let pair = pair.trim_ascii();
            let Some(value) = pair
                .strip_prefix(name.as_bytes())
                .and_then(|rest| rest.trim_ascii_start().strip_prefix(b"="))
            else {
                continue;
            };
            if found.is_some() {
                return Err(Problem::BadBuyer);
            }
            // Anything but text is no cookie of ours, but it is there.
            found = Some(std::str::from_utf8(value.trim_ascii()).unwrap_or_default());
        }
    }
    Ok(found.filter(|value| !value.is_empty()))
}

fn believe(value: &str, keys: &Ring, now_s: u64) -> Result<Uid, Problem> {
    let refused = Problem::BadCookie { expired: false };
    let (signed, mac) = value.rsplit_once('.').ok_or(refused)?;
    let mut parts = signed.split('.');
    let (Some(VERSION), Some(kid), Some(uid), Some(expires), None) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return Err(refused);
    };
    let key = keys.get(kid).ok_or(refused)?;
    let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| refused)?;
    // In constant time; nothing of what it says counts before.
    hmac::verify(key, signed.as_bytes(), &mac).map_err(|_| refused)?;
    if !expires.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refused);
    }
    let expires: u64 = expires.parse().map_err(|_| refused)?;
    if now_s >= expires {
        return Err(Problem::BadCookie { expired: true });
    }
    let uid = URL_SAFE_NO_PAD.decode(uid).map_err(|_| refused)?;
    Uid::new(&uid).map_err(|_| Problem::BadBuyer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::tests::ring;
    use http::HeaderMap;
    use http::HeaderValue;
    use http::header::COOKIE;

    const OLD: &[u8] = b"0123456789abcdef0123456789abcdef";
    const NEW: &[u8] = b"fedcba9876543210fedcba9876543210";

    fn signed(kid: &str, secret: &[u8], uid: &[u8], expires: &str) -> String {
        let uid = URL_SAFE_NO_PAD.encode(uid);
        let text = format!("v1.{kid}.{uid}.{expires}");
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let mac = hmac::sign(&key, text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    fn believed(value: &str) -> Result<String, Problem> {
        let keys = ring(&[("old", OLD), ("new", NEW)]);
        believe(value, &keys, 1000).map(|uid| uid.to_string())
    }

    #[test]
    fn a_cookie_of_any_of_the_keys_is_believed_until_it_expires() {
        for (kid, secret) in [("old", OLD), ("new", NEW)] {
            assert_eq!(
                believed(&signed(kid, secret, "Žofie".as_bytes(), "1001")),
                Ok("Žofie".to_owned())
            );
            assert_eq!(
                believed(&signed(kid, secret, b"u7", "1000")),
                Err(Problem::BadCookie { expired: true })
            );
        }
    }

    #[test]
    fn the_contracts_example_is_what_other_programs_make_of_it() {
        // printf 'v1.k1.dTc.4102444800' |
        //   openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef -binary | basenc --base64url
        let keys = ring(&[("k1", OLD)]);
        let value = "v1.k1.dTc.4102444800.zVrTanme8Eskup-25onpq59h3W2lydMu6X9aCpUVvWo";
        assert_eq!(believe(value, &keys, 1000).unwrap().as_str(), "u7");
    }

    #[test]
    fn what_is_signed_otherwise_or_not_at_all_is_refused() {
        let good = signed("old", OLD, b"u7", "2000");
        let (text, mac) = good.rsplit_once('.').unwrap();
        for bad in [
            "u7".to_owned(),
            String::new(),
            text.to_owned(),
            format!("{text}."),
            format!("{good}="),
            format!("{good}.x"),
            format!("{}.{mac}", text.replace("v1", "v2")),
            format!("{}.{mac}", text.replace("2000", "3000")),
            format!("{}.{mac}", text.replace("old", "new")),
            signed("old", NEW, b"u7", "2000"),
            signed("other", OLD, b"u7", "2000"),
            signed("old", OLD, b"u7", "+2000"),
            signed("old", OLD, b"u7", ""),
            signed("old", OLD, b"u7", "99999999999999999999999"),
        ] {
            let refused = Err(Problem::BadCookie { expired: false });
            assert_eq!(believed(&bad), refused, "{bad}");
        }
        assert_eq!(
            believed(&signed("old", OLD, b"", "2000")),
            Err(Problem::BadBuyer)
        );
    }

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(COOKIE, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_cookie_is_found_among_others_and_only_once() {
        for (values, expected) in [
            (&[][..], Ok(None)),
            (&["a=1; b=2"][..], Ok(None)),
            (&["xid=1; idx=2; id=3"][..], Ok(Some("3"))),
            (&["a=1", "id=3"][..], Ok(Some("3"))),
            (&["id=a=b"][..], Ok(Some("a=b"))),
            (&["id="][..], Ok(None)),
            (&["id=1; id=2"][..], Err(Problem::BadBuyer)),
            (&["id=1; id=1"][..], Err(Problem::BadBuyer)),
            (&["id=1", "id=2"][..], Err(Problem::BadBuyer)),
            (&["id=; id=2"][..], Err(Problem::BadBuyer)),
            (&["id =1;id=2"][..], Err(Problem::BadBuyer)),
        ] {
            assert_eq!(
                only(&Fields::from(&headers(values)), "id"),
                expected,
                "{values:?}"
            );
        }
    }
}

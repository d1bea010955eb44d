//! Shared keys with names, so that a new one can come before the old one goes.

use crate::config::Mistakes;
use crate::live::Live;
use crate::secret;
use aws_lc_rs::hmac;
use seckill_daemon::secret::Source;
use std::collections::BTreeMap;

/// The longest name of a key.
const KID_BYTES_MAX: usize = 32;

/// Keys by their names: of HMAC-SHA256, if nothing else is said.
pub(crate) struct Ring<K = hmac::Key>(BTreeMap<String, K>);

/// A key to sign with, and to check signatures.
pub(crate) fn signing(secret: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret)
}

// === impl Ring ===

impl<K: Send + Sync + 'static> Ring<K> {
    /// Reads the secrets of the table `at`, and makes each of them a key.
    pub(crate) fn load(
        at: &str,
        table: &BTreeMap<String, Source>,
        key: fn(&[u8]) -> K,
        mistakes: &mut Mistakes,
    ) -> Option<Live<Self>> {
        if table.is_empty() {
            mistakes.add(format!(
                "{at}: expected at least one key, for example k1 = {{ file = \"/etc/seckill/k1\" }}"
            ));
            return None;
        }
        for kid in table.keys().filter(|kid| !is_kid(kid)) {
            mistakes.add(format!(
                "{at}.{kid}: expected a name of 1 to {KID_BYTES_MAX} of A-Z a-z 0-9 _ -"
            ));
        }
        let sources = table
            .iter()
            .map(|(kid, source)| (format!("{at}.{kid}"), source.clone()))
            .collect();
        let kids: Vec<String> = table.keys().cloned().collect();
        let at = at.to_owned();
        let live = Live::load(sources, move |all| {
            kids.iter()
                .zip(all)
                .map(|(kid, bytes)| {
                    let secret =
                        secret::shared(bytes).map_err(|reason| format!("{at}.{kid}: {reason}"))?;
                    Ok((kid.clone(), key(secret)))
                })
                .collect::<Result<_, _>>()
                .map(Self)
        });
        mistakes.note(live)
    }

    /// The key of that name.
    pub(crate) fn get(&self, kid: &str) -> Option<&K> {
        self.0.get(kid)
    }

    /// All of them.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.values()
    }
}

/// What needs no quoting in a cookie, a header or a file's name.
pub(crate) fn is_kid(text: &str) -> bool {
    (1..=KID_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn ring(keys: &[(&str, &[u8])]) -> Ring {
        Ring(
            keys.iter()
                .map(|&(kid, secret)| (kid.to_owned(), signing(secret)))
                .collect(),
        )
    }

    #[test]
    fn a_keys_name_needs_no_quoting_anywhere() {
        for kid in ["k1", "2026-11", "A_b"] {
            assert!(is_kid(kid), "{kid}");
        }
        for kid in ["", "a.b", "a:b", "ž", "a b", &"x".repeat(33)] {
            assert!(!is_kid(kid), "{kid}");
        }
    }
}

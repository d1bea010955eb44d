//! Shared keys with names, so that a new one can come before the old one goes.

use crate::config::Mistakes;
use crate::live::Live;
use crate::secret::{self, Source};
use aws_lc_rs::hmac;
use std::collections::BTreeMap;

/// The longest name of a key.
const KID_BYTES_MAX: usize = 32;

/// HMAC-SHA256 keys by their names.
pub(crate) struct Ring(BTreeMap<String, hmac::Key>);

// === impl Ring ===

impl Ring {
    /// Reads the keys of the table `at`.
    pub(crate) fn load(
        at: &str,
        table: &BTreeMap<String, Source>,
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
                    Ok((kid.clone(), hmac::Key::new(hmac::HMAC_SHA256, secret)))
                })
                .collect::<Result<_, _>>()
                .map(Self)
        });
        mistakes.note(live)
    }

    /// The key of that name.
    pub(crate) fn get(&self, kid: &str) -> Option<&hmac::Key> {
        self.0.get(kid)
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
        let key = |secret| hmac::Key::new(hmac::HMAC_SHA256, secret);
        Ring(
            keys.iter()
                .map(|&(kid, secret)| (kid.to_owned(), key(secret)))
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

//! What makes two questions the same try.

use crate::{UID_BYTES_MAX, UidRef};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// The most bytes that an idempotency token may have: `TOKEN` of a TRY, `Idempotency-Key` over HTTP.
pub const TOKEN_BYTES_MAX: usize = 128;

/// An idempotency token: 1 to [`TOKEN_BYTES_MAX`] bytes of UTF-8 without control characters, like a
/// buyer's id, because it goes the same road.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Token(Box<str>);

// One rule serves both.
const _: () = assert!(TOKEN_BYTES_MAX == UID_BYTES_MAX);

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to {TOKEN_BYTES_MAX} bytes of UTF-8 without control characters")]
pub struct TokenError;

// === impl Token ===

impl Token {
    /// Checks and keeps a token.
    ///
    /// # Errors
    /// [`TokenError`] if it breaks the rule.
    pub fn new(bytes: &[u8]) -> Result<Self, TokenError> {
        Self::check(bytes).map(|text| Self(text.into()))
    }

    /// Checks a token without keeping it.
    ///
    /// # Errors
    /// [`TokenError`] if it breaks the rule.
    pub fn check(bytes: &[u8]) -> Result<&str, TokenError> {
        UidRef::new(bytes)
            .map(UidRef::as_str)
            .map_err(|_| TokenError)
    }

    /// The token as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<str>::deserialize(deserializer)?;
        Self::check(text.as_bytes()).map_err(D::Error::custom)?;
        Ok(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_short_printable_text() {
        assert_eq!(
            Token::new("Käufer 7".as_bytes()).unwrap().as_str(),
            "Käufer 7"
        );
        for bytes in [
            &b""[..],
            &[b'x'; TOKEN_BYTES_MAX + 1],
            b"a\xff",
            b"a\0",
            b"a\n",
        ] {
            assert_eq!(Token::new(bytes), Err(TokenError), "{bytes:?}");
        }
        assert!(serde_json::from_str::<Token>("\"\"").is_err());
    }
}

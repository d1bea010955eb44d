//! Who buys.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::ops::Deref;

/// The most bytes that a buyer's id may have.
pub const UID_BYTES_MAX: usize = 128;

/// A buyer's id: 1 to [`UID_BYTES_MAX`] bytes of UTF-8 without control characters.
///
/// Otherwise opaque. It travels through HTTP headers, JSON, log lines and a MySQL column; what
/// could not travel there unchanged is refused at the first of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Uid(Box<str>);

/// What is wrong with a buyer's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UidError {
    /// It is empty.
    #[error("uid is empty: expected 1 to 128 bytes")]
    Empty,
    /// It is longer than [`UID_BYTES_MAX`].
    #[error("uid is too long: expected 1 to 128 bytes")]
    TooLong,
    /// It is not UTF-8.
    #[error("uid is not UTF-8")]
    NotUtf8,
    /// It holds a control character.
    #[error("uid holds a control character")]
    Control,
}

// === impl Uid ===

impl Uid {
    /// Checks and keeps an id.
    ///
    /// # Errors
    /// [`UidError`] names the rule that it breaks.
    pub fn new(bytes: &[u8]) -> Result<Self, UidError> {
        Self::check(bytes).map(|text| Self(text.into()))
    }

    /// Checks an id without keeping it.
    ///
    /// # Errors
    /// [`UidError`] names the rule that it breaks.
    pub fn check(bytes: &[u8]) -> Result<&str, UidError> {
        if bytes.is_empty() {
            return Err(UidError::Empty);
        }
        if bytes.len() > UID_BYTES_MAX {
            return Err(UidError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| UidError::NotUtf8)?;
        // Nearly every id is plain ASCII, which needs no decoding; every try passes here.
        let plain = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
        if !plain && text.chars().any(char::is_control) {
            return Err(UidError::Control);
        }
        Ok(text)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Uid {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Uid {
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
    fn a_uid_is_short_printable_text() {
        assert_eq!(Uid::new(b"u7").unwrap().as_str(), "u7");
        assert_eq!(Uid::new("Žofie 7".as_bytes()).unwrap().as_str(), "Žofie 7");
        assert!(Uid::new(&[b'x'; UID_BYTES_MAX]).is_ok());
        assert_eq!(Uid::new(b""), Err(UidError::Empty));
        assert_eq!(Uid::new(&[b'x'; UID_BYTES_MAX + 1]), Err(UidError::TooLong));
        assert_eq!(Uid::new(b"a\xff"), Err(UidError::NotUtf8));
        assert_eq!(Uid::new(b"a\r\nb"), Err(UidError::Control));
        assert_eq!(Uid::new(b"a\0"), Err(UidError::Control));
        assert_eq!(Uid::new(b"a\x7f"), Err(UidError::Control));
        assert_eq!(Uid::new("a\u{85}".as_bytes()), Err(UidError::Control));
    }

    #[test]
    fn a_bad_uid_is_refused_in_json_too() {
        assert!(serde_json::from_str::<Uid>("\"u7\"").is_ok());
        assert!(serde_json::from_str::<Uid>("\"\"").is_err());
    }
}

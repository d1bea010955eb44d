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

/// A buyer's id that was checked and is only looked at, where nobody has to keep it.
///
/// Bytes and not `str`: comparing and hashing need no text, and every try passes here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UidRef<'a>(&'a [u8]);

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
        UidRef::new(bytes).map(UidRef::as_str)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl UidRef ===

impl<'a> UidRef<'a> {
    /// Checks an id.
    ///
    /// # Errors
    /// [`UidError`] names the rule that it breaks.
    pub fn new(bytes: &'a [u8]) -> Result<Self, UidError> {
        if bytes.is_empty() {
            return Err(UidError::Empty);
        }
        if bytes.len() > UID_BYTES_MAX {
            return Err(UidError::TooLong);
        }
        // Nearly every id is plain ASCII, which needs no decoding.
        if !is_plain(bytes) {
            let text = std::str::from_utf8(bytes).map_err(|_| UidError::NotUtf8)?;
            if text.chars().any(char::is_control) {
                return Err(UidError::Control);
            }
        }
        Ok(Self(bytes))
    }

    /// The id's bytes: UTF-8.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        // `new` let nothing else in.
        std::str::from_utf8(self.0).unwrap_or_default()
    }

    /// The id, to be kept.
    #[must_use]
    pub fn to_owned(self) -> Uid {
        Uid(self.as_str().into())
    }
}

/// Whether all bytes are printable ASCII; eight at a time, the last eight once more where they do not
/// come out even.
fn is_plain(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk::<8>() else {
        return bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    };
    let (words, _) = bytes.as_chunks::<8>();
    let mut words = words.iter().chain([last]);
    words.all(|&word| is_plain_word(u64::from_ne_bytes(word)))
}

/// Whether each byte of a word is in `b' '..=b'~'`: none has its top bit, none is below 0x20, and
/// adding one carries none of them into its top bit.
const fn is_plain_word(word: u64) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    let below_space = word.wrapping_sub(ONES * 0x20) & !word;
    let delete = word.wrapping_add(ONES);
    (word | below_space | delete) & TOPS == 0
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
    fn every_byte_is_judged_alike_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            let plain = (b' '..=b'~').contains(&byte);
            for length in [1, 7, 8, 9, 16, 23] {
                for at in 0..length {
                    let mut bytes = vec![b'x'; length];
                    bytes[at] = byte;
                    assert_eq!(is_plain(&bytes), plain, "{byte} at {at} of {length}");
                    assert_eq!(
                        Uid::new(&bytes).is_ok(),
                        plain,
                        "{byte} at {at} of {length}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_bad_uid_is_refused_in_json_too() {
        assert!(serde_json::from_str::<Uid>("\"u7\"").is_ok());
        assert!(serde_json::from_str::<Uid>("\"\"").is_err());
    }
}

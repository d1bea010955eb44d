//! Header names as gateways to CGI and its heirs read them: whatever is not a letter or a digit is
//! the same sign, so that `X_User.Id` is `X-User-Id`.

use http::HeaderName;

/// Whether such a gateway takes one name for the other.
pub(crate) fn is_same(name: &HeaderName, other: &HeaderName) -> bool {
    let letters = other.as_str();
    name == other || name.as_str().len() == letters.len() && has_prefix(name, letters)
}

/// Whether such a gateway reads a name as one that begins with `prefix`, which is in lower case.
pub(crate) fn has_prefix(name: &HeaderName, prefix: &str) -> bool {
    let mut signs = name.as_str().bytes().map(read);
    prefix.bytes().all(|sign| signs.next() == Some(read(sign)))
}

const fn read(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() {
        byte
    } else {
        b'-'
    }
}

//! Header names as gateways to CGI and its heirs read them: whatever is not a letter or a digit is
//! the same sign, so that `X_User.Id` is `X-User-Id`.

/// Whether such a gateway takes one name for the other, in whatever case.
pub(crate) fn is_same(name: &str, other: &str) -> bool {
    let mut pairs = name.bytes().zip(other.bytes());
    name.len() == other.len() && pairs.all(|(one, two)| read(one) == read(two))
}

/// Whether such a gateway reads a name as one that begins with `prefix`, in whatever case.
pub(crate) fn has_prefix(name: &str, prefix: &str) -> bool {
    let mut signs = name.bytes().map(read);
    prefix.bytes().all(|sign| signs.next() == Some(read(sign)))
}

const fn read(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() {
        // What makes a capital small leaves a digit as it is.
        byte | 0x20
    } else {
        b'-'
    }
}

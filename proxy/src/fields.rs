//! The headers of a request, whoever has read them.
//!
//! A map of them costs more to make than all that is looked up in it: few requests have more than
//! twenty, and nobody asks for more than a handful of names.

use http::HeaderMap;
use httparse::Header;

/// Headers in the order in which they came, with names as they were written.
#[derive(Debug)]
pub(crate) struct Fields<'r>(Vec<Header<'r>>);

// === impl Fields ===

impl<'r> Fields<'r> {
    /// As a parser has found them.
    pub(crate) fn new(parsed: &[Header<'r>]) -> Self {
        Self(parsed.to_vec())
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Header<'r>> {
        self.0.iter().copied()
    }

    /// The values of a name, in whatever case.
    pub(crate) fn all(&self, name: &str) -> impl DoubleEndedIterator<Item = &'r [u8]> {
        let named = self.0.iter();
        named
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    /// The first value of a name.
    pub(crate) fn first(&self, name: &str) -> Option<&'r [u8]> {
        self.all(name).next()
    }
}

impl<'r> From<&'r HeaderMap> for Fields<'r> {
    fn from(headers: &'r HeaderMap) -> Self {
        let fields = headers.iter().map(|(name, value)| Header {
            name: name.as_str(),
            value: value.as_bytes(),
        });
        Self(fields.collect())
    }
}

/// A value that is text and of visible signs, of which every program reads the same.
pub(crate) fn plain_text(value: &[u8]) -> Option<&str> {
    let is_visible = |&byte: &u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
    std::str::from_utf8(value)
        .ok()
        .filter(|_| value.iter().all(is_visible))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::COOKIE;

    #[test]
    fn a_name_is_the_same_in_any_case() {
        let field = |name, value| Header { name, value };
        let fields = Fields::new(&[
            field("cookie", b"a=b"),
            field("Accept", b"*/*"),
            field("COOKIE", b"c=d"),
            field("Cookie2", b"e=f"),
        ]);
        let cookies: Vec<&[u8]> = fields.all("cookie").collect();
        assert_eq!(cookies, [b"a=b", b"c=d"]);
        assert_eq!(fields.first("accept"), Some(&b"*/*"[..]));
        assert_eq!(fields.len(), 4);
    }

    #[test]
    fn what_pingora_has_read_is_the_same() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=b"));
        headers.append(COOKIE, HeaderValue::from_static("c=d"));
        let fields = Fields::from(&headers);
        let cookies: Vec<&[u8]> = fields.all("cookie").rev().collect();
        assert_eq!(cookies, [b"c=d", b"a=b"]);
    }
}

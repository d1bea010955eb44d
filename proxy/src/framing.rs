//! What a head says about where its message ends and whom it is for: said once and plainly, or not
//! served. Whoever stands before or behind this proxy could read anything else in another way, and
//! take for a request what is a body here.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Version};

/// Whether a head of HTTP/1 says it in a way that could be read differently.
pub(crate) fn is_doubtful(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let has_host = hosts.next().is_some() || version < Version::HTTP_11;
    if !has_host || hosts.next().is_some() {
        return true;
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let is_length = lengths.next().is_none_or(|length| {
        !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit)
    });
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = codings.next().is_none_or(|coding| {
        coding.as_bytes().eq_ignore_ascii_case(b"chunked") && version == Version::HTTP_11
    });
    !is_length || lengths.next().is_some() || !is_chunked || codings.next().is_some()
}

/// Whether the body comes in chunks. What those may look like is read in more ways than one, too
/// (extensions with a line's end in them, no size at all), so that nothing may follow on the same
/// connection.
pub(crate) fn is_in_chunks(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn doubtful(version: Version, fields: &[(&str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        is_doubtful(version, &headers)
    }

    #[test]
    fn what_is_said_once_and_plainly_is_served() {
        for fields in [
            &[][..],
            &[("content-length", "0")],
            &[("content-length", "8192")],
            &[("transfer-encoding", "chunked")],
            &[("transfer-encoding", "Chunked")],
        ] {
            let fields = [&[("host", "a")], fields].concat();
            assert!(!doubtful(Version::HTTP_11, &fields), "{fields:?}");
        }
        assert!(!doubtful(Version::HTTP_10, &[]));
    }

    #[test]
    fn what_could_be_read_differently_is_not() {
        for fields in [
            &[("host", "b")][..],
            &[("content-length", "4, 4")],
            &[("content-length", "4"), ("content-length", "4")],
            &[("content-length", "+4")],
            &[("content-length", "")],
            &[("transfer-encoding", "chunked, chunked")],
            &[
                ("transfer-encoding", "chunked"),
                ("transfer-encoding", "chunked"),
            ],
            &[("transfer-encoding", "gzip, chunked")],
            &[("transfer-encoding", "identity")],
            &[("transfer-encoding", "")],
        ] {
            let fields = [&[("host", "a")], fields].concat();
            assert!(doubtful(Version::HTTP_11, &fields), "{fields:?}");
        }
        assert!(doubtful(Version::HTTP_11, &[]), "no host");
        let chunked = [("host", "a"), ("transfer-encoding", "chunked")];
        assert!(doubtful(Version::HTTP_10, &chunked));
    }
}

//! What a client's bytes are as requests, by RFC 9112: the reading that every server may have, and
//! where none is left. What the RFC lets a server forgive (a bare LF, empty lines in front) is
//! forgiven here; what it has to refuse ends the reading.

use super::strict::{decimal, hexadecimal, is_token};

/// A request as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body is here to its end, and nothing is wrong with it.
    pub(crate) is_whole: bool,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) asked: Vec<Asked>,
    /// Why what follows them is no request and has to be refused; nothing if it is just not here.
    pub(crate) refused: Option<&'static str>,
}

type Refusal = &'static str;

/// How long a body is.
enum Framing {
    Length(usize),
    Chunked,
}

/// Reads all that a connection has brought.
pub(crate) fn read(bytes: &[u8]) -> Reading {
    let mut reading = Reading::default();
    let mut rest = bytes;
    loop {
        let start = rest.iter().position(|b| !matches!(b, b'\r' | b'\n'));
        let Some(text) = start.and_then(|start| rest.get(start..)) else {
            return reading;
        };
        let Some((lines, after)) = head(text) else {
            return reading;
        };
        match request(&lines, after) {
            Ok((asked, next)) => {
                reading.asked.push(asked);
                let Some(next) = next else { return reading };
                rest = next;
            }
            Err(refusal) => {
                reading.refused = Some(refusal);
                return reading;
            }
        }
    }
}

/// The lines up to the first empty one, and what follows it.
fn head(text: &[u8]) -> Option<(Vec<&[u8]>, &[u8])> {
    let mut lines = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.iter().position(|&b| b == b'\n')?;
        let (line, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Some((lines, rest));
        }
        lines.push(line);
    }
}

/// A request, and where the next may begin, if one may.
fn request<'b>(lines: &[&[u8]], after: &'b [u8]) -> Result<(Asked, Option<&'b [u8]>), Refusal> {
    let (line, rest) = lines.split_first().ok_or("no request line")?;
    let words: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
    let [method, target, version] = words.as_slice() else {
        return Err("a request line of other than three words");
    };
    let is_11 = match *version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        _ => return Err("another version"),
    };
    if !is_token(method) {
        return Err("a method that is no token");
    }
    if target.is_empty() || target.iter().any(|&b| b <= b' ' || b == 0x7f) {
        return Err("a target with signs that no target has");
    }
    let fields = rest
        .iter()
        .map(|line| field(line))
        .collect::<Result<Vec<_>, _>>()?;
    let hosts = values(&fields, "host").count();
    if hosts > 1 || (is_11 && hosts == 0) {
        return Err("not one field Host");
    }
    let (framing, is_doubtful) = framing(&fields, is_11)?;
    let (body, next) = match framing {
        Framing::Length(length) => match after.get(..length) {
            Some(body) => (body.to_vec(), after.get(length..)),
            None => (after.to_vec(), None),
        },
        Framing::Chunked => chunked(after),
    };
    let is_whole = next.is_some();
    let closes = is_doubtful || connection_ends(&fields, is_11);
    let asked = Asked {
        method: method.to_vec(),
        target: target.to_vec(),
        fields,
        body,
        is_whole,
    };
    Ok((asked, next.filter(|_| !closes)))
}

fn field(line: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        return Err("a folded line");
    }
    let colon = line
        .iter()
        .position(|&b| b == b':')
        .ok_or("a field without a colon")?;
    let (name, value) = line.split_at(colon);
    if !is_token(name) {
        return Err("a field's name that is no token");
    }
    let value = value.get(1..).unwrap_or_default().trim_ascii();
    if value.iter().any(|b| matches!(b, b'\r' | b'\0')) {
        return Err("CR or NUL in a field");
    }
    Ok((name.to_ascii_lowercase(), value.to_vec()))
}

/// The values of a field, by its name in lower case.
pub(crate) fn values<'f>(
    fields: &'f [(Vec<u8>, Vec<u8>)],
    name: &str,
) -> impl Iterator<Item = &'f [u8]> {
    fields
        .iter()
        .filter_map(move |(own, value)| (own == name.as_bytes()).then_some(value.as_slice()))
}

/// How long the body is, and whether the connection must not go on after it.
fn framing(fields: &[(Vec<u8>, Vec<u8>)], is_11: bool) -> Result<(Framing, bool), Refusal> {
    let lengths: Vec<&[u8]> = values(fields, "content-length")
        .flat_map(|value| value.split(|&b| b == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    let codings: Vec<&[u8]> = values(fields, "transfer-encoding")
        .flat_map(|value| value.split(|&b| b == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    if let [earlier @ .., last] = codings.as_slice() {
        if !is_11 {
            return Err("Transfer-Encoding in HTTP/1.0");
        }
        let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
        if !is_chunked(last) || earlier.iter().any(|coding| is_chunked(coding)) {
            return Err("Transfer-Encoding that does not end in one chunked");
        }
        // Nothing may follow: see `chunked`.
        return Ok((Framing::Chunked, true));
    }
    let Some((first, others)) = lengths.split_first() else {
        return Ok((Framing::Length(0), false));
    };
    if others.iter().any(|other| other != first) {
        return Err("several lengths");
    }
    let length = decimal(first).ok_or("a Content-Length that is no number")?;
    Ok((Framing::Length(length), false))
}

/// The chunks' data, and what follows them; nothing if they do not end, or not well. Two things are
/// read as the proxy's parser reads them, which no peer has to: no size at all is the last chunk, and an
/// extension may have any sign in it. The proxy lets nothing follow on such a connection.
fn chunked(bytes: &[u8]) -> (Vec<u8>, Option<&[u8]>) {
    let mut decoded = Vec::new();
    let mut rest = bytes;
    loop {
        let Some(end) = crate::bytes::find(rest, b"\r\n") else {
            return (decoded, None);
        };
        let (line, after) = rest.split_at(end);
        let after = after.get(2..).unwrap_or_default();
        let digits = line.split(|&b| b == b';').next().unwrap_or_default();
        let digits = digits.trim_ascii_end();
        let size = if digits.is_empty() {
            Some(0)
        } else {
            hexadecimal(digits)
        };
        let Some(size) = size else {
            return (decoded, None);
        };
        if size == 0 {
            rest = after;
            break;
        }
        let Some((data, after)) = after.split_at_checked(size) else {
            decoded.extend_from_slice(after);
            return (decoded, None);
        };
        decoded.extend_from_slice(data);
        let Some(after) = after.strip_prefix(b"\r\n") else {
            return (decoded, None);
        };
        rest = after;
    }
    // Trailers.
    loop {
        let Some((line, after)) = crlf_line(rest) else {
            return (decoded, None);
        };
        rest = after;
        if line.is_empty() {
            return (decoded, Some(rest));
        }
    }
}

/// A line that ends with CRLF; a bare LF or CR in it is the end of the reading.
fn crlf_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&b| b == b'\n')?;
    let line = bytes.get(..end)?.strip_suffix(b"\r")?;
    (!line.contains(&b'\r')).then_some((line, bytes.get(end + 1..)?))
}

fn connection_ends(fields: &[(Vec<u8>, Vec<u8>)], is_11: bool) -> bool {
    let mut words = values(fields, "connection").flat_map(|value| value.split(|&b| b == b','));
    let mut says = |word: &[u8]| words.any(|own| own.trim_ascii().eq_ignore_ascii_case(word));
    if is_11 {
        says(b"close")
    } else {
        !says(b"keep-alive")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(text: &str) -> (Vec<String>, bool) {
        let reading = read(text.as_bytes());
        let target = |asked: &Asked| String::from_utf8_lossy(&asked.target).into_owned();
        (
            reading.asked.iter().map(target).collect(),
            reading.refused.is_some(),
        )
    }

    #[test]
    fn a_body_is_no_request_and_what_follows_it_is() {
        let post =
            |fields: &str, rest: &str| format!("POST /a HTTP/1.1\r\nHost: h\r\n{fields}\r\n{rest}");
        let get = "GET /b HTTP/1.1\r\nHost: h\r\n\r\n";
        for (text, seen, refused) in [
            (post("", get), &["/a", "/b"][..], false),
            (post("Content-Length: 28\r\n", get), &["/a"], false),
            (
                post("Content-Length: 1\r\nContent-Length: 2\r\n", get),
                &[],
                true,
            ),
            (
                post("Transfer-Encoding: chunked\r\n", &format!("0\r\n\r\n{get}")),
                &["/a"],
                false,
            ),
            (
                post(
                    "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                    &format!("0\r\n\r\n{get}"),
                ),
                &["/a"],
                false,
            ),
            (
                post("Transfer-Encoding: chunked\r\n", &format!("0\n\n{get}")),
                &["/a"],
                false,
            ),
            (post("Transfer-Encoding: xchunked\r\n", get), &[], true),
            (post("Connection: close\r\n", get), &["/a"], false),
            (post("Content-Length : 28\r\n", get), &[], true),
            (format!("\r\n\n{get}"), &["/b"], false),
        ] {
            let (targets, is_refused) = targets(&text);
            assert_eq!(
                (targets.as_slice(), is_refused),
                (
                    seen.iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .as_slice(),
                    refused
                ),
                "{text:?}"
            );
        }
    }
}

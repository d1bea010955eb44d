//! HTTP/1.1 as the strictest peer reads it: what can be read in two ways is an error.

/// A head: the first line and the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) line: Vec<u8>,
    pub(crate) fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
    /// It ends with the connection.
    UntilClosed,
}

/// A request, and its body as far as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) head: Head,
    pub(crate) framing: Framing,
}

/// A response without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: Head,
}

/// A body, decoded, and how many bytes it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Whole(Vec<u8>, usize),
    /// Not here entirely.
    Part(Vec<u8>),
}

/// Where a head ends, if it does.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    crate::bytes::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// A request's head, up to and with its empty line.
pub(crate) fn request(bytes: &[u8]) -> Result<Request, String> {
    let head = head(bytes)?;
    let words: Vec<&[u8]> = head.line.split(|&b| b == b' ').collect();
    let [method, target, version] = words.as_slice() else {
        return Err("a request line of other than three words".into());
    };
    if !is_token(method) {
        return Err("a method that is no token".into());
    }
    if target.is_empty() || target.iter().any(|&b| b < b'!' || b == 0x7f) {
        return Err("a target with signs that no target has".into());
    }
    if *version != b"HTTP/1.1" {
        return Err("a version that is not HTTP/1.1".into());
    }
    let hosts = head.values("host").count();
    if hosts != 1 {
        return Err(format!("{hosts} fields Host"));
    }
    let framing = framing(&head, Framing::Length(0))?;
    Ok(Request {
        method: method.to_vec(),
        target: target.to_vec(),
        framing,
        head,
    })
}

/// A response's head, up to and with its empty line.
pub(crate) fn response(bytes: &[u8]) -> Result<Response, String> {
    let head = head(bytes)?;
    let mut words = head.line.splitn(3, |&b| b == b' ');
    let (version, status) = (words.next(), words.next());
    if !matches!(version, Some(b"HTTP/1.1" | b"HTTP/1.0")) || words.next().is_none() {
        return Err("a status line that is none".into());
    }
    let status = status.and_then(|digits| match digits {
        [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'] => str::from_utf8(digits).ok()?.parse().ok(),
        _ => None,
    });
    Ok(Response {
        status: status.ok_or("a status that is none")?,
        head,
    })
}

/// How long the body is that follows a response to a request of this method.
pub(crate) fn response_framing(response: &Response, method: &[u8]) -> Result<Framing, String> {
    let bodiless = matches!(response.status, 100..=199 | 204 | 304) || method == b"HEAD";
    let framing = framing(&response.head, Framing::UntilClosed)?;
    Ok(if bodiless {
        Framing::Length(0)
    } else {
        framing
    })
}

fn head(bytes: &[u8]) -> Result<Head, String> {
    let text = bytes
        .strip_suffix(b"\r\n\r\n")
        .ok_or("a head without an end")?;
    let mut lines = split_lines(text).into_iter();
    let line = lines.next().unwrap_or_default();
    if let Some(sign) = line.iter().find(|b| is_control(**b)) {
        return Err(format!("the sign {sign:#x} in the first line"));
    }
    let line = line.to_vec();
    let fields = lines.map(field).collect::<Result<_, _>>()?;
    Ok(Head { line, fields })
}

/// At CRLF only: any other CR or LF stays in a line, and is found there.
fn split_lines(mut text: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(at) = crate::bytes::find(text, b"\r\n") {
        let (line, rest) = text.split_at(at);
        lines.push(line);
        text = rest.get(2..).unwrap_or_default();
    }
    lines.push(text);
    lines
}

fn field(line: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String> {
    let shown = || line.escape_ascii().to_string();
    let colon = line.iter().position(|&b| b == b':');
    let (name, value) = line.split_at(colon.ok_or_else(|| format!("no colon in {}", shown()))?);
    if !is_token(name) {
        return Err(format!("a name that is no token in {}", shown()));
    }
    let value = value.get(1..).unwrap_or_default().trim_ascii();
    if value.iter().any(|&b| is_control(b) && b != b'\t') {
        return Err(format!("a control character in {}", shown()));
    }
    Ok((name.to_ascii_lowercase(), value.to_vec()))
}

const fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

/// Whether it is a token, as methods and names are.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

/// Said once and in one way.
fn framing(head: &Head, otherwise: Framing) -> Result<Framing, String> {
    let codings: Vec<&[u8]> = head.values("transfer-encoding").collect();
    let lengths: Vec<&[u8]> = head.values("content-length").collect();
    match (codings.as_slice(), lengths.as_slice()) {
        ([], []) => Ok(otherwise),
        ([coding], []) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        ([], [digits]) => {
            let length = decimal(digits).ok_or("a Content-Length that is no number")?;
            Ok(Framing::Length(length))
        }
        _ => Err(format!(
            "{} fields Transfer-Encoding and {} fields Content-Length: {:?}",
            codings.len(),
            lengths.len(),
            codings
                .iter()
                .chain(&lengths)
                .map(|v| v.escape_ascii().to_string())
                .collect::<Vec<_>>()
        )),
    }
}

/// Digits and nothing else.
pub(crate) fn decimal(digits: &[u8]) -> Option<usize> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    all.then(|| str::from_utf8(digits).ok()?.parse().ok())
        .flatten()
}

/// The body at the beginning of `bytes`.
pub(crate) fn body(bytes: &[u8], framing: Framing) -> Result<Body, String> {
    match framing {
        Framing::UntilClosed => Ok(Body::Part(bytes.to_vec())),
        Framing::Length(length) => Ok(match bytes.get(..length) {
            Some(whole) => Body::Whole(whole.to_vec(), length),
            None => Body::Part(bytes.to_vec()),
        }),
        Framing::Chunked => chunked(bytes),
    }
}

/// Neither extensions nor trailers: a peer that made the chunks itself has no reason for either.
fn chunked(bytes: &[u8]) -> Result<Body, String> {
    let mut decoded = Vec::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(end) = rest.iter().position(|&b| b == b'\n') else {
            return if rest.len() > 18 {
                Err("a chunk's size without an end".into())
            } else {
                Ok(Body::Part(decoded))
            };
        };
        let line = rest.get(..end).unwrap_or_default();
        let size = line.strip_suffix(b"\r").and_then(hexadecimal);
        let size = size.ok_or_else(|| format!("a chunk of size {}", line.escape_ascii()))?;
        at += end + 1;
        let data = bytes.get(at..at.saturating_add(size));
        let Some(data) = data else {
            decoded.extend_from_slice(bytes.get(at..).unwrap_or_default());
            return Ok(Body::Part(decoded));
        };
        decoded.extend_from_slice(data);
        at += size;
        match bytes.get(at..at + 2) {
            None => return Ok(Body::Part(decoded)),
            Some(b"\r\n") => at += 2,
            Some(other) if size == 0 => {
                return Err(format!("a trailer: {}", other.escape_ascii()));
            }
            Some(other) => return Err(format!("after a chunk: {}", other.escape_ascii())),
        }
        if size == 0 {
            return Ok(Body::Whole(decoded, at));
        }
    }
}

/// At least one digit, and no more than fit.
pub(crate) fn hexadecimal(digits: &[u8]) -> Option<usize> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    all.then(|| usize::from_str_radix(str::from_utf8(digits).ok()?, 16).ok())
        .flatten()
}

// === impl Head ===

impl Head {
    /// The values of a field, by its name in lower case.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let fields = self.fields.iter();
        fields.filter_map(move |(own, value)| (own == name.as_bytes()).then_some(value.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(fields: &str) -> Result<Request, String> {
        request(format!("POST /a HTTP/1.1\r\nHost: b\r\n{fields}\r\n").as_bytes())
    }

    #[test]
    fn what_is_said_once_and_clearly_is_read() {
        assert_eq!(post("").unwrap().framing, Framing::Length(0));
        let length = post("Content-Length: 4\r\n").unwrap().framing;
        assert_eq!(length, Framing::Length(4));
        let chunked = post("transfer-encoding: chunked\r\n").unwrap().framing;
        assert_eq!(chunked, Framing::Chunked);
        assert_eq!(body(b"abcde", length), Ok(Body::Whole(b"abcd".to_vec(), 4)));
        let whole = Body::Whole(b"abc".to_vec(), 18);
        assert_eq!(
            body(b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\nrest", chunked),
            Ok(whole)
        );
        assert_eq!(body(b"2\r\na", chunked), Ok(Body::Part(b"a".to_vec())));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_an_error() {
        for fields in [
            "Host: c\r\n",
            "Content-Length: 4\r\nContent-Length: 4\r\n",
            "Content-Length: 4, 4\r\n",
            "Content-Length: +4\r\n",
            "Content-Length: 0x4\r\n",
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding : chunked\r\n",
            "A: b\nC: d\r\n",
            "A: b\rC: d\r\n",
            "A: b\0\r\n",
            "A: b\r\n c\r\n",
            "nothing\r\n",
            ": a\r\n",
        ] {
            assert!(post(fields).is_err(), "{fields:?}");
        }
        for line in [
            "GET /a HTTP/1.0",
            "GET  /a HTTP/1.1",
            "GET /a\tHTTP/1.1",
            "GET /a b HTTP/1.1",
            "G(T /a HTTP/1.1",
            "GET HTTP/1.1",
        ] {
            let text = format!("{line}\r\nHost: a\r\n\r\n");
            assert!(request(text.as_bytes()).is_err(), "{line}");
        }
        for chunks in [
            "+1\r\na\r\n0\r\n\r\n",
            "1;a=b\r\na\r\n0\r\n\r\n",
            "1\na\r\n0\r\n\r\n",
            "1\r\nab\r\n0\r\n\r\n",
            "0\r\nA: b\r\n\r\n",
            "fffffffffffffffff\r\n",
            "\r\n",
        ] {
            assert!(
                body(chunks.as_bytes(), Framing::Chunked).is_err(),
                "{chunks:?}"
            );
        }
    }
}

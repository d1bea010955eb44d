//! What the nodes of a Redis Cluster say of each other.

use redis::Value;
use seckill_protocol::SLOTS;

/// Slots one after the other, and the node that decides about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first of them.
    pub first: u16,
    /// The last of them.
    pub last: u16,
    /// Where the node is.
    pub host: String,
    /// Its port there.
    pub port: u16,
}

// === impl Range ===

impl Range {
    /// Whether a slot is among them.
    #[must_use]
    pub fn has(&self, slot: u16) -> bool {
        (self.first..=self.last).contains(&slot)
    }
}

/// Reads the answer to `CLUSTER SLOTS` of the node at `asked`, in the order of the slots.
#[must_use]
pub fn read(answer: &Value, asked: &str) -> Option<Vec<Range>> {
    let Value::Array(ranges) = answer else {
        return None;
    };
    let mut ranges: Vec<Range> = ranges
        .iter()
        .map(|range| range_of(range, asked))
        .collect::<Option<_>>()?;
    ranges.sort_by_key(|range| range.first);
    Some(ranges)
}

fn range_of(range: &Value, asked: &str) -> Option<Range> {
    let Value::Array(parts) = range else {
        return None;
    };
    // The primary is the first of the nodes.
    let [Value::Int(first), Value::Int(last), Value::Array(node), ..] = parts.as_slice() else {
        return None;
    };
    let [host, Value::Int(port), ..] = node.as_slice() else {
        return None;
    };
    let host = match host {
        Value::BulkString(host) => std::str::from_utf8(host).ok()?,
        _ => "",
    };
    let slot = |number: i64| u16::try_from(number).ok().filter(|slot| *slot < SLOTS);
    Some(Range {
        first: slot(*first)?,
        last: slot(*last)?,
        host: known_host(host, asked).to_owned(),
        port: u16::try_from(*port).ok()?,
    })
}

/// Where an error sends: `MOVED 3999 10.0.0.7:6381`, said by the node at `asked`.
#[must_use]
pub fn sent_to<'a>(address: &'a str, asked: &'a str) -> Option<(&'a str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    Some((known_host(host, asked), port.parse().ok()?))
}

/// A node that does not know what it is called from outside means: as you called me.
fn known_host<'a>(host: &'a str, asked: &'a str) -> &'a str {
    if host.is_empty() || host == "?" {
        asked
    } else {
        host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_of_each_range_is_read() {
        let node = |host: &str, port: u16| {
            let length = host.len();
            format!("*3\r\n${length}\r\n{host}\r\n:{port}\r\n$2\r\nid\r\n")
        };
        let (a, replica, b) = (
            node("10.0.0.1", 7000),
            node("10.0.0.2", 7001),
            node("", 7002),
        );
        let text = format!("*2\r\n*3\r\n:8192\r\n:16383\r\n{b}*4\r\n:0\r\n:8191\r\n{a}{replica}");
        let answer = redis::parse_redis_value(text.as_bytes()).expect("it is an answer");
        let range = |first, last, host: &str, port| Range {
            first,
            last,
            host: host.to_owned(),
            port,
        };
        assert_eq!(
            read(&answer, "asked"),
            Some(vec![
                range(0, 8191, "10.0.0.1", 7000),
                range(8192, 16383, "asked", 7002)
            ])
        );
        assert_eq!(read(&Value::Okay, "asked"), None);
    }

    #[test]
    fn where_an_error_sends_is_read() {
        assert_eq!(sent_to("10.0.0.7:6381", "me"), Some(("10.0.0.7", 6381)));
        assert_eq!(sent_to("::1:6381", "me"), Some(("::1", 6381)));
        assert_eq!(sent_to(":6381", "me"), Some(("me", 6381)));
        assert_eq!(sent_to("nowhere", "me"), None);
    }
}

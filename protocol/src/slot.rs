//! The slots of a Redis Cluster: which one a key is in.

/// How many slots there are.
pub const SLOTS: u16 = 16384;

/// The slot of a key.
#[must_use]
pub fn slot(key: impl AsRef<[u8]>) -> u16 {
    let key = key.as_ref();
    crc16(slot_tag(key).unwrap_or(key)) % SLOTS
}

/// What of a key decides where it is: the first text in braces, if it is not empty.
#[must_use]
pub fn slot_tag(key: &[u8]) -> Option<&[u8]> {
    let after = key.splitn(2, |&byte| byte == b'{').nth(1)?;
    let mut parts = after.splitn(2, |&byte| byte == b'}');
    let tag = parts.next()?;
    (parts.next().is_some() && !tag.is_empty()).then_some(tag)
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 {
                shifted
            } else {
                shifted ^ 0x1021
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_in_the_slot_that_redis_says() {
        // By `CLUSTER KEYSLOT`.
        for (key, expected) in [
            ("123456789", 12739),
            ("foo", 12182),
            ("bar", 5061),
            ("", 0),
            ("{user1000}.following", 3443),
            ("{user1000}.followers", 3443),
            ("foo{{bar}}zap", slot("{bar")),
            ("foo{bar}{zap}", 5061),
        ] {
            assert_eq!(slot(key), expected, "{key}");
        }
        assert_ne!(slot("foo{}{bar}"), 5061);
        assert_eq!(slot_tag(b"foo{bar"), None);
    }
}

//! A key for the knock at a node of a Redis Cluster.

use seckill_protocol::{slot, slot_tag};

/// A key that no sale has, because there is a blank in it, in one of a node's slots.
pub(crate) fn strange_key(
    key_prefix: &str,
    mut is_at_home: impl FnMut(u16) -> bool,
) -> Option<String> {
    /// Enough for a node with a single slot.
    const ATTEMPTS: u32 = 300_000;
    // Where the prefix decides, every key is in the same slot.
    let attempts = if slot_tag(key_prefix.as_bytes()).is_some() {
        1
    } else {
        ATTEMPTS
    };
    (0..attempts)
        .map(|number| format!("{key_prefix} {number}"))
        .find(|key| is_at_home(slot(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_key_is_found_for_a_single_slot_too() {
        for wanted in [0, 7, 16383] {
            let key = strange_key("shop:", |slot| slot == wanted).unwrap();
            assert!(key.starts_with("shop: "), "{key}");
            assert_eq!(slot(&key), wanted);
        }
        let tagged = "{shop}:";
        assert!(strange_key(tagged, |own| own == slot("shop")).is_some());
        assert_eq!(strange_key(tagged, |own| own != slot("shop")), None);
    }
}

//! What a file has of a sale: blocks of a snapshot, and in an AOF the changes after them.

use crate::copies::{apply, begin};
use crate::histories::after;
use crate::node::Node;
use seckill_sale::{AuditError, Sale};

/// Stands between two payloads. A change in the length of one leaves the others as they are.
pub(crate) const BETWEEN: &[u8] = b"\xff\xfe\xfd\xfc";

/// Reads bytes as the payloads that a sale is made of.
pub fn snapshot(bytes: &[u8]) {
    let mut rest = Some(bytes);
    let mut payloads = std::iter::from_fn(|| {
        let bytes = rest.take()?;
        let at = bytes.windows(BETWEEN.len()).position(|w| w == BETWEEN);
        let Some(at) = at else {
            return Some(bytes);
        };
        let (first, others) = bytes.split_at(at);
        rest = others.get(BETWEEN.len()..);
        Some(first)
    });
    let Some(Ok(mut sale)) = payloads.next().map(|first| begin(first, 5)) else {
        return;
    };
    for payload in payloads {
        // What does not fit is refused, and the node keeps what it has.
        let _ = apply(&mut sale, payload);
    }
    if sale.is_complete() {
        let now_ms = sale.next_release_ms().unwrap_or(0);
        Node::new(sale, now_ms).run_all(after());
    } else {
        is_harmless(&sale);
    }
}

/// A sale of which a part is missing can be measured, saved and freed; nothing else is done with it.
fn is_harmless(sale: &Sale) {
    assert!(matches!(sale.audit(), Err(AuditError::Incomplete { .. })));
    let _ = (sale.memory_bytes(), sale.allocation_count());
    let _ = (sale.events_pending(), sale.next_release_ms());
    sale.for_each_block(|block| assert!(!block.is_empty()));
}

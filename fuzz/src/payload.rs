//! What a primary sends, as a replica or the AOF gets it.

use crate::copies::{adds_up, blocks, made};
use crate::histories::{after, history};
use crate::node::Node;
use seckill_sale::{ApplyError, Change, Effects, Payload, Sale};

/// Reads bytes as the number of a history and the change that comes next.
///
/// Effects that were made up do not make a sale that lies: each is applied whole or not at all, and
/// the sale adds up and goes on.
pub fn payload(bytes: &[u8]) {
    let Some((&which, bytes)) = bytes.split_first() else {
        return;
    };
    let Ok(Payload::Change(effects)) = Payload::decode(bytes) else {
        return;
    };
    has_one_spelling(bytes, effects);
    if let Ok(sale) = Sale::from_effects(effects, 1) {
        goes_on(sale);
    }
    let history = history(which);
    let mut sale = made(history);
    let fits = one_by_one(&mut sale, effects);

    let mut other = made(history);
    let head = other.head();
    let outcome = other.apply_effects(effects);
    if effects.after == head {
        assert_eq!(outcome.is_ok(), fits, "{outcome:?}");
        assert_eq!(blocks(&other), blocks(&sale), "at once and one by one");
    } else {
        assert!(
            matches!(outcome, Err(ApplyError::OutOfPlace { .. })),
            "{outcome:?}"
        );
        assert_eq!(blocks(&other), history, "what is out of place is left out");
    }
    goes_on(sale);
}

/// Applies effects up to the first that does not fit.
fn one_by_one(sale: &mut Sale, effects: Effects<'_>) -> bool {
    for effect in effects {
        let before = blocks(sale);
        let Ok(effect) = effect else {
            return false;
        };
        if sale.apply(&effect).is_err() {
            assert_eq!(blocks(sale), before, "whole or not at all");
            adds_up(sale);
            return false;
        }
        adds_up(sale);
    }
    true
}

fn goes_on(sale: Sale) {
    let now_ms = sale.next_release_ms().unwrap_or(0);
    Node::new(sale, now_ms).run_all(after());
}

/// What was read is written again as it was.
fn has_one_spelling(bytes: &[u8], effects: Effects<'_>) {
    let mut change = Change::default();
    change.begin(effects.after);
    for effect in effects {
        let Ok(effect) = effect else {
            return;
        };
        change.record(&effect);
    }
    if !change.is_empty() {
        assert_eq!(change.payload(), bytes, "there is one spelling");
    }
}

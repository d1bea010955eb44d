//! A sale, and what is asked of it at which times.

use crate::command::{Command, Opening};
use crate::copies::{begin, blocks};
use crate::node::Node;
use arbitrary::{Arbitrary, Unstructured};
use seckill_protocol::EventId;
use seckill_sale::{Change, Effect, Sale, UNITS_MAX};

/// Commands at most, so that one input stays quick.
const COMMANDS_MAX: usize = 200;

/// Reads bytes as the opening of a sale and commands on it.
pub fn commands(bytes: &[u8]) {
    let mut u = Unstructured::new(bytes);
    let Ok(opening) = Opening::arbitrary(&mut u) else {
        return;
    };
    let at_ms = opening.epoch;
    let Some(sale) = open(opening) else {
        return;
    };
    let commands = std::iter::from_fn(|| {
        let more = !u.is_empty();
        more.then(|| Command::arbitrary(&mut u).ok()).flatten()
    });
    Node::new(sale, at_ms).run_all(commands.take(COMMANDS_MAX));
}

/// Opens a sale as `SECKILL.CREATE` does, within what it lets through.
pub(crate) fn open(opening: Opening) -> Option<Sale> {
    let Opening {
        epoch,
        options,
        total,
        sold,
        paused,
    } = opening;
    let fits = sold <= total && total <= UNITS_MAX;
    if options.empty_window().is_some() {
        return None;
    }
    let mut change = Change::default();
    change.begin(EventId::ZERO);
    change.record(&Effect::Opened {
        epoch: epoch.min(i64::MAX.unsigned_abs()),
        at_ms: epoch,
        options: Box::new(options),
        total,
        sold,
        paused,
    });
    let sale = begin(change.payload(), 7);
    assert_eq!(sale.is_ok(), fits);
    let sale = sale.ok()?;
    let replica = begin(change.payload(), 8).unwrap();
    assert_eq!(blocks(&replica), blocks(&sale));
    Some(sale)
}

//! A sale as the module keeps it: the sale, the node's own state, and every change that was made.

use seckill_protocol::{ReservationId, Verdict};
use seckill_sale::{Change, Effect, Options, Payload, Refusal, Sale, Soft, Try};

pub(crate) const EPOCH: u64 = 1_763_800_000_000;

pub(crate) struct Node {
    pub(crate) sale: Sale,
    pub(crate) soft: Soft,
    pub(crate) changes: Vec<Change>,
}

impl Node {
    pub(crate) fn open(total: u64, options: Options) -> Self {
        let opened = Effect::Opened {
            epoch: EPOCH,
            at_ms: EPOCH,
            options,
            total,
            sold: 0,
            paused: false,
        };
        let mut change = Change::new(seckill_protocol::EventId::ZERO);
        change.effects.push(opened);
        Self {
            sale: Sale::from_change(&change, 7).unwrap(),
            soft: Soft::new(7),
            changes: vec![change],
        }
    }

    pub(crate) fn perform<T>(
        &mut self,
        now_ms: u64,
        decide: impl FnOnce(&Sale, &mut Soft) -> seckill_sale::decide::Decision<T>,
    ) -> Result<T, Refusal> {
        let soft = &mut self.soft;
        let performed = self.sale.perform(now_ms, |sale| decide(sale, soft));
        if !performed.change.is_empty() {
            self.changes.push(performed.change);
        }
        performed.outcome
    }

    pub(crate) fn ask(
        &mut self,
        now_ms: u64,
        uid: &str,
        qty: u32,
        token: Option<&str>,
    ) -> Result<Verdict, Refusal> {
        let request = Try {
            uid,
            qty,
            token: token.map(str::as_bytes),
        };
        self.perform(now_ms, |sale, soft| sale.decide_try(soft, now_ms, &request))
    }

    pub(crate) fn buy(&mut self, now_ms: u64, uid: &str) -> Verdict {
        self.ask(now_ms, uid, 1, None).unwrap()
    }

    /// Buys and expects to get it.
    pub(crate) fn accepted(&mut self, now_ms: u64, uid: &str) -> ReservationId {
        match self.buy(now_ms, uid) {
            Verdict::Accepted(rid) => rid,
            other => panic!("expected ACCEPTED, got {other:?}"),
        }
    }

    /// Another copy, made from the changes as they travel.
    pub(crate) fn replica(&self) -> Sale {
        let mut copy: Option<Sale> = None;
        for change in &self.changes {
            let bytes = Payload::Change(change.clone()).encode().unwrap();
            let Payload::Change(change) = Payload::decode(&bytes).unwrap() else {
                panic!("a change was read back as something else");
            };
            match &mut copy {
                Some(copy) => copy.apply_change(&change).unwrap(),
                None => copy = Some(Sale::from_change(&change, 99).unwrap()),
            }
        }
        copy.unwrap()
    }
}

/// The sale as bytes: two sales with the same bytes are the same sale.
pub(crate) fn bytes(sale: &Sale) -> Vec<Vec<u8>> {
    sale.snapshot()
        .map(|part| Payload::Snapshot(part).encode().unwrap())
        .collect()
}

/// The sale, saved and loaded.
pub(crate) fn reloaded(sale: &Sale) -> Sale {
    let mut copy: Option<Sale> = None;
    for block in bytes(sale) {
        let Payload::Snapshot(part) = Payload::decode(&block).unwrap() else {
            panic!("a snapshot was read back as something else");
        };
        match &mut copy {
            Some(copy) => copy.restore(part).unwrap(),
            None => copy = Some(Sale::from_snapshot(part, 3).unwrap()),
        }
    }
    copy.unwrap()
}

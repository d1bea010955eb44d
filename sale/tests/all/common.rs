//! A sale as the module keeps it: the sale, the node's own state, and every change that was made.

use seckill_protocol::{EventId, ReservationId, UidRef, Verdict};
use seckill_sale::decide::{Decision, IfLate};
use seckill_sale::restore::Step;
use seckill_sale::{Change, Effect, Options, Payload, Put, Refusal, Sale, Soft, Try};

pub(crate) const EPOCH: u64 = 1_763_800_000_000;

pub(crate) struct Node {
    pub(crate) sale: Sale,
    pub(crate) soft: Soft,
    /// What was replicated, in order.
    pub(crate) payloads: Vec<Vec<u8>>,
}

impl Node {
    pub(crate) fn open(total: u64, options: Options) -> Self {
        let mut change = Change::default();
        change.begin(EventId::ZERO);
        change.record(&Effect::Opened {
            epoch: EPOCH,
            at_ms: EPOCH,
            options: Box::new(options),
            total,
            sold: 0,
            paused: false,
        });
        Self {
            sale: created(change.payload(), 7),
            soft: Soft::new(),
            payloads: vec![change.payload().to_vec()],
        }
    }

    pub(crate) fn perform<'a, T>(
        &mut self,
        now_ms: u64,
        decide: impl FnOnce(&Sale, &mut Soft) -> Decision<'a, T>,
    ) -> Result<T, Refusal> {
        let mut change = self.begin();
        let soft = &mut self.soft;
        let outcome = self
            .sale
            .perform(now_ms, &mut change, |sale| decide(sale, soft));
        self.keep(&change);
        outcome
    }

    pub(crate) fn confirm(
        &mut self,
        now_ms: u64,
        rid: ReservationId,
        if_late: IfLate,
    ) -> Result<(), Refusal> {
        let mut change = self.begin();
        let outcome = self.sale.perform_confirm(now_ms, &mut change, rid, if_late);
        self.keep(&change);
        outcome
    }

    pub(crate) fn restore<'a>(
        &mut self,
        now_ms: u64,
        steps: impl IntoIterator<Item = Step<'a>>,
        epoch: u64,
    ) -> Result<Vec<Option<Put>>, Refusal> {
        let mut change = self.begin();
        let outcome = self.sale.perform_restore(now_ms, &mut change, steps, epoch);
        self.keep(&change);
        outcome
    }

    /// Goes on as the primary in place of another.
    pub(crate) fn take_over(&mut self, now_ms: u64, epoch: u64, fenced: bool) {
        let mut change = self.begin();
        self.sale
            .perform_take_over(now_ms, &mut change, epoch, fenced)
            .unwrap();
        self.keep(&change);
    }

    fn begin(&self) -> Change {
        let mut change = Change::default();
        change.begin(self.sale.head());
        change
    }

    fn keep(&mut self, change: &Change) {
        if !change.is_empty() {
            self.payloads.push(change.payload().to_vec());
        }
    }

    pub(crate) fn ask(
        &mut self,
        now_ms: u64,
        buyer: &str,
        qty: u32,
        token: Option<&str>,
    ) -> Result<Verdict, Refusal> {
        let request = Try {
            uid: uid(buyer),
            qty,
            token: token.map(str::as_bytes),
        };
        let mut change = self.begin();
        let outcome = self
            .sale
            .perform_try(now_ms, &mut change, &mut self.soft, &request);
        self.keep(&change);
        outcome
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

    /// Another copy, made from what was replicated.
    pub(crate) fn replica(&self) -> Sale {
        let (first, rest) = self.payloads.split_first().unwrap();
        let mut copy = created(first, 99);
        for payload in rest {
            apply(&mut copy, payload).unwrap();
        }
        copy
    }
}

pub(crate) fn uid(text: &str) -> UidRef<'_> {
    UidRef::new(text.as_bytes()).unwrap()
}

pub(crate) fn created(payload: &[u8], seed: u64) -> Sale {
    match Payload::decode(payload).unwrap() {
        Payload::Change(effects) => Sale::from_effects(effects, seed).unwrap(),
        Payload::Block(_) => panic!("a change was read back as a block"),
    }
}

pub(crate) fn apply(sale: &mut Sale, payload: &[u8]) -> Result<(), seckill_sale::ApplyError> {
    match Payload::decode(payload)? {
        Payload::Change(effects) => sale.apply_effects(effects),
        Payload::Block(block) => Ok(sale.restore_block(block)?),
    }
}

/// The sale as bytes: two sales with the same bytes are the same sale.
pub(crate) fn bytes(sale: &Sale) -> Vec<Vec<u8>> {
    let mut blocks = Vec::new();
    sale.for_each_block(|block| blocks.push(block.to_vec()));
    blocks
}

/// The sale, saved and loaded.
pub(crate) fn reloaded(sale: &Sale) -> Sale {
    restored(&bytes(sale)).unwrap()
}

/// A sale from its blocks.
pub(crate) fn restored(blocks: &[Vec<u8>]) -> Result<Sale, seckill_sale::ApplyError> {
    let (first, rest) = blocks.split_first().unwrap();
    // A damaged block may read as a change: one that no sale is there for.
    let Payload::Block(first) = Payload::decode(first)? else {
        return Err(seckill_sale::ApplyError::NotOpened);
    };
    let mut copy = Sale::from_block(first, 3)?;
    for block in rest {
        apply(&mut copy, block)?;
    }
    Ok(copy)
}

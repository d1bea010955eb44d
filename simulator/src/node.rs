//! A Redis with the module: its copy of the sale, and what its disk has of it.

use crate::settings::Fence;
use seckill_protocol::EventId;
use seckill_sale::{ApplyError, Change, Effect, Lease, Options, Payload, Refusal, Sale, Soft};

/// How long `appendfsync everysec` may keep what it has written from the disk, ms.
const SYNC_MS: u64 = 1000;

/// What one command changed, as it travels to the replica and into the AOF.
pub(crate) type Bytes = Box<[u8]>;

/// A Redis.
pub(crate) struct Node {
    pub(crate) name: char,
    pub(crate) is_up: bool,
    /// Whether it takes itself for the primary.
    pub(crate) is_primary: bool,
    /// While it is down: what it had, for the oracle to compare.
    pub(crate) sale: Option<Sale>,
    pub(crate) lease: Lease,
    soft: Soft,
    change: Change,
    /// It came to own its copy and has not been asked for it yet.
    is_inherited: bool,
    latest_epoch: u64,
    aof: Aof,
}

/// The append-only file.
#[derive(Default)]
struct Aof {
    /// Blocks of a snapshot.
    base: Vec<Bytes>,
    /// What changed since, and when it was written.
    tail: Vec<(u64, Bytes)>,
}

/// How a node ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The process: what it has written, the operating system has.
    Kill,
    /// The machine: what is not on the disk is gone.
    Power,
}

// === impl Node ===

impl Node {
    pub(crate) fn new(name: char) -> Self {
        Self {
            name,
            is_up: true,
            is_primary: false,
            sale: None,
            lease: Lease::new(),
            soft: Soft::new(),
            change: Change::default(),
            is_inherited: false,
            latest_epoch: 0,
            aof: Aof::default(),
        }
    }

    /// `SECKILL.CREATE`.
    pub(crate) fn create(
        &mut self,
        now_ms: u64,
        total: u64,
        options: Options,
        paused: bool,
    ) -> Result<(), ApplyError> {
        let opened = Effect::Opened {
            epoch: self.next_epoch(now_ms),
            at_ms: now_ms,
            options: Box::new(options),
            total,
            sold: 0,
            paused,
        };
        self.change.begin(EventId::ZERO);
        self.change.record(&opened);
        self.sale = Some(Sale::open(&opened, 7)?);
        self.write(now_ms);
        Ok(())
    }

    /// Runs a command; `None` if there is no sale. What it changed is in [`changed`](Self::changed).
    pub(crate) fn perform<T>(
        &mut self,
        now_ms: u64,
        command: impl FnOnce(&mut Sale, &mut Change, &mut Soft) -> Result<T, Refusal>,
    ) -> Option<Result<T, Refusal>> {
        let epoch = if self.is_inherited {
            self.next_epoch(now_ms)
        } else {
            0
        };
        let sale = self.sale.as_mut()?;
        self.change.begin(sale.head());
        let taken_over = if std::mem::take(&mut self.is_inherited) {
            sale.perform_take_over(now_ms, &mut self.change, epoch, true)
        } else {
            Ok(())
        };
        let done = taken_over.and_then(|()| command(sale, &mut self.change, &mut self.soft));
        self.write(now_ms);
        Some(done)
    }

    /// What the last command changed; empty if nothing.
    pub(crate) fn changed(&self) -> &[u8] {
        self.change.payload()
    }

    /// Carries out what the primary sends.
    pub(crate) fn follow(&mut self, now_ms: u64, payload: Bytes) -> Result<(), String> {
        apply(&mut self.sale, &payload)?;
        self.aof.tail.push((now_ms, payload));
        Ok(())
    }

    /// Takes the primary's whole copy in place of its own.
    pub(crate) fn resync(&mut self, blocks: Vec<Bytes>) -> Result<(), String> {
        self.sale = None;
        for block in &blocks {
            apply(&mut self.sale, block)?;
        }
        self.node_state_is_gone();
        self.aof = Aof {
            base: blocks,
            tail: Vec::new(),
        };
        Ok(())
    }

    /// It is primary from now on, in place of another.
    pub(crate) fn promote(&mut self) {
        self.is_primary = true;
        self.is_inherited = true;
    }

    /// Whether it takes its copy over at the next command.
    pub(crate) const fn is_inherited(&self) -> bool {
        self.is_inherited
    }

    /// How many of the last changes a death may cost it.
    pub(crate) fn unsynced(&self, now_ms: u64, death: Death, always: bool) -> usize {
        if always || death == Death::Kill {
            return 0;
        }
        let since = now_ms.saturating_sub(SYNC_MS);
        let tail = self.aof.tail.iter().rev();
        let unsynced = tail.take_while(|(at_ms, _)| *at_ms > since).count();
        // That there is a sale at all is on the disk before anybody is told of it.
        unsynced.min(
            self.aof
                .tail
                .len()
                .saturating_sub(self.aof.base.is_empty().into()),
        )
    }

    /// It ends, and its disk has all but the last `lost` changes.
    pub(crate) fn die(&mut self, lost: usize) {
        self.is_up = false;
        let kept = self.aof.tail.len().saturating_sub(lost);
        self.aof.tail.truncate(kept);
    }

    /// Loads what its disk has.
    pub(crate) fn restart(&mut self, fence: Fence) -> Result<(), String> {
        self.sale = None;
        let blocks = self.aof.base.iter();
        for payload in blocks.chain(self.aof.tail.iter().map(|(_, payload)| payload)) {
            apply(&mut self.sale, payload)?;
        }
        self.is_up = true;
        self.node_state_is_gone();
        self.is_inherited = fence == Fence::Always;
        Ok(())
    }

    /// `BGREWRITEAOF`.
    pub(crate) fn rewrite(&mut self) {
        self.aof = Aof {
            base: self.blocks(),
            tail: Vec::new(),
        };
    }

    /// Its copy as bytes: two of the same bytes are the same.
    pub(crate) fn blocks(&self) -> Vec<Bytes> {
        let mut blocks = Vec::new();
        if let Some(sale) = &self.sale {
            sale.for_each_block(|block| blocks.push(block.into()));
        }
        blocks
    }

    fn write(&mut self, now_ms: u64) {
        if !self.change.is_empty() {
            self.aof.tail.push((now_ms, self.change.payload().into()));
        }
    }

    fn node_state_is_gone(&mut self) {
        self.soft = Soft::new();
        self.lease = Lease::new();
        let epoch = self.sale.as_ref().map_or(0, |sale| sale.head().epoch);
        self.latest_epoch = self.latest_epoch.max(epoch);
    }

    fn next_epoch(&mut self, now_ms: u64) -> u64 {
        self.latest_epoch = now_ms.max(self.latest_epoch + 1);
        self.latest_epoch
    }
}

/// `SECKILL.APPLY`, of a change or of a block.
fn apply(sale: &mut Option<Sale>, payload: &[u8]) -> Result<(), String> {
    let payload = Payload::decode(payload).map_err(|error| error.to_string())?;
    let applied = match (sale.as_mut(), payload) {
        (Some(sale), Payload::Change(effects)) => sale.apply_effects(effects),
        (Some(sale), Payload::Block(block)) => sale.restore_block(block).map_err(Into::into),
        (None, Payload::Change(effects)) => {
            Sale::from_effects(effects, 7).map(|made| *sale = Some(made))
        }
        (None, Payload::Block(block)) => Sale::from_block(block, 7)
            .map(|made| *sale = Some(made))
            .map_err(Into::into),
    };
    applied.map_err(|error| error.to_string())
}

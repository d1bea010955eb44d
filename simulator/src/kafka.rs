//! One partition of the topic, the producers that write to it, and the group that reads it.
//!
//! An idempotent producer's batches arrive in its order and each once. What a real one may still do,
//! this one does: a batch may be there and its receipt late or a failure; one that failed may be
//! missing while those behind it arrive; what a killed process had sent may arrive long after, between
//! the batches of others. A careless producer besides repeats batches, and lets them overtake.

use crate::dice::Dice;
use seckill_protocol::EventBatch;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// Names a batch that was sent: its receipt.
pub(crate) type Receipt = u64;

/// What one process has sent.
#[derive(Debug, Default)]
pub(crate) struct Session {
    queue: VecDeque<Sent>,
    /// Its process is gone: nobody hears the receipts.
    is_orphan: bool,
}

#[derive(Clone, Debug)]
struct Sent {
    receipt: Receipt,
    batch: Rc<EventBatch>,
    /// Whether the broker has it already, and only the receipt is missing.
    is_there: bool,
}

/// The partition.
#[derive(Debug, Default)]
pub(crate) struct Kafka {
    pub(crate) log: Vec<Rc<EventBatch>>,
    pub(crate) sessions: Vec<Session>,
    /// Receipts that came, until somebody looks.
    receipts: BTreeMap<Receipt, bool>,
    next_receipt: Receipt,
    /// From where the group reads on after a restart.
    pub(crate) committed: usize,
    /// Which worker has the partition.
    pub(crate) owner: Option<usize>,
}

// === impl Kafka ===

impl Kafka {
    /// A process begins: its producer.
    pub(crate) fn connect(&mut self) -> usize {
        self.sessions.push(Session::default());
        self.sessions.len() - 1
    }

    /// The process is gone.
    pub(crate) fn disconnect(&mut self, session: usize) {
        self.sessions[session].is_orphan = true;
    }

    pub(crate) fn new_receipt(&mut self) -> Receipt {
        self.next_receipt += 1;
        self.next_receipt
    }

    pub(crate) fn send(&mut self, session: usize, batch: EventBatch) -> Receipt {
        let receipt = self.new_receipt();
        self.sessions[session].queue.push_back(Sent {
            receipt,
            batch: Rc::new(batch),
            is_there: false,
        });
        receipt
    }

    pub(crate) fn answer(&mut self, receipt: Receipt, arrived: bool) {
        self.receipts.insert(receipt, arrived);
    }

    /// Whether a batch arrived, once that is known.
    pub(crate) fn receipt(&mut self, receipt: Receipt) -> Option<bool> {
        self.receipts.remove(&receipt)
    }

    /// The sessions that have something under way.
    pub(crate) fn busy(&self) -> Vec<usize> {
        let sessions = self.sessions.iter().enumerate();
        let busy = sessions.filter(|(_, session)| !session.queue.is_empty());
        busy.map(|(number, _)| number).collect()
    }

    /// The next thing happens to what a session has sent: it arrives, or its receipt does, or it
    /// fails. What arrived at the broker is returned.
    pub(crate) fn step(
        &mut self,
        number: usize,
        is_careless: bool,
        fails: bool,
        dice: &mut Dice,
    ) -> Option<Rc<EventBatch>> {
        let session = &mut self.sessions[number];
        if fails && session.is_orphan {
            // The rest of it never left the dead machine.
            session.queue.clear();
            return None;
        }
        let place = if is_careless {
            dice.below(session.queue.len().min(5))
        } else {
            0
        };
        let sent = session.queue.get_mut(place)?;
        if fails {
            let receipt = sent.receipt;
            let sent = session.queue.remove(place)?;
            if is_careless && dice.coin() && !sent.is_there {
                // Given up, and on the wire all the same.
                session.queue.push_back(sent);
            }
            self.receipts.insert(receipt, false);
            return None;
        }
        if !sent.is_there {
            sent.is_there = true;
            let batch = Rc::clone(&sent.batch);
            self.log.push(Rc::clone(&batch));
            return Some(batch);
        }
        if is_careless && dice.one_in(8) {
            // The broker's answer is lost, and it is sent again.
            let batch = Rc::clone(&sent.batch);
            self.log.push(Rc::clone(&batch));
            return Some(batch);
        }
        let sent = session.queue.remove(place)?;
        if !session.is_orphan {
            self.receipts.entry(sent.receipt).or_insert(true);
        }
        None
    }
}

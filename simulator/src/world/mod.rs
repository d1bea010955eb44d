//! The world of a seed: everybody in it, and what happens at each step.
//!
//! | file | idea |
//! | --- | --- |
//! | `mod.rs` | who does something next, and how a Redis is asked |
//! | `buyers` | buyers, and the shop that confirms and cancels for them |
//! | `relay`, `writer` | a worker's two halves, by its own rules |
//! | `recovery` | `recover`, by its own rules |
//! | `hazards` | what goes wrong |
//! | `healing` | everything works again: the sale must come to rest, and then be right |

mod buyers;
mod hazards;
mod healing;
mod recovery;
mod relay;
mod writer;

use crate::dice::Dice;
use crate::kafka::Kafka;
use crate::mysql::Mysql;
use crate::node::{Bytes, Node};
use crate::oracle::Oracle;
use crate::settings::{Broker, Fsync, Hazard, Settings};
use crate::story::{Story, say};
use crate::worker::Worker;
use buyers::{Buyer, Late};
use recovery::Recovery;
use seckill_protocol::EventId;
use seckill_sale::{Change, Cursor, Options, Refusal, Sale, Soft};
use std::collections::VecDeque;

/// When a run begins, Unix ms.
pub(crate) const BEGINNING_MS: u64 = 1_763_800_000_000;

/// Between two recounts of a copy, in changes of it.
const RECOUNT_EVERY: u64 = 16;

/// Everybody, and everything on its way.
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) dice: Dice,
    pub(crate) story: Story,
    /// The virtual clock, Unix ms.
    pub(crate) now: u64,
    pub(crate) step: u64,
    last_step: u64,
    nodes: [Node; 2],
    /// Which of them is the primary, for everybody who knows.
    official: usize,
    link: Link,
    kafka: Kafka,
    mysql: Mysql,
    workers: Vec<Worker>,
    buyers: Vec<Buyer>,
    late: Vec<Late>,
    recovery: Option<Recovery>,
    oracle: Oracle,
    changes: u64,
    /// Nothing goes wrong any more.
    is_healed: bool,
}

/// From the primary to its replica.
#[derive(Debug, Default)]
struct Link {
    is_up: bool,
    /// Whether the replica has had the primary's whole copy since that became primary.
    is_synced: bool,
    /// What it has not received yet.
    backlog: VecDeque<Bytes>,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Done,
    Refused,
    /// Nothing came back: it may have been done.
    Unknown,
}

// === impl Link ===

impl Link {
    fn has_everything(&self) -> bool {
        self.is_synced && self.backlog.is_empty()
    }
}

// === impl World ===

impl World {
    pub(crate) fn new(seed: u64, without: &[Hazard], story: Story) -> Result<Self, String> {
        let mut dice = Dice::new(seed);
        let mut settings = Settings::draw(&mut dice);
        for hazard in without {
            settings.hazards.leave_out(*hazard);
        }
        let mut world = Self {
            settings,
            dice,
            story,
            now: BEGINNING_MS,
            step: 0,
            last_step: u64::MAX,
            nodes: [Node::new('A'), Node::new('B')],
            official: 0,
            link: Link::default(),
            kafka: Kafka::default(),
            mysql: Mysql::default(),
            workers: Vec::new(),
            buyers: Vec::new(),
            late: Vec::new(),
            recovery: None,
            oracle: Oracle::default(),
            changes: 0,
            is_healed: false,
        };
        say!(world, "{settings:?}");
        world.begin()?;
        Ok(world)
    }

    fn begin(&mut self) -> Result<(), String> {
        let Settings {
            units,
            limit,
            hold_ms,
            ..
        } = self.settings;
        let options = Options {
            limit,
            hold_ms,
            ..Options::default()
        };
        let node = &mut self.nodes[0];
        node.is_primary = true;
        let created = node.create(self.now, units, options, false);
        created.map_err(|error| error.to_string())?;
        self.mysql.count = i64::try_from(units).unwrap_or(i64::MAX);
        self.mysql.opened = self.now;
        self.changed(0)?;
        for number in 0..self.settings.buyers {
            // MySQL takes no order of those with an exclamation mark.
            let mark = if self.hazard(Hazard::Poison) > 0 && number % 3 == 0 {
                "!"
            } else {
                ""
            };
            self.buyers.push(Buyer::new(format!("u{number}{mark}")));
        }
        for w in 0..self.settings.workers {
            self.workers.push(Worker::default());
            self.start_worker(w);
        }
        self.link.is_up = true;
        Ok(())
    }

    /// Nothing happens after this step.
    pub(crate) fn stops_after(&mut self, step: u64) {
        self.last_step = step;
    }

    /// One thing happens.
    pub(crate) fn step(&mut self) -> Result<(), String> {
        self.step += 1;
        self.now += self.dice.between(0, 2);
        let w = self.dice.below(self.workers.len());
        match self.dice.below(100) {
            0..24 => self.buyer(),
            24..28 => self.late(),
            28..50 => self.worker(w, Self::relay),
            50..60 => self.broker(),
            60..70 => self.worker(w, Self::read_topic),
            70..84 => self.worker(w, Self::write),
            84..88 => self.worker(w, Self::announce),
            88..89 => self.worker(w, Self::cancel_refused),
            89..95 => self.replicate(),
            _ => self.mishap(),
        }
    }

    fn worker(
        &mut self,
        w: usize,
        does: impl FnOnce(&mut Self, usize) -> Result<(), String>,
    ) -> Result<(), String> {
        if self.workers[w].is_up && !self.workers[w].is_frozen {
            does(self, w)?;
        }
        Ok(())
    }

    /// What was sent gets on.
    fn broker(&mut self) -> Result<(), String> {
        let busy = self.kafka.busy();
        let Some(session) = self.dice.pick(&busy) else {
            return Ok(());
        };
        let fails = !self.is_healed && self.dice.below(200) < self.hazard(Hazard::Broker);
        let is_careless = self.settings.broker == Broker::Careless && !self.is_healed;
        if let Some(batch) = self.kafka.step(session, is_careless, fails, &mut self.dice) {
            say!(
                self,
                "the broker has a batch up to {}",
                batch.last_id().unwrap_or_default()
            );
            self.oracle.sent(&batch)?;
        }
        Ok(())
    }

    /// The replica receives the next change, or the whole copy.
    fn replicate(&mut self) -> Result<(), String> {
        let replica = 1 - self.official;
        if !self.link.is_up || !self.nodes[self.official].is_up || !self.nodes[replica].is_up {
            return Ok(());
        }
        if self.nodes[replica].is_primary {
            return Ok(());
        }
        if self.link.is_synced {
            if let Some(payload) = self.link.backlog.pop_front() {
                self.nodes[replica].follow(self.now, payload)?;
            }
            return Ok(());
        }
        let blocks = self.nodes[self.official].blocks();
        self.nodes[replica].resync(blocks)?;
        self.link.is_synced = true;
        self.link.backlog.clear();
        say!(
            self,
            "{} has the whole copy of {}",
            self.nodes[replica].name,
            self.nodes[self.official].name
        );
        Ok(())
    }

    /// A command on the sale; `None`: no answer, whether it was carried out or not.
    fn command<T>(
        &mut self,
        view: usize,
        command: impl FnOnce(u64, &mut Sale, &mut Change, &mut Soft) -> Result<T, Refusal>,
    ) -> Result<Option<Result<T, Refusal>>, String> {
        let is_lost = self.loses();
        let node = &mut self.nodes[view];
        if !node.is_up || !node.is_primary || (is_lost && self.dice.coin()) {
            return Ok(None);
        }
        // No two nodes begin an epoch in one millisecond.
        self.now += u64::from(node.is_inherited());
        let now = self.now;
        let relayed = node.sale.as_ref().map(Sale::relayed);
        let done = node.perform(now, |sale, change, soft| command(now, sale, change, soft));
        self.changed(view)?;
        if let (Some(before), Some(sale)) = (relayed, &self.nodes[view].sale)
            && self.settings.broker != Broker::None
            && sale.relayed() > before
        {
            self.oracle.relayed(before.max(sale.stored()), sale)?;
        }
        if let Some(Err(Refusal::Internal(error))) = &done {
            return Err(format!("internal: {error}"));
        }
        Ok(done.filter(|_| !is_lost))
    }

    /// A look that changes nothing; `None`: no answer.
    fn look_at<T>(&self, view: usize, look: impl FnOnce(&Sale) -> T) -> Option<T> {
        let node = &self.nodes[view];
        let answers = node.is_up && node.is_primary;
        node.sale.as_ref().filter(|_| answers).map(look)
    }

    fn ack(&mut self, w: usize, cursor: Cursor, id: EventId) -> Result<Answer, String> {
        let view = self.workers[w].view;
        if cursor == Cursor::Stored && id > self.mysql.cursor {
            return Err(format!(
                "STORED is to be {id}, and MySQL has {}",
                self.mysql.cursor
            ));
        }
        let answer = self.command(view, |now, sale, change, _| {
            sale.perform(now, change, |sale| sale.decide_ack(cursor, id))
        })?;
        say!(
            self,
            "w{w} acknowledges {cursor:?} {id} at {}: {answer:?}",
            self.nodes[view].name
        );
        Ok(match answer {
            None => Answer::Unknown,
            Some(Ok(())) => Answer::Done,
            Some(Err(_)) => Answer::Refused,
        })
    }

    /// A node has run a command: its change goes to the replica, and is looked at.
    fn changed(&mut self, view: usize) -> Result<(), String> {
        let node = &self.nodes[view];
        let Some(sale) = node.sale.as_ref().filter(|_| !node.changed().is_empty()) else {
            return Ok(());
        };
        self.oracle
            .changed(node.changed(), sale, view == self.official)?;
        let sum = sale.available() + sale.held() + sale.sold();
        if sum != sale.total() {
            return Err(format!("{} units of {}", sum, sale.total()));
        }
        self.changes += 1;
        if self.changes.is_multiple_of(RECOUNT_EVERY) {
            sale.audit().map_err(|error| error.to_string())?;
        }
        if view == self.official && self.link.is_synced {
            self.link.backlog.push_back(node.changed().into());
        }
        Ok(())
    }

    /// Whether a question, or its answer, gets lost.
    fn loses(&mut self) -> bool {
        !self.is_healed && self.dice.below(40) < self.hazard(Hazard::Lost)
    }

    fn hazard(&self, hazard: Hazard) -> usize {
        self.settings.hazards.weight(hazard)
    }

    fn refresh_view(&mut self, w: usize) {
        self.workers[w].view = self.official;
    }

    fn start_worker(&mut self, w: usize) {
        let session = self.kafka.connect();
        let view = self.official;
        let worker = &mut self.workers[w];
        worker.is_up = true;
        worker.session = session;
        worker.view = view;
        say!(self, "w{w} is started");
    }

    const fn syncs_always(&self) -> bool {
        matches!(self.settings.fsync, Fsync::Always)
    }
}

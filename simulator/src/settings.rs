//! What a seed is played with: how things are set up, and what goes wrong how often.
//!
//! Each seed draws its own: a run in which one thing goes wrong often finds what a run in which
//! everything goes wrong a little does not.

use crate::dice::Dice;
use clap::ValueEnum;
use std::fmt;

/// `appendfsync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fsync {
    /// Before an answer.
    Always,
    /// Once a second: a machine that loses its power loses up to a second.
    EverySecond,
}

/// `seckill.fence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// After a promotion.
    Promotion,
    /// Also after a restart.
    Always,
}

/// Where the relay hands its batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broker {
    /// To the order writer of its own process.
    None,
    /// To a topic, with an idempotent producer.
    Idempotent,
    /// To a topic, with a producer that repeats and overtakes itself.
    Careless,
}

/// How a seed's world is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// What survives a loss of power.
    pub(crate) fsync: Fsync,
    /// When a sale is fenced.
    pub(crate) fence: Fence,
    /// How events get to the order writer.
    pub(crate) broker: Broker,
    /// Whether a buyer is told of what he got only when the replica has it.
    pub(crate) replica_first: bool,
    /// Worker processes.
    pub(crate) workers: usize,
    /// Who buys.
    pub(crate) buyers: usize,
    /// Units of the sale.
    pub(crate) units: u64,
    /// Units a buyer; 0: no limit.
    pub(crate) limit: u32,
    /// How long units are held, ms; 0: sold at once.
    pub(crate) hold_ms: u64,
    /// What goes wrong.
    pub(crate) hazards: Hazards,
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Hazard {
    /// A Redis is killed, or its machine loses power.
    NodeDies,
    /// The replica takes over.
    Failover,
    /// The link between the two is cut, and made again.
    Link,
    /// A worker is killed.
    WorkerDies,
    /// A worker is frozen, and wakes up.
    WorkerFreezes,
    /// The partition goes to another worker.
    Rebalance,
    /// The broker does not take a batch.
    Broker,
    /// MySQL ends what is under way.
    Mysql,
    /// Somebody else sells units of the stock row.
    Shop,
    /// A person pauses, resumes, adds or takes away units.
    Operator,
    /// A person runs `recover`.
    Recover,
    /// Much time passes at once.
    Time,
    /// Questions and answers get lost.
    Lost,
    /// Questions are on their way for long.
    Late,
    /// MySQL takes no order of some buyers.
    Poison,
    /// What was paid for is given up, and the other way round.
    Fickle,
}

/// How likely each is, as a weight among all that may happen; 0: never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hazards([usize; Hazard::ALL.len()]);

// === impl Hazard ===

impl Hazard {
    /// All that can go wrong.
    pub(crate) const ALL: [Self; 16] = [
        Self::NodeDies,
        Self::Failover,
        Self::Link,
        Self::WorkerDies,
        Self::WorkerFreezes,
        Self::Rebalance,
        Self::Broker,
        Self::Mysql,
        Self::Shop,
        Self::Operator,
        Self::Recover,
        Self::Time,
        Self::Lost,
        Self::Late,
        Self::Poison,
        Self::Fickle,
    ];
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_possible_value() {
            Some(value) => f.write_str(value.get_name()),
            None => Ok(()),
        }
    }
}

// === impl Settings ===

impl Settings {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let fsync = if dice.coin() {
            Fsync::Always
        } else {
            Fsync::EverySecond
        };
        // With `everysec` and a fence only after promotions, Redis may come back without its last
        // second and go on under the same numbers: that is a setting for who can live with it.
        let fence = match fsync {
            Fsync::Always if dice.coin() => Fence::Promotion,
            _ => Fence::Always,
        };
        let broker = match dice.below(8) {
            0 => Broker::None,
            1 | 2 => Broker::Careless,
            _ => Broker::Idempotent,
        };
        Self {
            fsync,
            fence,
            broker,
            replica_first: fsync == Fsync::Always && dice.one_in(3),
            workers: 1 + dice.below(2),
            buyers: 1 + dice.below(8),
            units: dice.between(0, 20),
            limit: [0, 1, 1, 2, 3][dice.below(5)],
            hold_ms: [0, 200, 2000, 2000, 30_000][dice.below(5)],
            hazards: Hazards::draw(dice),
        }
    }
}

// === impl Hazards ===

impl Hazards {
    fn draw(dice: &mut Dice) -> Self {
        Self(Hazard::ALL.map(|hazard| {
            let weight = [0, 0, 1, 4][dice.below(4)];
            match hazard {
                Hazard::Recover | Hazard::Time => weight + 1,
                Hazard::Shop | Hazard::Poison | Hazard::Fickle => weight.min(1),
                _ => weight,
            }
        }))
    }

    pub(crate) fn weight(&self, hazard: Hazard) -> usize {
        self.0[hazard as usize]
    }

    /// Leaves one out.
    pub(crate) fn leave_out(&mut self, hazard: Hazard) {
        self.0[hazard as usize] = 0;
    }
}

//! What can be done to a sale, and to whom.

use crate::schedule::PAIR;
use crate::wire::Trouble;
use std::fmt;
use std::time::Duration;

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Victim {
    /// The Redis that decides, whichever that is by then.
    Primary,
    /// The other one.
    Replica,
    Kafka,
    MariaDb,
    /// One of the proxies, counted from 0.
    Proxy(usize),
    /// One of the workers, counted from 0.
    Worker(usize),
    Shop,
}

/// A wire between two processes, named by who connects and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Line {
    BuyersToProxy(usize),
    ProxyToRedis(usize),
    ProxyToShop(usize),
    WorkerToRedis(usize),
    WorkerToKafka(usize),
    WorkerToMariaDb(usize),
    ReplicaToPrimary,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// `kill -9`, and started again at the end.
    Kill(Victim),
    /// SIGSTOP, and SIGCONT at the end.
    Freeze(Victim),
    /// SIGTERM, and started again at once.
    Restart(Victim),
    /// Something is wrong with a wire until the end.
    Trouble(Line, Trouble),
    /// The primary is lost, and its replica takes its place; at the end the old primary comes back
    /// as the replica of the new one.
    Promote(Loss),
    /// No file of the process grows until the end. What dies of it is started again then.
    FullDisk(Victim),
    /// MariaDB takes no writes until the end.
    ReadOnly,
    /// The wall clock of a process is wrong by so many milliseconds until the end.
    Clock(Victim, i64),
}

/// How a primary is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Loss {
    /// `kill -9`.
    Killed,
    /// SIGSTOP; it wakes up when somebody else is the primary.
    Frozen,
    /// It lives on, and the second proxy and the second worker still talk to it and to nobody else.
    Split,
}

// === impl Victim ===

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Primary => f.write_str("the primary"),
            Self::Replica => f.write_str("the replica"),
            Self::Kafka => f.write_str("kafka"),
            Self::MariaDb => f.write_str("mariadb"),
            Self::Proxy(number) => write!(f, "proxy {}", number + 1),
            Self::Worker(number) => write!(f, "worker {}", number + 1),
            Self::Shop => f.write_str("the shop"),
        }
    }
}

// === impl Line ===

impl Line {
    /// Every wire that there is.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let of_pairs = (0..PAIR).flat_map(|number| {
            [
                Self::BuyersToProxy(number),
                Self::ProxyToRedis(number),
                Self::ProxyToShop(number),
                Self::WorkerToRedis(number),
                Self::WorkerToKafka(number),
                Self::WorkerToMariaDb(number),
            ]
        });
        of_pairs.chain([Self::ReplicaToPrimary])
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, number, to) = match self {
            Self::BuyersToProxy(number) => return write!(f, "buyers → proxy {}", number + 1),
            Self::ReplicaToPrimary => return f.write_str("replica → primary"),
            Self::ProxyToRedis(number) => ("proxy", number, "redis"),
            Self::ProxyToShop(number) => ("proxy", number, "shop"),
            Self::WorkerToRedis(number) => ("worker", number, "redis"),
            Self::WorkerToKafka(number) => ("worker", number, "kafka"),
            Self::WorkerToMariaDb(number) => ("worker", number, "mariadb"),
        };
        write!(f, "{from} {} → {to}", number + 1)
    }
}

// === impl Fault ===

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(victim) => write!(f, "kill -9 {victim}"),
            Self::Freeze(victim) => write!(f, "freeze {victim}"),
            Self::Restart(victim) => write!(f, "restart {victim}"),
            Self::Trouble(line, trouble) => match trouble {
                Trouble::Refuse => write!(f, "{line}: refuse"),
                Trouble::Cut => write!(f, "{line}: cut"),
                Trouble::Delay(delay) => write!(f, "{line}: {} ms late", delay.as_millis()),
                Trouble::Hold => write!(f, "{line}: hold"),
                Trouble::SwallowQuestions => write!(f, "{line}: swallow questions"),
                Trouble::SwallowAnswers => write!(f, "{line}: swallow answers"),
            },
            Self::Promote(Loss::Killed) => f.write_str("kill -9 the primary, promote the replica"),
            Self::Promote(Loss::Frozen) => f.write_str("freeze the primary, promote the replica"),
            Self::Promote(Loss::Split) => f.write_str("two primaries: promote the replica"),
            Self::FullDisk(victim) => write!(f, "fill the disk of {victim}"),
            Self::ReadOnly => f.write_str("mariadb reads only"),
            Self::Clock(victim, by_ms) => {
                let span = Duration::from_millis(by_ms.unsigned_abs());
                let way = if *by_ms < 0 { "slow" } else { "fast" };
                write!(f, "the clock of {victim} is {} s {way}", span.as_secs_f64())
            }
        }
    }
}

impl Fault {
    /// Whether it is over as soon as it is done.
    pub(crate) fn is_momentary(&self) -> bool {
        matches!(self, Self::Restart(_) | Self::Trouble(_, Trouble::Cut))
    }
}
